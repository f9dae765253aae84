//! The stored events, `ingest.events_raw`, and what is written with them.

use std::collections::HashSet;

use domain::ids::{ContactId, EventId, TenantId};
use domain::json::Json;
use domain::outbox::NewMessage;
use pg::{ToSql, Tx};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::candidate::Candidate;

/// A candidate with the times that the storing transaction gave it.
#[derive(Debug, Clone, Copy)]
pub struct Timed<'a> {
    pub candidate: &'a Candidate,
    pub event_time: OffsetDateTime,
    /// `event_time` was too far in the future and is the time of receipt instead.
    pub time_clamped: bool,
}

/// Takes the ids that are free in the ledger, stores the events that got theirs, and, when all did, what is told about them:
/// one statement, so that a tenant's events cost one flight. $1 tenant, $2 received at, $3 event ids ascending, $4 content hashes,
/// then one array per column; $17 to $24 the messages. JSON comes as text, so that numbers stay as they were written. Answers the
/// ids that were free. Waits for other transactions that are taking the same ids.
pub const STORE: &str = "\
    WITH free AS ( \
    INSERT INTO ingest.event_keys (received_at, event_id, content_hash, tenant_id) \
    SELECT $2, k.event_id, k.content_hash, $1 FROM unnest($3::uuid[], $4::bytea[]) AS k (event_id, content_hash) \
    ON CONFLICT DO NOTHING RETURNING event_id), \
    stored AS ( \
    INSERT INTO ingest.events_raw (tenant_id, received_at, event_id, event_name, event_category, event_time, \
    occurred_at, sent_at, time_clamped, project_id, user_id, contact_id, session_id, properties, context) \
    SELECT $1, $2, e.event_id, e.event_name, e.event_category, e.event_time, e.occurred_at, e.sent_at, e.time_clamped, \
    e.project_id, e.user_id, e.contact_id, e.session_id, e.properties::jsonb, e.context::jsonb \
    FROM unnest($3::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], \
    $10::boolean[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[]) \
    AS e (event_id, event_name, event_category, event_time, occurred_at, sent_at, time_clamped, project_id, user_id, \
    contact_id, session_id, properties, context) \
    WHERE e.event_id IN (SELECT f.event_id FROM free f)), \
    told AS ( \
    INSERT INTO ingest.outbox (tenant_id, exchange, routing_key, mandatory, content_type, message_id, payload, traceparent, events) \
    SELECT $1, $17, $18, $19, $20, m.message_id, m.payload, m.traceparent, m.events \
    FROM unnest($21::uuid[], $22::bytea[], $23::text[], $24::integer[]) AS m (message_id, payload, traceparent, events) \
    WHERE (SELECT count(*) FROM free) = cardinality($3::uuid[])) \
    SELECT event_id FROM free";

/// Stores events of one tenant, given in ascending order of their ids, and answers which of the ids were free: those are stored now.
/// The messages, which tell of all of these events, are in the outbox only if all were free.
pub async fn store(
    tx: &Tx,
    tenant_id: &TenantId,
    received_at: OffsetDateTime,
    events: &[Timed<'_>],
    messages: &[NewMessage],
) -> Result<HashSet<EventId>, pg::Error> {
    let event_ids: Vec<Uuid> = column(events, |event| event.event_id.as_uuid());
    let hashes: Vec<&[u8]> = column(events, |event| event.content_hash.as_slice());
    let names: Vec<&str> = column(events, |event| event.event_name.as_str());
    let categories: Vec<Option<&str>> = column(events, |event| event.event_category.as_deref());
    let event_times: Vec<OffsetDateTime> = events.iter().map(|event| event.event_time).collect();
    let occurred: Vec<OffsetDateTime> = column(events, |event| event.occurred_at);
    let sent: Vec<Option<OffsetDateTime>> = column(events, |event| event.sent_at);
    let clamped: Vec<bool> = events.iter().map(|event| event.time_clamped).collect();
    let projects: Vec<Option<&str>> = column(events, |event| event.project_id.as_deref());
    let users: Vec<Option<&str>> = column(events, |event| event.user_id.as_deref());
    let contacts: Vec<Option<&str>> = column(events, |event| event.contact_id.as_ref().map(ContactId::as_str));
    let sessions: Vec<Option<&str>> = column(events, |event| event.session_id.as_deref());
    let properties: Vec<String> = column(events, |event| event.properties.to_text());
    let contexts: Vec<Option<String>> = column(events, |event| event.context.as_ref().map(Json::to_text));
    let message_ids: Vec<Uuid> = messages.iter().map(|message| message.message_id).collect();
    let payloads: Vec<&[u8]> = messages.iter().map(|message| message.payload.as_slice()).collect();
    let traceparents: Vec<Option<&str>> = messages.iter().map(|message| message.traceparent.as_deref()).collect();
    let told: Vec<i32> = messages.iter().map(|message| i32::try_from(message.events).unwrap_or(i32::MAX)).collect();
    let kind = messages.first();
    let exchange = kind.map(|message| message.exchange);
    let routing_key = kind.map(|message| message.routing_key);
    let mandatory = kind.map(|message| message.mandatory);
    let content_type = kind.map(|message| message.content_type);
    let tenant_id = tenant_id.as_str();
    let parameters: [&(dyn ToSql + Sync); 24] = [
        &tenant_id,
        &received_at,
        &event_ids,
        &hashes,
        &names,
        &categories,
        &event_times,
        &occurred,
        &sent,
        &clamped,
        &projects,
        &users,
        &contacts,
        &sessions,
        &properties,
        &contexts,
        &exchange,
        &routing_key,
        &mandatory,
        &content_type,
        &message_ids,
        &payloads,
        &traceparents,
        &told,
    ];
    let rows = tx.query(STORE, &parameters).await?;
    if rows.len() == events.len() {
        tx.note_outbox_written();
    }
    rows.iter().map(|row| Ok(EventId::from(row.try_get::<_, Uuid>(0)?))).collect()
}

fn column<'a, T>(events: &[Timed<'a>], of: impl Fn(&'a Candidate) -> T) -> Vec<T> {
    events.iter().map(|event| of(event.candidate)).collect()
}
