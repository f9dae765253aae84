#![doc = include_str!("../README.md")]

mod api;
mod app;
mod error;
mod feed;
mod kept;
mod ranking;
mod settings;
mod statistics;
pub mod store;

pub use api::operations;
pub use app::start;
pub use settings::{DEFAULTS, Settings};

use std::process::ExitCode;

/// The service's `main`.
pub fn main() -> ExitCode {
    runtime::main("analytics", DEFAULTS, start)
}
