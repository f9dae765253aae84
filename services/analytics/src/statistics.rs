//! The statistics of a workflow's goals.

use crate::error::Error;
use crate::kept::{Question, Span};
use crate::store::statistics::{Statistics, read};
use domain::ids::{TenantId, WorkflowId};
use pg::Tx;

/// How one workflow's goals do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OfWorkflow {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub workflow: WorkflowId,
    /// Of which enrollments.
    pub span: Span,
}

impl Question for OfWorkflow {
    type Answer = Statistics;
    const NAME: &'static str = "goal_statistics";

    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    async fn count(&self, tx: &Tx) -> Result<Statistics, Error> {
        read(tx, self).await?.ok_or(Error::WorkflowNotFound)
    }

    fn weight(_: &Statistics) -> usize {
        1
    }
}
