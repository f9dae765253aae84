//! Looking up what a caller presents: write tokens and API keys, live ones only. Secrets are never read back, only their
//! SHA-256.

use crate::{Db, Error, Scope, Tx};
use domain::credential::{KeyStore, StoredKey, TenantStore};
use domain::ids::{ContactId, TenantId};
use domain::outbox::{BoxError, BoxFuture};
use domain::privacy::{Salt, tells_a_person};
use tokio_postgres::Row;

/// A live write token and what ingest needs to know of its tenant.
#[derive(Clone, Debug)]
pub struct WriteToken {
    /// SHA-256 of the secret.
    pub secret_hash: Vec<u8>,
    /// `server` or `browser`.
    pub kind: String,
    /// Of a browser token: the origins whose pages may use it.
    pub origins: Vec<String>,
    /// How the tenant takes events.
    pub tenant: TenantIntake,
}

/// How a tenant takes events.
#[derive(Clone, Debug)]
pub struct TenantIntake {
    /// The tenant.
    pub tenant_id: TenantId,
    /// `open` or `strict`.
    pub taxonomy: String,
    /// Most bytes of one event's properties.
    pub max_properties_bytes: usize,
    /// Keys the content hash of the ledger. 32 bytes.
    pub content_key: Vec<u8>,
    /// How often its own event types have changed; 0: it never had one.
    pub event_types_version: i64,
    /// Keys what stands for ids that tell a person. 32 bytes.
    pub id_salt: Vec<u8>,
    /// What is done with personal data, as JSON.
    pub redaction: String,
}

const FIND_API_KEY: &str = "SELECT tenant_id, role, secret_hash FROM platform.v_api_keys_v1 WHERE id = $1";

impl KeyStore for Db {
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<StoredKey>, BoxError>> {
        let id = id.to_owned();
        let scope = Scope::System("look up an API key");
        let found = self.run_tx("find_api_key", scope, move |tx| {
            let id = id.clone();
            Box::pin(async move {
                let row = tx.query_opt(FIND_API_KEY, &[&id]).await?;
                row.map(|row| stored_key(&row)).transpose()
            })
        });
        Box::pin(async move { found.await.map_err(|error: Error| error.into()) })
    }
}

const KNOWS_TENANT: &str = "SELECT 1 FROM platform.v_tenant_ids_v1 WHERE tenant_id = $1";

impl TenantStore for Db {
    fn knows<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<bool, BoxError>> {
        let tenant = tenant.clone();
        let scope = Scope::System("look up the tenant that a token or a command names");
        let known = self.run_tx("knows_tenant", scope, move |tx| {
            let tenant = tenant.clone();
            Box::pin(async move { Ok(tx.query_opt(KNOWS_TENANT, &[&tenant.as_str()]).await?.is_some()) })
        });
        Box::pin(async move { known.await.map_err(|error: Error| error.into()) })
    }
}

fn stored_key(row: &Row) -> Result<StoredKey, Error> {
    let tenant: Option<&str> = row.try_get(0)?;
    let role: &str = row.try_get(1)?;
    let hash: &[u8] = row.try_get(2)?;
    let unreadable = |what: &str| Error::Decode(format!("{what} of an API key"));
    Ok(StoredKey {
        hash: hash.try_into().map_err(|_| unreadable("the hash"))?,
        tenant: tenant.map(stored_tenant).transpose()?,
        role: role.parse().map_err(|_| unreadable("the role"))?,
    })
}

macro_rules! intake_columns {
    () => {
        "tenant_id, taxonomy, max_properties_bytes, content_key, event_types_version, id_salt, redaction::text"
    };
}

const FIND_WRITE_TOKEN: &str =
    concat!("SELECT ", intake_columns!(), ", secret_hash, kind, origins FROM platform.v_write_tokens_v2 WHERE id = $1");

/// The live write token with this public id.
pub async fn find_write_token(db: &Db, id: &str) -> Result<Option<WriteToken>, Error> {
    let id = id.to_owned();
    db.run_tx("find_write_token", Scope::System("look up a write token"), move |tx| {
        let id = id.clone();
        Box::pin(async move {
            let Some(row) = tx.query_opt(FIND_WRITE_TOKEN, &[&id]).await? else {
                return Ok(None);
            };
            let (secret_hash, kind, origins) = (row.try_get(7)?, row.try_get(8)?, row.try_get(9)?);
            Ok(Some(WriteToken { tenant: intake(&row)?, secret_hash, kind, origins }))
        }) as BoxFuture<'_, Result<_, Error>>
    })
    .await
}

const FIND_TENANT: &str = concat!("SELECT ", intake_columns!(), " FROM platform.v_tenants_v1 WHERE tenant_id = $1");

/// How a tenant named by a bus message takes events.
pub async fn find_tenant(db: &Db, tenant: &TenantId) -> Result<Option<TenantIntake>, Error> {
    let tenant = tenant.clone();
    db.run_tx("find_tenant", Scope::System("look up the tenant of a bus message"), move |tx| {
        let tenant = tenant.clone();
        Box::pin(async move {
            let row = tx.query_opt(FIND_TENANT, &[&tenant.as_str()]).await?;
            row.map(|row| intake(&row)).transpose()
        }) as BoxFuture<'_, Result<_, Error>>
    })
    .await
}

/// See [`id_salt`].
pub const ID_SALT: &str = "SELECT s.id_salt FROM platform.v_id_salts_v1 s WHERE s.tenant_id = $1";

/// What the pseudonyms of a tenant's people are made with; asked in a transaction of the tenant.
pub async fn id_salt(tx: &Tx, tenant: &TenantId) -> Result<Salt, Error> {
    let row = tx.query_one(ID_SALT, &[&tenant.as_str()]).await?;
    Salt::new(row.try_get(0)?).ok_or_else(|| Error::Decode("the length of an id_salt".to_owned()))
}

/// The contact under which rows are: one whose id tells the person has a pseudonym, the same that ingest gives it. The salt is read
/// only for such; in a transaction of the tenant.
pub async fn stored_contact(
    tx: &Tx,
    tenant: &TenantId,
    contact: Option<&ContactId>,
) -> Result<Option<ContactId>, Error> {
    match contact {
        Some(contact) if tells_a_person(contact.as_str()) => {
            Ok(Some(id_salt(tx, tenant).await?.contact_id(contact).into_owned()))
        }
        contact => Ok(contact.cloned()),
    }
}

fn intake(row: &Row) -> Result<TenantIntake, Error> {
    let max_properties_bytes: i32 = row.try_get(2)?;
    Ok(TenantIntake {
        tenant_id: stored_tenant(row.try_get(0)?)?,
        taxonomy: row.try_get(1)?,
        max_properties_bytes: usize::try_from(max_properties_bytes)
            .map_err(|error| Error::Decode(error.to_string()))?,
        content_key: row.try_get(3)?,
        event_types_version: row.try_get(4)?,
        id_salt: row.try_get(5)?,
        redaction: row.try_get(6)?,
    })
}

fn stored_tenant(text: &str) -> Result<TenantId, Error> {
    TenantId::parse(text).map_err(|error| Error::Decode(error.to_string()))
}
