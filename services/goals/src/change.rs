//! A change of a tenant's configuration: one transaction that holds the change, what is told about it and its audit rows, and
//! raises the tenant's epoch as its last statement if anything changed.

use std::sync::{Arc, Mutex, PoisonError};

use domain::ids::TenantId;
use domain::once::{Answered, Once};
use domain::outbox::{BoxFuture, NewMessage};
use pg::{Db, Scope, Tx};
use serde::Serialize;
use web::{IfMatch, Versioned};

use crate::error::Error;
use crate::store::audit::{self, NewEntry};
use crate::store::epochs;

/// Who changes whose configuration, and in which trace.
#[derive(Debug, Clone)]
pub struct Author {
    pub tenant: TenantId,
    /// `key:<id>`, `jwt:<subject>` or `bus:<message id>`, as the audit log names it.
    pub actor: String,
    pub traceparent: Option<String>,
}

/// What is to be changed, and of which versions.
#[derive(Debug, Clone)]
pub struct Target<I> {
    pub id: I,
    pub if_match: IfMatch,
}

impl<I> Target<I> {
    /// Refuses to change another version than the caller has seen. `object` was read under the lock that its writers take.
    pub fn check<T: Versioned>(&self, object: Option<&T>) -> Result<(), Error> {
        let version = object.map(Versioned::version);
        if self.if_match.allows(version) { Ok(()) } else { Err(Error::VersionConflict(version)) }
    }
}

/// A change under way.
pub struct Change<'t> {
    pub tx: &'t Tx,
    pub author: &'t Author,
    db: &'t Db,
    noted: Mutex<Vec<NewEntry>>,
}

impl Change<'_> {
    pub fn tenant(&self) -> &TenantId {
        &self.author.tenant
    }

    /// Notes what was changed, for the audit log. Without a note nothing counts as changed.
    pub fn record(&self, entries: impl IntoIterator<Item = NewEntry>) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).extend(entries);
    }

    /// Lets the bus know, once this has committed.
    pub async fn tell(&self, messages: Vec<NewMessage>) -> Result<(), Error> {
        Ok(self.db.add_to_outbox(self.tx, messages).await?)
    }

    /// Writes what was noted and raises the epoch. The tenant's epoch and the head of its audit log are held from here to the
    /// commit, in this order in every change: a writer of the directory holds the epoch already.
    async fn end(self) -> Result<(), Error> {
        let noted = self.noted.into_inner().unwrap_or_else(PoisonError::into_inner);
        if noted.is_empty() {
            return Ok(());
        }
        let Author { tenant, actor, .. } = self.author;
        epochs::lock(self.tx, tenant).await?;
        audit::insert(self.tx, tenant, actor, &noted).await?;
        Ok(epochs::raise(self.tx, tenant).await?)
    }
}

/// Runs `work` as one change. It may be run again, whole, so it has no effect but through the transaction.
pub async fn change<T, F>(db: &Db, name: &'static str, author: &Author, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: for<'c> Fn(&'c Change<'c>) -> BoxFuture<'c, Result<T, Error>> + Send + Sync + 'static,
{
    let scope = Scope::Tenant(author.tenant.clone());
    let shared = Arc::new((db.clone(), author.clone(), work));
    db.run_tx(name, scope, move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (db, author, work) = &*shared;
            let change = Change { tx, author, db, noted: Mutex::default() };
            let value = work(&change).await?;
            change.end().await?;
            Ok(value)
        })
    })
    .await
}

/// The same for a request that is carried out once; what it is answered is kept before the epoch is raised.
pub async fn change_once<T, F>(
    db: &Db,
    name: &'static str,
    author: &Author,
    once: Once<T>,
    work: F,
) -> Result<Answered<T>, Error>
where
    T: Send + 'static,
    F: for<'c> Fn(&'c Change<'c>) -> BoxFuture<'c, Result<T, Error>> + Send + Sync + 'static,
{
    let scope = Scope::Tenant(author.tenant.clone());
    let shared = Arc::new((db.clone(), author.clone(), once, work));
    db.run_tx(name, scope, move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (db, author, once, work) = &*shared;
            if let Some(answer) = db.answered_before(tx, &once.asked).await? {
                return Ok(Answered::Before(answer));
            }
            let change = Change { tx, author, db, noted: Mutex::default() };
            let value = work(&change).await?;
            let answer = (once.answer)(&value);
            db.keep_answer(tx, &once.asked, &answer).await?;
            change.end().await?;
            Ok(Answered::Now(value))
        })
    })
    .await
}

/// The audit entry of one object, as it was and as it is.
pub fn entry<T: Serialize>(
    action: &'static str,
    (object_type, object_id): (&'static str, String),
    before: Option<&T>,
    after: Option<&T>,
) -> Result<NewEntry, Error> {
    let text = |object: Option<&T>| {
        let text = object.map(serde_json::to_string).transpose();
        text.map_err(|error| pg::Error::Decode(error.to_string()))
    };
    Ok(NewEntry { action, object_type, object_id, before: text(before)?, after: text(after)? })
}
