//! A message that breaks its handler, or ends its process, takes no other with it.

use goalpost_bus::{Action, Bus, Consume, Queue, Settings};
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::support::{PATIENCE, Script, Site, Slow, body, until};

const QUEUE: Queue = Queue::EvaluatorCommands;

#[tokio::test]
async fn a_poison_message_is_given_up_and_its_neighbours_are_not() {
    let mut site = Site::up(&[QUEUE]).await;
    let handler = Script::each(|message| {
        assert_ne!(body(message), "poison", "it panics");
        Action::Ack
    });
    site.send((0..5).map(|n| n.to_string())).await;
    site.send(["poison"]).await;
    site.send((5..10).map(|n| n.to_string())).await;
    site.consume(QUEUE, 100, handler.clone());

    let letter = site.shelf.letter().await;
    handler.saw(0..10).await;
    site.stop_with("evaluator.commands", 0).await;
    assert_eq!((letter.code.as_str(), letter.attempts), ("panicked", 3));
    assert!(letter.cause.contains("it panics"));
    assert_eq!(site.shelf.letters().len(), 1);
    let alone = handler.calls().into_iter().filter(|call| call.len() == 1).map(|call| body(&call[0]));
    assert_eq!(alone.filter(|body| body == "poison").count(), 3);
}

#[tokio::test]
async fn a_handler_that_miscounts_is_treated_as_one_that_panics() {
    let mut site = Site::up(&[QUEUE]).await;
    site.send(["a", "b"]).await;
    let handler = Script::new(|messages| {
        if messages.iter().any(|message| body(message) == "b") { Vec::new() } else { vec![Action::Ack; messages.len()] }
    });
    site.consume(QUEUE, 10, handler);
    let letter = site.shelf.letter().await;
    assert_eq!(letter.payload, b"b");
    assert_eq!(letter.cause, "0 answers for 1 messages");
    site.stop_with("evaluator.commands", 0).await;
    assert_eq!(site.shelf.letters().len(), 1);
}

#[tokio::test]
async fn a_suspect_is_out_of_the_queue_alone() {
    let mut site = Site::up(&[QUEUE]).await;
    let slow = Slow::new();
    site.send(["first"]).await;
    let consume = Consume { queue: QUEUE, max_messages: 10, prefetch: 10 };
    site.tasks.spawn(site.bus.consume(consume, slow.clone(), site.shelf.clone()));
    slow.begins(1).await;
    // While the consumer is busy with its first, which it fetched, one that ended three processes
    // comes to lie at the head of the queue.
    site.send(["suspect"]).await;
    site.reject("evaluator.commands", true, 3).await;
    site.send(["a", "b", "c"]).await;

    slow.permits.add_permits(1);
    slow.begins(2).await;
    while body(&slow.calls().last().unwrap()[0]) != "suspect" {
        slow.permits.add_permits(1);
        let begun = slow.calls().len();
        slow.begins(begun + 1).await;
    }
    let calls = slow.calls();
    assert_eq!(calls.last().unwrap().len(), 1);
    let before: Vec<_> = calls[1..calls.len() - 1].iter().flatten().collect();
    assert!(before.iter().all(|message| message.delivery_count == 0));
    site.waits("evaluator.commands", 3 - u32::try_from(before.len()).unwrap()).await;

    slow.permits.add_permits(10);
    until("the rest is done", || slow.calls().iter().flatten().count() == 5).await;
    let calls = slow.calls();
    let fresh = calls.iter().flatten().filter(|message| body(message) != "suspect");
    assert!(fresh.map(|message| message.delivery_count).all(|count| count == 0));
    site.stop_with("evaluator.commands", 0).await;
}

#[tokio::test]
async fn the_consumers_of_a_process_fetch_their_first_messages_one_after_the_other() {
    let mut site = Site::up(&[QUEUE]).await;
    site.send(["a", "b"]).await;
    let slow = Slow::new();
    for _ in 0..2 {
        site.consume(QUEUE, 10, slow.clone());
    }
    slow.begins(1).await;
    // The other one has fetched nothing: what ends this process takes nothing with it.
    site.waits("evaluator.commands", 1).await;
    assert_eq!(slow.calls().len(), 1);
    slow.permits.add_permits(1);
    slow.begins(2).await;
    slow.permits.add_permits(1);
    site.waits("evaluator.commands", 0).await;
    site.stop_with("evaluator.commands", 0).await;
}

#[tokio::test]
async fn a_message_that_ends_every_process_is_given_up_and_its_neighbours_are_not() {
    let mut site = Site::up(&[QUEUE]).await;
    site.send(["a", "b", "poison", "c", "d", "e"]).await;
    let all = Script::acks();
    let mut ended = 0;
    while !process(&mut site, &all).await {
        ended += 1;
        assert!(ended <= 21, "it never ends");
    }
    assert_eq!(ended, 21);
    for message in all.calls().iter().flatten().filter(|message| body(message) != "poison") {
        assert!(message.delivery_count <= 3, "{} {}", body(message), message.delivery_count);
    }
    site.waits("evaluator.commands", 0).await;
}

/// Handles what it can until the poison ends it (false), or until nothing is left to do (true).
async fn process(site: &mut Site, all: &Arc<Script>) -> bool {
    let stop = CancellationToken::new();
    let settings = Settings::new(site.vhost.amqp_url());
    let bus = Bus::connect(settings, &[QUEUE], stop.clone(), Handle::current());
    let seen = Arc::clone(all);
    let handler = Script::each(move |message| {
        seen.note(message);
        match body(message).as_str() {
            "poison" => Action::Retry("this is where the process ends".to_owned()),
            _ => Action::Ack,
        }
    });
    let consume = Consume { queue: QUEUE, max_messages: 1, prefetch: 10 };
    let consuming = site.tasks.spawn(bus.consume(consume, handler.clone(), site.shelf.clone()));
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < PATIENCE, "neither the poison nor the end comes");
        if handler.bodies().iter().any(|body| body == "poison") {
            consuming.abort();
            stop.cancel();
            return false;
        }
        if site.waiting("evaluator.commands.dead").await == 1 {
            all.saw(["a", "b", "c", "d", "e"]).await;
            stop.cancel();
            return true;
        }
    }
}
