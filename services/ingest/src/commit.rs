//! One transaction for one folded batch: ids into the ledger, new events into the raw table, chunks
//! into the outbox. What the database refuses is searched out by halving, so that it stands alone.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use domain::event::event_time;
use domain::ids::{ContactId, TenantId};
use pg::{Db, Scope, Tx};
use time::OffsetDateTime;

use crate::batch::Outcome;
use crate::browser;
use crate::candidate::Candidate;
use crate::chunks;
use crate::store::events_raw::Timed;
use crate::store::{event_keys, events_raw, identity_links};

/// Stores candidates, unique and ascending by tenant and id; what became of each. Committed, or
/// given up, when it returns.
pub async fn store(db: &Db, candidates: Vec<Candidate>) -> Vec<Outcome> {
    let candidates: Arc<[Candidate]> = candidates.into();
    let mut outcomes = vec![Outcome::Unavailable; candidates.len()];
    let whole = 0..candidates.len();
    let mut open = vec![whole];
    while let Some(range) = open.pop() {
        match transaction(db, &candidates, range.clone()).await {
            Ok(committed) => {
                for (outcome, committed) in outcomes[range].iter_mut().zip(committed) {
                    *outcome = committed;
                }
            }
            Err(error) if error.is_data_error() => match halves(&range) {
                Some((first, second)) => open.extend([second, first]),
                None => {
                    refused(&candidates[range.start], &error);
                    outcomes[range.start] = Outcome::Refused;
                }
            },
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    events = range.len(),
                    "a batch could not be stored"
                );
                // The rest would only wait for the same database.
                break;
            }
        }
    }
    outcomes
}

fn halves(range: &Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let middle = range.start + range.len() / 2;
    (range.len() > 1).then_some((range.start..middle, middle..range.end))
}

fn refused(candidate: &Candidate, error: &pg::Error) {
    tracing::warn!(
        tenant = candidate.tenant_id.as_str(),
        event_id = %candidate.event_id,
        sqlstate = error.sqlstate().map(|state| state.code()),
        "the database refuses an event"
    );
}

async fn transaction(db: &Db, candidates: &Arc<[Candidate]>, range: Range<usize>) -> Result<Vec<Outcome>, pg::Error> {
    let (db, candidates) = (db.clone(), Arc::clone(candidates));
    let runner = db.clone();
    runner
        .run_tx("store_events", Scope::System("store events"), move |tx| {
            let (db, candidates, range) = (db.clone(), Arc::clone(&candidates), range.clone());
            Box::pin(async move { store_in(&db, tx, &candidates[range]).await })
        })
        .await
}

/// One flight stores what nobody has stored before, and all that is to be told of it, whosever it is. Only where ids were taken is
/// there a second: it tells of those that were free, and asks for the content of the others.
async fn store_in(db: &Db, tx: &Tx, candidates: &[Candidate]) -> Result<Vec<Outcome>, pg::Error> {
    let received_at = tx.now().await?;
    let mut outcomes = vec![Outcome::TooOld; candidates.len()];
    let linked = linked(tx, candidates).await?;
    let timed = candidates.iter().map(|event| timed(event, &linked, received_at)).enumerate();
    let (places, events): (Vec<usize>, Vec<Timed<'_>>) =
        timed.filter(|(_, event)| !is_too_old(event, received_at)).unzip();
    if events.is_empty() {
        return Ok(outcomes);
    }
    for place in &places {
        outcomes[*place] = Outcome::New;
    }
    let messages = chunks::messages(received_at, &events);
    let taken = events_raw::store(tx, received_at, &events, &messages).await?;
    if taken.is_empty() {
        return Ok(outcomes);
    }

    let (old, new): (Vec<_>, Vec<_>) = events.iter().enumerate().partition(|(place, _)| taken.contains(place));
    let new: Vec<Timed<'_>> = new.into_iter().map(|(_, event)| *event).collect();
    db.add_to_outbox(tx, chunks::messages(received_at, &new)).await?;
    let asked: Vec<&Candidate> = old.iter().map(|(_, event)| event.candidate).collect();
    let hashes = event_keys::content_hashes(tx, &asked).await?;
    for ((place, _), hash) in old.into_iter().zip(hashes) {
        outcomes[places[place]] = hash.map_or(Outcome::Gone, Outcome::Existing);
    }
    Ok(outcomes)
}

/// The contacts whom users are.
type Linked<'a> = HashMap<(&'a TenantId, &'a str), ContactId>;

/// Whom an event is stored as one of by its user alone.
fn anonymous(candidate: &Candidate) -> Option<(&TenantId, &str)> {
    let user = candidate.user_id.as_deref().filter(|_| candidate.contact_id.is_none())?;
    Some((&candidate.tenant_id, user))
}

/// The contacts that those are linked to who name none. Looked up by each transaction that stores, so that a link holds from its
/// answer on, whichever process is asked; where every event names its contact, or no user, nothing is.
async fn linked<'a>(tx: &Tx, candidates: &'a [Candidate]) -> Result<Linked<'a>, pg::Error> {
    let users: BTreeSet<_> = candidates.iter().filter_map(anonymous).collect();
    if users.is_empty() {
        return Ok(Linked::new());
    }
    let users: Vec<_> = users.into_iter().collect();
    let contacts = identity_links::live(tx, &users).await?;
    Ok(users.into_iter().zip(contacts).filter_map(|(user, contact)| Some((user, contact?))).collect())
}

fn timed<'a>(candidate: &'a Candidate, linked: &'a Linked<'_>, received_at: OffsetDateTime) -> Timed<'a> {
    let (event_time, time_clamped) = event_time(candidate.occurred_at, candidate.sent_at, received_at);
    let contact_id = candidate.contact_id.as_ref().or_else(|| linked.get(&anonymous(candidate)?));
    Timed { candidate, contact_id, event_time, time_clamped }
}

fn is_too_old(event: &Timed<'_>, received_at: OffsetDateTime) -> bool {
    event.candidate.from_browser && browser::is_too_old(event.event_time, received_at)
}
