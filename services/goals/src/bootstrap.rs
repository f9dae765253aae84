//! Making tenants and credentials on the database itself, without HTTP: the first operator's key, the tenant of `goalpost dev`,
//! the commands `goalpost tenant | token | key`. Everything may be repeated.

use domain::ids::TenantId;
use domain::once::Asked;
use domain::origin::OriginPattern;
use pg::{Db, Scope};
use std::sync::Arc;
use web::secret::{Minted, Prefix, Presented, mint};

use crate::api::made;
use crate::change::Author;
use crate::credentials::{self, BROWSER, SERVER};
use crate::error::Error;
use crate::store::credentials::{Grants, NewCredential};
use crate::tenants::{self, NewTenant, SettingsPatch};

pub use crate::store::credentials::{Credential, Table};
pub use web::Role;

/// Who the audit log says it was.
pub const ACTOR: &str = "bootstrap";

/// A credential that is there now.
#[derive(Clone)]
pub struct Issued {
    /// Its public id.
    pub id: String,
    /// The whole secret.
    pub secret: String,
    /// Whether it was made just now.
    pub created: bool,
}

/// Makes a tenant with default settings, unless there is one. Whether it was made just now.
///
/// # Errors
/// The database.
pub async fn tenant(db: &Db, tenant: &TenantId, name: Option<&str>) -> Result<bool, Error> {
    let new =
        NewTenant { tenant_id: tenant.clone(), name: name.map(str::to_owned), settings: SettingsPatch::default() };
    match tenants::create(db, ACTOR, new, Asked::unnamed(None).answering(made)).await {
        Ok(_) => Ok(true),
        Err(Error::TenantExists(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a write token; the `known` secret if one is given, which may be there already.
///
/// # Errors
/// No such tenant, too many live tokens, a known secret that is none or is somebody else's.
pub async fn write_token(db: &Db, tenant: &TenantId, known: Option<&str>) -> Result<Issued, Error> {
    let grants = Grants::Kind(SERVER.to_owned());
    issue(db, Some(tenant), (grants, Vec::new()), secret(Prefix::WriteToken, known)?).await
}

/// Makes a write token for pages of these origins.
///
/// # Errors
/// No such tenant, too many live tokens.
pub async fn browser_token(db: &Db, tenant: &TenantId, origins: &[OriginPattern]) -> Result<Issued, Error> {
    let origins = origins.iter().map(|origin| origin.as_str().to_owned()).collect();
    let grants = Grants::Kind(BROWSER.to_owned());
    issue(db, Some(tenant), (grants, origins), mint(Prefix::WriteToken)).await
}

/// Makes an API key of a tenant; the `known` secret if one is given, which may be there already.
///
/// # Errors
/// No such tenant, a known secret that is none or is somebody else's, the role `operator`.
pub async fn api_key(db: &Db, tenant: &TenantId, role: Role, known: Option<&str>) -> Result<Issued, Error> {
    if role == Role::Operator {
        return Err(Error::InvalidSecret("an operator's key belongs to no tenant"));
    }
    let grants = Grants::Role(role.as_str().to_owned());
    issue(db, Some(tenant), (grants, Vec::new()), secret(Prefix::ApiKey, known)?).await
}

/// Makes an operator's key; the `known` secret if one is given, which may be there already.
///
/// # Errors
/// A known secret that is none or is somebody else's.
pub async fn operator_key(db: &Db, known: Option<&str>) -> Result<Issued, Error> {
    let grants = Grants::Role(Role::Operator.as_str().to_owned());
    issue(db, None, (grants, Vec::new()), secret(Prefix::ApiKey, known)?).await
}

/// The most that one look-up reads.
const PAGE: i64 = 200;

/// All of a tenant's credentials of one table, revoked and expired ones too, newest first.
///
/// # Errors
/// No such tenant.
pub async fn issued(db: &Db, tenant: &TenantId, table: Table) -> Result<Vec<Credential>, Error> {
    let author = author(tenant);
    let mut all: Vec<Credential> = Vec::new();
    loop {
        let before = all.last().map(|last| (last.created_at, last.id.clone()));
        let page = credentials::list(db, table, &author, false, (before, PAGE)).await?;
        let is_last = i64::try_from(page.len()).is_ok_and(|length| length < PAGE);
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// Revokes one of a tenant's credentials; once more changes nothing.
///
/// # Errors
/// No such credential.
pub async fn revoke(db: &Db, tenant: &TenantId, table: Table, id: &str) -> Result<(), Error> {
    credentials::revoke(db, &author(tenant), table, id).await
}

fn author(tenant: &TenantId) -> Author {
    Author { tenant: tenant.clone(), actor: ACTOR.to_owned(), traceparent: None }
}

/// A new secret, or the known one taken apart.
fn secret(prefix: Prefix, known: Option<&str>) -> Result<Minted, Error> {
    let Some(text) = known else {
        return Ok(mint(prefix));
    };
    let presented = Presented::parse(text).filter(|presented| presented.prefix == prefix);
    let Presented { id, hash, .. } =
        presented.ok_or(Error::InvalidSecret("the known secret has not the form of one"))?;
    Ok(Minted { id, text: text.to_owned(), hash })
}

async fn issue(
    db: &Db,
    tenant: Option<&TenantId>,
    (grants, origins): (Grants, Vec<String>),
    minted: Minted,
) -> Result<Issued, Error> {
    let new = Arc::new(NewCredential {
        id: minted.id.clone(),
        tenant: tenant.cloned(),
        grants,
        origins,
        secret_hash: minted.hash,
        created_by: ACTOR.to_owned(),
        expires_at: None,
    });
    let created = db.run_tx("bootstrap_credential", Scope::System("make a credential"), move |tx| {
        let new = Arc::clone(&new);
        Box::pin(async move {
            if Table::is_kept(tx, &new).await? {
                return Ok(false);
            }
            credentials::add(tx, &new).await.map(|_| true)
        })
    });
    Ok(Issued { created: created.await?, id: minted.id, secret: minted.text })
}
