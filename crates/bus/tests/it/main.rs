//! The bus against a real broker: every test has a virtual host of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod consume;
mod dead;
mod metrics;
mod poison;
mod publish;
mod recovery;
mod relay;
mod support;
mod topology;
