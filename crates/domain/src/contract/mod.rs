//! The bus contract: one file per message, its exchange and routing key beside it. Published
//! versions never change; their JSON Schemas stand in `proto-schemas/<message>/v1.json`.

mod action_cancelled;
mod action_due;
mod cloud_event;
mod command;
mod command_reply;
mod delete_reference;
mod end_enrollment;
mod enroll;
mod enrollment_created;
mod erase_subject;
mod events_stored;
pub mod exchange;
mod fact;
mod goal_achieved;
mod goal_changed;
mod identity_linked;
mod put_reference;
mod recheck;
mod schedule_action;
mod subject_erased;
mod workflow_activated;
mod workflow_deactivated;
mod workflow_exit_goal;

pub use action_cancelled::ActionCancelled;
pub use action_due::ActionDue;
pub use cloud_event::CloudEvent;
pub use command::{Command, V1, parse_command};
pub use command_reply::{CommandReply, ReplyStatus, ReplyTo};
pub use delete_reference::DeleteReference;
pub use end_enrollment::EndEnrollment;
pub use enroll::Enroll;
pub use enrollment_created::EnrollmentCreated;
pub use erase_subject::EraseSubject;
pub use events_stored::{EventStored, EventsStored};
pub use fact::{Fact, derived_id, parse_fact};
pub use goal_achieved::GoalAchieved;
pub use goal_changed::{GoalChange, GoalChanged};
pub use identity_linked::{IdentityLinked, LinkChange};
pub use put_reference::PutReference;
pub use recheck::Recheck;
pub use schedule_action::ScheduleAction;
pub use subject_erased::SubjectErased;
pub use workflow_activated::WorkflowActivated;
pub use workflow_deactivated::WorkflowDeactivated;
pub use workflow_exit_goal::{ExitAchievement, WorkflowExitGoal};

use serde::Serialize;

/// Content type of facts.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";
/// Content type of commands and of stored events.
pub const JSON: &str = "application/json";

/// The bytes of a message. Field order is declaration order, so equal messages have equal bytes.
#[expect(
    clippy::expect_used,
    reason = "contract types hold only strings, numbers, lists and Json, which always serialize"
)]
fn bytes_of(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("contract types always serialize")
}

/// How a message that serde refused is named: text that is no JSON, or JSON of another shape.
fn unreadable(error: &serde_json::Error) -> crate::fault::Fault {
    let code = if error.is_data() { "invalid_message" } else { "invalid_json" };
    crate::fault::Fault::new(code, error.to_string())
}

#[cfg(test)]
mod tests;
