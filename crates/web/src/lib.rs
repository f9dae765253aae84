//! HTTP: problem documents, bounded bodies, identity, paging, the two ports.

#![doc = include_str!("../README.md")]

pub mod access;
mod admin;
pub mod body;
mod by;
pub mod identity;
mod jwt;
mod lookup;
pub mod once;
pub mod openapi;
pub mod paging;
mod problem;
mod rate_limit;
pub mod secret;
mod server;
mod settings;
mod unread;
pub mod version;

pub use admin::AdminPort;
pub use body::Strict;
pub use by::By;
pub use identity::{
    Admin, Caller, Credential, Editor, Identity, KeyStore, Keys, Operator, Role, StoredKey, TenantStore, Viewer,
};
pub use jwt::{IdentitySettings, JwtSettings, Keeper, RoleNames};
pub use lookup::{Lookup, LookupLimits};
pub use once::Keyed;
pub use paging::{Cursor, Listed, Page};
pub use problem::Problem;
pub use rate_limit::{RateLimit, RateLimitSettings};
pub use server::{Bound, bind};
pub use settings::HttpSettings;
pub use version::{IfMatch, IfNoneMatch, Versioned};
