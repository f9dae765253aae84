//! A tenant with its credentials, written straight into the database.

use crate::Database;
use tokio_postgres::Client;
use web::secret::{Prefix, mint};

/// A tenant and the secrets to speak for it.
#[derive(Clone, Debug)]
pub struct Seeded {
    /// The tenant.
    pub tenant_id: String,
    /// A write token.
    pub write_token: String,
    /// API keys, one of each role.
    pub viewer_key: String,
    /// May configure workflows and goals.
    pub editor_key: String,
    /// May manage the tenant's credentials.
    pub admin_key: String,
}

const TENANT: &str =
    "INSERT INTO platform.tenants (tenant_id, name, content_key) VALUES ($1, $1, sha256(convert_to($1, 'UTF8')))";
const EPOCH: &str = "INSERT INTO goals.epochs (tenant_id) VALUES ($1)";
const WRITE_TOKEN: &str = "INSERT INTO platform.write_tokens (id, tenant_id, kind, secret_hash, created_by) VALUES ($1, $2, 'server', $3, 'test')";
const API_KEY: &str =
    "INSERT INTO platform.api_keys (id, tenant_id, role, secret_hash, created_by) VALUES ($1, $2, $3, $4, 'test')";

impl Database {
    /// Makes a tenant with a write token and a key of every role.
    pub async fn seed_tenant(&self, tenant_id: &str) -> anyhow::Result<Seeded> {
        let client = self.superuser().await?;
        client.execute(TENANT, &[&tenant_id]).await?;
        client.execute(EPOCH, &[&tenant_id]).await?;
        let token = mint(Prefix::WriteToken);
        client.execute(WRITE_TOKEN, &[&token.id, &tenant_id, &token.hash.as_slice()]).await?;
        Ok(Seeded {
            tenant_id: tenant_id.to_owned(),
            write_token: token.text,
            viewer_key: api_key(&client, Some(tenant_id), "viewer").await?,
            editor_key: api_key(&client, Some(tenant_id), "editor").await?,
            admin_key: api_key(&client, Some(tenant_id), "admin").await?,
        })
    }

    /// Makes an operator's key.
    pub async fn seed_operator(&self) -> anyhow::Result<String> {
        api_key(&self.superuser().await?, None, "operator").await
    }
}

async fn api_key(client: &Client, tenant_id: Option<&str>, role: &str) -> anyhow::Result<String> {
    let key = mint(Prefix::ApiKey);
    client.execute(API_KEY, &[&key.id, &tenant_id, &role, &key.hash.as_slice()]).await?;
    Ok(key.text)
}
