//! No row crosses a tenant. The catalogue says what there is; every role attacks all of it; and the attack itself is tested by
//! taking away one protection after the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod attack;
mod catalogue;
mod grants;
mod mutation;
mod settling;
mod structure;

use testkit::Database;
use tokio_postgres::Client;

const SEED: &str = include_str!("seed.sql");

/// A migrated database in which every table holds rows of the tenants `a` and `b`, and a transaction in it that is never
/// committed: the role of an analyst of `a`, and whatever a test breaks, go with it.
async fn arranged() -> (Database, Client) {
    let database = Database::create().await.unwrap();
    let superuser = database.superuser().await.unwrap();
    superuser.batch_execute(SEED).await.unwrap();
    let reader = format!(
        "BEGIN; CREATE ROLE {reader} LOGIN IN ROLE goalpost_readers; \
         INSERT INTO reporting.readers (tenant_id, role_name) VALUES ('a', '{reader}')",
        reader = *catalogue::READER
    );
    superuser.batch_execute(&reader).await.unwrap();
    (database, superuser)
}
