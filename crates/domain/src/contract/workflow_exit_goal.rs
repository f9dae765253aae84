//! `workflow.exit.goal`: a contact left a workflow because its goals were met.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::fact::fact;
use crate::enrollment::ExitReason;
use crate::goal::GoalType;
use crate::ids::{AchievementId, ActionId, ContactId, EnrollmentId, EventId, GoalId, TenantId, WorkflowId};
use crate::json::Json;

/// Version 1 of the exit. Its id is the UUIDv5 of enrollment and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowExitGoal {
    pub tenant_id: TenantId,
    pub workflow_id: WorkflowId,
    pub enrollment_id: EnrollmentId,
    pub contact_id: ContactId,
    /// Always `goal_achieved`.
    pub exit_reason: ExitReason,
    /// The goal that completed the exit.
    pub goal_type: GoalType,
    pub goal_id: GoalId,
    pub goal_version: i32,
    /// One under `any`, all of the completing set under `all` and `at_least`.
    pub achievements: Vec<ExitAchievement>,
    #[serde(with = "crate::time_format")]
    pub enrolled_at: OffsetDateTime,
    /// The commit of the exit.
    #[serde(with = "crate::time_format")]
    pub exited_at: OffsetDateTime,
    /// Whole seconds from `enrolled_at` to the latest `achieved_at` of the completing set.
    pub seconds_to_goal: i64,
    pub cancelled_actions: u32,
    pub cancelled_action_ids: Vec<ActionId>,
    /// Strictly increasing per enrollment.
    pub enrollment_version: i64,
    /// Flat: the keys its type's schema (or the criteria's `where`) names, as written.
    pub trigger_event: Json,
    pub trigger_event_id: EventId,
    pub trigger_event_name: String,
    #[serde(with = "crate::time_format")]
    pub trigger_event_time: OffsetDateTime,
}

/// One achievement of the completing set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitAchievement {
    pub achievement_id: AchievementId,
    pub goal_id: GoalId,
    pub goal_type: GoalType,
    /// The time of the event that met the goal.
    #[serde(with = "crate::time_format")]
    pub achieved_at: OffsetDateTime,
    pub event_id: EventId,
}

fact! {
    WorkflowExitGoal, "workflow.exit.goal", source: |_| "/goalpost/evaluator".to_owned(), time: exited_at,
    subject: enrollment_id, id: [enrollment_id, enrollment_version]
}
