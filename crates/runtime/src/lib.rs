//! One skeleton for every main: settings, telemetry, supervised tasks, staged shutdown.

#![doc = include_str!("../README.md")]

mod allocator;
mod context;
mod gate;
mod launch;
mod process;
mod reload;
mod secret;
pub mod settings;
mod shutdown;
mod tasks;
mod telemetry;
mod traces;

pub use context::Context;
pub use gate::Gate;
pub use launch::{EXIT_SETTINGS, Options, main, run};
pub use secret::Secret;
pub use settings::SettingsError;
pub use shutdown::{Life, Running, Shutdown};
pub use tasks::{Failure, TaskOutput, Tasks};
pub use telemetry::Metrics;
pub use traces::Telemetry;
