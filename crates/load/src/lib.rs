//! Sends events at a rate, and tells what became of them.
#![doc = include_str!("../README.md")]

pub mod clock;
pub mod exits;
pub mod finish;
pub mod generator;
pub mod http;
pub mod mix;
pub mod outboxes;
pub mod place;
pub mod progress;
pub mod scenario;
pub mod setup;
mod wire;
