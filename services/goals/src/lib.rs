#![doc = include_str!("../README.md")]

mod activation;
mod api;
mod app;
mod asked;
mod audit;
pub mod bootstrap;
mod change;
mod consume;
mod credentials;
pub mod dead_letters;
mod erase;
mod error;
mod event_types;
mod goals;
mod listeners;
mod metrics;
mod redaction;
mod references;
mod retention;
mod schema;
mod settings;
pub mod store;
mod tenants;
mod workflows;

pub use api::operations;
pub use app::start;
pub use error::Error;
pub use settings::{DEFAULTS, ListenerSettings, Settings};

use std::process::ExitCode;

/// The service's `main`.
pub fn main() -> ExitCode {
    runtime::main("goals", DEFAULTS, start)
}
