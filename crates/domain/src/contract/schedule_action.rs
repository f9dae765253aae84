//! `schedule_action`: do something for an enrollment later, if it is still active then.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::V1;
use super::command::command;
use crate::ids::{ActionId, EnrollmentId, TenantId};
use crate::json::Json;

/// Version 1. With an `action_id`, repeating the command has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleAction {
    #[serde(default)]
    pub version: V1,
    pub tenant_id: TenantId,
    pub enrollment_id: EnrollmentId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_id: Option<ActionId>,
    /// `send_email`, `send_sms`, `add_tag`, `wait`, …
    pub action_type: String,
    #[serde(with = "crate::time_format")]
    pub scheduled_at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
}

command!(ScheduleAction, "schedule_action");
