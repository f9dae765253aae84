//! `platform.tenants`, all of them.

use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::{Client, Error};

/// A tenant in the list.
#[derive(Serialize)]
pub struct Tenant {
    pub tenant_id: String,
    pub name: Option<String>,
    #[serde(with = "domain::time_format")]
    pub created_at: OffsetDateTime,
}

const LIST: &str = "SELECT tenant_id, name, created_at FROM platform.tenants ORDER BY created_at DESC, tenant_id";

/// Newest first.
pub async fn list(client: &Client) -> Result<Vec<Tenant>, Error> {
    let rows = client.query(LIST, &[]).await?;
    let tenant = |row: &tokio_postgres::Row| Tenant { tenant_id: row.get(0), name: row.get(1), created_at: row.get(2) };
    Ok(rows.iter().map(tenant).collect())
}

const EXISTS: &str = "SELECT EXISTS (SELECT FROM platform.tenants WHERE tenant_id = $1)";

/// Whether there is such a tenant.
pub async fn exists(client: &Client, tenant_id: &str) -> Result<bool, Error> {
    Ok(client.query_one(EXISTS, &[&tenant_id]).await?.get(0))
}
