//! The reference directory: what goals may point at, kept current by the modules that own those things.

use std::sync::Arc;

use domain::goal::ReferenceKind;
use domain::ids::TenantId;
use domain::once::{Answered, Once};
use pg::{Db, Scope};

use crate::change::{Author, Change, change, change_once, entry};
use crate::error::Error;
use crate::store::directory::{self, Key, NewReference, Reference};
use crate::store::epochs;

const OBJECT: &str = "reference";

fn object((kind, id): &Key) -> (&'static str, String) {
    (OBJECT, format!("{kind}/{id}"))
}

/// Adds or replaces references, all or none; answered in the given order. What is the same already is left alone.
/// No key may be given twice.
pub async fn put(db: &Db, author: &Author, references: Vec<NewReference>) -> Result<Vec<Reference>, Error> {
    let references = Arc::new(references);
    change(db, "put_references", author, move |change| {
        let references = Arc::clone(&references);
        Box::pin(async move { put_in(change, &references).await })
    })
    .await
}

/// Adds or replaces one reference, once.
pub async fn put_one(
    db: &Db,
    author: &Author,
    reference: NewReference,
    once: Once<Reference>,
) -> Result<Answered<Reference>, Error> {
    let references = Arc::new([reference]);
    change_once(db, "put_reference", author, once, move |change| {
        let references = Arc::clone(&references);
        Box::pin(async move { put_in(change, &*references).await?.pop().ok_or(Error::NotFound) })
    })
    .await
}

async fn put_in(change: &Change<'_>, references: &[NewReference]) -> Result<Vec<Reference>, Error> {
    let (tx, tenant) = (change.tx, change.tenant());
    epochs::lock(tx, tenant).await?;
    let keys: Vec<Key> = references.iter().map(NewReference::key).collect();
    let mut there = directory::find(tx, tenant, &keys).await?;
    let different: Vec<&NewReference> =
        references.iter().filter(|new| !there.get(&new.key()).is_some_and(|kept| new.is(kept))).collect();
    let put = directory::put(tx, tenant, &different).await?;
    let mut entries = Vec::with_capacity(put.len());
    for new in different {
        let key = new.key();
        let (before, after) = (there.get(&key), put.get(&key));
        let action = if before.is_some() { "reference.updated" } else { "reference.created" };
        entries.push(entry(action, object(&key), before, after)?);
    }
    change.record(entries);
    there.extend(put);
    Ok(keys.iter().filter_map(|key| there.get(key).cloned()).collect())
}

/// One reference.
pub async fn find(db: &Db, tenant: &TenantId, key: Key) -> Result<Reference, Error> {
    let shared = Arc::new((tenant.clone(), [key]));
    db.run_tx("find_reference", Scope::Tenant(tenant.clone()), move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (tenant, keys) = &*shared;
            directory::find(tx, tenant, keys).await?.into_values().next().ok_or(Error::NotFound)
        })
    })
    .await
}

/// A page of references by kind and id.
pub async fn list(
    db: &Db,
    tenant: &TenantId,
    kind: Option<ReferenceKind>,
    after: (String, String),
    limit: i64,
) -> Result<Vec<Reference>, Error> {
    let shared = Arc::new((tenant.clone(), after));
    db.run_tx("list_references", Scope::Tenant(tenant.clone()), move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move { Ok(directory::list(tx, &shared.0, kind, &shared.1, limit).await?) })
    })
    .await
}

/// Removes a reference, once. Goals may point at it: they stay, and their workflow's next activation is refused.
pub async fn delete(db: &Db, author: &Author, key: Key, once: Once<()>) -> Result<Answered<()>, Error> {
    let key = Arc::new(key);
    change_once(db, "delete_reference", author, once, move |change| {
        let key = Arc::clone(&key);
        Box::pin(async move {
            epochs::lock(change.tx, change.tenant()).await?;
            let before = directory::delete(change.tx, change.tenant(), &key).await?.ok_or(Error::NotFound)?;
            change.record([entry("reference.deleted", object(&key), Some(&before), None)?]);
            Ok(())
        })
    })
    .await
}
