//! `end_enrollment`: the workflow engine ends an enrollment for a reason of its own.

use serde::{Deserialize, Serialize};

use super::V1;
use super::command::command;
use crate::enrollment::EnrollmentStatus;
use crate::ids::{EnrollmentId, TenantId};

/// Version 1. An enrollment that has ended stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndEnrollment {
    #[serde(default)]
    pub version: V1,
    pub tenant_id: TenantId,
    pub enrollment_id: EnrollmentId,
    /// `completed`, `removed` or `failed`.
    pub status: EnrollmentStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

command!(EndEnrollment, "end_enrollment");
