//! Statistics and events over HTTP, against a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod feed;
mod oracle;
mod ranking;
mod recount;
mod service;
mod statistics;
