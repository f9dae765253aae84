//! The ingest service over HTTP and the bus, against a real PostgreSQL and a real RabbitMQ.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod bodies;
mod browser;
mod credentials;
mod domain_events;
mod happy;
mod mixture;
mod outages;
mod own_types;
mod people;
mod privacy;
mod relay;
mod repetition;
mod sql;
mod storage;
mod support;
mod verdicts;
