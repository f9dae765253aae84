//! SQL of the committer and of the look-ups, one file per table, every statement beside the function that binds it.

pub mod event_keys;
pub mod event_types;
pub mod events_raw;
pub mod partitions;

/// Every statement of this service by the login that runs it, for the test that prepares them all.
pub const STATEMENTS: [(&str, &str); 3] = [
    ("goalpost_ingest_system", events_raw::STORE),
    ("goalpost_ingest_system", event_keys::CONTENT_HASHES),
    ("goalpost_ingest", event_types::LIST),
];
