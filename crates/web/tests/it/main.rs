//! The HTTP parts over real sockets: an actix server, reqwest, and raw TCP for clients that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod bodies;
mod identity;
mod jwt;
mod observed;
mod openapi;
mod problems;
mod server;
mod support;
