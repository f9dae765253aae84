//! `goals.v_workflows_v1`: what enrolling and starting need to know of a workflow.

use super::parsed;
use domain::ids::{TenantId, WorkflowId};
use domain::workflow::WorkflowStatus;
use pg::{Error, Tx};

/// A workflow, as far as its enrollments depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Workflow {
    pub status: WorkflowStatus,
    pub allow_reentry: bool,
}

const FIND: &str =
    "SELECT w.status, w.allow_reentry FROM goals.v_workflows_v1 w WHERE w.tenant_id = $1 AND w.workflow_id = $2";

/// One workflow.
pub async fn find(tx: &Tx, tenant: &TenantId, workflow: WorkflowId) -> Result<Option<Workflow>, Error> {
    let row = tx.query_opt(FIND, &[&tenant.as_str(), &workflow.as_uuid()]).await?;
    row.map(|row| Ok(Workflow { status: parsed(&row, "status")?, allow_reentry: row.try_get("allow_reentry")? }))
        .transpose()
}

/// Every statement here, for the test that prepares them all.
pub const STATEMENTS: [&str; 1] = [FIND];
