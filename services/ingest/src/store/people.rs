//! Rows of persons: those in `ingest.events_raw`, and all that is kept of them together, with what the evaluator publishes.

use domain::ids::TenantId;
use pg::{Error, ToSql, Tx};
use time::OffsetDateTime;

const DELETE_OF_CONTACTS: &str = "DELETE FROM ingest.events_raw e WHERE e.tenant_id = $1 AND e.contact_id = ANY($2)";
const DELETE_OF_USERS: &str = "DELETE FROM ingest.events_raw e WHERE e.tenant_id = $1 AND e.user_id = ANY($2)";

/// Deletes the events of these users and contacts; how many. Their ids stay taken.
pub async fn delete_events(tx: &Tx, tenant: &TenantId, users: &[String], contacts: &[&str]) -> Result<u64, Error> {
    let of_contacts = tx.execute(DELETE_OF_CONTACTS, &[&tenant.as_str(), &contacts]).await?;
    let of_users = tx.execute(DELETE_OF_USERS, &[&tenant.as_str(), &users]).await?;
    Ok(of_contacts + of_users)
}

macro_rules! utc {
    ($column:literal) => {
        concat!("to_char(", $column, " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    };
}

const RECORDS: &str = concat!(
    "SELECT r.at, r.place, (jsonb_build_object('kind', r.kind, 'at', ",
    utc!("r.at"),
    ") || r.record)::text FROM ( \
     SELECT 'event' AS kind, e.event_time AS at, 'event ' || e.event_id AS place, jsonb_build_object('id', e.event_id, \
       'event_name', e.event_name, 'event_category', e.event_category, 'occurred_at', ",
    utc!("e.occurred_at"),
    ", 'received_at', ",
    utc!("e.received_at"),
    ", 'user_id', e.user_id, 'contact_id', e.contact_id, 'session_id', e.session_id, 'project_id', e.project_id, \
       'properties', e.properties, 'context', e.context) AS record \
     FROM ingest.events_raw e WHERE e.tenant_id = $1 AND (e.user_id = ANY($2) OR e.contact_id = ANY($3)) \
     UNION ALL \
     SELECT 'identity_link', l.linked_at, 'identity_link ' || l.user_id, jsonb_build_object('user_id', l.user_id, \
       'contact_id', l.contact_id, 'unlinked_at', ",
    utc!("l.unlinked_at"),
    ") FROM ingest.identity_links l WHERE l.tenant_id = $1 AND (l.user_id = ANY($2) OR l.contact_id = ANY($3)) \
     UNION ALL \
     SELECT v.kind, v.at, v.kind || ' ' || v.id, jsonb_build_object('id', v.id) || v.record \
     FROM evaluator.v_contact_records_v1 v WHERE v.tenant_id = $1 AND v.contact_id = ANY($3)) AS r \
     WHERE (r.at, r.place COLLATE \"C\") < (coalesce($4::timestamptz, 'infinity'), coalesce($5::text, '')) \
     ORDER BY r.at DESC, r.place COLLATE \"C\" DESC LIMIT $6"
);

/// Something that is kept of a person.
#[derive(Clone, Debug)]
pub struct Record {
    pub at: OffsetDateTime,
    /// Its kind and its id: its place among those of the same time.
    pub place: String,
    /// JSON text.
    pub text: String,
}

/// What is kept of these users and contacts, latest first: the records behind a place, at most `limit`.
pub async fn records(
    tx: &Tx,
    tenant: &TenantId,
    (users, contacts): (&[String], &[&str]),
    behind: Option<(OffsetDateTime, String)>,
    limit: i64,
) -> Result<Vec<Record>, Error> {
    let (at, place) = behind.unzip();
    let binds: [&(dyn ToSql + Sync); 6] = [&tenant.as_str(), &users, &contacts, &at, &place, &limit];
    let rows = tx.query(RECORDS, &binds).await?;
    rows.iter().map(|row| Ok(Record { at: row.try_get(0)?, place: row.try_get(1)?, text: row.try_get(2)? })).collect()
}

/// Every statement here.
pub(super) const STATEMENTS: &[&str] = &[DELETE_OF_CONTACTS, DELETE_OF_USERS, RECORDS];
