//! All workflows of a tenant, the one whose goals do best first.

use crate::error::Error;
use crate::kept::{Question, Span};
use crate::store::ranking::{Ranked, Ranking, read};
use domain::ids::{TenantId, WorkflowId};
use pg::Tx;
use time::OffsetDateTime;

/// How the workflows of a tenant do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OfTenant {
    /// Whose.
    pub tenant: TenantId,
    /// Of which enrollments.
    pub span: Span,
}

impl Question for OfTenant {
    type Answer = Ranking;
    const NAME: &'static str = "workflow_ranking";

    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    async fn count(&self, tx: &Tx) -> Result<Ranking, Error> {
        read(tx, self).await
    }

    fn weight(ranking: &Ranking) -> usize {
        ranking.workflows.len() + 1
    }
}

/// Where a workflow stands; the greatest is the first: by conversion rate (in tenths of a percent), by achieved goals, then the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub rate: i64,
    pub achieved: i64,
    pub created_at: OffsetDateTime,
    pub id: WorkflowId,
}

impl Place {
    /// Of a workflow.
    pub fn of(ranked: &Ranked) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a rate is between 0 and 100, with one decimal")]
        let rate = (ranked.reached.conversion_rate * 10.0).round() as i64;
        Self { rate, achieved: ranked.reached.achieved, created_at: ranked.created_at, id: ranked.workflow_id }
    }
}
