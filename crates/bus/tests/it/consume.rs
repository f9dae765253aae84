//! Every message is settled once, whatever the handler does.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use goalpost_bus::{Action, Consume, Queue};

use crate::support::{COMMANDS, Script, Site, Slow, body, message, until};

const QUEUE: Queue = Queue::EvaluatorCommands;

#[tokio::test]
async fn a_malformed_message_is_stored_with_its_cause_before_it_is_acknowledged() {
    let mut site = Site::up(&[QUEUE]).await;
    let handler = Script::each(|message| match body(message).as_str() {
        "}{" => Action::DeadLetter { code: "malformed", cause: "not JSON at byte 0".to_owned() },
        _ => Action::Ack,
    });
    site.shelf.away.store(true, Ordering::SeqCst);
    let bad = message(COMMANDS, "enroll", "}{");
    site.publish(vec![bad.clone()]).await;
    site.consume(QUEUE, 10, handler.clone());
    handler.saw(["}{"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(site.shelf.letters().is_empty());

    site.shelf.away.store(false, Ordering::SeqCst);
    let letter = site.shelf.letter().await;
    assert_eq!((letter.code.as_str(), letter.cause.as_str()), ("malformed", "not JSON at byte 0"));
    assert_eq!((letter.queue.as_str(), letter.routing_key.as_str()), ("evaluator.commands", "enroll"));
    assert_eq!(letter.message_id, Some(bad.message_id));
    assert_eq!(letter.payload, b"}{");
    assert_eq!((letter.attempts, letter.tenant_id.is_none()), (1, true));
    site.stop_with("evaluator.commands", 0).await;
    // The handler is not asked again for what only waits for its shelf.
    assert_eq!((handler.calls().len(), site.shelf.letters().len()), (1, 1));
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_stored_stays_in_its_queue() {
    let mut site = Site::up(&[QUEUE]).await;
    let handler = Script::each(|_| Action::DeadLetter { code: "malformed", cause: "always".to_owned() });
    site.shelf.away.store(true, Ordering::SeqCst);
    site.send(["a", "b"]).await;
    site.consume(QUEUE, 10, handler.clone());
    handler.saw(["a"]).await;
    site.stop_with("evaluator.commands", 2).await;
}

#[tokio::test]
async fn what_has_arrived_comes_in_one_call() {
    let mut site = Site::up(&[QUEUE]).await;
    site.send((0..40).map(|n| n.to_string())).await;
    let handler = Script::acks();
    site.consume(QUEUE, 15, handler.clone());
    handler.saw(0..40).await;
    site.stop_with("evaluator.commands", 0).await;
    let calls = handler.calls();
    assert!(calls.iter().all(|call| call.len() <= 15));
    assert!(calls.len() < 40, "never more than one message in a call");
    let order: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    assert_eq!(handler.bodies(), order);
}

#[tokio::test]
async fn a_retry_keeps_the_order_loses_nothing_and_costs_no_delivery() {
    let mut site = Site::up(&[QUEUE]).await;
    let tries = AtomicUsize::new(0);
    let handler = Script::each(move |message| {
        if body(message) == "3" && tries.fetch_add(1, Ordering::SeqCst) < 4 {
            return Action::Retry("the database".to_owned());
        }
        Action::Ack
    });
    site.send((0..10).map(|n| n.to_string())).await;
    site.consume(QUEUE, 1, handler.clone());
    handler.saw(["9"]).await;
    site.stop_with("evaluator.commands", 0).await;

    let expected = ["0", "1", "2", "3", "3", "3", "3", "3", "4", "5", "6", "7", "8", "9"];
    assert_eq!(handler.bodies(), expected);
    for message in handler.calls().iter().flatten() {
        assert!(!message.redelivered && message.delivery_count == 0);
    }
    assert!(site.shelf.letters().is_empty());
}

#[tokio::test]
async fn of_a_batch_only_the_waiting_messages_are_given_again_and_alone() {
    let mut site = Site::up(&[QUEUE]).await;
    site.send((0..6).map(|n| n.to_string())).await;
    let first = Mutex::new(HashSet::from(["2".to_owned(), "4".to_owned()]));
    let handler = Script::each(move |message| match first.lock().unwrap().remove(&body(message)) {
        true => Action::Retry("a lock".to_owned()),
        false => Action::Ack,
    });
    site.consume(QUEUE, 6, handler.clone());
    until("two were given twice", || handler.bodies().len() == 8).await;
    site.stop_with("evaluator.commands", 0).await;

    let mut seen = HashSet::new();
    for call in handler.calls() {
        let again = call.iter().filter(|message| !seen.insert(body(message))).count();
        assert!(again == 0 || call.len() == 1, "one that waited was not alone");
    }
    assert_eq!(seen.len(), 6);
}

#[tokio::test]
async fn held_messages_go_back_to_the_queue_and_come_again_when_all_is_well() {
    let mut site = Site::with(&[QUEUE], |settings| settings.hold_seconds = 1).await;
    let well = Arc::new(AtomicBool::new(true));
    let now = Arc::clone(&well);
    let handler = Script::each(move |_| match now.load(Ordering::SeqCst) {
        true => Action::Ack,
        false => Action::Retry("the database".to_owned()),
    });
    site.consume(QUEUE, 1, handler.clone());
    site.send(["all is well"]).await;
    handler.saw(["all is well"]).await;

    well.store(false, Ordering::SeqCst);
    site.send((0..10).map(|n| n.to_string())).await;
    handler.saw([0]).await;
    // One message asks whether all is well; the others are there for somebody else.
    site.waits("evaluator.commands", 9).await;
    well.store(true, Ordering::SeqCst);
    handler.saw(0..10).await;
    site.stop_with("evaluator.commands", 0).await;

    let calls = handler.calls();
    let mut messages = calls.iter().flatten();
    assert!(messages.all(|message| message.delivery_count <= 1));
    let done = calls[calls.len() - 10..].iter().map(|call| body(&call[0]));
    assert!(done.eq((0..10).map(|n| n.to_string())));
}

#[tokio::test]
async fn a_stop_lets_the_running_call_finish_and_gives_the_rest_back() {
    let mut site = Site::up(&[QUEUE]).await;
    site.send((0..5).map(|n| n.to_string())).await;
    let slow = Slow::new();
    slow.permits.add_permits(1);
    let consume = Consume { queue: QUEUE, max_messages: 1, prefetch: 3 };
    site.tasks.spawn(site.bus.consume(consume, slow.clone(), site.shelf.clone()));
    slow.begins(2).await;

    site.cancel.cancel();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(site.tasks.try_join_next().is_none(), "it did not wait for its handler");
    slow.permits.add_permits(1);
    site.stop_with("evaluator.commands", 3).await;
    assert_eq!(slow.calls().len(), 2);
}

#[tokio::test]
async fn several_consumers_share_a_queue() {
    let mut site = Site::up(&[QUEUE]).await;
    let handlers = [Script::acks(), Script::acks()];
    for handler in &handlers {
        site.consume(QUEUE, 1, handler.clone());
    }
    site.send((0..200).map(|n| n.to_string())).await;
    let all = || handlers.iter().map(|handler| handler.bodies().len()).sum::<usize>() >= 200;
    until("all are handled", all).await;
    site.stop_with("evaluator.commands", 0).await;
    let mut seen: Vec<String> = handlers.iter().flat_map(|handler| handler.bodies()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 200);
}
