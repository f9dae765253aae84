//! The newest events, by the view that ingest publishes.

use super::reached::{all, column};
use crate::error::Error;
use domain::ids::{ContactId, EventId, TenantId};
use pg::{Row, ToSql, Tx};
use time::OffsetDateTime;
use uuid::Uuid;

/// What the feed is narrowed to, and where the page begins.
#[derive(Clone, Debug)]
pub struct Listing {
    pub event_name: Option<String>,
    pub contact_id: Option<ContactId>,
    /// Happened at or after, by `event_time`.
    pub from: Option<OffsetDateTime>,
    /// Happened before.
    pub to: Option<OffsetDateTime>,
    /// The last event of the page before.
    pub before: Option<(OffsetDateTime, Uuid)>,
    pub limit: i64,
}

/// A stored event.
#[derive(Debug)]
pub struct Seen {
    pub event_id: EventId,
    pub event_name: String,
    pub event_category: Option<String>,
    pub event_time: OffsetDateTime,
    pub occurred_at: OffsetDateTime,
    pub received_at: OffsetDateTime,
    pub project_id: Option<String>,
    pub user_id: Option<String>,
    pub contact_id: Option<String>,
    pub session_id: Option<String>,
    /// JSON text, as it is stored.
    pub properties: String,
    /// The same.
    pub context: Option<String>,
}

/// `$1` tenant, `$2` and `$3` the span, `$4` and `$5` the last event of the page before, `$6` how many; then what an index
/// is asked for: one statement for each, so that a plan never has to serve all.
macro_rules! list {
    ($narrowed:literal) => {
        concat!(
            "SELECT e.event_id, e.event_name, e.event_category, e.event_time, e.occurred_at, e.received_at, e.project_id, e.user_id, ",
            "e.contact_id, e.session_id, e.properties::text, e.context::text FROM ingest.v_events_v1 e WHERE e.tenant_id = $1 ",
            "AND e.event_time >= coalesce($2::timestamptz, '-infinity') AND e.event_time < coalesce($3::timestamptz, 'infinity') ",
            "AND e.event_time <= coalesce($4::timestamptz, 'infinity') AND (e.event_time, e.event_id) < ",
            "(coalesce($4::timestamptz, 'infinity'), coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) ",
            $narrowed,
            " ORDER BY e.event_time DESC, e.event_id DESC LIMIT $6"
        )
    };
}

const LIST: &str = list!("");
const LIST_OF_NAME: &str = list!("AND e.event_name = $7");
const LIST_OF_CONTACT: &str = list!("AND e.contact_id = $7");
const LIST_OF_CONTACT_AND_NAME: &str = list!("AND e.contact_id = $7 AND e.event_name = $8");

/// A page of a tenant's events, the newest first; of the same time, the greatest id first.
pub async fn list(tx: &Tx, tenant: &TenantId, listing: &Listing) -> Result<Vec<Seen>, Error> {
    let (before_at, before_id) = listing.before.unzip();
    let tenant = tenant.as_str();
    let contact = listing.contact_id.as_ref().map(ContactId::as_str);
    let mut binds: Vec<&(dyn ToSql + Sync)> =
        vec![&tenant, &listing.from, &listing.to, &before_at, &before_id, &listing.limit];
    let sql = match (&contact, &listing.event_name) {
        (None, None) => LIST,
        (None, Some(name)) => {
            binds.push(name);
            LIST_OF_NAME
        }
        (Some(contact), None) => {
            binds.push(contact);
            LIST_OF_CONTACT
        }
        (Some(contact), Some(name)) => {
            binds.extend([contact as &(dyn ToSql + Sync), name]);
            LIST_OF_CONTACT_AND_NAME
        }
    };
    all(&tx.query(sql, &binds).await?, seen)
}

fn seen(row: &Row) -> Result<Seen, Error> {
    Ok(Seen {
        event_id: EventId::from(column::<Uuid>(row, 0)?),
        event_name: column(row, 1)?,
        event_category: column(row, 2)?,
        event_time: column(row, 3)?,
        occurred_at: column(row, 4)?,
        received_at: column(row, 5)?,
        project_id: column(row, 6)?,
        user_id: column(row, 7)?,
        contact_id: column(row, 8)?,
        session_id: column(row, 9)?,
        properties: column(row, 10)?,
        context: column(row, 11)?,
    })
}

/// Every statement here: of all, of a name, of a contact, of both.
pub const STATEMENTS: [&str; 4] = [LIST, LIST_OF_NAME, LIST_OF_CONTACT, LIST_OF_CONTACT_AND_NAME];
