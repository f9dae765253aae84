//! The operators' rows of `platform.api_keys`: they belong to no tenant.

use goals::bootstrap::Credential;
use goals::store::credentials::Grants;
use tokio_postgres::{Client, Error, Row};

const LIST: &str = "SELECT id, role, created_by, created_at, expires_at, revoked_at FROM platform.api_keys \
     WHERE tenant_id IS NULL ORDER BY created_at DESC, id DESC";

/// All, revoked ones too, newest first.
pub async fn list(client: &Client) -> Result<Vec<Credential>, Error> {
    Ok(client.query(LIST, &[]).await?.iter().map(read).collect())
}

const REVOKE: &str = "UPDATE platform.api_keys SET revoked_at = coalesce(revoked_at, statement_timestamp()) \
     WHERE tenant_id IS NULL AND id = $1";

/// Revokes one; false if there is none.
pub async fn revoke(client: &Client, id: &str) -> Result<bool, Error> {
    Ok(client.execute(REVOKE, &[&id]).await? == 1)
}

fn read(row: &Row) -> Credential {
    Credential {
        id: row.get(0),
        grants: Grants::Role(row.get(1)),
        origins: Vec::new(),
        created_by: row.get(2),
        created_at: row.get(3),
        expires_at: row.get(4),
        revoked_at: row.get(5),
    }
}
