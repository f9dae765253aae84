//! `goal.changed`: a goal was created, edited, switched or deleted.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::fact::fact;
use crate::goal::{GoalStatus, GoalType};
use crate::ids::{GoalId, TenantId, WorkflowId};
use crate::json::Json;
use crate::words::words;

words! {
    /// What happened to the goal.
    pub enum GoalChange as "goal change" {
        Created = "created",
        Updated = "updated",
        Deleted = "deleted",
    }
}

/// Version 1. Its id is the UUIDv5 of goal and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalChanged {
    pub tenant_id: TenantId,
    pub workflow_id: WorkflowId,
    pub goal_id: GoalId,
    pub goal_type: GoalType,
    /// The version after the change.
    pub goal_version: i32,
    pub change: GoalChange,
    pub status: GoalStatus,
    pub criteria: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    pub position: i16,
    #[serde(with = "crate::time_format")]
    pub changed_at: OffsetDateTime,
}

fact! {
    GoalChanged, "goal.changed", source: |_| "/goalpost/goals".to_owned(), time: changed_at,
    subject: goal_id, id: [goal_id, goal_version]
}
