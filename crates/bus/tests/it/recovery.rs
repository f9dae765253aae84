//! Whatever happens to a connection, work goes on by itself and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::outbox::Delivery;
use goalpost_bus::{Action, Queue, Settings};
use testkit::proxy::{Act, Proxy, Rule, Say, acknowledges, confirms};
use tokio::net::TcpListener;

use crate::support::{COMMANDS, PATIENCE, Script, Site, WORKFLOW, message, until};

const QUEUE: Queue = Queue::EvaluatorCommands;

/// Sends the settings through the proxy.
fn through(settings: &mut Settings, proxy: &Proxy) {
    settings.url = proxy.through(&secret(settings)).unwrap().into();
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_work_costs_nothing() {
    let mut site = Site::up(&[QUEUE]).await;
    let well = Arc::new(AtomicBool::new(true));
    let now = Arc::clone(&well);
    let handler = Script::each(move |_| match now.load(Ordering::SeqCst) {
        true => Action::Ack,
        false => Action::Retry("the database".to_owned()),
    });
    site.consume(QUEUE, 10, handler.clone());
    site.send(["before"]).await;
    handler.saw(["before"]).await;
    well.store(false, Ordering::SeqCst);
    site.send((0..50).map(|n| n.to_string())).await;
    handler.saw([0]).await;

    site.cut_connections().await;
    well.store(true, Ordering::SeqCst);

    until("both connections are back", || site.bus.ready()).await;
    handler.saw(0..50).await;
    let calls = handler.calls();
    let again: Vec<_> = calls.iter().filter(|call| call.iter().any(|m| m.redelivered)).collect();
    assert!(!again.is_empty(), "nothing was delivered again");
    assert!(again.iter().all(|call| call.len() == 1), "a suspect was not alone");
    assert!(again.iter().flat_map(|call| call.iter()).all(|m| m.delivery_count >= 1));
    // The publishing connection is as good as new, once its end is noticed and it has connected again.
    let start = Instant::now();
    while site.bus.publisher().publish(vec![message(COMMANDS, "enroll", "after")].into()).await.is_err() {
        assert!(start.elapsed() < PATIENCE, "nothing can be published");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until("it arrives", || handler.bodies().contains(&"after".to_owned())).await;
    site.stop().await;
}

#[tokio::test]
async fn a_deleted_queue_is_declared_again_and_consumed_again() {
    let mut site = Site::up(&[QUEUE]).await;
    let handler = Script::acks();
    site.consume(QUEUE, 10, handler.clone());
    site.send(["before"]).await;
    handler.saw(["before"]).await;

    site.vhost.delete_queue("evaluator.commands").await.unwrap();

    // Until it is back a publish may be returned, but never confirmed and lost.
    let start = Instant::now();
    let mut confirmed = Vec::new();
    for n in 0.. {
        let text = format!("after {n}");
        let sent = site.publish(vec![message(COMMANDS, "enroll", &text)]).await;
        if sent == [Delivery::Confirmed] {
            confirmed.push(text);
        } else {
            assert_eq!(sent, [Delivery::Returned]);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if confirmed.len() == 20 {
            break;
        }
        assert!(start.elapsed() < PATIENCE);
    }
    handler.saw(&confirmed).await;
    site.stop_with("evaluator.commands", 0).await;
}

#[tokio::test]
async fn a_peer_that_hangs_is_given_up_and_its_socket_closed() {
    let proxy = Proxy::before(&amqp_url()).await.unwrap();
    let mut site = Site::with(&[], |settings| {
        through(settings, &proxy);
        settings.confirm_timeout_ms = 500;
        settings.connect_timeout_ms = 1_000;
    })
    .await;
    let publisher = site.bus.publisher();
    let fact = || vec![message(WORKFLOW, "goal.achieved", "{}")].into();
    assert_eq!(publisher.publish(fact()).await.unwrap(), [Delivery::Returned]);

    proxy.silence(true);
    let start = Instant::now();
    let error = publisher.publish(fact()).await.unwrap_err();
    assert!(error.to_string().contains("not answered within 500 ms"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    until("the publisher knows", || !publisher.ready()).await;
    // The silence lasts: attempts to connect hang too, and each is ended as well.
    until("several attempts were made and ended", || proxy.connections().ended >= 3).await;

    proxy.silence(false);
    until("it is back", || publisher.ready()).await;
    assert_eq!(publisher.publish(fact()).await.unwrap(), [Delivery::Returned]);
    let left = || {
        let connections = proxy.connections();
        connections.opened - connections.ended
    };
    until("only the living connection is left", || left() == 1).await;
    site.stop().await;
}

#[tokio::test]
async fn a_lost_confirm_is_an_error_and_a_lost_acknowledgement_a_redelivery() {
    let proxy = Proxy::before(&amqp_url()).await.unwrap();
    let mut site = Site::with(&[QUEUE], |settings| through(settings, &proxy)).await;
    let (publisher, handler) = (site.bus.publisher(), Script::acks());
    let lost = proxy.rule(Rule::new(Act::CutBefore, confirms).nth(1));
    let one = vec![message(COMMANDS, "enroll", "one")];
    publisher.publish(one.into()).await.unwrap_err();
    assert_eq!(lost.acted(), 1);
    // The broker has it all the same.
    let unheard = proxy.rule(Rule::new(Act::CutBefore, acknowledges).nth(1));
    site.consume(QUEUE, 1, handler.clone());
    until("it is delivered again", || handler.calls().len() == 2).await;
    assert_eq!((handler.bodies(), unheard.acted()), (vec!["one".to_owned(); 2], 1));
    assert!(handler.calls()[1][0].redelivered);
    site.stop().await;
}

#[tokio::test]
async fn while_blocked_the_publisher_is_not_ready_and_consumers_go_on() {
    let proxy = Proxy::before(&amqp_url()).await.unwrap();
    let mut site = Site::with(&[QUEUE], |_| {}).await;
    let mut settings = Settings::new(site.vhost.amqp_url());
    through(&mut settings, &proxy);
    let blocked = goalpost_bus::Bus::connect(settings, &[], site.cancel.clone(), tokio::runtime::Handle::current());
    let publisher = blocked.publisher();
    until("it is connected", || publisher.ready()).await;

    proxy.say(Say::Blocked);
    until("the publisher knows", || !publisher.ready()).await;
    let start = Instant::now();
    let messages = vec![message(COMMANDS, "enroll", "x")];
    let error = publisher.publish(messages.clone().into()).await.unwrap_err();
    assert_eq!(error.to_string(), "the broker is blocking publishers");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(blocked.ready(), "a block is no reason to take a service out");
    let handler = Script::acks();
    site.consume(QUEUE, 1, handler.clone());
    site.send(["meanwhile"]).await;
    until("it is consumed", || handler.calls().len() == 1).await;

    proxy.say(Say::Unblocked);
    until("the publisher knows", || publisher.ready()).await;
    assert_eq!(publisher.publish(messages.into()).await.unwrap(), [Delivery::Confirmed]);
    assert_eq!(proxy.connections().opened, 1, "it needed another connection");
    site.stop().await;
}

#[tokio::test]
async fn after_a_block_in_the_middle_of_a_window_nothing_is_sent_until_it_goes() {
    let proxy = Proxy::before(&amqp_url()).await.unwrap();
    let mut site = Site::with(&[QUEUE], |settings| {
        through(settings, &proxy);
        settings.confirm_timeout_ms = 700;
    })
    .await;
    let publisher = site.bus.publisher();
    let opened = proxy.connections().opened;
    let many = |n: usize| (0..n).map(|n| message(COMMANDS, "enroll", &n.to_string())).collect::<Vec<_>>();
    // The block arrives while a window is on its way; lapin then writes nothing more.
    let publishing = publisher.publish(many(5_000).into());
    let block = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        proxy.say(Say::Blocked);
    };
    let (published, ()) = tokio::join!(publishing, block);
    assert!(published.is_err());
    assert!(!publisher.ready());
    // As long as it lasts nothing is tried.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!publisher.ready());
    assert_eq!(proxy.connections().opened, opened);

    proxy.say(Say::Unblocked);
    until("the publisher knows", || publisher.ready()).await;
    let mut messages = many(20);
    messages[7].routing_key = "nobody_takes_this".to_owned();
    let deliveries = publisher.publish(messages.into()).await.unwrap();
    for (n, delivery) in deliveries.iter().enumerate() {
        let expected = if n == 7 { Delivery::Returned } else { Delivery::Confirmed };
        assert_eq!(*delivery, expected, "message {n}");
    }
    let again = proxy.connections().opened - opened;
    assert_eq!(again, 1, "a connection with open confirms was used again");
    site.stop().await;
}

#[tokio::test]
async fn a_publish_that_is_dropped_leaves_no_channel_with_open_confirms() {
    let mut site = Site::up(&[QUEUE]).await;
    let publisher = site.bus.publisher();
    for round in 0..6_u64 {
        let lost: Vec<_> = (0..200).map(|_| message(COMMANDS, "nobody_takes_this", "x")).collect();
        let limit = Duration::from_micros(round * 1_000);
        let _ = tokio::time::timeout(limit, publisher.publish(lost.into())).await;
        until("a connection is up", || publisher.ready()).await;
        let mut kept = vec![message(COMMANDS, "enroll", "y"); 3];
        kept.push(message(COMMANDS, "nobody_takes_this", "z"));
        let deliveries = publisher.publish(kept.into()).await.unwrap();
        use Delivery::{Confirmed, Returned};
        assert_eq!(deliveries, [Confirmed, Confirmed, Confirmed, Returned]);
    }
    site.stop().await;
}

#[tokio::test]
async fn a_broker_that_comes_late_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut url = String::new();
    let mut site = Site::start(&[QUEUE], |settings| {
        url = secret(settings);
        settings.url = url.replace(&authority(&url), &address.to_string()).into();
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!site.bus.ready());
    let _proxy = Proxy::on(TcpListener::bind(address).await.unwrap(), &url).unwrap();
    until("it is found", || site.bus.ready()).await;
    site.send(["x"]).await;
    site.stop().await;
}

/// Host and port of an AMQP address.
fn authority(url: &str) -> String {
    let uri: lapin::uri::AMQPUri = url.parse().unwrap();
    format!("{}:{}", uri.authority.host, uri.authority.port)
}

fn secret(settings: &Settings) -> String {
    use secrecy::ExposeSecret;
    settings.url.expose_secret().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "tests are told where their servers are this way")]
fn amqp_url() -> String {
    std::env::var("AMQP_URL").unwrap()
}
