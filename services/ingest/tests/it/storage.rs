//! What is stored, to the column.

use serde_json::{Value, json};

use crate::support::{World, id, view_with};

#[tokio::test(flavor = "multi_thread")]
async fn every_field_has_its_column() {
    let world = World::start().await;
    let event_id = id();
    let event = json!({
        "event_id": event_id.to_uppercase(), "tenant_id": "demo", "project_id": "site-1", "event_name": "page_viewed",
        "event_category": "engagement", "occurred_at": "2026-01-03T12:00:00.123456789+02:00", "user_id": "u", "contact_id": "c",
        "session_id": "s", "properties": { "path": "/", "list": [1, null, { "deep": true }] },
        "context": { "page": { "url": "https://example.com/" }, "screen": { "width": 640 }, "more": 1 },
    });
    assert_eq!(world.statuses(&[event]).await, ["accepted"]);
    let stored: Value = world
        .value("SELECT to_jsonb(e) - 'received_at' FROM ingest.events_raw e WHERE e.event_id::text = $1", &[&event_id])
        .await;
    let expected = json!({
        "tenant_id": "demo", "event_id": event_id, "project_id": "site-1", "event_name": "page_viewed",
        "event_category": "engagement", "occurred_at": "2026-01-03T10:00:00.123456+00:00",
        "event_time": "2026-01-03T10:00:00.123456+00:00", "sent_at": null, "time_clamped": false, "user_id": "u",
        "contact_id": "c", "session_id": "s", "properties": { "path": "/", "list": [1, null, { "deep": true }] },
        "context": { "page": { "url": "https://example.com/" }, "screen": { "width": 640 }, "more": 1 }, "sampling_rate": null,
    });
    assert_eq!(stored, expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_fields_are_null_and_ids_are_found_in_the_properties() {
    let world = World::start().await;
    let event_id = id();
    let properties = json!({ "contact_id": "c-9", "sessionId": "s-9" });
    let event = view_with(&event_id, json!({ "user_id": null, "properties": properties }));
    assert_eq!(world.statuses(&[event]).await, ["accepted"]);
    let sql = "SELECT concat(contact_id, ' ', session_id, ' ', (user_id IS NULL AND project_id IS NULL AND event_category IS NULL \
               AND context IS NULL AND sent_at IS NULL)::text) FROM ingest.events_raw WHERE event_id::text = $1";
    assert_eq!(world.value::<String>(sql, &[&event_id]).await, "c-9 s-9 true");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_are_stored_as_they_were_written() {
    let world = World::start().await;
    for amount in [
        "99.999999999999999999",
        "100.00",
        "\"100.00\"",
        "0.10",
        "150",
        "9007199254740993",
        "123456789.000000000000000001",
    ] {
        let event_id = id();
        let body = format!(
            r#"[{{"event_id":"{event_id}","event_name":"payment.completed","occurred_at":"2026-01-03T10:00:00Z","contact_id":"c-1","properties":{{"amount":{amount}}}}}]"#
        );
        assert_eq!(world.post_as(&world.tenant.write_token, &body).await.body["accepted"], 1, "{amount}");
        let stored: String =
            world.value("SELECT properties::text FROM ingest.events_raw WHERE event_id::text = $1", &[&event_id]).await;
        assert_eq!(stored, format!(r#"{{"amount": {amount}}}"#));
        let published: String = world
            .value("SELECT convert_from(payload, 'UTF8') FROM ingest.outbox WHERE convert_from(payload, 'UTF8') LIKE '%' || $1 || '%'", &[&event_id])
            .await;
        assert!(published.contains(&format!(r#""properties":{{"amount":{amount}}}"#)), "{published}");
    }
    world.stop().await;
}

/// Stores one event; `event_time - received_at` and `event_time - occurred_at` in seconds, and whether it was clamped.
async fn times(world: &World, occurred: f64, sent: Option<f64>) -> (f64, f64, bool) {
    let clock = "SELECT to_char((now() + $1 * interval '1 s') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
    let event_id = id();
    let occurred_at: String = world.value(clock, &[&occurred]).await;
    let mut body = json!({ "events": [view_with(&event_id, json!({ "occurred_at": occurred_at }))] });
    if let Some(sent) = sent {
        body["sent_at"] = world.value::<String>(clock, &[&sent]).await.into();
    }
    assert_eq!(world.post_as(&world.tenant.write_token, &body.to_string()).await.body["accepted"], 1);
    let seconds = |from: &'static str| {
        let sql = format!(
            "SELECT extract(epoch FROM event_time - {from})::float8 FROM ingest.events_raw WHERE event_id::text = '{event_id}'"
        );
        async move { world.value::<f64>(&sql, &[]).await }
    };
    let clamped = "SELECT time_clamped FROM ingest.events_raw WHERE event_id::text = $1";
    (seconds("received_at").await, seconds("occurred_at").await, world.value(clamped, &[&event_id]).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_senders_clock_is_corrected_and_the_future_is_not_believed() {
    let world = World::start().await;
    let near = |value: f64, expected: f64| (value - expected).abs() < 5.0;
    // (occurred, sent) by a clock that is right, an hour ahead, a day behind; then without sent_at.
    let (since_receipt, _, clamped) = times(&world, -60.0, Some(0.0)).await;
    assert!(near(since_receipt, -60.0) && !clamped);
    let (since_receipt, shift, clamped) = times(&world, 3_540.0, Some(3_600.0)).await;
    assert!(near(since_receipt, -60.0) && near(shift, -3_600.0) && !clamped);
    let (since_receipt, shift, clamped) = times(&world, -86_460.0, Some(-86_400.0)).await;
    assert!(near(since_receipt, -60.0) && near(shift, 86_400.0) && !clamped);
    let (since_receipt, shift, clamped) = times(&world, -7_200.0, None).await;
    assert!(near(since_receipt, -7_200.0) && shift == 0.0 && !clamped);
    let (_, shift, clamped) = times(&world, 200.0, None).await;
    assert!(shift == 0.0 && !clamped, "five minutes ahead are believed");
    let (since_receipt, shift, clamped) = times(&world, 7_200.0, None).await;
    assert!(since_receipt == 0.0 && near(shift, -7_200.0) && clamped);
    let (since_receipt, _, clamped) = times(&world, 7_200.0, Some(0.0)).await;
    assert!(since_receipt == 0.0 && clamped, "ahead even of its own clock");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_in_the_partition_of_the_month_and_the_hash_is_keyed() {
    let world = World::start().await;
    let other = world.database.seed_tenant("other").await.unwrap();
    let body = json!([crate::support::view(&id())]).to_string();
    world.post_as(&world.tenant.write_token, &body).await;
    world.post_as(&other.write_token, &body).await;
    assert_eq!(world.value::<i64>("SELECT count(*) FROM ingest.events_raw_default", &[]).await, 0);
    let sql = "SELECT count(DISTINCT content_hash) FROM ingest.event_keys WHERE length(content_hash) = 16";
    assert_eq!(world.value::<i64>(sql, &[]).await, 2, "the same content of two tenants has two hashes");
    let sql =
        "SELECT count(*) FROM ingest.event_keys k JOIN ingest.events_raw e USING (tenant_id, event_id, received_at)";
    assert_eq!(world.value::<i64>(sql, &[]).await, 2);
    world.stop().await;
}
