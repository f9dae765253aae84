//! The goals service as others see it: over HTTP and the bus, on real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod activation;
mod audit;
mod bootstrap;
mod concurrency;
mod credentials;
mod dead_letters;
mod erasing;
mod event_types;
mod facts;
mod goals;
mod harness;
mod isolation;
mod life;
mod listeners;
mod once;
mod references;
mod refusals;
mod roles;
mod statements;
mod tenants;
mod tokens;
mod versions;
mod workflows;
