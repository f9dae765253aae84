//! Event types that a tenant added itself: what is checked by them, from when on, and what is sampled.

use serde_json::{Value, json};

use crate::support::{World, eventually, id, statuses, view, view_with};

const PUT: &str = "INSERT INTO goals.event_types AS t (tenant_id, name, schema, subject, browser, sampling_rate, created_by) \
    VALUES ($1, $2, $3::text::jsonb, $4, false, $5, 'test') ON CONFLICT (tenant_id, name) DO UPDATE SET \
    schema = excluded.schema, subject = excluded.subject, sampling_rate = excluded.sampling_rate, version = t.version + 1, deleted_at = NULL";
const RAISE: &str = "UPDATE platform.tenants SET event_types_version = event_types_version + 1 WHERE tenant_id = $1";

/// A type as the goals service writes it.
async fn put(world: &World, name: &str, schema: Value, (subject, rate): (&str, f32)) {
    let schema = schema.to_string();
    world.sql.execute(PUT, &[&"demo", &name, &schema, &subject, &rate]).await.unwrap();
    world.sql.execute(RAISE, &[&"demo"]).await.unwrap();
}

fn graded(properties: Value) -> Value {
    view_with(&id(), json!({ "event_name": "course.finished", "contact_id": "c-1", "properties": properties }))
}

fn grades() -> Value {
    json!({"type": "object", "required": ["grade"], "additionalProperties": false,
        "properties": {"grade": {"type": "integer", "minimum": 1}, "course": {"type": "string", "pattern": "^[a-z]+$"}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_held_against_the_schema_of_their_type() {
    let world = World::start().await;
    put(&world, "course.finished", grades(), ("contact", 1.0)).await;
    put(&world, "machine.started", json!({}), ("none", 1.0)).await;
    let nobody = |name: &str| view_with(&id(), json!({ "event_name": name, "user_id": null, "properties": {} }));
    let events = [
        (graded(json!({"grade": 2, "course": "rust"})), "accepted", ""),
        (graded(json!({"course": "rust"})), "missing_field", "/properties/grade"),
        (graded(json!({"grade": 0})), "schema_violation", "/properties/grade"),
        (graded(json!({"grade": 2, "course": "RUST"})), "schema_violation", "/properties/course"),
        (graded(json!({"grade": 2, "more": 1})), "schema_violation", "/properties"),
        (nobody("course.finished"), "missing_subject", "/user_id"),
        (nobody("machine.started"), "accepted", ""),
        (nobody("machine.stopped"), "missing_subject", "/user_id"),
        (view(&id()), "accepted", ""),
    ];
    let answer = world.post(&events.clone().map(|(event, _, _)| event)).await;
    for (result, (event, code, pointer)) in answer.body["results"].as_array().unwrap().iter().zip(&events) {
        let told = result["code"].as_str().or(result["status"].as_str());
        assert_eq!((told, result["pointer"].as_str().unwrap_or_default()), (Some(*code), *pointer), "{event}");
    }
    // Another tenant knows nothing of it.
    let other = world.database.seed_tenant("other").await.unwrap();
    let answer = world.post_as(&other.write_token, &json!([graded(json!({"grade": "none"}))]).to_string()).await;
    assert_eq!(statuses(&answer), ["accepted"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_holds_within_seconds_also_for_names_under_strict() {
    let world = World::with(|settings| settings.lookup.keep_ms = 200).await;
    world.sql.execute("UPDATE platform.tenants SET taxonomy = 'strict' WHERE tenant_id = 'demo'", &[]).await.unwrap();
    let told = async || world.statuses(&[graded(json!({"grade": 2})), graded(json!({}))]).await;
    assert_eq!(told().await, ["unknown_event_name", "unknown_event_name"]);
    put(&world, "course.finished", grades(), ("contact", 1.0)).await;
    eventually("the type is known", async || told().await == ["accepted", "missing_field"]).await;
    put(&world, "course.finished", json!({"maxProperties": 0}), ("contact", 1.0)).await;
    eventually("the schema has changed", async || told().await == ["schema_violation", "accepted"]).await;
    world.sql.execute("UPDATE goals.event_types SET deleted_at = now()", &[]).await.unwrap();
    world.sql.execute(RAISE, &[&"demo"]).await.unwrap();
    eventually("the type is gone", async || told().await == ["unknown_event_name", "unknown_event_name"]).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_sampled_type_sessions_are_kept_whole_or_not_at_all() {
    let world = World::start().await;
    put(&world, "scrolled", json!({}), ("user", 0.25)).await;
    let events: Vec<Value> = (0..400)
        .map(|n| view_with(&id(), json!({ "event_name": "scrolled", "session_id": format!("s-{}", n % 100) })))
        .collect();
    let answer = world.post(&events).await;
    let told = statuses(&answer);
    for (first, again) in told.iter().zip(&told[100..]) {
        assert_eq!(first, again, "events of one session");
    }
    let count = |status: &str| told.iter().filter(|told| *told == status).count();
    let (kept, limited) = (count("accepted"), count("limited"));
    assert!((40..=160).contains(&kept) && kept + limited == 400, "{kept} {limited}");
    assert_eq!(
        (answer.body["accepted"].as_u64(), answer.body["limited"].as_u64()),
        (Some(kept as u64), Some(limited as u64))
    );
    // Sent again they come to the same.
    assert_eq!(world.post(&events).await.body["limited"], limited);
    let rated: i64 = world.value("SELECT count(*) FROM ingest.events_raw WHERE sampling_rate = 0.25::real", &[]).await;
    assert_eq!((rated, world.stored().await), (i64::try_from(kept).unwrap(), i64::try_from(kept).unwrap()));
    // Limited is no reject: a request of such events only is answered 200.
    let limited_event = events.iter().zip(&told).find(|(_, told)| *told == "limited").unwrap().0;
    let answer = world.post(std::slice::from_ref(limited_event)).await;
    assert_eq!((answer.status.as_u16(), answer.body["limited"].as_u64()), (200, Some(1)));
    assert_eq!(world.statuses(&[view(&id())]).await, ["accepted"]);
    let unrated: i64 = world.value("SELECT count(*) FROM ingest.events_raw WHERE sampling_rate IS NULL", &[]).await;
    assert_eq!(unrated, 1);
    eventually("everything is counted", async || {
        let sum = ["stored", "duplicate", "rejected", "limited", "retry"];
        let mut counted = 0.0;
        for name in sum {
            counted += world.metric(&format!("ingest_events_{name}_total")).await;
        }
        counted > 800.0 && world.metric("ingest_events_received_total").await >= counted
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_own_types_never_asks_for_them() {
    let world = World::with(|settings| settings.lookup.keep_ms = 1).await;
    world.sql.execute("REVOKE SELECT ON goals.v_event_types_v1 FROM goalpost_ingest", &[]).await.unwrap();
    for _ in 0..5 {
        assert_eq!(world.statuses(&[view(&id())]).await, ["accepted"]);
    }
    put(&world, "course.finished", grades(), ("contact", 1.0)).await;
    // Never a yes without having looked: what cannot be checked is not taken.
    eventually("the types are asked for", async || world.post(&[view(&id())]).await.status == 503).await;
    world.sql.execute("GRANT SELECT ON goals.v_event_types_v1 TO goalpost_ingest", &[]).await.unwrap();
    eventually("they can be read again", async || world.post(&[graded(json!({}))]).await.status == 400).await;
    world.stop().await;
}
