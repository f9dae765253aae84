//! The `goalpost` command against real servers that it starts itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod audit;
mod broker;
mod dead_letters;
mod demo;
mod dev;
mod goalpost;
mod load;
mod openapi;
mod operator;
mod readers;
mod servers_only;
mod stack;
