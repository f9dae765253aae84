//! The stored events, `ingest.events_raw`, and what is written with them.

use std::collections::HashSet;

use domain::ids::ContactId;
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
    /// The contact that it names, or that its user is linked to.
    pub contact_id: Option<&'a ContactId>,
    pub event_time: OffsetDateTime,
    /// `event_time` was too far in the future and is the time of receipt instead.
    pub time_clamped: bool,
}

/// Takes the ids that are free in the ledger, stores the events that got theirs, and, when all did, what is told about them:
/// one statement, so that the events of any number of tenants cost one flight. $1 tenants and $3 event ids, ascending; $2 received at,
/// $4 content hashes, then one array per column, the last of which is $26; $17 to $25 the messages. JSON comes as text, so that numbers stay as they were
/// written. Answers the places, from 1, of the events whose ids were taken. Waits for other transactions that are taking the same ids.
pub const STORE: &str = "\
    WITH free AS ( \
    INSERT INTO ingest.event_keys (received_at, event_id, content_hash, tenant_id) \
    SELECT $2, k.event_id, k.content_hash, k.tenant_id \
    FROM unnest($1::text[], $3::uuid[], $4::bytea[]) AS k (tenant_id, event_id, content_hash) \
    ON CONFLICT DO NOTHING RETURNING tenant_id, event_id), \
    stored AS ( \
    INSERT INTO ingest.events_raw (tenant_id, received_at, event_id, event_name, event_category, event_time, \
    occurred_at, sent_at, time_clamped, project_id, user_id, contact_id, session_id, properties, context, sampling_rate) \
    SELECT e.tenant_id, $2, e.event_id, e.event_name, e.event_category, e.event_time, e.occurred_at, e.sent_at, e.time_clamped, \
    e.project_id, e.user_id, e.contact_id, e.session_id, e.properties::jsonb, e.context::jsonb, e.sampling_rate \
    FROM unnest($1::text[], $3::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], \
    $10::boolean[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $26::real[]) \
    AS e (tenant_id, event_id, event_name, event_category, event_time, occurred_at, sent_at, time_clamped, project_id, user_id, \
    contact_id, session_id, properties, context, sampling_rate) \
    WHERE (e.tenant_id, e.event_id) IN (SELECT f.tenant_id, f.event_id FROM free f)), \
    told AS ( \
    INSERT INTO ingest.outbox (tenant_id, exchange, routing_key, mandatory, content_type, message_id, payload, traceparent, events) \
    SELECT m.tenant_id, $17, $18, $19, $20, m.message_id, m.payload, m.traceparent, m.events \
    FROM unnest($21::text[], $22::uuid[], $23::bytea[], $24::text[], $25::integer[]) \
    AS m (tenant_id, message_id, payload, traceparent, events) \
    WHERE (SELECT count(*) FROM free) = cardinality($3::uuid[])) \
    SELECT t.place FROM unnest($1::text[], $3::uuid[]) WITH ORDINALITY AS t (tenant_id, event_id, place) \
    WHERE (SELECT count(*) FROM free) < cardinality($3::uuid[]) \
    AND (t.tenant_id, t.event_id) NOT IN (SELECT f.tenant_id, f.event_id FROM free f)";

/// Stores events, given in ascending order of tenant and id, and answers the places of those that are not: their ids were taken.
/// The messages, which tell of all of these events, are in the outbox only if none was.
pub async fn store(
    tx: &Tx,
    received_at: OffsetDateTime,
    events: &[Timed<'_>],
    messages: &[NewMessage],
) -> Result<HashSet<usize>, pg::Error> {
    let tenants: Vec<&str> = column(events, |event| event.tenant_id.as_str());
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
    let contacts: Vec<Option<&str>> = events.iter().map(|event| event.contact_id.map(ContactId::as_str)).collect();
    let sessions: Vec<Option<&str>> = column(events, |event| event.session_id.as_deref());
    let properties: Vec<String> = column(events, |event| event.properties.to_text());
    let contexts: Vec<Option<String>> = column(events, |event| event.context.as_ref().map(Json::to_text));
    let rates: Vec<Option<f32>> = column(events, |event| event.sampling_rate);
    let told = Told::of(messages);
    let parameters: [&(dyn ToSql + Sync); 16] = [
        &tenants,
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
    ];
    let rows = tx.query(STORE, &[&parameters[..], &told.parameters()[..], &[&rates]].concat()).await?;
    if rows.is_empty() {
        tx.note_outbox_written();
    }
    let place = |place: i64| usize::try_from(place - 1).map_err(|_| pg::Error::Decode(format!("the place {place}")));
    rows.iter().map(|row| place(row.try_get(0)?)).collect()
}

fn column<'a, T>(events: &[Timed<'a>], of: impl Fn(&'a Candidate) -> T) -> Vec<T> {
    events.iter().map(|event| of(event.candidate)).collect()
}

/// Messages of one kind, as `STORE` takes them.
struct Told<'a> {
    exchange: Option<&'static str>,
    routing_key: Option<&'static str>,
    mandatory: Option<bool>,
    content_type: Option<&'static str>,
    tenants: Vec<&'a str>,
    message_ids: Vec<Uuid>,
    payloads: Vec<&'a [u8]>,
    traceparents: Vec<Option<&'a str>>,
    events: Vec<i32>,
}

impl<'a> Told<'a> {
    fn of(messages: &'a [NewMessage]) -> Self {
        let kind = messages.first();
        Self {
            exchange: kind.map(|message| message.exchange),
            routing_key: kind.map(|message| message.routing_key),
            mandatory: kind.map(|message| message.mandatory),
            content_type: kind.map(|message| message.content_type),
            tenants: messages.iter().map(|message| message.tenant_id.as_str()).collect(),
            message_ids: messages.iter().map(|message| message.message_id).collect(),
            payloads: messages.iter().map(|message| message.payload.as_slice()).collect(),
            traceparents: messages.iter().map(|message| message.traceparent.as_deref()).collect(),
            events: messages.iter().map(|message| i32::try_from(message.events).unwrap_or(i32::MAX)).collect(),
        }
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); 9] {
        [
            &self.exchange,
            &self.routing_key,
            &self.mandatory,
            &self.content_type,
            &self.tenants,
            &self.message_ids,
            &self.payloads,
            &self.traceparents,
            &self.events,
        ]
    }
}
