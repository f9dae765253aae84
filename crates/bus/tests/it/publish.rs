//! What the publisher says about a message is true of that message.

use std::time::{Duration, Instant};

use domain::outbox::{Delivery, OutboxMessage};
use goalpost_bus::{Queue, Subscription};

use crate::support::{COMMANDS, EVENTS, Script, Site, WORKFLOW, body, message, until};

#[tokio::test]
async fn a_published_message_is_consumed_and_acknowledged() {
    let mut site = Site::up(&[Queue::EvaluatorEvents]).await;
    let handler = Script::acks();
    site.consume(Queue::EvaluatorEvents, 10, handler.clone());
    let traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    let sent = OutboxMessage { traceparent, ..message(EVENTS, "events.stored", r#"{"tenant_id":"acme"}"#) };

    let deliveries = site.publish(vec![sent.clone()]).await;

    assert_eq!(deliveries, [Delivery::Confirmed]);
    until("it arrives", || handler.calls().len() == 1).await;
    let calls = handler.calls();
    let got = &calls[0][0];
    assert_eq!(body(got), r#"{"tenant_id":"acme"}"#);
    assert_eq!(got.message_id, Some(sent.message_id));
    assert_eq!(got.routing_key, "events.stored");
    assert_eq!(got.content_type.as_deref(), Some("application/json"));
    assert_eq!(got.traceparent, sent.traceparent);
    assert!(!got.redelivered);
    site.stop_with("evaluator.events", 0).await;
}

#[tokio::test]
async fn a_reply_reaches_the_queue_it_names_or_nobody() {
    let mut site = Site::up(&[]).await;
    let mut asker = Subscription::open(site.vhost.amqp_url(), WORKFLOW, "nothing").await.unwrap();
    let reply = |queue: &str| OutboxMessage {
        mandatory: false,
        correlation_id: Some("7".to_owned()),
        reply_to: None,
        ..message("", queue, r#"{"status":"done"}"#)
    };
    let sent = reply(asker.queue());

    let deliveries = site.publish(vec![reply("nobodys"), sent.clone()]).await;

    assert_eq!(deliveries, [Delivery::Confirmed, Delivery::Confirmed]);
    let got = asker.next().await.unwrap();
    assert_eq!((body(&got), got.correlation_id.as_deref()), (r#"{"status":"done"}"#.to_owned(), Some("7")));
    assert_eq!(got.message_id, Some(sent.message_id));
    site.stop().await;
}

#[tokio::test]
async fn one_unroutable_message_of_a_hundred_is_returned_alone() {
    let mut site = Site::up(&[Queue::EvaluatorCommands]).await;
    let key = |n| {
        if n == 42 { "nobody_takes_this" } else { "recheck" }
    };
    let messages = (0..100).map(|n| message(COMMANDS, key(n), &n.to_string())).collect();

    let deliveries = site.publish(messages).await;

    for (n, delivery) in deliveries.iter().enumerate() {
        let expected = if n == 42 { Delivery::Returned } else { Delivery::Confirmed };
        assert_eq!(*delivery, expected, "message {n}");
    }
    site.waits("evaluator.commands", 99).await;
    site.stop().await;
}

#[tokio::test]
async fn returns_are_found_across_windows_of_many() {
    let mut site = Site::up(&[Queue::EvaluatorCommands]).await;
    let unroutable = |n: usize| n % 7 == 3;
    let key = |n| {
        if unroutable(n) { "nobody_takes_this" } else { "recheck" }
    };
    let messages = (0..1_300).map(|n| message(COMMANDS, key(n), &n.to_string())).collect();

    let deliveries = site.publish(messages).await;

    assert_eq!(deliveries.len(), 1_300);
    for (n, delivery) in deliveries.iter().enumerate() {
        let expected = if unroutable(n) { Delivery::Returned } else { Delivery::Confirmed };
        assert_eq!(*delivery, expected, "message {n}");
    }
    site.stop().await;
}

#[tokio::test]
async fn a_message_for_one_queue_reaches_it_alone_and_as_if_fresh() {
    let mut site = Site::up(&[Queue::EvaluatorErasure, Queue::GoalsErasure]).await;
    let handler = Script::acks();
    site.consume(Queue::EvaluatorErasure, 10, handler.clone());
    let sent = message("", "evaluator.erasure erase_subject", "again");
    let nowhere = message("", "nobody.has.this erase_subject", "nowhere");

    let deliveries = site.publish(vec![sent.clone(), nowhere]).await;

    assert_eq!(deliveries, [Delivery::Confirmed, Delivery::Returned]);
    until("it arrives", || handler.calls().len() == 1).await;
    let calls = handler.calls();
    let got = &calls[0][0];
    assert_eq!((got.routing_key.as_str(), body(got).as_str()), ("erase_subject", "again"));
    assert_eq!((got.message_id, got.redelivered), (Some(sent.message_id), false));
    site.waits("goals.erasure", 0).await;
    site.stop_with("evaluator.erasure", 0).await;
}

#[tokio::test]
async fn a_fact_that_nobody_has_bound_is_confirmed() {
    let mut site = Site::up(&[]).await;
    let mut fact = message(WORKFLOW, "goal.achieved", "{}");
    fact.mandatory = false;
    assert_eq!(site.publish(vec![fact]).await, [Delivery::Confirmed]);
    site.stop().await;
}

#[tokio::test]
async fn what_would_end_the_channel_is_refused_without_harm_to_its_neighbours() {
    let mut site = Site::up(&[Queue::EvaluatorCommands]).await;
    let mut vast = message(COMMANDS, "recheck", "");
    vast.payload = vec![b'x'; 16 * 1024 * 1024 + 1];
    let messages = vec![
        message(COMMANDS, "recheck", "before"),
        message("somebody.elses", "recheck", "unknown exchange"),
        message(COMMANDS, &"k".repeat(256), "long key"),
        vast,
        message(COMMANDS, "recheck", "after"),
    ];

    let deliveries = site.publish(messages).await;

    assert_eq!(deliveries[0], Delivery::Confirmed);
    for refused in &deliveries[1..4] {
        assert!(matches!(refused, Delivery::Refused(_)), "{refused:?}");
    }
    assert_eq!(deliveries[4], Delivery::Confirmed);
    site.waits("evaluator.commands", 2).await;
    site.stop().await;
}

#[tokio::test]
async fn without_a_broker_the_publisher_is_not_ready_and_fails_at_once() {
    let mut site = Site::start(&[], |settings| {
        // The discard port: nothing listens there.
        settings.url = "amqp://127.0.0.1:9/%2f".into();
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let publisher = site.bus.publisher();
    assert!(!publisher.ready());
    assert!(!site.bus.ready());
    let start = Instant::now();
    let error = publisher.publish(vec![message(WORKFLOW, "x", "")].into()).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(error.to_string(), "there is no connection to the broker");
    site.stop().await;
}

#[tokio::test]
async fn what_waits_in_a_queue_is_told() {
    let mut site = Site::up(&[Queue::EvaluatorCommands]).await;
    site.publish((0..3).map(|n| message(COMMANDS, "recheck", &n.to_string())).collect()).await;
    site.waits("evaluator.commands", 3).await;
    assert_eq!(site.bus.ready_messages(Queue::EvaluatorCommands).await.unwrap(), 3);
    site.consume(Queue::EvaluatorCommands, 10, Script::acks());
    site.waits("evaluator.commands", 0).await;
    assert_eq!(site.bus.ready_messages(Queue::EvaluatorCommands).await.unwrap(), 0);
    site.stop().await;
}
