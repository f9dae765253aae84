//! API keys, as the web crate asks for them.

use domain::outbox::{BoxError, BoxFuture};
use pg::Db;
use web::{KeyStore, StoredKey};

/// Looks keys up in the database.
pub struct PgKeys(pub Db);

impl KeyStore for PgKeys {
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<StoredKey>, BoxError>> {
        Box::pin(async move {
            let Some(key) = pg::credentials::find_api_key(&self.0, id).await? else {
                return Ok(None);
            };
            let hash = key.secret_hash.as_slice().try_into()?;
            Ok(Some(StoredKey {
                hash,
                tenant: key.tenant,
                role: key.role.parse()?,
            }))
        })
    }
}
