//! HTTP: problem documents, bounded bodies, identity, paging, the two ports.

#![doc = include_str!("../README.md")]

pub mod access;
mod admin;
pub mod body;
mod by;
pub mod identity;
mod lookup;
pub mod openapi;
pub mod paging;
mod problem;
pub mod secret;
mod server;
mod settings;
mod unread;

pub use admin::AdminPort;
pub use body::Strict;
pub use by::By;
pub use identity::{Admin, Caller, Editor, KeyStore, Keys, Operator, Role, StoredKey, Viewer};
pub use lookup::{Lookup, LookupLimits};
pub use paging::{Cursor, Listed, Page};
pub use problem::Problem;
pub use server::{Bound, bind};
pub use settings::HttpSettings;
