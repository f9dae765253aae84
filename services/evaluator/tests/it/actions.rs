//! Scheduled actions and the fence in front of them.

use crate::support::{World, begin_status, hold};
use serde_json::{Value, json};
use uuid::Uuid;

async fn action(world: &World, enrollment: &str) -> String {
    let body = json!({ "action_type": "send_email", "scheduled_at": "2026-01-01T00:00:00Z", "payload": { "to": "x", "price": 10.50 } });
    let (status, action) = world.post(&format!("/enrollments/{enrollment}/actions"), body).await;
    assert_eq!(status, 201, "{action}");
    action["id"].as_str().unwrap().to_owned()
}

async fn start(world: &World, id: &str) -> (u16, Value) {
    world.post(&format!("/actions/{id}/start"), json!({})).await
}

async fn finish(world: &World, id: &str, status: &str) -> (u16, Value) {
    world.post(&format!("/actions/{id}/finish"), json!({ "status": status })).await
}

fn code((status, body): (u16, Value)) -> (u16, String) {
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_made_started_once_and_finished() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let enrollment = world.enroll(workflow, "c").await;
    let (first, second) = (action(&world, &enrollment).await, action(&world, &enrollment).await);
    let listed = world.get(&format!("/enrollments/{enrollment}/actions")).await;
    let ids: Vec<&str> = listed["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [second.as_str(), first.as_str()]);
    assert_eq!(listed["items"][0]["payload"]["price"].to_string(), "10.5");

    assert_eq!(code(finish(&world, &first, "done").await), (409, "action_not_running".to_owned()));
    let (status, started) = start(&world, &first).await;
    assert_eq!((status, &started["status"]), (200, &json!("running")), "{started}");
    assert_eq!(code(start(&world, &first).await), (409, "action_not_pending".to_owned()));
    let (status, finished) = finish(&world, &first, "done").await;
    assert_eq!((status, &finished["status"]), (200, &json!("done")));
    assert_eq!(finish(&world, &first, "done").await, (200, finished), "again changes nothing");
    assert_eq!(code(finish(&world, &first, "failed").await), (409, "action_not_running".to_owned()));
    assert_eq!(code(start(&world, &first).await), (409, "action_not_pending".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_workers_one_starts_it() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let enrollment = world.enroll(workflow, "c").await;
    let id = action(&world, &enrollment).await;
    let answers = futures_util::future::join_all((0..10).map(|_| start(&world, &id))).await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_are_held_back_while_the_workflow_is_not_active() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let enrollment = world.enroll(workflow, "c").await;
    let id = action(&world, &enrollment).await;
    for status in ["paused", "inactive", "draft"] {
        world.change_workflow(workflow, &format!("status = '{status}'")).await;
        assert_eq!(code(start(&world, &id).await), (409, "workflow_not_active".to_owned()), "{status}");
        action(&world, &enrollment).await;
    }
    world.change_workflow(workflow, "status = 'active'").await;
    assert_eq!(start(&world, &id).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_the_pause_that_is_under_way() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let enrollment = world.enroll(workflow, "c").await;
    let id = action(&world, &enrollment).await;
    let mut engine = world.database.superuser().await.unwrap();
    let tx = hold(&mut engine).await;
    begin_status(&tx, workflow, "paused").await;
    let pause = async {
        world.until_waiting(1).await;
        tx.commit().await.unwrap();
    };
    let (answer, ()) = tokio::join!(start(&world, &id), pause);
    assert_eq!(code(answer), (409, "workflow_not_active".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_enrollment_gets_and_starts_nothing_but_what_runs_may_finish() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let enrollment = world.enroll(workflow, "c").await;
    let (running, pending) = (action(&world, &enrollment).await, action(&world, &enrollment).await);
    start(&world, &running).await;
    world.post(&format!("/enrollments/{enrollment}/end"), json!({ "status": "completed" })).await;
    assert_eq!(code(start(&world, &pending).await), (409, "enrollment_exited".to_owned()));
    let body = json!({ "action_type": "wait", "scheduled_at": "2030-01-01T00:00:00Z" });
    let refused = world.post(&format!("/enrollments/{enrollment}/actions"), body).await;
    assert_eq!(code(refused), (409, "enrollment_exited".to_owned()));
    assert_eq!(finish(&world, &running, "failed").await.1["status"], "failed");
    let listed = world.get(&format!("/enrollments/{enrollment}/actions?limit=1")).await;
    assert_eq!(listed["items"][0]["status"], "cancelled");
    assert!(listed["next_cursor"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_actions_are_refused_by_name() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let enrollment = world.enroll(workflow, "c").await;
    let at = "2030-01-01T00:00:00Z";
    for (body, expected, pointer) in [
        (json!({ "action_type": "Send Email", "scheduled_at": at }), "invalid_value", "/action_type"),
        (json!({ "action_type": "", "scheduled_at": at }), "invalid_value", "/action_type"),
        (json!({ "action_type": "wait" }), "missing_field", "/scheduled_at"),
        (json!({ "action_type": "wait", "scheduled_at": "soon" }), "invalid_value", "/scheduled_at"),
        (json!({ "action_type": "wait", "scheduled_at": at, "payload": [] }), "invalid_type", "/payload"),
        (
            json!({ "action_type": "wait", "scheduled_at": at, "payload": { "x": vec!["y".repeat(8_000); 3] } }),
            "too_large",
            "/payload",
        ),
        (json!({ "action_type": "wait", "scheduled_at": at, "when": 1 }), "unknown_field", "/when"),
    ] {
        let (status, problem) = world.post(&format!("/enrollments/{enrollment}/actions"), body.clone()).await;
        assert_eq!((status, &problem["code"]), (400, &json!(expected)), "{problem}");
        assert!(problem["errors"][0]["pointer"].as_str().unwrap().starts_with(pointer), "{problem}");
    }
    let id = action(&world, &enrollment).await;
    assert_eq!(finish(&world, &id, "cancelled").await.0, 400);
    assert_eq!(start(&world, &Uuid::now_v7().to_string()).await.0, 404);
}
