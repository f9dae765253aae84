//! Who sends: write tokens of the HTTP door, tenants named by bus messages. Remembered for a few
//! seconds, so that a revocation holds everywhere within five.

use std::sync::Arc;

use domain::ids::TenantId;
use domain::origin::OriginPattern;
use domain::outbox::BoxError;
use pg::Db;
use pg::credentials::{TenantIntake, find_tenant, find_write_token};
use web::LookupLimits;
use web::secret::{Prefix, Presented, verify};

use crate::door::Tenant;
use crate::error::Error;
use crate::own_types::Memory;
use crate::settings::Lookup;

/// The kind of a write token that is kept secret; every other is public.
const SERVER: &str = "server";

/// The senders of this process.
pub struct Senders {
    tokens: web::Lookup<Arc<Token>>,
    tenants: web::Lookup<Arc<Tenant>>,
}

/// A live write token.
pub struct Token {
    secret_hash: Vec<u8>,
    /// Of a browser token: whose pages may use it.
    pub origins: Option<Vec<OriginPattern>>,
    pub tenant: Arc<Tenant>,
}

impl Senders {
    /// Looks up in `db`.
    pub fn new(db: &Db, settings: Lookup) -> Self {
        let limits = LookupLimits {
            ttl_ms: settings.keep_ms,
            wait_ms: settings.timeout_ms,
            found: settings.max_entries,
            missed: settings.max_entries,
            ..LookupLimits::default()
        };
        // A tenant is asked for by messages that die without it: one that was just made must be found.
        let of_tenants = LookupLimits { missed: 0, ..limits };
        let types = Memory::new(db);
        let (for_tokens, for_tenants) = ((db.clone(), types.clone()), (db.clone(), types));
        Self {
            tokens: web::Lookup::new(limits, move |id| Box::pin(token(for_tokens.clone(), id))),
            tenants: web::Lookup::new(of_tenants, move |id| Box::pin(tenant(for_tenants.clone(), id))),
        }
    }

    /// The public id of this live write token, and what it is good for.
    pub async fn authenticate(&self, presented: &str) -> Result<(String, Arc<Token>), Error> {
        let presented = Presented::parse(presented)
            .filter(|presented| presented.prefix == Prefix::WriteToken)
            .ok_or(Error::InvalidCredentials)?;
        let token = self.tokens.get(&presented.id).await.map_err(|_| Error::CredentialsUnavailable)?;
        // An unknown id is compared with something too, so that it takes as long.
        let stored: &[u8] = token.as_ref().map_or(&[0; 32], |token| token.secret_hash.as_slice());
        let same = verify(&presented.hash, stored);
        let token = token.filter(|_| same).ok_or(Error::InvalidCredentials)?;
        Ok((presented.id, token))
    }

    /// The tenant with this id, if there is one.
    pub async fn tenant(&self, tenant_id: &TenantId) -> Result<Option<Arc<Tenant>>, Error> {
        self.tenants.get(tenant_id.as_str()).await.map_err(|_| Error::StorageAway)
    }
}

async fn token((db, types): (Db, Memory), id: String) -> Result<Option<Arc<Token>>, BoxError> {
    let Some(found) = find_write_token(&db, &id).await? else {
        return Ok(None);
    };
    let from_browser = found.kind != SERVER;
    // A pattern that cannot be read admits nobody.
    let origins =
        from_browser.then(|| found.origins.iter().filter_map(|text| OriginPattern::parse(text).ok()).collect());
    let tenant = Tenant { from_browser, ..with_types(&types, found.tenant).await? };
    Ok(Some(Arc::new(Token { secret_hash: found.secret_hash, origins, tenant: Arc::new(tenant) })))
}

async fn tenant((db, types): (Db, Memory), id: String) -> Result<Option<Arc<Tenant>>, BoxError> {
    let Some(found) = find_tenant(&db, &TenantId::parse(&id)?).await? else {
        return Ok(None);
    };
    Ok(Some(Arc::new(with_types(&types, found).await?)))
}

/// Its own types come with the tenant, so no request waits for them but the one that looks the tenant up.
async fn with_types(types: &Memory, found: TenantIntake) -> Result<Tenant, pg::Error> {
    let own_types = types.of(&found.tenant_id, found.event_types_version).await?;
    Tenant::new(found, own_types)
}
