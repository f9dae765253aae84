#![doc = include_str!("../README.md")]

mod actions;
mod announce;
mod api;
mod app;
mod asked;
mod backlog;
mod configuration;
mod consume;
mod contacts;
mod end;
mod enroll;
mod erase;
mod error;
mod evaluate;
mod explain;
mod judging;
mod lists;
mod metrics;
mod nominations;
mod on_enroll;
mod origin;
mod reading;
mod recheck;
mod record;
mod settings;
mod simulate;
pub mod store;

pub use api::operations;
pub use app::start;
pub use error::Error;
pub use settings::{AnnouncingSettings, DEFAULTS, EvaluationSettings, Settings, SimulationSettings};

use std::process::ExitCode;

/// The service's `main`.
pub fn main() -> ExitCode {
    runtime::main("evaluator", DEFAULTS, start)
}
