//! The statistics of a workflow's goals: asked in one snapshot, kept for a while, counted anew on demand.

use crate::error::Error;
use crate::store::statistics::{Statistics, read};
use domain::ids::{TenantId, WorkflowId};
use moka::future::Cache;
use pg::{Db, Scope};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// The longest that an answer may be kept, whatever is set.
const OLDEST: Duration = Duration::from_secs(300);

/// What is asked for: a workflow, and the enrollments of a span of time, half-open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub workflow: WorkflowId,
    /// Enrolled at or after.
    pub from: Option<OffsetDateTime>,
    /// Enrolled before.
    pub to: Option<OffsetDateTime>,
}

/// Answers questions.
pub struct Answers {
    db: Db,
    cache: Cache<Question, Arc<Statistics>>,
}

impl Answers {
    /// Keeps `entries` answers for `keep`, five minutes at most.
    pub fn new(db: Db, entries: u64, keep: Duration) -> Self {
        let cache = Cache::builder().max_capacity(entries).time_to_live(keep.min(OLDEST)).build();
        Self { db, cache }
    }

    /// The answer; with `fresh`, as of now. Callers that ask the same at once share one count.
    pub async fn to(&self, question: Question, fresh: bool) -> Result<Arc<Statistics>, Arc<Error>> {
        if fresh {
            let counted = self.count(&question).await.map_err(Arc::new)?;
            self.cache.insert(question, Arc::clone(&counted)).await;
            return Ok(counted);
        }
        self.cache.try_get_with(question.clone(), self.count(&question)).await
    }

    async fn count(&self, question: &Question) -> Result<Arc<Statistics>, Error> {
        let scope = Scope::Tenant(question.tenant.clone());
        let question = question.clone();
        self.db
            .run_snapshot("goal_statistics", scope, move |tx| {
                let question = question.clone();
                Box::pin(async move { read(tx, &question).await?.map(Arc::new).ok_or(Error::WorkflowNotFound) })
            })
            .await
    }
}
