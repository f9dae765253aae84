//! `workflow.activated`: from here on the workflow's goals count.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::fact::fact;
use crate::ids::{TenantId, WorkflowId};

/// Version 1. Its id is the UUIDv5 of workflow and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowActivated {
    pub tenant_id: TenantId,
    pub workflow_id: WorkflowId,
    pub workflow_version: i64,
    #[serde(with = "crate::time_format")]
    pub activated_at: OffsetDateTime,
    /// The event types the workflow now waits for, sorted.
    pub event_types: Vec<String>,
    /// Whether events stored before the activation count too.
    pub catch_up: bool,
}

fact! {
    WorkflowActivated, "workflow.activated", source: |_| "/goalpost/goals".to_owned(), time: activated_at,
    subject: workflow_id, id: [workflow_id, workflow_version]
}
