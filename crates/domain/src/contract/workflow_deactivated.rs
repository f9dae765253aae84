//! `workflow.deactivated`: the workflow's listeners are gone, its actions are held.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::fact::fact;
use crate::ids::{TenantId, WorkflowId};

/// Version 1. Its id is the UUIDv5 of workflow and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowDeactivated {
    pub tenant_id: TenantId,
    pub workflow_id: WorkflowId,
    pub workflow_version: i64,
    #[serde(with = "crate::time_format")]
    pub deactivated_at: OffsetDateTime,
}

fact! {
    WorkflowDeactivated, "workflow.deactivated", source: |_| "/goalpost/goals".to_owned(), time: deactivated_at,
    subject: workflow_id, id: [workflow_id, workflow_version]
}
