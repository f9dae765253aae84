//! SQL of the committer, one file per table, every statement beside the function that binds it.

pub mod event_keys;
pub mod events_raw;
pub mod partitions;

/// Every statement of this service, for the test that prepares them all.
pub const STATEMENTS: [&str; 2] = [events_raw::STORE, event_keys::CONTENT_HASHES];
