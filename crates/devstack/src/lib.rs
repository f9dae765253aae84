#![doc = include_str!("../README.md")]

mod account;
pub mod broker;
mod foreground;
pub mod guard;
mod machine;
mod options;
mod place;
mod postgres;
mod process;
mod rabbitmq;
mod service;
mod signals;
mod spawner;
mod stack;

pub use machine::free_port;
pub use options::Options;
pub use service::ServiceState;
pub use signals::Signals;
pub use stack::{PostgresStop, Stack};
