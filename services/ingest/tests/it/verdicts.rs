//! Every way for an event to be rejected, with its code and place.

use serde_json::{Value, json};

use crate::support::{World, id, statuses, view, view_with};

/// A raw event with the code and the place it is rejected with.
type Rejected = (String, &'static str, &'static str);

fn of_shape_and_id() -> Vec<Rejected> {
    let with = |fields: Value| view_with(&id(), fields).to_string();
    let nil = "00000000-0000-0000-0000-000000000000";
    vec![
        ("7".to_owned(), "invalid_type", ""),
        ("\"event\"".to_owned(), "invalid_type", ""),
        ("null".to_owned(), "invalid_type", ""),
        ("[]".to_owned(), "invalid_type", ""),
        (with(json!({ "event_id": null })), "missing_field", "/event_id"),
        (with(json!({ "event_id": "x" })), "invalid_event_id", "/event_id"),
        (with(json!({ "event_id": 7 })), "invalid_type", "/event_id"),
        (with(json!({ "event_id": nil })), "placeholder_id", "/event_id"),
        (with(json!({ "tenant_id": "somebody" })), "tenant_mismatch", "/tenant_id"),
    ]
}

fn of_envelope() -> Vec<Rejected> {
    let with = |fields: Value| view_with(&id(), fields).to_string();
    let long = "x".repeat(129);
    vec![
        (with(json!({ "event_name": null })), "missing_field", "/event_name"),
        (with(json!({ "event_name": "Page Viewed" })), "invalid_event_name", "/event_name"),
        (with(json!({ "occurred_at": null })), "missing_field", "/occurred_at"),
        (with(json!({ "occurred_at": "yesterday" })), "invalid_timestamp", "/occurred_at"),
        (with(json!({ "occurred_at": "1969-12-31T23:59:59Z" })), "invalid_timestamp", ""),
        (with(json!({ "user_id": null })), "missing_subject", "/user_id"),
        (with(json!({ "user_id": "undefined" })), "placeholder_id", "/user_id"),
        (with(json!({ "user_id": "[object Object]" })), "placeholder_id", "/user_id"),
        (with(json!({ "contact_id": "null" })), "placeholder_id", "/contact_id"),
        (with(json!({ "session_id": "anonymous" })), "placeholder_id", "/session_id"),
        (with(json!({ "user_id": long })), "too_long", "/user_id"),
        (with(json!({ "event_category": long })), "too_long", "/event_category"),
    ]
}

fn of_text() -> Vec<Rejected> {
    let with = |fields: Value| view_with(&id(), fields).to_string();
    let instead = |to: &str| view(&id()).to_string().replace("\"/prices\"", to);
    let nested = |depth: usize| instead(&format!("{}1{}", "[".repeat(depth), "]".repeat(depth)));
    let twice = view(&id()).to_string().replace("\"properties\"", "\"event_name\":\"a\",\"properties\"");
    let large = format!("\"{}\"", "x".repeat(2_100));
    vec![
        (instead("\"a\\u0000b\""), "nul_character", "/properties/path"),
        (instead("\"a\\ud800b\""), "lone_surrogate", "/properties/path"),
        (instead("1,\"path\":2"), "duplicate_key", "/properties/path"),
        (instead("9223372036854775808"), "integer_out_of_range", "/properties/path"),
        (instead("1e400"), "number_out_of_range", "/properties/path"),
        (instead(&large), "too_large", "/properties"),
        (nested(20), "too_deep", ""),
        (nested(90_000), "too_deep", ""),
        (twice, "duplicate_key", "/event_name"),
        (with(json!({ "properties": [] })), "invalid_type", "/properties"),
        (with(json!({ "context": { "page": { "url": 7 } } })), "invalid_type", "/context/page/url"),
    ]
}

fn of_schema() -> Vec<Rejected> {
    let named = |name: &str, properties: Value| {
        let event = view_with(&id(), json!({ "event_name": name, "contact_id": "c-1", "properties": properties }));
        event.to_string()
    };
    let paid = |amount: Value| named("payment.completed", json!({ "amount": amount }));
    let sent = named("message_sent", json!({ "conversationId": "c" }));
    let form = named("form.submitted", json!({ "form_id": 7 }));
    vec![
        (named("payment.completed", json!({})), "missing_field", "/properties/amount"),
        (paid(json!("much")), "schema_violation", "/properties/amount"),
        (paid(json!(true)), "schema_violation", "/properties/amount"),
        (named("contact.tag.added", json!({})), "missing_field", "/properties/tag_name"),
        (form, "schema_violation", "/properties/form_id"),
        (sent, "missing_field", "/properties/role"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_has_its_code_and_place_and_touches_no_other_event() {
    let world = World::start().await;
    let rejects = [of_shape_and_id(), of_envelope(), of_text(), of_schema()].concat();
    let good: Vec<String> = (0..=rejects.len()).map(|_| view(&id()).to_string()).collect();
    // One good event before, between and after all of them.
    let mut events = vec![good[0].clone()];
    for ((raw, _, _), next) in rejects.iter().zip(&good[1..]) {
        events.extend([raw.clone(), next.clone()]);
    }
    let answer = world.post_as(&world.tenant.write_token, &format!("[{}]", events.join(","))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let results = answer.body["results"].as_array().unwrap();
    assert_eq!(results.len(), events.len());
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["index"], index);
        if index % 2 == 0 {
            assert_eq!(result["status"], "accepted", "{result}");
            continue;
        }
        let (raw, code, pointer) = &rejects[index / 2];
        let shown = &raw[..raw.len().min(200)];
        assert_eq!((result["status"].as_str(), result["code"].as_str()), (Some("rejected"), Some(*code)), "{shown}");
        assert!(result["pointer"].as_str().unwrap().starts_with(pointer), "{result} {shown}");
        assert!(!result["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(world.stored().await, i64::try_from(good.len()).unwrap());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_rejects_only_is_a_problem_with_results() {
    let world = World::start().await;
    let event_id = id();
    let answer = world.post(&[view_with(&event_id, json!({ "event_name": null })), json!(7)]).await;
    assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (400, Some("all_rejected")));
    assert_eq!(statuses(&answer), ["missing_field", "invalid_type"]);
    let results = &answer.body["results"];
    assert_eq!((results[0]["event_id"].as_str(), results[1].get("event_id")), (Some(event_id.as_str()), None));
    assert_eq!(world.stored().await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_names_are_taken_unless_the_tenant_is_strict() {
    let world = World::start().await;
    let custom = || view_with(&id(), json!({ "event_name": "trial_started" }));
    assert_eq!(world.statuses(&[custom()]).await, ["accepted"]);
    let strict = world.database.seed_tenant("strict").await.unwrap();
    world.sql.execute("UPDATE platform.tenants SET taxonomy = 'strict' WHERE tenant_id = 'strict'", &[]).await.unwrap();
    let body = json!([custom(), view(&id())]).to_string();
    let answer = world.post_as(&strict.write_token, &body).await;
    assert_eq!(statuses(&answer), ["unknown_event_name", "accepted"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_may_allow_bigger_properties() {
    let world = World::start().await;
    let big = || view_with(&id(), json!({ "properties": { "text": "x".repeat(30_000) } }));
    assert_eq!(world.statuses(&[big(), view(&id())]).await, ["too_large", "accepted"]);
    let roomy = world.database.seed_tenant("roomy").await.unwrap();
    let sql = "UPDATE platform.tenants SET max_properties_bytes = 32768 WHERE tenant_id = 'roomy'";
    world.sql.execute(sql, &[]).await.unwrap();
    let answer = world.post_as(&roomy.write_token, &json!([big()]).to_string()).await;
    assert_eq!(statuses(&answer), ["accepted"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_database_refuses_is_found_and_stands_alone() {
    let world = World::start().await;
    world
        .sql
        .execute(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN IF NEW.properties ? 'unstorable' THEN RAISE SQLSTATE '22P05'; END IF; RETURN NEW; END $$",
            &[],
        )
        .await
        .unwrap();
    world
        .sql
        .execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON ingest.events_raw FOR EACH ROW EXECUTE FUNCTION public.refuse()",
            &[],
        )
        .await
        .unwrap();
    let bad = |event_id: &str, content: u32| view_with(event_id, json!({ "properties": { "unstorable": content } }));
    let (one, two) = (id(), id());
    let mut events: Vec<Value> = (0..40).map(|_| view(&id())).collect();
    events.insert(7, bad(&one, 1));
    events.insert(20, bad(&two, 1));
    events.push(bad(&one, 1));
    events.push(bad(&one, 2));
    let statuses = world.statuses(&events).await;
    for (index, status) in statuses.iter().enumerate() {
        let expected = match index {
            7 | 20 | 42 => "unstorable",
            43 => "retry",
            _ => "accepted",
        };
        assert_eq!(status, expected, "{index}");
    }
    assert_eq!(world.stored().await, 40);
    world.stop().await;
}
