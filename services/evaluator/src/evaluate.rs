//! Evaluates nominations: parts of them in transactions side by side, and a bad pair apart from the good ones.

use crate::configuration::{Configuration, Fresh};
use crate::error::Error;
use crate::judging::{Done, judge_pairs};
use crate::metrics::Metrics;
use crate::nominations::{Cause, Nominations};
use crate::store::Pair;
use domain::ids::TenantId;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use pg::{Db, Scope};
use std::sync::Arc;
use std::time::Duration;
use tracing::Span;

/// How much is done at once.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most pairs of workflow and contact in one transaction.
    pub transaction_pairs: usize,
    /// Most transactions of one micro-batch at the same time.
    pub transactions_at_once: usize,
}

/// What is to become of the messages behind some nominations that were not evaluated.
#[derive(Debug)]
pub enum Failure {
    /// Something is away; the nominations are to come again.
    Away { messages: Vec<usize>, reason: String },
    /// This pair cannot be judged, however often it is tried.
    Poison { messages: Vec<usize>, cause: String },
}

/// Judges what is nominated.
#[derive(Clone)]
pub struct Evaluator {
    db: Db,
    metrics: Metrics,
    bounds: Bounds,
}

type Part = Arc<[(Pair, Cause)]>;

impl Evaluator {
    pub fn new(db: Db, metrics: Metrics, bounds: Bounds) -> Self {
        Self { db, metrics, bounds }
    }

    /// Evaluates everything that can be; what could not be is answered. The trouble of one tenant, or of one enrollment, is no
    /// other's.
    pub async fn evaluate(&self, nominations: Nominations, fresh: &Fresh) -> Vec<Failure> {
        let parts = nominations.into_parts(self.bounds.transaction_pairs);
        let work = parts.into_iter().filter_map(|(tenant, pairs)| {
            let known = fresh.get(&tenant)?.as_ref().ok()?;
            self.metrics.nominated(pairs.len());
            Some(self.part(tenant, pairs.into(), Arc::clone(known)))
        });
        let work: Vec<_> = work.collect();
        let failures = futures_util::stream::iter(work).buffer_unordered(self.bounds.transactions_at_once.max(1));
        failures.collect::<Vec<Vec<Failure>>>().await.into_iter().flatten().collect()
    }

    /// One transaction; if the data is to blame, its halves, down to the pair that it is.
    fn part(&self, tenant: TenantId, part: Part, known: Arc<Configuration>) -> BoxFuture<'_, Vec<Failure>> {
        Box::pin(async move {
            let (traced, spans) = traced(&part);
            let error = match self.transaction(tenant.clone(), traced, Arc::clone(&known)).await {
                Ok(done) => {
                    self.note(&part, &done);
                    return Vec::new();
                }
                Err(error) => error,
            };
            spans.iter().for_each(|span| trace::failed(span, error.code()));
            drop(spans);
            let messages = || part.iter().flat_map(|(_, cause)| cause.messages.iter().copied()).collect();
            if !is_poison(&error) {
                tracing::warn!(%tenant, error = &error as &dyn std::error::Error, "nominations could not be evaluated");
                return vec![Failure::Away { messages: messages(), reason: described(&error) }];
            }
            if part.len() <= 1 {
                tracing::error!(%tenant, error = &error as &dyn std::error::Error, "an enrollment cannot be judged");
                return vec![Failure::Poison { messages: messages(), cause: described(&error) }];
            }
            let (left, right) = part.split_at(part.len() / 2);
            let mut failures = self.part(tenant.clone(), left.into(), Arc::clone(&known)).await;
            failures.extend(self.part(tenant, right.into(), known).await);
            failures
        })
    }

    async fn transaction(&self, tenant: TenantId, part: Part, known: Arc<Configuration>) -> Result<Done, Error> {
        let (db, metrics) = (self.db.clone(), self.metrics.clone());
        let scope = Scope::Tenant(tenant.clone());
        self.db
            .run_tx("judge", scope, move |tx| {
                let (db, metrics, known) = (db.clone(), metrics.clone(), Arc::clone(&known));
                let (tenant, part) = (tenant.clone(), Arc::clone(&part));
                Box::pin(async move { judge_pairs((&db, tx), &tenant, &part, &known, &metrics).await })
            })
            .await
    }

    fn note(&self, part: &[(Pair, Cause)], done: &Done) {
        self.metrics.judged(done.judged, done.exits, done.achievements.iter().copied());
        let Some((clock, read_at)) = done.clock else {
            return;
        };
        for received_at in part.iter().filter_map(|(_, cause)| cause.received_at) {
            let before = Duration::try_from(clock - received_at).unwrap_or_default();
            self.metrics.latency(before + read_at.elapsed());
        }
    }
}

/// A span for every trace that the judgement of a pair belongs to; what is written goes on from within them.
fn traced(part: &Part) -> (Part, Vec<Span>) {
    if part.iter().all(|(_, cause)| cause.traces.is_empty()) {
        return (Arc::clone(part), Vec::new());
    }
    let mut spans = Vec::new();
    let traced = part.iter().map(|(pair, cause)| {
        let mut cause = cause.clone();
        for belongs in &mut cause.traces {
            let came = Some(belongs.traceparent.as_str());
            let workflow = tracing::field::display(pair.0);
            let span =
                tracing::debug_span!(target: trace::TARGET, "judge", otel.kind = "consumer", workflow_id = workflow);
            let span = trace::continued(span, came);
            if let Some(traceparent) = trace::passed_on(&span, came) {
                belongs.traceparent = traceparent;
            }
            spans.push(span);
        }
        (pair.clone(), cause)
    });
    (traced.collect(), spans)
}

/// Whether trying again cannot help.
pub fn is_poison(error: &Error) -> bool {
    match error {
        Error::Database(error) => !error.is_unavailable(),
        _ => false,
    }
}

/// An error with its causes, in one line.
pub fn described(error: &Error) -> String {
    let error: &dyn std::error::Error = error;
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
