//! The statistics over HTTP, against a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod oracle;
mod ranking;
mod recount;
mod service;
mod statistics;
