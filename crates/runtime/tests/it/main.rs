//! The runtime from outside: settings layers, supervised tasks, and a whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod process;
mod settings;
mod tasks;
