//! The stored events, `ingest.events_raw`.

use domain::ids::{ContactId, TenantId};
use domain::json::Json;
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

/// $1 tenant, $2 received at, then one array per column. JSON comes as text, so that numbers stay as they were written.
pub const INSERT: &str = "\
    INSERT INTO ingest.events_raw (tenant_id, received_at, event_id, event_name, event_category, event_time, \
    occurred_at, sent_at, time_clamped, project_id, user_id, contact_id, session_id, properties, context) \
    SELECT $1, $2, e.event_id, e.event_name, e.event_category, e.event_time, e.occurred_at, e.sent_at, e.time_clamped, \
    e.project_id, e.user_id, e.contact_id, e.session_id, e.properties::jsonb, e.context::jsonb \
    FROM unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], \
    $9::boolean[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[]) \
    AS e (event_id, event_name, event_category, event_time, occurred_at, sent_at, time_clamped, project_id, user_id, \
    contact_id, session_id, properties, context)";

/// Stores new events of one tenant.
pub async fn insert(
    tx: &Tx,
    tenant_id: &TenantId,
    received_at: OffsetDateTime,
    events: &[Timed<'_>],
) -> Result<(), pg::Error> {
    if events.is_empty() {
        return Ok(());
    }
    let event_ids: Vec<Uuid> = column(events, |event| event.event_id.as_uuid());
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
    let tenant_id = tenant_id.as_str();
    let parameters: [&(dyn ToSql + Sync); 15] = [
        &tenant_id,
        &received_at,
        &event_ids,
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
    tx.execute(INSERT, &parameters).await.map(drop)
}

fn column<'a, T>(events: &[Timed<'a>], of: impl Fn(&'a Candidate) -> T) -> Vec<T> {
    events.iter().map(|event| of(event.candidate)).collect()
}
