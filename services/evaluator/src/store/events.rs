//! `ingest.v_contact_events_v1`: the stored events of contacts.

use super::{id, parsed};
use domain::ids::{ContactId, EventId, TenantId};
use pg::{Error, Row, ToSql, Tx};
use time::OffsetDateTime;
use uuid::Uuid;

/// Which events of a contact are wanted, and where in their order (event time, id) the page begins.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub contact_id: ContactId,
    /// Not before this event time.
    pub since: OffsetDateTime,
    /// After this event, among those of exactly that time.
    pub after: Uuid,
    /// Event names, separated by a space (which no name contains).
    pub event_names: String,
}

/// A stored event, its properties still text.
#[derive(Clone, Debug)]
pub struct Stored {
    pub contact_id: ContactId,
    pub event_id: EventId,
    pub event_name: String,
    pub event_time: OffsetDateTime,
    pub received_at: OffsetDateTime,
    pub properties: String,
}

// An event time is never more than 5 min ahead of received_at (ingest sees to it), so the condition on received_at takes
// nothing away; it lets PostgreSQL leave out the partitions of months before.
const PAGE: &str = "SELECT n.contact_id, v.event_id, v.event_name, v.event_time, v.received_at, v.properties \
     FROM unnest($2::text[], $3::timestamptz[], $4::uuid[], $5::text[]) AS n (contact_id, since, after, event_names) \
     CROSS JOIN LATERAL ( \
       SELECT e.event_id, e.event_name, e.event_time, e.received_at, e.properties::text AS properties \
       FROM ingest.v_contact_events_v1 e \
       WHERE e.tenant_id = $1 AND e.contact_id >= n.contact_id AND e.contact_id <= n.contact_id \
       AND (e.event_time, e.event_id) > (n.since, n.after) AND e.received_at >= n.since - interval '5 minutes' \
       AND e.event_name = ANY (string_to_array(n.event_names, ' ')) \
       ORDER BY e.contact_id, e.event_time, e.event_id LIMIT $6) AS v";

/// The next events of each contact, at most `limit` of each, in the order of (event time, id) within a contact.
pub async fn page(tx: &Tx, tenant: &TenantId, wanted: &[Wanted], limit: i64) -> Result<Vec<Stored>, Error> {
    let contacts: Vec<&str> = wanted.iter().map(|w| w.contact_id.as_str()).collect();
    let since: Vec<OffsetDateTime> = wanted.iter().map(|w| w.since).collect();
    let after: Vec<Uuid> = wanted.iter().map(|w| w.after).collect();
    let names: Vec<&str> = wanted.iter().map(|w| w.event_names.as_str()).collect();
    let rows = tx.query(PAGE, &[&tenant.as_str(), &contacts, &since, &after, &names, &limit]).await?;
    rows.iter().map(stored).collect()
}

fn stored(row: &Row) -> Result<Stored, Error> {
    Ok(Stored {
        contact_id: parsed(row, "contact_id")?,
        event_id: id(row, "event_id")?,
        event_name: row.try_get("event_name")?,
        event_time: row.try_get("event_time")?,
        received_at: row.try_get("received_at")?,
        properties: row.try_get("properties")?,
    })
}

const PAGE_BACK: &str = "SELECT e.contact_id, e.event_id, e.event_name, e.event_time, e.received_at, e.properties::text AS properties \
     FROM ingest.v_contact_events_v1 e \
     WHERE e.tenant_id = $1 AND e.contact_id >= $2 AND e.contact_id <= $2 AND e.event_time >= $3 AND e.received_at >= $3 - interval '5 minutes' \
     AND (e.event_time, e.event_id) <= (coalesce($4::timestamptz, 'infinity'), \
     coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) \
     AND e.event_name = ANY (string_to_array($6, ' ')) ORDER BY e.contact_id DESC, e.event_time DESC, e.event_id DESC LIMIT $7";

/// The events of one contact, the latest first: from the given one on (itself among them), or from the last.
pub async fn page_back(
    tx: &Tx,
    tenant: &TenantId,
    wanted: &Wanted,
    from: Option<(OffsetDateTime, EventId)>,
    limit: i64,
) -> Result<Vec<Stored>, Error> {
    let (from_at, from_id) = from.map(|(at, id)| (at, id.as_uuid())).unzip();
    let (contact, names) = (wanted.contact_id.as_str(), wanted.event_names.as_str());
    let binds: [&(dyn ToSql + Sync); 7] =
        [&tenant.as_str(), &contact, &wanted.since, &from_at, &from_id, &names, &limit];
    tx.query(PAGE_BACK, &binds).await?.iter().map(stored).collect()
}

/// Every statement here, for the tests that prepare them all and look at their plans.
pub const STATEMENTS: [&str; 2] = [PAGE, PAGE_BACK];
