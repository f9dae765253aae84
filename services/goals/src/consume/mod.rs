//! The messages that this service consumes.

pub mod commands;
