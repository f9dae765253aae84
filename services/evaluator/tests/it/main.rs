//! The evaluator over HTTP and the bus, against a real PostgreSQL and a real RabbitMQ.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod actions;
mod announcing;
mod batches;
mod bus_side;
mod commands;
mod counting;
mod enrolling;
mod erasing;
mod exits;
mod explaining;
mod logic;
mod on_enroll;
mod once;
mod pseudonyms;
mod races;
mod simulating;
mod sql;
mod support;
