//! What is asked for over the bus: `end_enrollment` and `schedule_action`, once in effect.

use crate::support::{World, eventually};
use domain::contract::exchange;
use domain::ids::TenantId;
use domain::outbox::NewMessage;
use serde_json::{Value, json};
use uuid::Uuid;

const DONE: &str = r#"goal_commands_total{command="schedule_action",result="done"}"#;
const REPEATED: &str = r#"goal_commands_total{command="schedule_action",result="repeated"}"#;
const LETTERS: &str = "SELECT count(*) FROM evaluator.dead_letters WHERE code = 'malformed_message'";
const ACTIONS: &str = "SELECT count(*) FROM evaluator.scheduled_actions";

fn command(message_id: Uuid, routing_key: &'static str, body: &Value) -> NewMessage {
    NewMessage {
        tenant_id: TenantId::parse("demo").unwrap(),
        exchange: exchange::COMMANDS,
        routing_key,
        mandatory: true,
        message_id,
        content_type: "application/json",
        payload: body.to_string().into_bytes(),
        traceparent: None,
        events: 0,
    }
}

fn later(enrollment: &str) -> Value {
    json!({ "tenant_id": "demo", "enrollment_id": enrollment, "action_type": "send_email",
            "scheduled_at": "2030-01-01T00:00:00Z", "payload": { "amount": 1 } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_message_schedules_one_action_and_another_message_another() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let id = world.enroll(workflow, "c").await;
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    for message_id in [first, first, second, first] {
        world.publish(command(message_id, "schedule_action", &later(&id))).await;
    }
    eventually("all four are settled", async || world.metric(DONE).await == 2.0 && world.metric(REPEATED).await == 2.0)
        .await;
    assert_eq!(world.value::<i64>(ACTIONS, &[]).await, 2);

    // The caller's own id holds across messages, and for one enrollment only.
    let mut named = later(&id);
    named["action_id"] = json!(Uuid::now_v7());
    for _ in 0..2 {
        world.publish(command(Uuid::now_v7(), "schedule_action", &named)).await;
    }
    named["enrollment_id"] = json!(world.enroll(workflow, "d").await);
    world.publish(command(Uuid::now_v7(), "schedule_action", &named)).await;
    let refused = r#"goal_commands_total{command="schedule_action",result="refused"}"#;
    eventually("the last is refused", async || world.metric(refused).await == 1.0).await;
    assert_eq!(world.value::<i64>(ACTIONS, &[]).await, 3);
    assert_eq!(world.value::<i64>(LETTERS, &[]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_cancels_what_is_pending_once_and_nothing_is_scheduled_after_it() {
    let world = World::start().await;
    world.database.seed_tenant("other").await.unwrap();
    let workflow = world.workflow("active", json!("any")).await;
    let id = world.enroll(workflow, "c").await;
    let mut facts = world.facts("workflow.action.cancelled").await;
    let end = json!({ "tenant_id": "demo", "enrollment_id": id, "status": "removed", "reason": "unsubscribed" });
    let asked = Uuid::now_v7();
    world.publish(command(asked, "schedule_action", &later(&id))).await;
    for _ in 0..2 {
        world.publish(command(Uuid::now_v7(), "end_enrollment", &end)).await;
    }
    world.publish(command(asked, "schedule_action", &later(&id))).await;
    world.publish(command(Uuid::now_v7(), "schedule_action", &later(&id))).await;
    // Another end, and what another tenant asks for, are refused.
    let completed = json!({ "tenant_id": "demo", "enrollment_id": id, "status": "completed" });
    world.publish(command(Uuid::now_v7(), "end_enrollment", &completed)).await;
    let foreign = json!({ "tenant_id": "other", "enrollment_id": id, "status": "removed" });
    world.publish(command(Uuid::now_v7(), "end_enrollment", &foreign)).await;
    let refused = r#"goal_commands_total{command="end_enrollment",result="refused"}"#;
    eventually("both are refused", async || world.metric(refused).await == 2.0).await;

    let ended = world.enrollment(&id).await;
    assert_eq!((&ended["status"], &ended["exit_reason"]), (&json!("removed"), &json!("removed")));
    assert_eq!(ended["version"], 2);
    let (_, fact) = facts.next().await;
    assert_eq!(fact["data"]["cancelled_actions"], 1);
    world.quiet().await;
    facts.none().await;
    assert_eq!(world.value::<i64>(ACTIONS, &[]).await, 1);
    assert_eq!(world.value::<i64>("SELECT count(*) FROM evaluator.dead_letters", &[]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_is_kept() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let id = world.enroll(workflow, "c").await;
    let end = |status: &str, reason: &str| json!({ "tenant_id": "demo", "enrollment_id": id, "status": status, "reason": reason });
    let (mut typed, mut loaded) = (later(&id), later(&id));
    typed["action_type"] = json!("Send E-Mail");
    loaded["payload"] = json!([1]);
    let bad = [
        ("end_enrollment", end("active", "why")),
        ("end_enrollment", end("completed_goal", "why")),
        ("end_enrollment", end("removed", "")),
        ("end_enrollment", json!([])),
        ("schedule_action", typed),
        ("schedule_action", loaded),
    ];
    for (routing_key, body) in &bad {
        world.publish(command(Uuid::now_v7(), routing_key, body)).await;
    }
    eventually("all are kept", async || world.value::<i64>(LETTERS, &[]).await == i64::try_from(bad.len()).unwrap())
        .await;
    world.still_active(&id).await;
    assert_eq!(world.value::<i64>(ACTIONS, &[]).await, 0);
}
