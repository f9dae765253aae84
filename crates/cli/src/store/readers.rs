//! Analysts' logins: a role of its own in the group `goalpost_readers`, and its row in `reporting.readers`.

use domain::ids::TenantId;
use tokio_postgres::{Client, Error};

/// A login that is to be made.
pub struct Reader<'a> {
    pub tenant: &'a TenantId,
    /// Lower-case letters, digits and `_`: it stands in statements that take no parameters.
    pub role: &'a RoleName,
    pub password: &'a str,
    pub connections: u16,
    pub statement_timeout_seconds: u32,
}

/// The name of a role that needs no quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleName(String);

impl RoleName {
    /// Up to 63 of `[a-z0-9_]`, not beginning with a digit, and none that PostgreSQL or Goalpost use.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if text.is_empty() || text.len() > 63 || !text.bytes().all(plain) || text.as_bytes()[0].is_ascii_digit() {
            return Err("a login's name is 1 to 63 lower-case letters, digits and `_`, not beginning with a digit");
        }
        if text.starts_with("pg_") || text.starts_with("goalpost_") {
            return Err("names that begin with pg_ or goalpost_ are not for analysts");
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const IS_SUPERUSER: &str = "SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user";

/// Whether this login may make another one, and write a table that nobody may write.
pub async fn is_superuser(client: &Client) -> Result<bool, Error> {
    Ok(client.query_one(IS_SUPERUSER, &[]).await?.get(0))
}

const ROLE_EXISTS: &str = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";

/// Whether the server has a role of this name.
pub async fn role_exists(client: &Client, role: &RoleName) -> Result<bool, Error> {
    Ok(client.query_one(ROLE_EXISTS, &[&role.as_str()]).await?.get(0))
}

/// Makes the login and says which tenant it reads, both or neither. The server, and its log, get only the
/// verifier of the password.
pub async fn add(client: &Client, reader: &Reader<'_>) -> Result<(), Error> {
    let verifier = postgres_protocol::password::scram_sha_256(reader.password.as_bytes());
    let (role, tenant) = (reader.role.as_str(), reader.tenant);
    #[expect(clippy::disallowed_methods, reason = "one message, so one transaction; DDL takes no parameters")]
    client
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN INHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION \
             CONNECTION LIMIT {connections} PASSWORD '{verifier}' IN ROLE goalpost_readers; \
             ALTER ROLE {role} SET default_transaction_read_only = on; \
             ALTER ROLE {role} SET statement_timeout = '{timeout}s'; \
             ALTER ROLE {role} SET idle_in_transaction_session_timeout = '{timeout}s'; \
             ALTER ROLE {role} SET search_path = reporting; \
             INSERT INTO reporting.readers (tenant_id, role_name) VALUES ('{tenant}', '{role}')",
            connections = reader.connections,
            timeout = reader.statement_timeout_seconds,
        ))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_quotes() {
        for good in ["reader_demo", "a", "_x9", &"a".repeat(63)] {
            assert_eq!(RoleName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "9a", "A", "a b", "a\"b", "a'b", "a;b", "ü", "pg_monitor", "goalpost_owner", &"a".repeat(64)] {
            assert!(RoleName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
