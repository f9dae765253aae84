//! The dead letters of all services: looked at, given again, thrown away. Over HTTP and by `goalpost dead-letters`, the same way.
//!
//! A settled letter and its audit entries are one transaction. The entries are in the log of the letter's tenant, or in the
//! installation's where it has none, or one that is not here.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use domain::dead_letter::{LetterId, Schema};
use domain::ids::TenantId;
use pg::{Db, Scope, Tx};

use crate::change::entry;
use crate::error::Error;
use crate::store::audit::{self, NewEntry};
use crate::store::{dead_letters, tenants};

pub use crate::store::dead_letters::{Content, Filter, Letter, Place, Settle};

/// Most letters that one request settles: each is an audit entry, and all are one transaction.
pub const MOST: usize = 500;

const OBJECT: &str = "dead_letter";

/// Those that the filter takes, seen last first; at most `limit`, behind the place `after`.
///
/// # Errors
/// The database.
pub async fn list(db: &Db, filter: Filter, after: Option<Place>, limit: i64) -> Result<Vec<Letter>, Error> {
    let filter = Arc::new(filter);
    db.run_tx("list_dead_letters", Scope::System("list dead letters"), move |tx| {
        let filter = Arc::clone(&filter);
        Box::pin(async move { Ok(dead_letters::find(tx, &filter, after, limit).await?) })
    })
    .await
}

/// A letter with what it says. That somebody looked at what it says (`reads`) is audited.
///
/// # Errors
/// No such letter.
pub async fn find(db: &Db, actor: &str, id: LetterId, reads: bool) -> Result<(Letter, Content), Error> {
    let actor: Arc<str> = actor.into();
    db.run_tx("find_dead_letter", Scope::System("look at a dead letter"), move |tx| {
        let actor = Arc::clone(&actor);
        Box::pin(async move {
            let letter = dead_letters::find_named(tx, &[id]).await?.pop().ok_or(Error::NotFound)?;
            let content = dead_letters::content(tx, id).await?.ok_or(Error::NotFound)?;
            if reads {
                note(tx, &actor, Done::Read, std::slice::from_ref(&letter)).await?;
            }
            Ok((letter, content))
        })
    })
    .await
}

/// Which letters are meant.
#[derive(Debug, Clone)]
pub enum Which {
    /// These, at most [`MOST`].
    Named(Vec<LetterId>),
    /// Those that the filter takes; of more than [`MOST`], those that were seen last.
    Taken(Filter),
}

/// What was settled, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    pub letters: Vec<LetterId>,
    /// Named, and not there.
    pub missing: Vec<LetterId>,
    /// Whether the filter takes others, too.
    pub more: bool,
}

/// Settles letters. With `dry_run` nothing is changed, and nothing audited.
///
/// # Errors
/// The database; then all stay as they were.
pub async fn settle(db: &Db, actor: &str, how: Settle, which: Which, dry_run: bool) -> Result<Settled, Error> {
    let shared = Arc::new((actor.to_owned(), which));
    db.run_tx("settle_dead_letters", Scope::System("settle dead letters"), move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (actor, which) = &*shared;
            let (mut letters, more) = asked(tx, which).await?;
            if !dry_run {
                letters = settled(tx, actor, how, letters).await?;
            }
            let letters: Vec<LetterId> = letters.iter().map(Letter::letter_id).collect();
            let missing = match which {
                Which::Named(ids) => ids.iter().filter(|id| !letters.contains(id)).copied().collect(),
                Which::Taken(_) => Vec::new(),
            };
            Ok(Settled { letters, missing, more })
        })
    })
    .await
}

/// The letters that are meant, and whether there are more of them.
async fn asked(tx: &Tx, which: &Which) -> Result<(Vec<Letter>, bool), Error> {
    match which {
        Which::Named(ids) => Ok((dead_letters::find_named(tx, ids).await?, false)),
        Which::Taken(filter) => {
            let limit = i64::try_from(MOST + 1).unwrap_or(i64::MAX);
            let mut found = dead_letters::find(tx, filter, None, limit).await?;
            let more = found.len() > MOST;
            found.truncate(MOST);
            Ok((found, more))
        }
    }
}

/// Settles them and audits it; those that were still there.
async fn settled(tx: &Tx, actor: &str, how: Settle, letters: Vec<Letter>) -> Result<Vec<Letter>, Error> {
    let mut there = HashSet::new();
    for &schema in Schema::ALL {
        let mut numbers: Vec<i64> =
            letters.iter().filter(|letter| letter.schema == schema).map(|letter| letter.id).collect();
        if numbers.is_empty() {
            continue;
        }
        numbers.sort_unstable();
        let settled = dead_letters::settle(tx, how, schema, &numbers).await?;
        there.extend(settled.into_iter().map(|number| LetterId { schema, number }));
    }
    let letters: Vec<Letter> = letters.into_iter().filter(|letter| there.contains(&letter.letter_id())).collect();
    note(tx, actor, Done::Settled(how), &letters).await?;
    if how == Settle::Requeue {
        tx.note_outbox_written();
    }
    Ok(letters)
}

/// What was done with a letter.
#[derive(Clone, Copy)]
enum Done {
    Read,
    Settled(Settle),
}

impl Done {
    /// The entry of a letter, which stays when it was only read.
    fn entry(self, letter: &Letter) -> Result<NewEntry, Error> {
        let (action, after) = match self {
            Self::Read => ("dead_letter.read", Some(letter)),
            Self::Settled(Settle::Requeue) => ("dead_letter.requeued", None),
            Self::Settled(Settle::Discard) => ("dead_letter.discarded", None),
        };
        entry(action, (OBJECT, letter.letter_id().to_string()), Some(letter), after)
    }
}

/// Audits what was done with letters, log by log in one order for everybody: the head of each is held to the commit.
async fn note(tx: &Tx, actor: &str, done: Done, letters: &[Letter]) -> Result<(), Error> {
    let named: Vec<TenantId> =
        letters.iter().filter_map(|letter| TenantId::parse(letter.tenant_id.as_deref()?).ok()).collect();
    let here = tenants::of_these(tx, &named).await?;
    let mut logs: BTreeMap<Option<&TenantId>, Vec<NewEntry>> = BTreeMap::new();
    for letter in letters {
        let tenant = here.iter().find(|tenant| Some(tenant.as_str()) == letter.tenant_id.as_deref());
        logs.entry(tenant).or_default().push(done.entry(letter)?);
    }
    for (tenant, entries) in logs {
        match tenant {
            Some(tenant) => audit::insert(tx, tenant, actor, &entries).await?,
            None => audit::insert_of_installation(tx, actor, &entries).await?,
        }
    }
    Ok(())
}

/// Bytes that are no text, as they are told.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
