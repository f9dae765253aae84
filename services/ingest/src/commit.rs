//! One transaction for one folded batch: ids into the ledger, new events into the raw table, chunks
//! into the outbox. What the database refuses is searched out by halving, so that it stands alone.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use domain::event::event_time;
use domain::ids::{EventId, TenantId};
use futures_util::future::{BoxFuture, try_join_all};
use pg::{Db, Scope, Tx};
use time::OffsetDateTime;

use crate::batch::Outcome;
use crate::candidate::Candidate;
use crate::chunks;
use crate::store::events_raw::Timed;
use crate::store::{self, event_keys, events_raw};

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
    let Some(first) = candidates[range.clone()].first() else {
        return Ok(Vec::new());
    };
    let scope = Scope::Tenant(first.tenant_id.clone());
    let (db, candidates) = (db.clone(), Arc::clone(candidates));
    let runner = db.clone();
    runner
        .run_tx("store_events", scope, move |tx| {
            let (db, candidates, range) = (db.clone(), Arc::clone(&candidates), range.clone());
            Box::pin(async move { store_in(&db, tx, &candidates[range]).await })
        })
        .await
}

/// Two flights: what does not depend on an answer goes out together.
async fn store_in(db: &Db, tx: &Tx, candidates: &[Candidate]) -> Result<Vec<Outcome>, pg::Error> {
    let of_tenants: Vec<&[Candidate]> = candidates.chunk_by(|one, next| one.tenant_id == next.tenant_id).collect();
    tx.prepare(&store::STATEMENTS).await?;
    db.prepare_outbox(tx).await?;
    // The transaction was opened as the first tenant; it has to be switched only where there are more.
    let switch = of_tenants.len() > 1;

    let keys = of_tenants.iter().map(|events| -> BoxFuture<'_, _> { Box::pin(take_ids(tx, events, switch)) });
    let (received_at, free) = futures_util::try_join!(tx.now(), try_join_all(keys))?;

    let stored = of_tenants.iter().zip(&free).map(|(events, free)| -> BoxFuture<'_, _> {
        let flight = Flight { db, tx, switch, received_at };
        Box::pin(flight.store_tenant(events, free))
    });
    try_join_all(stored).await.map(|outcomes| outcomes.concat())
}

async fn enter(tx: &Tx, tenant_id: &TenantId, switch: bool) -> Result<(), pg::Error> {
    if switch { tx.enter(tenant_id).await } else { Ok(()) }
}

async fn take_ids(tx: &Tx, events: &[Candidate], switch: bool) -> Result<HashSet<EventId>, pg::Error> {
    let Some(tenant_id) = events.first().map(|event| &event.tenant_id) else {
        return Ok(HashSet::new());
    };
    let both =
        async { futures_util::try_join!(enter(tx, tenant_id, switch), event_keys::insert(tx, tenant_id, events)) };
    both.await.map(|((), free)| free)
}

/// The second flight: everything that needs to know which ids were free.
#[derive(Clone, Copy)]
struct Flight<'a> {
    db: &'a Db,
    tx: &'a Tx,
    switch: bool,
    received_at: OffsetDateTime,
}

impl Flight<'_> {
    async fn store_tenant(self, events: &[Candidate], free: &HashSet<EventId>) -> Result<Vec<Outcome>, pg::Error> {
        let Self { db, tx, switch, received_at } = self;
        let Some(tenant_id) = events.first().map(|event| &event.tenant_id) else {
            return Ok(Vec::new());
        };
        let new: Vec<Timed<'_>> = events
            .iter()
            .filter(|event| free.contains(&event.event_id))
            .map(|event| timed(event, received_at))
            .collect();
        let taken: Vec<_> =
            events.iter().map(|event| event.event_id).filter(|id| !free.contains(id)).map(EventId::as_uuid).collect();
        let messages = chunks::messages(tenant_id, received_at, &new);
        let ((), (), (), hashes) = futures_util::try_join!(
            enter(tx, tenant_id, switch),
            events_raw::insert(tx, tenant_id, received_at, &new),
            db.add_to_outbox(tx, &messages),
            event_keys::content_hashes(tx, tenant_id, &taken),
        )?;
        let outcome = |event: &Candidate| match hashes.get(&event.event_id) {
            _ if free.contains(&event.event_id) => Outcome::New,
            Some(stored) => Outcome::Existing(*stored),
            None => Outcome::Gone,
        };
        Ok(events.iter().map(outcome).collect())
    }
}

fn timed(candidate: &Candidate, received_at: OffsetDateTime) -> Timed<'_> {
    let (event_time, time_clamped) = event_time(candidate.occurred_at, candidate.sent_at, received_at);
    Timed { candidate, event_time, time_clamped }
}
