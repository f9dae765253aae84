//! SQL of the committer, one file per table, every statement beside the function that binds it.

pub mod event_keys;
pub mod events_raw;

/// Every statement of this service, for the test that prepares them all.
pub const STATEMENTS: [&str; 3] = [event_keys::INSERT, event_keys::CONTENT_HASHES, events_raw::INSERT];
