//! A tag or stage goal that holds already when a contact is to be enrolled.

use crate::support::{Event, Goal, World, event, goal, tag};
use serde_json::{Value, json};
use uuid::Uuid;

fn stage(contact: &str, properties: Value) -> Event {
    event(contact, "pipeline.stage.changed", properties)
}

async fn try_to_enroll(world: &World, workflow: Uuid, contact: &str) -> (u16, Value) {
    world.post(&format!("/workflows/{workflow}/enrollments"), json!({ "contact_id": contact })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_held_keeps_the_contact_out() {
    let world = World::start().await;
    let vip = goal("tag_added", json!({ "tag_name": "vip" }));
    let workflow = world.workflow("active", json!("any")).await;
    let goal_id = world.add_goal(workflow, Goal { on_enroll: "skip_enrollment", ..vip }).await;
    let present = event("old", "contact.tag.added", json!({ "tag_name": "VIP", "already_present": true }));
    world.happen(&[tag("c", "VIP").at(-100.0), tag("d", "other").at(-100.0), present.at(-100.0)]).await;
    let mut facts = world.facts("#").await;
    for contact in ["c", "old"] {
        let (status, skipped) = try_to_enroll(&world, workflow, contact).await;
        assert_eq!(status, 200, "{skipped}");
        assert_eq!((&skipped["status"], &skipped["code"]), (&json!("skipped"), &json!("already_satisfied")));
        assert_eq!(skipped["goal_id"], json!(goal_id));
        assert!(skipped["id"].is_null());
    }
    facts.none().await;
    let enrolled: i64 = world.value("SELECT count(*) FROM evaluator.enrollments", &[]).await;
    assert_eq!(enrolled, 0);
    assert_eq!(try_to_enroll(&world, workflow, "d").await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_is_an_end_and_no_conversion() {
    let world = World::start().await;
    let vip = goal("tag_added", json!({ "tag_name": "vip" }));
    let workflow = world.listening(Goal { on_enroll: "exit", ..vip }).await;
    world.happen(&[tag("c", "vip").at(-100.0)]).await;
    let mut facts = world.facts("#").await;
    let (status, enrollment) = try_to_enroll(&world, workflow, "c").await;
    assert_eq!(status, 201, "{enrollment}");
    assert_eq!((&enrollment["status"], &enrollment["exit_reason"]), (&json!("removed"), &json!("already_satisfied")));
    assert!(!enrollment["exited_at"].is_null());
    world.quiet().await;
    facts.none().await;
    let whole = world.enrollment(enrollment["id"].as_str().unwrap()).await;
    assert_eq!(whole["achievements"], json!([]));
    let (status, problem) = try_to_enroll(&world, workflow, "c").await;
    assert_eq!((status, &problem["code"]), (409, &json!("reentry_not_allowed")));
    let achievements: i64 = world.value("SELECT count(*) FROM evaluator.workflow_goal_achievements", &[]).await;
    assert_eq!(achievements, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ignore_waits_for_the_next_such_event() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    world.happen(&[tag("c", "vip").at(-100.0)]).await;
    let (status, enrollment) = try_to_enroll(&world, workflow, "c").await;
    assert_eq!(status, 201);
    let id = enrollment["id"].as_str().unwrap();
    world.still_active(id).await;
    world.happen(&[tag("c", "vip")]).await;
    world.ended(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_stages_the_latest_of_each_pipeline_decides() {
    let world = World::start().await;
    for (id, pipeline, position) in
        [("lead", "sales", 1), ("won", "sales", 2), ("lost", "sales", 3), ("trial", "care", 1)]
    {
        world.put_stage(id, pipeline, position).await;
    }
    let workflow = world
        .listening(Goal {
            on_enroll: "skip_enrollment",
            ..goal("pipeline_stage_reached", json!({ "stage_id": "won" }))
        })
        .await;
    let stays = stage("stays", json!({ "stage_id": "won", "from_stage_id": "won" }));
    world
        .happen(&[
            stage("moved-on", json!({ "stage_id": "won" })).at(-100.0),
            stage("moved-on", json!({ "stage_id": "lost", "from_stage_id": "won" })).at(-90.0),
            stage("there", json!({ "stage_id": "lead" })).at(-100.0),
            stage("there", json!({ "stage_id": "won", "from_stage_id": "lead" })).at(-90.0),
            stage("there", json!({ "stage_id": "trial", "pipeline_id": "care" })).at(-80.0),
            stays.at(-100.0),
        ])
        .await;
    assert_eq!(try_to_enroll(&world, workflow, "moved-on").await.0, 201);
    assert_eq!(try_to_enroll(&world, workflow, "there").await.1["status"], "skipped");
    assert_eq!(try_to_enroll(&world, workflow, "stays").await.1["status"], "skipped");
    assert_eq!(try_to_enroll(&world, workflow, "nobody").await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_goal_that_holds_speaks_and_only_while_the_workflow_is_live() {
    let world = World::start().await;
    let workflow = world.workflow("inactive", json!("all")).await;
    world
        .add_goal(
            workflow,
            Goal { on_enroll: "skip_enrollment", position: 2, ..goal("tag_added", json!({ "tag_name": "a" })) },
        )
        .await;
    world.add_goal(workflow, Goal { on_enroll: "exit", ..goal("tag_added", json!({ "tag_name": "b" })) }).await;
    world.happen(&[tag("both", "a").at(-10.0), tag("both", "b").at(-5.0), tag("one", "a").at(-10.0)]).await;
    assert_eq!(try_to_enroll(&world, workflow, "early").await.0, 201);
    assert_eq!(try_to_enroll(&world, workflow, "one").await.1["status"], "active");
    world.change_workflow(workflow, "status = 'active', allow_reentry = true").await;
    let (status, enrollment) = try_to_enroll(&world, workflow, "both").await;
    assert_eq!((status, &enrollment["exit_reason"]), (201, &json!("already_satisfied")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_the_enrollment_began_is_an_achievement() {
    let world = World::start().await;
    let workflow = world.listening(Goal { on_enroll: "exit", ..goal("tag_added", json!({ "tag_name": "vip" })) }).await;
    world.happen(&[tag("c", "vip").at(-100.0)]).await;
    let hour_ago: String = world
        .value("SELECT to_char((now() - interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", &[])
        .await;
    let id = world.enroll_with(workflow, json!({ "contact_id": "c", "enrolled_at": hour_ago })).await;
    assert_eq!(world.ended(&id).await["status"], "completed_goal");
}
