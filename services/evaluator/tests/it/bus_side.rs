//! The queues: what is no message, what concerns nobody, what belongs to another, what cannot be judged.

use crate::support::{World, event, eventually, goal, purchase, tag};
use domain::contract::exchange;
use serde_json::{Value, json};

const LETTERS: &str = "SELECT count(*) FROM evaluator.dead_letters WHERE code = $1";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_chunk_becomes_a_dead_letter_and_hinders_nobody() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let id = world.enroll(workflow, "c").await;
    let nameless = json!({ "tenant_id": "demo", "events": [{ "event_name": "contact.tag.added", "received_at": "2026-01-01T00:00:00Z",
                           "contact_id": "null", "properties": { "tag_name": "vip" } }] });
    let bad = [
        "not json".to_owned(),
        "{}".to_owned(),
        json!({ "version": 2, "tenant_id": "demo", "events": [] }).to_string(),
        json!({ "tenant_id": "no tenant!", "events": [] }).to_string(),
        json!({ "tenant_id": "demo", "events": [{}] }).to_string(),
        nameless.to_string(),
    ];
    for body in &bad {
        world.publish_bytes(exchange::EVENTS, "events.stored", body.as_bytes()).await;
    }
    world.happen(&[tag("c", "vip")]).await;
    world.ended(&id).await;
    eventually("all are kept", async || {
        world.value::<i64>(LETTERS, &[&"malformed_message"]).await == i64::try_from(bad.len()).unwrap()
    })
    .await;
    let kept: Vec<u8> = world
        .value("SELECT payload FROM evaluator.dead_letters WHERE payload = convert_to('not json', 'UTF8')", &[])
        .await;
    assert_eq!(kept, b"not json");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_are_not_known_or_no_commands_are_kept() {
    let world = World::start().await;
    // Past the exchange: it knows no others.
    world.publish_bytes("", "evaluator.commands", b"{}").await;
    world.publish_bytes(exchange::COMMANDS, "recheck", b"[]").await;
    world.publish_bytes(exchange::COMMANDS, "recheck", br#"{"version":2}"#).await;
    eventually("all are kept", async || {
        world.value::<i64>(LETTERS, &[&"unknown_command"]).await == 1
            && world.value::<i64>(LETTERS, &[&"malformed_message"]).await == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_that_nobody_knows_are_acknowledged() {
    let world = World::start().await;
    let body = json!({ "tenant_id": "nobody", "events": [{ "event_name": "contact.tag.added", "received_at": "2026-01-01T00:00:00Z",
                       "contact_id": "c", "properties": { "tag_name": "vip" } }] });
    world.publish_bytes(exchange::EVENTS, "events.stored", body.to_string().as_bytes()).await;
    world.quiet().await;
    let letters: i64 = world.value("SELECT count(*) FROM evaluator.dead_letters", &[]).await;
    assert_eq!(letters, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_concern_nobody_cost_no_transaction() {
    let world = World::start().await;
    let workflow = world.listening(goal("purchase_made", json!({ "min_amount": 100 }))).await;
    let id = world.enroll(workflow, "c").await;
    world.quiet().await;
    let judged = world.metric("goal_evaluation_transactions_total").await;
    let mut nobody = event("c", "payment.completed", json!({ "amount": 500 }));
    nobody.contact = None;
    for _ in 0..10 {
        // Nobody listens; not met; nobody it could be about.
        world.happen(&[event("c", "page_viewed", "{}"), purchase("c", "99"), nobody.clone()]).await;
    }
    world.quiet().await;
    assert_eq!(world.metric("goal_evaluation_transactions_total").await, judged);
    assert!(world.metric("goal_events_received_total").await >= 30.0);
    world.happen(&[purchase("c", "100")]).await;
    world.ended(&id).await;
    world.comes_to("goal_evaluation_transactions_total", judged + 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_meet() {
    let world = World::start().await;
    world.database.seed_tenant("other").await.unwrap();
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let id = world.enroll(workflow, "c").await;
    world.happen_to("other", &[tag("c", "vip")]).await;
    world.still_active(&id).await;
    // Told in the name of the tenant, but stored for another: what is judged is what is stored.
    let mut chunk = world.store("other", &[tag("c", "vip")]).await;
    chunk.tenant_id = "demo".parse().unwrap();
    world.tell(chunk).await;
    world.still_active(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_enrollment_that_cannot_be_judged_spoils_no_other() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let mut ids = Vec::new();
    for contact in 0..9 {
        ids.push(world.enroll(workflow, &format!("c-{contact}")).await);
    }
    world.quiet().await;
    // Deeper than any event that ingest would store.
    let deep = format!(r#"{{"x":{}1{}}}"#, "[".repeat(80), "]".repeat(80));
    let insert = "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, contact_id, properties) \
         SELECT t.at, t.at, t.at, gen_random_uuid(), false, 'demo', 'contact.tag.added', 'c-4', $1::text::jsonb \
         FROM (SELECT clock_timestamp() AS at) AS t";
    world.sql.execute(insert, &[&deep]).await.unwrap();
    let events: Vec<_> = (0..9).map(|contact| tag(&format!("c-{contact}"), "vip")).collect();
    world.happen(&events).await;
    for (contact, id) in ids.iter().enumerate().filter(|(contact, _)| *contact != 4) {
        assert_eq!(world.ended(id).await["status"], "completed_goal", "{contact}");
    }
    eventually("the message is kept", async || world.value::<i64>(LETTERS, &[&"evaluation_failed"]).await == 1).await;
    world.still_active(&ids[4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_this_version_cannot_read_is_left_alone_and_others_go_on() {
    let world = World::start().await;
    let (strange, plain) = (
        world.workflow("active", json!("all")).await,
        world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await,
    );
    world.add_goal(strange, goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let newer = world.add_goal(strange, goal("purchase_made", json!({ "any_purchase": true }))).await;
    world.change_goal(newer, r#"criteria = '{"phase_of_moon": "full"}'"#).await;
    let (left_alone, leaves) = (world.enroll(strange, "c").await, world.enroll(plain, "c").await);
    world.happen(&[tag("c", "vip")]).await;
    world.ended(&leaves).await;
    world.still_active(&left_alone).await;
    assert!(world.metric("goal_configuration_unreadable_total").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ends_leaves_nothing_unsaid() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let mut facts = world.facts("workflow.exit.goal").await;
    for contact in 0..30 {
        world.enroll(workflow, &format!("c-{contact}")).await;
    }
    for contact in 0..30 {
        world.happen(&[tag(&format!("c-{contact}"), "vip")]).await;
    }
    world.stop().await;
    let left: i64 =
        world.value("SELECT count(*) FROM evaluator.enrollments WHERE status = 'completed_goal'", &[]).await;
    let unsaid: i64 = world.value("SELECT count(*) FROM evaluator.outbox", &[]).await;
    assert_eq!(unsaid, 0);
    for _ in 0..left {
        facts.next().await;
    }
    facts.none().await;
    // What it had not taken waits for the next one.
    let next = world.another().await;
    let active = "SELECT count(*) FROM evaluator.enrollments WHERE status = 'active'";
    eventually("all have left", async || world.value::<i64>(active, &[]).await == 0).await;
    next.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_chunks_are_more_than_one_micro_batch() {
    let world = World::with(|settings| settings.evaluation.max_events = 3).await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let mut ids: Vec<String> = Vec::new();
    let mut events = Vec::new();
    for contact in 0..12 {
        let contact = format!("c-{contact}");
        ids.push(world.enroll(workflow, &contact).await);
        events.push(tag(&contact, "vip"));
    }
    for chunk in events.chunks(4) {
        world.happen(chunk).await;
    }
    for id in &ids {
        let ended: Value = world.ended(id).await;
        assert_eq!(ended["status"], "completed_goal");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_messages_wait_and_then_count() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let id = world.enroll(workflow, "c").await;
    world.quiet().await;
    let name: String = world.value("SELECT current_database()::text", &[]).await;
    let chunk = world.store("demo", &[tag("c", "vip")]).await;
    world.close_database(&name, true).await;
    world.tell(chunk).await;
    let path = format!("/enrollments/{id}");
    let (status, problem) = world.call(reqwest::Method::GET, &path, &world.tenant.viewer_key, None).await;
    assert_eq!(status, 503, "{problem}");
    let ready = world.http.get(format!("{}/health/ready", world.admin_url)).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    let live = world.http.get(format!("{}/health/live", world.admin_url)).send().await.unwrap();
    assert_eq!(live.status(), 200);
    world.close_database(&name, false).await;
    let left = "SELECT count(*) FROM evaluator.enrollments WHERE status = 'completed_goal'";
    eventually("it has left", async || world.value::<i64>(left, &[]).await == 1).await;
    let letters: i64 = world.value("SELECT count(*) FROM evaluator.dead_letters", &[]).await;
    assert_eq!(letters, 0);
}

impl World {
    /// Lets nobody but superusers in any more, and puts the service out; or lets it in again.
    async fn close_database(&self, name: &str, closed: bool) {
        let limit = if closed { 0 } else { -1 };
        self.sql.execute(&format!("ALTER DATABASE {name} CONNECTION LIMIT {limit}"), &[]).await.unwrap();
        let terminate =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename LIKE 'goalpost_%'";
        if closed {
            self.sql.query(terminate, &[&name]).await.unwrap();
        }
    }
}
