//! `recheck`: judge enrollments over what is stored, as if their events came again. Internal.

use serde::{Deserialize, Serialize};

use super::V1;
use super::command::command;
use crate::ids::{EnrollmentId, TenantId, WorkflowId};

/// Version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recheck {
    #[serde(default)]
    pub version: V1,
    pub tenant_id: TenantId,
    pub workflow_id: WorkflowId,
    /// Up to 200; absent: every active enrollment of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_ids: Option<Vec<EnrollmentId>>,
    /// Whether events count that were stored before the goals took effect.
    #[serde(default)]
    pub catch_up: bool,
}

impl Recheck {
    /// Most enrollments in one command.
    pub const MAX_ENROLLMENTS: usize = 200;
}

command!(Recheck, "recheck");
