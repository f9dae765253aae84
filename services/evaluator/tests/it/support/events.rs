//! Events, as ingest stores and tells them.

use domain::contract::{EventStored, EventsStored};
use domain::ids::TenantId;
use domain::json::{Json, Limits};
use domain::outbox::{NewMessage, OutboxMessage};
use serde_json::json;
use std::borrow::Cow;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::World;

/// An event as a test wants it.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: Uuid,
    pub name: String,
    pub contact: Option<String>,
    /// Text, so that numbers stay as they are written.
    pub properties: String,
    /// Added to the database clock.
    pub time_seconds: f64,
    pub received_seconds: f64,
    pub traceparent: Option<String>,
}

/// An event that happens now.
pub fn event(contact: &str, name: &str, properties: impl ToString) -> Event {
    Event {
        id: Uuid::now_v7(),
        name: name.to_owned(),
        contact: Some(contact.to_owned()),
        properties: properties.to_string(),
        time_seconds: 0.0,
        received_seconds: 0.0,
        traceparent: None,
    }
}

pub fn tag(contact: &str, name: &str) -> Event {
    event(contact, "contact.tag.added", json!({ "tag_name": name }))
}

pub fn purchase(contact: &str, amount: &str) -> Event {
    event(contact, "payment.completed", format!(r#"{{"amount":{amount}}}"#))
}

impl Event {
    /// The same event, so many seconds later (or earlier).
    pub fn at(mut self, seconds: f64) -> Self {
        self.time_seconds = seconds;
        self
    }
}

impl World {
    /// Stores events and tells them, in one chunk.
    pub async fn happen(&self, events: &[Event]) {
        self.happen_to("demo", events).await;
    }

    pub async fn happen_to(&self, tenant: &str, events: &[Event]) {
        let chunk = self.store(tenant, events).await;
        self.tell(chunk).await;
    }

    /// Stores events; the chunk that tells of them.
    pub async fn store(&self, tenant: &str, events: &[Event]) -> EventsStored<'static> {
        let insert = "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, \
                      contact_id, properties) SELECT clock_timestamp() + $1::float8 * interval '1 s', t.at, t.at, $3, false, $4, $5, $6, \
                      $7::text::jsonb FROM (SELECT clock_timestamp() + $2::float8 * interval '1 s' AS at) AS t \
                      RETURNING event_time, received_at";
        let mut stored = Vec::new();
        for event in events {
            let binds: [&(dyn ToSql + Sync); 7] = [
                &event.received_seconds,
                &event.time_seconds,
                &event.id,
                &tenant,
                &event.name,
                &event.contact,
                &event.properties,
            ];
            let row = self.sql.query_one(insert, &binds).await.unwrap();
            stored.push(EventStored {
                event_id: event.id.into(),
                event_name: event.name.clone().into(),
                event_time: row.get(0),
                received_at: row.get(1),
                project_id: None,
                contact_id: event.contact.as_ref().map(|contact| Cow::Owned(contact.parse().unwrap())),
                user_id: None,
                session_id: None,
                properties: Cow::Owned(Json::parse(&event.properties, &Limits::WIRE).unwrap()),
                traceparent: event.traceparent.clone().map(Cow::Owned),
            });
        }
        EventsStored { version: Default::default(), tenant_id: TenantId::parse(tenant).unwrap(), events: stored }
    }

    pub async fn tell(&self, chunk: EventsStored<'_>) {
        self.publish(chunk.into_message()).await;
    }

    /// Publishes, and waits for the broker's confirmation.
    pub async fn publish(&self, message: NewMessage) {
        let message = OutboxMessage {
            id: 0,
            exchange: message.exchange.to_owned(),
            routing_key: message.routing_key.to_owned(),
            mandatory: message.mandatory,
            message_id: message.message_id,
            content_type: message.content_type.to_owned(),
            payload: message.payload,
            traceparent: message.traceparent,
            correlation_id: None,
            reply_to: None,
        };
        let confirmed = self.publisher.publish(vec![message].into()).await.unwrap();
        assert_eq!(confirmed, [domain::outbox::Delivery::Confirmed]);
    }

    /// Bytes that are no message of ours.
    pub async fn publish_bytes(&self, exchange: &'static str, routing_key: &'static str, payload: &[u8]) {
        let tenant_id = TenantId::parse("demo").unwrap();
        let (message_id, content_type) = (Uuid::now_v7(), "application/json");
        let payload = payload.to_vec();
        let (mandatory, traceparent, events) = (true, None, 0);
        self.publish(NewMessage {
            tenant_id,
            exchange,
            routing_key,
            mandatory,
            message_id,
            content_type,
            payload,
            traceparent,
            events,
        })
        .await;
    }
}
