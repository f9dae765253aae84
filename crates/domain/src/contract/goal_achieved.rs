//! `goal.achieved`: one enrollment met one goal; with `all` the exit may be still to come.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::fact::fact;
use crate::goal::GoalType;
use crate::ids::{AchievementId, ContactId, EnrollmentId, EventId, GoalId, TenantId, WorkflowId};
use crate::json::Json;

/// Version 1. Its id is the UUIDv5 of enrollment and goal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalAchieved {
    pub tenant_id: TenantId,
    pub workflow_id: WorkflowId,
    pub enrollment_id: EnrollmentId,
    pub contact_id: ContactId,
    pub achievement_id: AchievementId,
    pub goal_id: GoalId,
    pub goal_type: GoalType,
    pub goal_version: i32,
    /// The time of the event that met the goal.
    #[serde(with = "crate::time_format")]
    pub achieved_at: OffsetDateTime,
    /// The commit of the achievement.
    #[serde(with = "crate::time_format")]
    pub recorded_at: OffsetDateTime,
    pub event_id: EventId,
    pub event_name: String,
    /// Flat, as in `workflow.exit.goal`.
    pub trigger_event: Json,
    /// Other goals that the same event met, under `any`.
    #[serde(default)]
    pub also_matched: Vec<GoalId>,
}

fact! {
    GoalAchieved, "goal.achieved", source: |_| "/goalpost/evaluator".to_owned(), time: recorded_at,
    subject: enrollment_id, id: [enrollment_id, goal_id]
}
