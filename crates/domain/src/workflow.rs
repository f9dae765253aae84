//! Workflows: their states, the changes between them, and how several goals count together.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::contract::derived_id;
use crate::goal::CompiledGoal;
use crate::ids::{TenantId, WorkflowId};
use crate::words::words;

words! {
    /// Where a workflow stands.
    pub enum WorkflowStatus as "workflow status" {
        Draft = "draft",
        Active = "active",
        /// Actions are held back; goals still count.
        Paused = "paused",
        /// Nothing is judged; actions are held back.
        Inactive = "inactive",
    }
}

/// A change of status that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a workflow that is {from} cannot become {to}")]
pub struct InvalidTransition {
    pub from: WorkflowStatus,
    pub to: WorkflowStatus,
}

impl WorkflowStatus {
    /// Whether goals count.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, WorkflowStatus::Active | WorkflowStatus::Paused)
    }

    /// From draft, paused or inactive. `None`: it is active already, nothing changes.
    ///
    /// # Errors
    /// None now; every status may be activated.
    pub const fn activate(self) -> Result<Option<WorkflowStatus>, InvalidTransition> {
        match self {
            WorkflowStatus::Active => Ok(None),
            WorkflowStatus::Draft | WorkflowStatus::Paused | WorkflowStatus::Inactive => {
                Ok(Some(WorkflowStatus::Active))
            }
        }
    }

    /// From active. `None`: it is paused already, nothing changes.
    ///
    /// # Errors
    /// From draft or inactive.
    pub const fn pause(self) -> Result<Option<WorkflowStatus>, InvalidTransition> {
        match self {
            WorkflowStatus::Paused => Ok(None),
            WorkflowStatus::Active => Ok(Some(WorkflowStatus::Paused)),
            from => Err(InvalidTransition { from, to: WorkflowStatus::Paused }),
        }
    }

    /// From active or paused. `None`: it is inactive already, nothing changes.
    ///
    /// # Errors
    /// From draft.
    pub const fn deactivate(self) -> Result<Option<WorkflowStatus>, InvalidTransition> {
        match self {
            WorkflowStatus::Inactive => Ok(None),
            WorkflowStatus::Active | WorkflowStatus::Paused => Ok(Some(WorkflowStatus::Inactive)),
            from @ WorkflowStatus::Draft => Err(InvalidTransition { from, to: WorkflowStatus::Inactive }),
        }
    }
}

/// How several goals of one workflow count together. In JSON: `"any"`, `"all"`, `{"at_least": n}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoalLogic {
    /// The first goal met is the exit.
    #[default]
    Any,
    /// The exit comes with the last.
    All,
    /// The exit comes with the n-th, 1–3.
    #[serde(deserialize_with = "goal_count")]
    AtLeast(u8),
}

/// The key of a workflow's advisory lock: shared by whoever judges its enrollments or starts its actions,
/// exclusive to whoever changes it or its goals. A collision makes two workflows wait for each other, no more.
#[must_use]
pub fn lock_key(tenant: &TenantId, workflow: WorkflowId) -> i64 {
    let id = derived_id("workflow.lock", &[tenant.as_str(), &workflow.to_string()]);
    let (key, _) = id.as_u64_pair();
    i64::from_ne_bytes(key.to_ne_bytes())
}

/// Most goals of one workflow.
pub const MAX_GOALS: u8 = 3;

fn goal_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let count = u8::deserialize(deserializer)?;
    if (1..=MAX_GOALS).contains(&count) {
        Ok(count)
    } else {
        Err(D::Error::custom(format_args!("at_least must be between 1 and {MAX_GOALS}")))
    }
}

impl GoalLogic {
    /// How many of so many active goals must be met. `None`: with no active goal there is no exit by
    /// goal. `at_least` never asks for more goals than there are.
    #[must_use]
    pub fn required(self, active_goals: usize) -> Option<usize> {
        if active_goals == 0 {
            return None;
        }
        Some(match self {
            GoalLogic::Any => 1,
            GoalLogic::All => active_goals,
            GoalLogic::AtLeast(count) => usize::from(count).clamp(1, active_goals),
        })
    }
}

/// A workflow as it is judged by.
#[derive(Debug, Clone)]
pub struct Workflow {
    pub id: WorkflowId,
    pub status: WorkflowStatus,
    pub logic: GoalLogic,
    /// The goals that are not deleted, in any order.
    pub goals: Vec<CompiledGoal>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn transitions_are_those_of_the_specification() {
        use WorkflowStatus::{Active, Draft, Inactive, Paused};
        for (from, activate, pause, deactivate) in [
            (Draft, Ok(Some(Active)), Err(()), Err(())),
            (Active, Ok(None), Ok(Some(Paused)), Ok(Some(Inactive))),
            (Paused, Ok(Some(Active)), Ok(None), Ok(Some(Inactive))),
            (Inactive, Ok(Some(Active)), Err(()), Ok(None)),
        ] {
            assert_eq!(from.activate().map_err(drop), activate, "{from}");
            assert_eq!(from.pause().map_err(drop), pause, "{from}");
            assert_eq!(from.deactivate().map_err(drop), deactivate, "{from}");
        }
        assert!(Active.is_live() && Paused.is_live() && !Draft.is_live() && !Inactive.is_live());
    }

    #[test]
    fn lock_keys_never_change() {
        let (a, b) = (TenantId::parse("a").unwrap(), TenantId::parse("b").unwrap());
        let workflow: WorkflowId = uuid::Uuid::from_u128(7).into();
        assert_eq!(lock_key(&a, workflow), 2_691_662_628_510_063_645);
        assert_ne!(lock_key(&a, workflow), lock_key(&b, workflow));
    }

    #[test]
    fn logic_in_json() {
        for (logic, text) in
            [(GoalLogic::Any, r#""any""#), (GoalLogic::All, r#""all""#), (GoalLogic::AtLeast(2), r#"{"at_least":2}"#)]
        {
            assert_eq!(serde_json::to_string(&logic).unwrap(), text);
            assert_eq!(serde_json::from_str::<GoalLogic>(text).unwrap(), logic);
        }
        for bad in [
            r#""some""#,
            r#"{"at_least":0}"#,
            r#"{"at_least":4}"#,
            r#"{"at_least":1.5}"#,
            r#"{"at_least":2,"x":1}"#,
            "2",
            "null",
            "{}",
        ] {
            assert!(serde_json::from_str::<GoalLogic>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_logic_asks_for_more_than_there_is_or_for_nothing() {
        assert_eq!(GoalLogic::All.required(0), None);
        assert_eq!(GoalLogic::Any.required(0), None);
        assert_eq!(GoalLogic::AtLeast(3).required(2), Some(2));
        assert_eq!(GoalLogic::AtLeast(2).required(3), Some(2));
        assert_eq!(GoalLogic::All.required(3), Some(3));
    }
}
