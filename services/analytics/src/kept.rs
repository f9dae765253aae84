//! Answers that are kept for a while: counted in one snapshot when nobody has asked for long, or anew on demand.

use crate::error::Error;
use domain::ids::TenantId;
use moka::future::Cache;
use pg::{Db, Scope, Tx};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// The longest that an answer may be kept, whatever is set.
const OLDEST: Duration = Duration::from_secs(300);

/// The enrollments of a span of time, by `enrolled_at`, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Enrolled at or after.
    pub from: Option<OffsetDateTime>,
    /// Enrolled before.
    pub to: Option<OffsetDateTime>,
}

/// What one snapshot can answer.
pub trait Question: Clone + Eq + Hash + Send + Sync + 'static {
    type Answer: Send + Sync + 'static;
    /// The name of the transaction, in metrics and logs.
    const NAME: &'static str;

    /// Whose figures they are.
    fn tenant(&self) -> &TenantId;

    /// Counts.
    fn count(&self, tx: &Tx) -> impl Future<Output = Result<Self::Answer, Error>> + Send;

    /// How many entries of the memory an answer takes.
    fn weight(answer: &Self::Answer) -> usize;
}

/// Answers questions of one kind.
pub struct Kept<Q: Question> {
    db: Db,
    cache: Cache<Q, Arc<Q::Answer>>,
}

impl<Q: Question> Kept<Q> {
    /// Keeps `entries` for `keep`, five minutes at most.
    pub fn new(db: Db, entries: u64, keep: Duration) -> Self {
        let weight = |_: &Q, answer: &Arc<Q::Answer>| u32::try_from(Q::weight(answer)).unwrap_or(u32::MAX);
        let cache = Cache::builder().max_capacity(entries).weigher(weight).time_to_live(keep.min(OLDEST)).build();
        Self { db, cache }
    }

    /// The answer; with `fresh`, as of now. Callers that ask the same at once share one count.
    pub async fn to(&self, question: Q, fresh: bool) -> Result<Arc<Q::Answer>, Arc<Error>> {
        if fresh {
            let counted = self.count(&question).await.map_err(Arc::new)?;
            self.cache.insert(question, Arc::clone(&counted)).await;
            return Ok(counted);
        }
        self.cache.try_get_with(question.clone(), self.count(&question)).await
    }

    async fn count(&self, question: &Q) -> Result<Arc<Q::Answer>, Error> {
        let scope = Scope::Tenant(question.tenant().clone());
        let question = question.clone();
        self.db
            .run_snapshot(Q::NAME, scope, move |tx| {
                let question = question.clone();
                Box::pin(async move { question.count(tx).await.map(Arc::new) })
            })
            .await
    }
}
