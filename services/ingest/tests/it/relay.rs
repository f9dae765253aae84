//! From the outbox to the bus.

use std::collections::HashSet;
use std::time::Duration;

use bus::Subscription;
use domain::contract::{EventsStored, exchange};
use serde_json::{Value, json};

use crate::support::{World, answered, eventually, id, launch, settings, view, view_with};

async fn subscription(world: &World) -> Subscription {
    Subscription::open(world.vhost.amqp_url(), exchange::EVENTS, EventsStored::ROUTING_KEY).await.unwrap()
}

/// The next chunk, read as its contract.
async fn chunk(subscription: &mut Subscription) -> EventsStored<'static> {
    let message = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await.unwrap().unwrap();
    assert_eq!(message.content_type.as_deref(), Some("application/json"));
    assert!(message.message_id.is_some());
    serde_json::from_slice(&message.body).unwrap()
}

/// Waits for so many different events, in however many chunks.
async fn hear(subscription: &mut Subscription, events: usize) {
    let mut heard = HashSet::new();
    while heard.len() < events {
        heard.extend(chunk(subscription).await.events.iter().map(|event| event.event_id));
    }
    assert_eq!(heard.len(), events);
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_events_go_out_in_chunks_of_one_tenant() {
    let world = World::start().await;
    let mut subscription = subscription(&world).await;
    let events: Vec<Value> = (0..450).map(|_| view(&id())).collect();
    assert_eq!(world.post(&events).await.body["accepted"], 450);
    let mut published = Vec::new();
    for expected in [200, 200, 50] {
        let chunk = chunk(&mut subscription).await;
        assert_eq!((chunk.tenant_id.as_str(), chunk.events.len()), ("demo", expected));
        published.extend(chunk.events.iter().map(|event| event.event_id.to_string()));
    }
    let mut sent: Vec<String> = events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect();
    sent.sort();
    published.sort();
    assert_eq!(published, sent);
    eventually("the outbox is empty", async || world.outbox().await == 0).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_goes_on_in_the_trace_of_its_request() {
    let world = World::start().await;
    let mut subscription = subscription(&world).await;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (header, expected) in [(Some(traceparent), true), (None, false), (Some("of no trace"), false)] {
        let url = format!("{}/api/v1/events", world.url);
        let mut request = world.http.post(url).bearer_auth(&world.tenant.write_token).json(&json!([view(&id())]));
        if let Some(header) = header {
            request = request.header("traceparent", header);
        }
        assert_eq!(answered(request).await.body["accepted"], 1);
        let message = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await.unwrap().unwrap();
        let chunk: Value = serde_json::from_slice(&message.body).unwrap();
        let expected = expected.then_some(traceparent);
        assert_eq!(chunk["events"][0]["traceparent"].as_str(), expected);
        assert_eq!(chunk["events"][0].get("traceparent").is_some(), expected.is_some(), "events do not grow: {chunk}");
        assert_eq!(message.traceparent.as_deref(), expected);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_says_what_is_stored_and_only_what_is_new() {
    let world = World::start().await;
    let mut subscription = subscription(&world).await;
    let (paid, seen) = (id(), id());
    let body = format!(
        r#"[{{"event_id":"{paid}","event_name":"payment.completed","occurred_at":"2026-01-03T10:00:00Z","contact_id":"c-1","project_id":"p","properties":{{"amount":100.00,"sessionId":"s-1"}}}}]"#
    );
    assert_eq!(world.post_as(&world.tenant.write_token, &body).await.body["accepted"], 1);
    let first = chunk(&mut subscription).await;
    let event = &first.events[0];
    assert_eq!((event.event_id.to_string(), &*event.event_name), (paid.clone(), "payment.completed"));
    assert_eq!(event.contact_id.as_ref().unwrap().as_str(), "c-1");
    assert_eq!(
        (event.project_id.as_deref(), event.session_id.as_deref(), &event.user_id),
        (Some("p"), Some("s-1"), &None)
    );
    assert_eq!(event.properties.to_text(), r#"{"amount":100.00,"sessionId":"s-1"}"#);
    let stored: String = world
        .value("SELECT to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') FROM ingest.events_raw WHERE event_id::text = $1", &[&paid])
        .await;
    let published = domain::time_format::to_text(event.received_at);
    assert!(stored.starts_with(published.trim_end_matches('Z')), "{stored} {published}");

    // A duplicate, a conflict and a reject go nowhere.
    let conflict = view_with(&paid, json!({}));
    let answer = world.post(&[conflict, view(&seen), view(&seen), json!(7)]).await;
    assert_eq!(answer.body["accepted"], 1, "{answer:?}");
    let second = chunk(&mut subscription).await;
    assert_eq!(second.events.iter().map(|event| event.event_id.to_string()).collect::<Vec<_>>(), [seen]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_many_tenants_in_one_batch_stay_apart() {
    let world = World::with(|settings| settings.commit.committers = 1).await;
    let mut subscription = subscription(&world).await;
    let mut tenants = Vec::new();
    for number in 0..40 {
        tenants.push(world.database.seed_tenant(&format!("tenant-{number}")).await.unwrap());
    }
    let posts = tenants.iter().map(|tenant| async {
        let events: Vec<Value> = (0..3).map(|_| view_with(&id(), json!({ "user_id": tenant.tenant_id }))).collect();
        let answer = world.post_as(&tenant.write_token, &json!(events).to_string()).await;
        assert_eq!(answer.body["accepted"], 3, "{answer:?}");
    });
    futures_util::future::join_all(posts).await;
    assert_eq!(world.stored().await, 120);
    let mixed = "SELECT count(*) FROM ingest.events_raw WHERE user_id <> tenant_id";
    assert_eq!(world.value::<i64>(mixed, &[]).await, 0);
    let mut published = 0;
    while published < 120 {
        let chunk = chunk(&mut subscription).await;
        assert!(chunk.events.iter().all(|event| event.user_id.as_deref() == Some(chunk.tenant_id.as_str())));
        published += chunk.events.len();
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_listens_the_outbox_keeps_everything() {
    let world = World::start().await;
    for _ in 0..5 {
        assert_eq!(world.post(&[view(&id())]).await.body["accepted"], 1);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.outbox().await, 5, "mandatory messages wait for a queue");
    let mut subscription = subscription(&world).await;
    hear(&mut subscription, 5).await;
    eventually("the outbox is empty", async || world.outbox().await == 0).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_limit_of_the_spool_everything_is_turned_away_until_it_is_handed_on() {
    let world = World::with(|settings| settings.intake.spool_max_bytes = 500).await;
    let mut accepted = 0;
    eventually("the door is shut", async || {
        let answer = world.post(&[view(&id())]).await;
        let shut = answer.status == 503;
        assert!(shut || answer.status == 200, "{answer:?}");
        accepted += i64::from(!shut);
        shut && answer.body["code"] == "overloaded" && answer.retry_after.is_some()
    })
    .await;
    assert_eq!((world.stored().await, world.outbox().await), (accepted, accepted));
    let _subscription = subscription(&world).await;
    world.sql.execute("UPDATE ingest.outbox SET not_before = NULL", &[]).await.unwrap();
    eventually("the door is open again", async || world.post(&[view(&id())]).await.status == 200).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_events_are_taken_and_a_later_start_sends_them() {
    let world = World::start().await;
    let mut alone = settings(&world.database, &world.vhost);
    alone.bus = bus::Settings::new("amqp://nobody:x@127.0.0.1:1/none");
    world.stop().await;
    let (url, admin_url, running) = launch(alone).await;
    let ready = format!("{admin_url}/health/ready");
    eventually("it is ready", async || world.http.get(&ready).send().await.unwrap().status() == 200).await;
    for _ in 0..10 {
        let request = world.http.post(format!("{url}/events")).bearer_auth(&world.tenant.write_token);
        let answer = crate::support::answered(request.json(&json!([view(&id())]))).await;
        assert_eq!((answer.status.as_u16(), answer.body["accepted"].as_u64()), (200, Some(1)));
    }
    assert_eq!(world.outbox().await, 10);
    running.stop().await.unwrap();

    let mut subscription = subscription(&world).await;
    let (_, _, running) = launch(settings(&world.database, &world.vhost)).await;
    hear(&mut subscription, 10).await;
    eventually("the outbox is empty", async || world.outbox().await == 0).await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_empties_the_outbox() {
    let world = World::start().await;
    let mut subscription = subscription(&world).await;
    world.post(&[view(&id())]).await;
    chunk(&mut subscription).await;
    let events: Vec<Value> = (0..200).map(|_| view(&id())).collect();
    let posts = (0..20).map(|number| world.post(&events[number * 10..][..10]));
    futures_util::future::join_all(posts).await;
    world.stop().await;
    assert_eq!(world.outbox().await, 0);
    let mut published = 0;
    while published < 200 {
        published += chunk(&mut subscription).await.events.len();
    }
}
