//! Which events count: since when, until when, and only once in a contact's life.

use crate::support::{Event, Goal, World, event, goal, purchase, tag};
use domain::contract::{Command, Recheck, V1};
use serde_json::{Value, json};
use uuid::Uuid;

fn vip() -> Goal {
    goal("tag_added", json!({ "tag_name": "vip" }))
}

fn credited(enrollment: &Value) -> String {
    enrollment["achievements"][0]["event_id"].as_str().unwrap().to_owned()
}

async fn recheck(world: &World, workflow: Uuid) {
    let (status, accepted) = world.post(&format!("/workflows/{workflow}/recheck"), json!({})).await;
    assert_eq!(status, 202, "{accepted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_before_the_enrollment_does_not_count_however_late_it_comes() {
    let world = World::start().await;
    let workflow = world.listening(vip()).await;
    let id = world.enroll(workflow, "c").await;
    world.happen(&[tag("c", "vip").at(-60.0)]).await;
    world.still_active(&id).await;
    let late = tag("c", "vip");
    world.happen(std::slice::from_ref(&late)).await;
    assert_eq!(credited(&world.ended(&id).await), late.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrollment_in_the_past_catches_up_on_what_was_stored() {
    let world = World::start().await;
    let workflow = world.listening(vip()).await;
    let (too_old, first, second) =
        (tag("c", "vip").at(-7_200.0), tag("c", "vip").at(-1_800.0), tag("c", "vip").at(-900.0));
    world.happen(&[second, too_old, first.clone()]).await;
    world.quiet().await;
    let hour_ago: String = world
        .value("SELECT to_char((now() - interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", &[])
        .await;
    let id = world.enroll_with(workflow, json!({ "contact_id": "c", "enrolled_at": hour_ago })).await;
    let ended = world.ended(&id).await;
    assert_eq!(credited(&ended), first.id.to_string());
    assert_eq!(ended["enrolled_at"], json!(hour_ago));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_is_half_open() {
    let world = World::start().await;
    let workflow = world
        .listening(Goal { within_seconds: Some(3_600), ..goal("purchase_made", json!({ "any_purchase": true })) })
        .await;
    let (late, in_time) = (world.enroll(workflow, "late").await, world.enroll(workflow, "in-time").await);
    world.happen(&[purchase("late", "1").at(3_601.0), purchase("in-time", "1").at(3_500.0)]).await;
    world.ended(&in_time).await;
    world.still_active(&late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_takes_effect_when_it_is_made_unless_catching_up_was_asked_for() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let id = world.enroll(workflow, "c").await;
    let before = tag("c", "vip");
    world.happen(std::slice::from_ref(&before)).await;
    world.quiet().await;
    let vip = world.add_goal(workflow, vip()).await;
    recheck(&world, workflow).await;
    world.still_active(&id).await;
    // As an activation with catch_up does it.
    world.change_goal(vip, "effective_from = NULL").await;
    recheck(&world, workflow).await;
    assert_eq!(credited(&world.ended(&id).await), before.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrollment_made_after_a_goal_sees_what_was_received_before_it() {
    let world = World::start().await;
    let early = Event { received_seconds: -3_000.0, ..tag("c", "vip").at(-3_000.0) };
    world.happen(std::slice::from_ref(&early)).await;
    let workflow = world.listening(vip()).await;
    let hour_ago: String = world
        .value("SELECT to_char((now() - interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", &[])
        .await;
    let id = world.enroll_with(workflow, json!({ "contact_id": "c", "enrolled_at": hour_ago })).await;
    assert_eq!(credited(&world.ended(&id).await), early.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn re_entry_begins_anew() {
    let world = World::start().await;
    let workflow = world.listening(vip()).await;
    let first = world.enroll(workflow, "c").await;
    // Its time lies a little ahead of the exit that it brings about.
    let early = tag("c", "vip").at(120.0);
    world.happen(std::slice::from_ref(&early)).await;
    world.ended(&first).await;
    let body = json!({ "contact_id": "c" });
    let (status, refused) = world.post(&format!("/workflows/{workflow}/enrollments"), body.clone()).await;
    assert_eq!((status, &refused["code"]), (409, &json!("reentry_not_allowed")));

    world.change_workflow(workflow, "allow_reentry = true").await;
    let second = world.enroll(workflow, "c").await;
    // The credited event comes again, and an event from before the first exit is told late.
    world.happen(&[tag("c", "vip").at(-1.0)]).await;
    world.still_active(&second).await;
    let chunk = world.store("demo", &[event("c", "page_viewed", "{}")]).await;
    world.tell(chunk).await;
    recheck(&world, workflow).await;
    world.still_active(&second).await;
    let later = tag("c", "vip").at(130.0);
    world.happen(std::slice::from_ref(&later)).await;
    assert_eq!(credited(&world.ended(&second).await), later.id.to_string());
    let both = world.get(&format!("/workflows/{workflow}/enrollments?contact_id=c")).await;
    let ids: Vec<&str> = both["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [second.as_str(), first.as_str()], "newest first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_with_more_events_than_a_page_holds_is_read_to_the_end() {
    let world = World::start().await;
    let wanted = goal(
        "custom_event",
        json!({ "event_name": "page_viewed", "where": [{ "property": "path", "op": "eq", "value": "/thanks" }] }),
    );
    let workflow = world.listening(wanted).await;
    let id = world.enroll(workflow, "c").await;
    let insert = "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, contact_id, properties) \
         SELECT clock_timestamp(), t.at, t.at, gen_random_uuid(), false, 'demo', 'page_viewed', 'c', '{\"path\": \"/\"}' \
         FROM (SELECT clock_timestamp() + (n / 7) * interval '1 ms' AS at FROM generate_series(1, 1000) AS n) AS t";
    world.sql.execute(insert, &[]).await.unwrap();
    let last = event("c", "page_viewed", json!({ "path": "/thanks" })).at(60.0);
    world.happen(std::slice::from_ref(&last)).await;
    assert_eq!(credited(&world.ended(&id).await), last.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recheck_of_a_whole_workflow_reaches_every_enrollment() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let insert = "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at) \
         SELECT 'demo', gen_random_uuid(), $1, 'c-' || n, now(), now() FROM generate_series(1, 5500) AS n";
    world.sql.execute(insert, &[&workflow]).await.unwrap();
    let insert = "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, contact_id, properties) \
         SELECT now(), now(), now(), gen_random_uuid(), false, 'demo', 'contact.tag.added', 'c-' || n, '{\"tag_name\": \"vip\"}' \
         FROM generate_series(1, 5500) AS n";
    world.sql.execute(insert, &[]).await.unwrap();
    world.add_goal(workflow, Goal { effective_after_seconds: None, ..vip() }).await;
    recheck(&world, workflow).await;
    let active = "SELECT count(*) FROM evaluator.enrollments WHERE status = 'active'";
    crate::support::eventually("all have left", async || world.value::<i64>(active, &[]).await == 0).await;
    world.comes_to("goal_exits_total", 5500.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recheck_names_foreign_and_unknown_enrollments_in_vain() {
    let world = World::start().await;
    world.database.seed_tenant("other").await.unwrap();
    let workflow = world.listening(vip()).await;
    let id = world.enroll(workflow, "c").await;
    let foreign = Recheck {
        version: V1,
        tenant_id: "other".parse().unwrap(),
        workflow_id: workflow.into(),
        enrollment_ids: Some(vec![id.parse().unwrap(), Uuid::now_v7().into()]),
        catch_up: false,
    };
    world.publish(foreign.into_message(Uuid::now_v7())).await;
    world.still_active(&id).await;
    let letters: i64 = world.value("SELECT count(*) FROM evaluator.dead_letters", &[]).await;
    assert_eq!(letters, 0);
}
