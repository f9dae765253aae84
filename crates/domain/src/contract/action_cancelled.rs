//! `workflow.action.cancelled`: pending actions will not happen, for a reason other than a goal
//! (`workflow.exit.goal` names the ones it cancelled itself).

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::fact::fact;
use crate::enrollment::ExitReason;
use crate::ids::{ActionId, ContactId, EnrollmentId, TenantId, WorkflowId};

/// Version 1: all actions that one change of one enrollment cancelled. Its id is the UUIDv5 of
/// enrollment and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionCancelled {
    pub tenant_id: TenantId,
    pub workflow_id: WorkflowId,
    pub enrollment_id: EnrollmentId,
    pub contact_id: ContactId,
    /// Why the enrollment ended; absent when it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_reason: Option<ExitReason>,
    pub cancelled_actions: u32,
    pub cancelled_action_ids: Vec<ActionId>,
    #[serde(with = "crate::time_format")]
    pub cancelled_at: OffsetDateTime,
    pub enrollment_version: i64,
}

fact! {
    ActionCancelled, "workflow.action.cancelled", source: |_| "/goalpost/evaluator".to_owned(), time: cancelled_at,
    subject: enrollment_id, id: [enrollment_id, enrollment_version]
}
