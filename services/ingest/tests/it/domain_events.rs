//! Events of other systems, over the bus.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Subscription};
use domain::contract::{EventsStored, exchange};
use domain::outbox::{Delivery, OutboxMessage, Publish};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{World, eventually, id, view};

/// Another system, which publishes to `goalpost.domain`.
struct Emitter(Arc<dyn Publish>);

impl Emitter {
    async fn connect(world: &World) -> Self {
        let settings = bus::Settings::new(world.vhost.amqp_url());
        let handle = tokio::runtime::Handle::current();
        let emitter = Self(Bus::connect(settings, &[], CancellationToken::new(), handle).publisher());
        eventually("the emitter is connected", async || emitter.0.ready()).await;
        eventually("the queue is bound", async || world.vhost.messages("ingest.domain").await.is_ok()).await;
        emitter
    }

    async fn send(&self, routing_key: &str, payload: impl Into<Vec<u8>>) {
        let message = OutboxMessage {
            id: 1,
            exchange: exchange::DOMAIN.to_owned(),
            routing_key: routing_key.to_owned(),
            mandatory: true,
            message_id: Uuid::now_v7(),
            content_type: "application/json".to_owned(),
            payload: payload.into(),
            traceparent: None,
            correlation_id: None,
            reply_to: None,
        };
        assert_eq!(self.0.publish(Arc::from([message])).await.unwrap(), [Delivery::Confirmed]);
    }
}

fn payment(event_id: &str) -> Value {
    json!({
        "event_id": event_id, "tenant_id": "demo", "event_name": "payment.completed", "contact_id": "c-1",
        "occurred_at": "2026-01-03T10:00:00Z", "properties": { "amount": "150.00" },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_stored_and_published_like_a_request() {
    let world = World::start().await;
    let emitter = Emitter::connect(&world).await;
    let mut stored =
        Subscription::open(world.vhost.amqp_url(), exchange::EVENTS, EventsStored::ROUTING_KEY).await.unwrap();
    let event_id = id();
    for _ in 0..3 {
        emitter.send("payment.completed", payment(&event_id).to_string()).await;
    }
    let message = tokio::time::timeout(Duration::from_secs(10), stored.next()).await.unwrap().unwrap();
    let chunk: EventsStored = serde_json::from_slice(&message.body).unwrap();
    assert_eq!((chunk.tenant_id.as_str(), chunk.events[0].event_id.to_string()), ("demo", event_id.clone()));
    eventually("all are acknowledged", async || world.vhost.messages("ingest.domain").await.unwrap() == (0, 0)).await;
    assert_eq!(world.stored().await, 1);
    // Over HTTP it is the same event.
    assert_eq!(world.statuses(&[payment(&event_id)]).await, ["duplicate"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_event_is_taken() {
    let world = World::start().await;
    let emitter = Emitter::connect(&world).await;
    let cloud = r#"{"specversion":"1.0","id":"order-7","source":"/shop","type":"payment.completed","time":"2026-01-03T10:00:00Z","tenantid":"demo","datacontenttype":"application/json","data":{"contact_id":"c-7","user_id":"u-7","amount":100.00}}"#;
    emitter.send("payment.completed", cloud).await;
    eventually("it is stored", async || world.stored().await == 1).await;
    let sql =
        "SELECT concat_ws(' ', event_id, event_name, contact_id, user_id, properties::text) FROM ingest.events_raw";
    let event_id = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"/shop order-7");
    let expected = format!(r#"{event_id} payment.completed c-7 u-7 {{"amount": 100.00}}"#);
    assert_eq!(world.value::<String>(sql, &[]).await, expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_messages_become_dead_letters_with_their_cause_and_stop_nobody() {
    let world = World::start().await;
    let emitter = Emitter::connect(&world).await;
    let taken = id();
    emitter.send("payment.completed", payment(&taken).to_string()).await;
    eventually("it is stored", async || world.stored().await == 1).await;
    let change = |key: &str, value: Value| {
        let mut event = payment(&id());
        event[key] = value;
        event.to_string().into_bytes()
    };
    let mut conflict = payment(&taken);
    conflict["contact_id"] = "c-2".into();
    let bad: Vec<(Vec<u8>, &str)> = vec![
        (b"not json".to_vec(), "malformed_json"),
        (vec![0xff, 0x00], "malformed_json"),
        (Vec::new(), "malformed_json"),
        (b"[]".to_vec(), "invalid_type"),
        (change("tenant_id", Value::Null), "missing_field"),
        (change("tenant_id", "nobody".into()), "unknown_tenant"),
        (change("tenant_id", "a b".into()), "invalid_value"),
        (change("event_id", "x".into()), "invalid_event_id"),
        (change("properties", json!({})), "missing_field"),
        (change("properties", json!({ "amount": true })), "schema_violation"),
        (br#"{"specversion":"7","tenantid":"demo"}"#.to_vec(), "unknown_version"),
        (conflict.to_string().into_bytes(), "conflict"),
        (vec![b' '; 1_048_577], "too_large"),
    ];
    for (payload, _) in &bad {
        emitter.send("payment.completed", payload.clone()).await;
        emitter.send("payment.completed", payment(&id()).to_string()).await;
    }
    let letters = i64::try_from(bad.len()).unwrap();
    eventually("all are given up", async || {
        world.value::<i64>("SELECT count(*) FROM ingest.dead_letters", &[]).await == letters
    })
    .await;
    for (payload, code) in &bad {
        let sql = "SELECT count(*) FROM ingest.dead_letters WHERE payload = $1 AND code = $2 AND cause <> '' AND \
                   queue = 'ingest.domain' AND routing_key = 'payment.completed' AND attempts = 1 AND message_id IS NOT NULL";
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(200)]);
        assert_eq!(world.value::<i64>(sql, &[payload, code]).await, 1, "{code}: {shown}");
    }
    eventually("the good ones are stored", async || world.stored().await == letters + 1).await;
    eventually("all are acknowledged", async || world.vhost.messages("ingest.domain").await.unwrap() == (0, 0)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_cut_off_messages_wait() {
    let world = World::start().await;
    let emitter = Emitter::connect(&world).await;
    let mut holder = world.database.superuser().await.unwrap();
    let held = crate::support::hold_ledger(&mut holder).await;
    for _ in 0..10 {
        emitter.send("payment.completed", payment(&id()).to_string()).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    held.rollback().await.unwrap();
    eventually("all are stored", async || world.stored().await == 10).await;
    assert_eq!(world.value::<i64>("SELECT count(*) FROM ingest.dead_letters", &[]).await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_names_in_the_settings_are_listened_to() {
    let world = World::with(|settings| settings.bus.domain_event_names = vec!["deal.won".to_owned()]).await;
    let emitter = Emitter::connect(&world).await;
    let mut event = view(&id());
    event["event_name"] = "deal.won".into();
    event["tenant_id"] = "demo".into();
    emitter.send("deal.won", event.to_string()).await;
    eventually("it is stored", async || world.stored().await == 1).await;
    world.stop().await;
}
