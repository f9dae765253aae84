//! Contacts who are forgotten: once, whatever is under way with them, and nobody else.

use crate::support::{World, eventually, goal, hold, tag};
use domain::contract::exchange;
use serde_json::{Value, json};
use testkit::Program;
use uuid::Uuid;

const LOCK_ENROLLMENT: &str = "SELECT id FROM evaluator.enrollments WHERE id = $1 FOR UPDATE";
const LETTERS: &str = "SELECT count(*) FROM evaluator.dead_letters";

/// Asks that a contact of the tenant `demo` be forgotten, as ingest does.
async fn erase(world: &World, request: Uuid, contact: &str) {
    let command = json!({"tenant_id": "demo", "request_id": request, "user_ids": [contact], "contact_ids": [contact]});
    let properties = json!({"message_id": request, "delivery_mode": 2});
    world.vhost.publish((exchange::COMMANDS, "erase_subject"), properties, &command.to_string()).await.unwrap();
}

async fn column(world: &World, column: &str, id: &str) -> String {
    let sql = format!("SELECT {column}::text FROM evaluator.enrollments WHERE id = $1");
    world.value(&sql, &[&id.parse::<Uuid>().unwrap()]).await
}

/// The exit and the erasure wait for the same enrollment, in either order: what came first has happened.
#[tokio::test(flavor = "multi_thread")]
async fn an_exit_under_way_and_an_erasure_are_one_after_the_other() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    for exit_first in [true, false] {
        let contact = format!("c-{exit_first}");
        let id = world.enroll(workflow, &contact).await;
        world.quiet().await;
        let mut blocker = world.database.superuser().await.unwrap();
        let held = hold(&mut blocker).await;
        held.query(LOCK_ENROLLMENT, &[&id.parse::<Uuid>().unwrap()]).await.unwrap();
        let request = Uuid::now_v7();
        if exit_first {
            world.happen(&[tag(&contact, "vip")]).await;
            world.until_waiting(1).await;
            erase(&world, request, &contact).await;
        } else {
            erase(&world, request, &contact).await;
            world.until_waiting(1).await;
            world.happen(&[tag(&contact, "vip")]).await;
        }
        world.until_waiting(2).await;
        held.commit().await.unwrap();
        world.quiet().await;

        let ended = world.enrollment(&id).await;
        let achievements = ended["achievements"].as_array().unwrap();
        let reason = ended["exit_reason"].as_str().unwrap();
        assert_eq!(reason, if exit_first { "goal_achieved" } else { "contact_erased" }, "{ended}");
        assert_eq!((achievements.len(), &ended["version"]), (usize::from(exit_first), &json!(2)), "{ended}");
        let nobody = ended["contact_id"].as_str().unwrap();
        assert!(nobody.starts_with("erased_"), "{ended}");
        for achievement in achievements {
            assert_eq!((&achievement["contact_id"], &achievement["trigger_event"]), (&json!(nobody), &json!({})));
        }
    }
    assert_eq!(world.value::<i64>(LETTERS, &[]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_after_the_commit_has_erased_once_and_told_it_once() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let id = world.enroll(workflow, "c").await;
    let other = world.enroll(workflow, "other").await;
    let action = json!({"action_type": "send_email", "scheduled_at": "2030-01-01T00:00:00Z", "payload": {"to": "c"}});
    world.post(&format!("/enrollments/{id}/actions"), action.clone()).await;
    world.post(&format!("/enrollments/{other}/actions"), action).await;
    world.quiet().await;
    let mut erased = world.facts("subject.erased").await;
    let mut cancelled = world.facts("workflow.action.cancelled").await;
    world.stop().await;
    let crash = "consumer.after_handling/evaluator.erasure=abort";
    let mut dying = Program::serve("evaluator", &world.database, &world.vhost, crash).await.unwrap();
    let request = Uuid::now_v7();
    erase(&world, request, "c").await;
    assert!(!dying.ended().await.unwrap().success());
    let nobody = column(&world, "contact_id", &id).await;
    assert!(nobody.starts_with("erased_"), "{nobody}");

    let next = world.another().await;
    let (message, fact) = erased.next().await;
    world.quiet().await;
    erase(&world, request, "c").await;
    world.quiet().await;
    erased.none().await;
    assert_eq!(column(&world, "contact_id", &id).await, nobody, "the second time nothing happens");
    assert_eq!(message.message_id.unwrap().get_version_num(), 5);
    let counts = json!({"evaluator.answers": 0, "evaluator.dead_letters": 0, "evaluator.enrollments": 1,
        "evaluator.scheduled_actions": 1, "evaluator.workflow_goal_achievements": 0});
    let data = &fact["data"];
    assert_eq!((&data["counts"], &data["service"]), (&counts, &json!("evaluator")), "{fact}");
    assert_eq!(data["request_id"], json!(request));

    let (_, told) = cancelled.next().await;
    assert_eq!((&told["data"]["contact_id"], &told["data"]["exit_reason"]), (&json!(nobody), &json!("contact_erased")));
    cancelled.none().await;
    assert_eq!(column(&world, "contact_id || ' ' || status", &other).await, "other active");
    let payloads: i64 = world.value("SELECT count(payload) FROM evaluator.scheduled_actions", &[]).await;
    assert_eq!(payloads, 1, "that of the other");
    next.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_kept_until_its_person_is_forgotten() {
    let world = World::start().await;
    let poison: [Value; 4] = [
        json!({"tenant_id": "demo", "request_id": Uuid::now_v7(), "contact_ids": []}),
        json!({"tenant_id": "demo", "request_id": Uuid::now_v7(), "user_ids": ["null"]}),
        json!({"tenant_id": "demo", "request_id": "seven", "contact_ids": ["c"]}),
        json!({"tenant_id": "nobody", "request_id": Uuid::now_v7(), "contact_ids": ["c"]}),
    ];
    for command in poison {
        let properties = json!({"message_id": Uuid::now_v7()});
        world.vhost.publish((exchange::COMMANDS, "erase_subject"), properties, &command.to_string()).await.unwrap();
    }
    eventually("all are kept", async || world.value::<i64>(LETTERS, &[]).await == 4).await;
    let codes = "SELECT string_agg(code, ' ' ORDER BY code) FROM evaluator.dead_letters WHERE strpos(cause, '\"') = 0";
    assert_eq!(
        world.value::<String>(codes, &[]).await,
        "malformed_message malformed_message malformed_message unknown_tenant"
    );

    let mut erased = world.facts("subject.erased").await;
    erase(&world, Uuid::now_v7(), "c").await;
    let (_, fact) = erased.next().await;
    assert_eq!(fact["data"]["counts"]["evaluator.dead_letters"], 1, "that of the tenant");
    assert_eq!(world.value::<i64>(LETTERS, &[]).await, 3);
}
