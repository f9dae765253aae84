//! Write tokens and API keys: minted, listed, revoked. A secret is shown to whoever has it made, once, and kept as its hash.

use std::sync::Arc;

use domain::fault::Fault;
use domain::once::{Answered, Once};
use pg::{Db, Scope, Tx};
use time::OffsetDateTime;

use crate::change::{Author, entry};
use crate::error::Error;
use crate::store::credentials::{Credential, NewCredential, Table};
use crate::store::{audit, tenants};
use crate::tenants::note_operator;

/// The kind of a write token that is kept secret.
pub const SERVER: &str = "server";
/// The kind of one that stands in web pages.
pub const BROWSER: &str = "browser";
/// Two of each kind, so that one can be exchanged for the other without a gap.
pub const MOST_LIVE_TOKENS: i64 = 2;

impl Table {
    /// What the audit log calls one of it.
    fn object(self) -> &'static str {
        match self {
            Self::WriteTokens => "write_token",
            Self::ApiKeys => "api_key",
        }
    }
}

/// Keeps a credential and audits it. The tenant's row is held meanwhile, so that two that are made at once see each other.
pub async fn add(tx: &Tx, new: &NewCredential) -> Result<Credential, Error> {
    if let Some(tenant) = &new.tenant {
        if !tenants::lock(tx, tenant).await? {
            return Err(Error::NotFound);
        }
        let table = new.grants.table();
        if table == Table::WriteTokens && Table::count_live(tx, tenant, &new.grants).await? >= MOST_LIVE_TOKENS {
            return Err(Error::TooManyLiveTokens);
        }
    }
    let now = tx.now().await?;
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(Fault::at("expires_at", "invalid_value", "must be in the future").into());
    }
    let made = Table::insert(tx, new).await?.ok_or_else(|| Error::CredentialTaken(new.id.clone()))?;
    if let Some(tenant) = &new.tenant {
        let table = new.grants.table();
        let action = match table {
            Table::WriteTokens => "write_token.created",
            Table::ApiKeys => "api_key.created",
        };
        let noted = entry(action, (table.object(), made.id.clone()), None, Some(&made))?;
        audit::insert(tx, tenant, &new.created_by, &[noted]).await?;
    }
    Ok(made)
}

/// Keeps a credential.
pub async fn create(db: &Db, new: NewCredential, once: Once<Credential>) -> Result<Answered<Credential>, Error> {
    let new = Arc::new(new);
    db.run_once("create_credential", Scope::System("make a credential"), once, move |tx| {
        let new = Arc::clone(&new);
        Box::pin(async move { add(tx, &new).await })
    })
    .await
}

/// A page of a tenant's credentials, newest first. That an operator looked is audited.
pub async fn list(
    db: &Db,
    table: Table,
    author: &Author,
    is_operator: bool,
    (before, limit): (Option<(OffsetDateTime, String)>, i64),
) -> Result<Vec<Credential>, Error> {
    let shared = Arc::new((author.clone(), before));
    db.run_tx("list_credentials", Scope::System("list a tenant's credentials"), move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (author, before) = &*shared;
            tenants::find(tx, &author.tenant).await?.ok_or(Error::NotFound)?;
            if is_operator {
                note_operator(tx, author, table.object()).await?;
            }
            Ok(table.list(tx, &author.tenant, before.clone(), limit).await?)
        })
    })
    .await
}

/// Revokes a credential; once more changes nothing.
pub async fn revoke(db: &Db, author: &Author, table: Table, id: &str) -> Result<(), Error> {
    let shared = Arc::new((author.clone(), id.to_owned()));
    db.run_tx("revoke_credential", Scope::System("revoke a credential"), move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (author, id) = &*shared;
            let before = table.find(tx, &author.tenant, id).await?.ok_or(Error::NotFound)?;
            if before.revoked_at.is_some() {
                return Ok(());
            }
            let after = table.revoke(tx, &author.tenant, id).await?;
            let action = match table {
                Table::WriteTokens => "write_token.revoked",
                Table::ApiKeys => "api_key.revoked",
            };
            let noted = entry(action, (table.object(), id.clone()), Some(&before), Some(&after))?;
            Ok(audit::insert(tx, &author.tenant, &author.actor, &[noted]).await?)
        })
    })
    .await
}
