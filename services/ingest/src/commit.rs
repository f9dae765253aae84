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

/// One flight stores what nobody has stored before, and all that is to be told of it. Only a tenant some of whose ids were taken
/// needs a second.
async fn store_in(db: &Db, tx: &Tx, candidates: &[Candidate]) -> Result<Vec<Outcome>, pg::Error> {
    let of_tenants: Vec<&[Candidate]> = candidates.chunk_by(|one, next| one.tenant_id == next.tenant_id).collect();
    tx.prepare(&store::STATEMENTS).await?;
    db.prepare_outbox(tx).await?;
    // The transaction was opened as the first tenant; it has to be switched only where there are more.
    let flight = Flight { db, tx, switch: of_tenants.len() > 1, received_at: tx.now().await? };

    let stored = of_tenants.iter().map(|events| -> BoxFuture<'_, _> { Box::pin(flight.store(events)) });
    let free = try_join_all(stored).await?;
    let outcomes = of_tenants
        .iter()
        .zip(&free)
        .map(|(events, free)| -> BoxFuture<'_, _> { Box::pin(flight.settle(events, free)) });
    try_join_all(outcomes).await.map(|outcomes| outcomes.concat())
}

/// What the statements of a transaction share.
#[derive(Clone, Copy)]
struct Flight<'a> {
    db: &'a Db,
    tx: &'a Tx,
    switch: bool,
    received_at: OffsetDateTime,
}

impl Flight<'_> {
    async fn enter(self, tenant_id: &TenantId) -> Result<(), pg::Error> {
        if self.switch { self.tx.enter(tenant_id).await } else { Ok(()) }
    }

    /// Stores the events of one tenant; which of their ids were free.
    async fn store(self, events: &[Candidate]) -> Result<HashSet<EventId>, pg::Error> {
        let Some(tenant_id) = events.first().map(|event| &event.tenant_id) else {
            return Ok(HashSet::new());
        };
        let timed: Vec<Timed<'_>> = events.iter().map(|event| timed(event, self.received_at)).collect();
        let messages = chunks::messages(tenant_id, self.received_at, &timed);
        let stored = events_raw::store(self.tx, tenant_id, self.received_at, &timed, &messages);
        futures_util::try_join!(self.enter(tenant_id), stored).map(|((), free)| free)
    }

    /// What became of the events of one tenant. Where not all were new, tells of those that were, and asks for the content of
    /// the others.
    async fn settle(self, events: &[Candidate], free: &HashSet<EventId>) -> Result<Vec<Outcome>, pg::Error> {
        let Some(tenant_id) = events.first().map(|event| &event.tenant_id).filter(|_| free.len() < events.len()) else {
            return Ok(vec![Outcome::New; events.len()]);
        };
        let is_new = |event: &&Candidate| free.contains(&event.event_id);
        let new: Vec<Timed<'_>> = events.iter().filter(is_new).map(|event| timed(event, self.received_at)).collect();
        let taken: Vec<_> =
            events.iter().filter(|event| !is_new(event)).map(|event| event.event_id.as_uuid()).collect();
        let messages = chunks::messages(tenant_id, self.received_at, &new);
        let ((), (), hashes) = futures_util::try_join!(
            self.enter(tenant_id),
            self.db.add_to_outbox(self.tx, &messages),
            event_keys::content_hashes(self.tx, tenant_id, &taken),
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
