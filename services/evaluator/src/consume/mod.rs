//! The messages that this service consumes, one file each.

pub mod commands;
pub mod erasure;
pub mod events_stored;
mod requests;

use crate::error::Error;
use crate::evaluate::{Failure, described, is_poison};
use bus::Action;

/// Becomes the code of a message that is not what its queue is for.
const MALFORMED: &str = "malformed_message";

/// Becomes the code of a message that cannot be evaluated, however often it is tried.
const FAILED: &str = "evaluation_failed";

/// What follows for a message from an error that came before anything was judged.
fn failed(error: &Error) -> Action {
    if is_poison(error) {
        return Action::DeadLetter { code: FAILED, cause: described(error) };
    }
    Action::Retry(described(error))
}

/// Enters failures into the answers of a micro-batch. A message that has to come again does, whatever else it brought.
fn enter(failures: Vec<Failure>, actions: &mut [Action]) {
    for failure in failures {
        let (messages, action) = match failure {
            Failure::Away { messages, reason } => (messages, Action::Retry(reason)),
            Failure::Poison { messages, cause } => (messages, Action::DeadLetter { code: FAILED, cause }),
        };
        for message in messages {
            if let Some(entry) = actions.get_mut(message).filter(|entry| !matches!(entry, Action::Retry(_))) {
                *entry = action.clone();
            }
        }
    }
}
