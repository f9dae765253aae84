//! The transaction runner, the outbox and the migrations, against a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

extern crate goalpost_pg as pg;

mod lost;
mod maintain;
mod metrics;
mod outbox;
mod prepared;
mod retention;
mod tx;

use domain::ids::TenantId;
use pg::Db;
use testkit::Database;
use tokio::runtime::Handle;

/// A database with two tenants, and the goals service's way to it.
async fn goals() -> (Database, Db) {
    let database = Database::create().await.unwrap();
    let superuser = database.superuser().await.unwrap();
    superuser
        .batch_execute(
            "INSERT INTO platform.tenants (tenant_id, content_key) SELECT t, decode(repeat('00', 32), 'hex') FROM unnest('{a,b}'::text[]) AS t; \
             INSERT INTO goals.epochs (tenant_id) VALUES ('a'), ('b')",
        )
        .await
        .unwrap();
    let db = Db::connect(&database.settings("goals"), "goals", Handle::current()).unwrap();
    (database, db)
}

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}
