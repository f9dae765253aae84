//! `workflow.enrollment.created`: a contact entered a workflow.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::fact::fact;
use crate::ids::{ContactId, EnrollmentId, TenantId, WorkflowId};

/// Version 1. Its id is the UUIDv5 of the enrollment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentCreated {
    pub tenant_id: TenantId,
    pub workflow_id: WorkflowId,
    pub enrollment_id: EnrollmentId,
    pub contact_id: ContactId,
    /// From when events count; may lie before `created_at`.
    #[serde(with = "crate::time_format")]
    pub enrolled_at: OffsetDateTime,
    /// The commit of the enrollment.
    #[serde(with = "crate::time_format")]
    pub created_at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_step: Option<String>,
    pub enrollment_version: i64,
}

fact! {
    EnrollmentCreated, "workflow.enrollment.created", source: |_| "/goalpost/evaluator".to_owned(), time: created_at,
    subject: enrollment_id, id: [enrollment_id]
}
