//! The event types that tenants add, `goals.v_event_types_v1`, which goals publishes.

use domain::catalogue::Subject;
use domain::ids::TenantId;
use pg::{Error, Row, Tx};

/// $1 the tenant.
pub const LIST: &str = "\
    SELECT t.name, t.schema::text, t.subject, t.browser, t.sampling_rate, t.version FROM goals.v_event_types_v1 t WHERE t.tenant_id = $1";

/// A type as goals has it.
#[derive(Debug)]
pub struct Stored {
    pub name: String,
    /// JSON Schema.
    pub schema: String,
    pub subject: Subject,
    /// May come from a browser token.
    pub browser: bool,
    pub sampling_rate: f32,
    pub version: i32,
}

/// Every type that the tenant has added.
pub async fn list(tx: &Tx, tenant: &TenantId) -> Result<Vec<Stored>, Error> {
    tx.query(LIST, &[&tenant.as_str()]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Stored, Error> {
    let subject: &str = row.try_get(2)?;
    Ok(Stored {
        name: row.try_get(0)?,
        schema: row.try_get(1)?,
        subject: subject.parse().map_err(|_| Error::Decode(format!("the subject {subject}")))?,
        browser: row.try_get(3)?,
        sampling_rate: row.try_get(4)?,
        version: row.try_get(5)?,
    })
}
