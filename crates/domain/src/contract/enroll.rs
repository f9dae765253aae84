//! `enroll`: put a contact into a workflow.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::V1;
use super::command::command;
use crate::ids::{ContactId, TenantId, WorkflowId};

/// Version 1. A contact that is enrolled already stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enroll {
    #[serde(default)]
    pub version: V1,
    pub tenant_id: TenantId,
    pub workflow_id: WorkflowId,
    pub contact_id: ContactId,
    /// From when events count; absent: when the command is carried out.
    #[serde(default, with = "crate::time_format::option", skip_serializing_if = "Option::is_none")]
    pub enrolled_at: Option<OffsetDateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_step: Option<String>,
}

command!(Enroll, "enroll");
