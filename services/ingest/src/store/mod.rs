//! SQL of the committer and of the look-ups, one file per table, every statement beside the function that binds it.

pub mod erasures;
pub mod event_keys;
pub mod event_types;
pub mod events_raw;
pub mod identity_links;
pub mod partitions;
pub mod people;

/// Every statement of this service by the login that runs it, for the test that prepares them all.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    const TENANT: &str = "goalpost_ingest";
    const SYSTEM: &str = "goalpost_ingest_system";
    let of = |login: &'static str, statements: &'static [&'static str]| statements.iter().map(move |sql| (login, *sql));
    of(SYSTEM, &[events_raw::STORE, event_keys::CONTENT_HASHES, identity_links::LIVE])
        .chain(of(TENANT, &[event_types::LIST]))
        .chain(of(TENANT, identity_links::STATEMENTS))
        .chain(of(TENANT, erasures::STATEMENTS))
        .chain(of(TENANT, people::STATEMENTS))
}
