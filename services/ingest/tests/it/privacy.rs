//! What is personal in events: stored and handed on without it, counted, rejected where the tenant wants that.

use std::time::Duration;

use bus::Subscription;
use domain::contract::{EventsStored, exchange};
use serde_json::{Value, json};

use crate::support::{World, eventually, id, view_with};

const RULES: &str = "UPDATE platform.tenants SET redaction = $2::text::jsonb WHERE tenant_id = $1";

async fn rules(world: &World, rules: Value) {
    world.sql.execute(RULES, &[&"demo", &rules.to_string()]).await.unwrap();
}

fn personal(event_id: &str) -> Value {
    view_with(
        event_id,
        json!({
            "user_id": "Ann@Example.com", "contact_id": "+49 30 1234567", "session_id": "s-1",
            "event_category": "of ann@example.com",
            "properties": {"first_name": "Ann", "amount": 10.5, "text": "to ann@example.com or 030 1234567",
                "link": "https://shop.example/a?utm_source=news&token=secret-1#top", "contact_id": "+4930-1234567"},
            "context": {"page": {"url": "https://shop.example/b?email=ann@example.com"}, "user_agent": "Agent/1.0 (555-123-4567)",
                "campaign": {"medium": "mail"}, "ip": "10.1.2.3"},
        }),
    )
}

/// Every event that is stored, as text.
async fn written(world: &World) -> String {
    world.value("SELECT coalesce(string_agg(e::text, ' '), '') FROM ingest.events_raw e", &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_stored_and_handed_on_without_what_is_personal() {
    let world = World::start().await;
    let mut published =
        Subscription::open(world.vhost.amqp_url(), exchange::EVENTS, EventsStored::ROUTING_KEY).await.unwrap();
    assert_eq!(world.statuses(&[personal(&id())]).await, ["accepted"]);
    let message = tokio::time::timeout(Duration::from_secs(10), published.next()).await.unwrap().unwrap();
    let all = written(&world).await + std::str::from_utf8(&message.body).unwrap();
    for gone in ["Ann", "ann@", "1234567", "secret-1", "10.1.2.3", "?", "utm_source"] {
        assert!(!all.replace("(555-123-4567)", "").contains(gone), "{gone} in {all}");
    }
    let row: String = world
        .value(
            "SELECT concat_ws(' ', e.user_id = e.contact_id, e.event_category, e.contact_id = e.properties ->> 'contact_id', e.properties \
             - 'contact_id', e.context) FROM ingest.events_raw e",
            &[],
        )
        .await;
    let properties =
        json!({"first_name": "[redacted]", "text": "to [redacted] or [redacted]", "link": "https://shop.example/a"});
    for (key, value) in properties.as_object().unwrap() {
        assert!(row.contains(&format!("\"{key}\": {value}")), "{row}");
    }
    assert!(row.starts_with("f of [redacted] t ") && row.contains(r#""amount": 10.5,"#), "{row}");
    for kept in
        [r#""medium": "mail""#, r#""source": "news""#, r#""url": "https://shop.example/b""#, "Agent/1.0 (555-123-4567)"]
    {
        assert!(row.contains(kept), "{kept} in {row}");
    }
    eventually("it is counted", async || world.metric("ingest_redactions_total").await == 10.0).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hashed_is_what_was_sent() {
    let world = World::with(|settings| settings.lookup.keep_ms = 1).await;
    let event_id = id();
    let event = |text: &str| view_with(&event_id, json!({"properties": {"name": text, "code": "x"}}));
    assert_eq!(world.statuses(&[event("Ann")]).await, ["accepted"]);
    assert_eq!(world.statuses(&[event("Bob")]).await, ["conflict"], "both would be stored as the same");
    rules(&world, json!({"mode": "redact", "deny": ["code"], "allow": ["name"]})).await;
    let other = || view_with(&id(), json!({"properties": {"name": "Pro", "code": "x", "email": "x"}}));
    eventually("the rules hold", async || {
        world.post(&[other()]).await;
        let redacted = "SELECT count(*) FROM ingest.events_raw e \
             WHERE e.properties = '{\"code\": \"[redacted]\", \"name\": \"Pro\", \"email\": \"[redacted]\"}'";
        world.value::<i64>(redacted, &[]).await > 0
    })
    .await;
    assert_eq!(world.statuses(&[event("Ann")]).await, ["duplicate"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_may_have_them_rejected() {
    let world = World::start().await;
    rules(&world, json!({"mode": "reject", "deny": ["code"], "allow": ["name"]})).await;
    let with = |properties: Value| view_with(&id(), json!({"user_id": "ann@example.com", "properties": properties}));
    let events = [
        (with(json!({"url": "https://shop.example/?a=b", "name": "Pro"})), None),
        (with(json!({"list": [{"at": "to bob@example.com"}]})), Some("/properties/list/0/at")),
        (with(json!({"code": 7})), Some("/properties/code")),
        (with(json!({"of": {"bob@example.com": 7}})), Some("/properties/of")),
        (with(json!({"paid": "4111-1111-1111-1111"})), Some("/properties/paid")),
        (view_with(&id(), json!({"context": {"page": {"title": "+1 555 123 4567"}}})), Some("/context/page/title")),
    ];
    let answer = world.post(&events.clone().map(|(event, _)| event)).await;
    for (result, (event, pointer)) in answer.body["results"].as_array().unwrap().iter().zip(&events) {
        let told = (result["code"].as_str(), result["pointer"].as_str());
        assert_eq!(told, (pointer.map(|_| "personal_data"), *pointer), "{event}");
        let told = result.to_string();
        assert!(!told.contains("bob") && !told.contains("4111"), "{told}");
    }
    assert_eq!(world.stored().await, 1);
    assert!(!written(&world).await.contains("ann@"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identifiers_that_the_type_declares_stay() {
    let world = World::start().await;
    let put = "INSERT INTO goals.event_types (tenant_id, name, schema, subject, browser, sampling_rate, created_by) \
         VALUES ('demo', 'seat.taken', $1::text::jsonb, 'user', false, 1, 'test')";
    let schema =
        json!({"properties": {"rows": {"items": {"properties": {"seat_id": {"type": "string"}}}}}}).to_string();
    world.sql.execute(put, &[&schema]).await.unwrap();
    world.sql.execute("UPDATE platform.tenants SET event_types_version = 1", &[]).await.unwrap();
    let number = "030-1234567";
    let sent = |name: &str, properties: Value| view_with(&id(), json!({"event_name": name, "properties": properties}));
    let events = [
        sent("form.submitted", json!({"form_id": number, "other_id": number})),
        sent("contact.tag.added", json!({"tag_name": number})),
        sent("seat.taken", json!({"rows": [{"seat_id": number}], "chair_id": number})),
    ];
    assert_eq!(world.statuses(&events).await, ["accepted"; 3]);
    let stored = "SELECT array_agg(e.properties::text ORDER BY e.event_name) FROM ingest.events_raw e";
    let stored: Vec<String> = world.value(stored, &[]).await;
    assert_eq!(
        stored,
        [
            r#"{"tag_name": "030-1234567"}"#,
            r#"{"form_id": "030-1234567", "other_id": "[redacted]"}"#,
            r#"{"rows": [{"seat_id": "030-1234567"}], "chair_id": "[redacted]"}"#,
        ]
    );
    world.stop().await;
}
