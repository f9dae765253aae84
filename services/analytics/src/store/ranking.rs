//! The figures of all workflows of a tenant side by side, straight from the published views of evaluator and goals.

use super::reached::{EARLIEST, LATEST, Reached, all, column, figures, reached};
use crate::error::Error;
use crate::ranking::OfTenant;
use domain::ids::WorkflowId;
use pg::Tx;
use time::OffsetDateTime;

/// One workflow among those of its tenant.
#[derive(Debug)]
pub struct Ranked {
    pub workflow_id: WorkflowId,
    pub name: String,
    pub status: String,
    pub created_at: OffsetDateTime,
    pub total_enrolled: i64,
    pub reached: Reached,
}

/// All workflows of a tenant at `as_of`, the best first.
#[derive(Debug)]
pub struct Ranking {
    pub workflows: Vec<Ranked>,
    pub as_of: OffsetDateTime,
}

/// `$1` tenant, `$2` and `$3` the span of `enrolled_at`. In the order of [`crate::ranking::Place`].
const RANK: &str = concat!(
    "SELECT w.workflow_id, w.name, w.status, w.created_at, count(e.enrollment_id) AS total_enrolled, ",
    figures!("e.goal_reached_at", "count(e.enrollment_id)", "e.goal_reached_at - e.enrolled_at"),
    "FROM goals.v_workflows_v1 w LEFT JOIN evaluator.v_enrollments_v1 e ON e.tenant_id = w.tenant_id ",
    "AND e.workflow_id = w.workflow_id AND e.enrolled_at >= $2 AND e.enrolled_at < $3 WHERE w.tenant_id = $1 ",
    "GROUP BY w.workflow_id, w.name, w.status, w.created_at ",
    "ORDER BY conversion_rate DESC, achieved DESC, w.created_at DESC, w.workflow_id DESC"
);

/// All workflows as of one snapshot.
pub async fn read(tx: &Tx, question: &OfTenant) -> Result<Ranking, Error> {
    let tenant = question.tenant.as_str();
    let (from, to) = (question.span.from.unwrap_or(EARLIEST), question.span.to.unwrap_or(LATEST));
    let rows = tx.query(RANK, &[&tenant, &from, &to]).await?;
    let workflows = all(&rows, |row| {
        Ok(Ranked {
            workflow_id: WorkflowId::from(column::<uuid::Uuid>(row, 0)?),
            name: column(row, 1)?,
            status: column(row, 2)?,
            created_at: column(row, 3)?,
            total_enrolled: column(row, 4)?,
            reached: reached(row, 5)?,
        })
    })?;
    Ok(Ranking { workflows, as_of: tx.now().await? })
}
