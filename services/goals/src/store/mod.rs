//! One file per table: its SQL, and the functions that bind it. Every statement names the tenant, although row level security
//! would hide other tenants' rows anyway.

pub mod audit;
pub mod credentials;
pub mod dead_letters;
pub mod directory;
pub mod epochs;
pub mod event_types;
pub mod goals;
pub mod listeners;
pub mod tenants;
pub mod workflows;

use std::str::FromStr;

/// Every statement of this service by the login that runs it, for the test that prepares them all.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    const TENANT: &str = "goalpost_goals";
    const SYSTEM: &str = "goalpost_goals_system";
    let of = |login: &'static str, statements: &'static [&'static str]| statements.iter().map(move |sql| (login, *sql));
    of(TENANT, audit::STATEMENTS)
        .chain(of(SYSTEM, audit::SYSTEM_STATEMENTS))
        .chain(of(TENANT, directory::STATEMENTS))
        .chain(of(TENANT, epochs::STATEMENTS))
        .chain(of(SYSTEM, epochs::SYSTEM_STATEMENTS))
        .chain(of(TENANT, event_types::STATEMENTS))
        .chain(of(TENANT, goals::STATEMENTS))
        .chain(of(TENANT, listeners::STATEMENTS))
        .chain(of(SYSTEM, listeners::SYSTEM_STATEMENTS))
        .chain(of(TENANT, tenants::STATEMENTS))
        .chain(of(SYSTEM, tenants::SYSTEM_STATEMENTS))
        .chain(of(TENANT, workflows::STATEMENTS))
        .chain(credentials::system_statements().map(|sql| (SYSTEM, sql)))
        .chain(dead_letters::system_statements().map(|sql| (SYSTEM, sql)))
}

/// A word of a closed vocabulary, as it stands in a column.
fn word<T>(text: &str) -> Result<T, pg::Error>
where
    T: FromStr<Err: std::fmt::Display>,
{
    text.parse().map_err(|error: T::Err| pg::Error::Decode(error.to_string()))
}

/// JSON, as a column answers it when it is read as text.
fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, pg::Error> {
    serde_json::from_str(text).map_err(|error| pg::Error::Decode(error.to_string()))
}
