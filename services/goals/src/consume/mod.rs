//! The messages that this service consumes, one file for each queue.

pub mod commands;
pub mod erasure;

use std::error::Error as _;

use bus::Action;

/// What follows from a database that did not do it. What trying again cannot help is kept, under this code.
fn failed(error: &pg::Error, code: &'static str) -> Action {
    let cause = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    if error.is_unavailable() { Action::Retry(cause) } else { Action::DeadLetter { code, cause } }
}
