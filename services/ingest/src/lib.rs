#![doc = include_str!("../README.md")]

mod api;
mod app;
mod asked;
mod author;
mod batch;
mod browser;
mod candidate;
mod chunks;
mod commit;
mod committer;
mod consume;
mod door;
mod erasure;
mod error;
mod export;
mod identity;
mod intake;
mod metrics;
mod own_types;
mod partitions;
mod schemas;
mod senders;
pub mod settings;
pub mod store;

use std::process::ExitCode;

pub use api::operations;
pub use app::start;
pub use settings::Settings;

/// Every setting that has a default.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// The whole of `fn main`.
pub fn main() -> ExitCode {
    runtime::main("goalpost-ingest", DEFAULTS, start)
}
