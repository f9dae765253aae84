//! What the broker gives up ends on the shelf, with the broker's reason.

use goalpost_bus::Queue;

use crate::support::{COMMANDS, Site, message};

#[tokio::test]
async fn a_rejected_message_is_drained_with_its_origin() {
    let mut site = Site::up(&[Queue::EvaluatorCommands]).await;
    let sent = message(COMMANDS, "enroll", r#"{"tenant_id":"acme"}"#);
    site.publish(vec![sent.clone()]).await;
    site.reject("evaluator.commands", false, 1).await;
    site.waits("evaluator.commands.dead", 1).await;

    site.tasks.spawn(site.bus.drain_dead(Queue::EvaluatorCommands, site.shelf.clone()));

    let letter = site.shelf.letter().await;
    assert_eq!((letter.code.as_str(), letter.queue.as_str()), ("rejected", "evaluator.commands"));
    assert_eq!(letter.routing_key, "enroll");
    assert_eq!(letter.message_id, Some(sent.message_id));
    assert_eq!(letter.payload, sent.payload);
    assert_eq!(letter.tenant_id.as_ref().map(ToString::to_string).as_deref(), Some("acme"));
    site.stop().await;
}

#[tokio::test]
async fn a_message_that_ends_every_process_reaches_the_shelf_by_the_delivery_limit() {
    let mut site = Site::up(&[Queue::EvaluatorCommands]).await;
    site.publish(vec![message(COMMANDS, "enroll", "poison")]).await;
    // What a process that dies with the message does to its count.
    site.reject("evaluator.commands", true, 21).await;
    site.tasks.spawn(site.bus.drain_dead(Queue::EvaluatorCommands, site.shelf.clone()));
    let letter = site.shelf.letter().await;
    assert_eq!((letter.code.as_str(), letter.queue.as_str()), ("delivery_limit", "evaluator.commands"));
    assert_eq!(letter.payload, b"poison");
    assert_eq!(letter.attempts, 21);
    site.stop_with("evaluator.commands", 0).await;
}
