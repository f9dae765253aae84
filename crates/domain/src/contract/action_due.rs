//! `workflow.action.due`: a scheduled action's time has come. A worker starts it through the fence.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::fact::fact;
use crate::ids::{ActionId, ContactId, EnrollmentId, TenantId, WorkflowId};
use crate::json::Json;

/// Version 1. Its id is the UUIDv5 of the action: an action is announced once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionDue {
    pub tenant_id: TenantId,
    pub workflow_id: WorkflowId,
    pub enrollment_id: EnrollmentId,
    pub contact_id: ContactId,
    pub action_id: ActionId,
    pub action_type: String,
    #[serde(with = "crate::time_format")]
    pub scheduled_at: OffsetDateTime,
    #[serde(with = "crate::time_format")]
    pub announced_at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
    pub enrollment_version: i64,
}

fact! {
    ActionDue, "workflow.action.due", source: |_| "/goalpost/evaluator".to_owned(), time: announced_at,
    subject: action_id, id: [action_id]
}
