#![doc = include_str!("../README.md")]

pub mod check;
mod commit;
pub mod credentials;
pub mod dead_letters;
pub mod erasure;
mod error;
mod floor;
pub mod maintain;
mod metrics;
pub mod migrate;
pub mod once;
pub mod outbox;
mod pool;
mod retention;
mod run;
mod settings;
mod tx;
mod watch;

pub use error::{Error, Failure};
pub use pool::Db;
pub use settings::Settings;
pub use tx::{Owned, Scope, Tx};

pub use tokio_postgres::Row;
pub use tokio_postgres::types::{FromSql, ToSql};
