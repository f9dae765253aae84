//! Roles and migrations: embedded, in order, under an advisory lock, with a history per schema. Run by `goalpost migrate`, as a
//! command or a Job; never by a service at its start.
#![expect(clippy::disallowed_methods, reason = "DDL in the migrator's own session, outside of any service")]

use refinery::{Migration, Runner};
use tokio_postgres::Client;

/// The roles of an installation (see `migrations/README.md`).
pub const ROLES: &str = include_str!("../../../migrations/roles.sql");

/// Every role that logs in.
pub const LOGINS: [&str; 11] = [
    "goalpost_migrator",
    "goalpost_maintainer",
    "goalpost_backup",
    "goalpost_ingest",
    "goalpost_ingest_system",
    "goalpost_goals",
    "goalpost_goals_system",
    "goalpost_evaluator",
    "goalpost_evaluator_system",
    "goalpost_analytics",
    "goalpost_analytics_system",
];

macro_rules! migrations {
    ($($schema:literal: [$($file:literal),* $(,)?]),* $(,)?) => {
        &[$(($schema, &[$(($file, include_str!(concat!("../../../migrations/", $schema, "/", $file, ".sql")))),*])),*]
    };
}

/// Every migration: schema, then file name without its ending, and text; in the order they are applied.
pub const MIGRATIONS: &[(&str, &[(&str, &str)])] = migrations! {
    "platform": ["0001_create_helpers", "0002_create_tenants", "0004_publish_tenant_ids", "0005_keep_answers", "0006_complete_tenants", "0007_keep_privacy", "0009_publish_retention", "0010_publish_time_zones", "0011_publish_salts_to_analytics"],
    "ingest": ["0001_create_events", "0002_trace_outbox", "0003_store_as_system", "0004_keep_sampling_rate", "0005_correlate_outbox", "0006_compress_fast", "0007_keep_people", "0008_expire_events", "0009_keep_askers", "0010_skip_statistics", "0011_publish_events"],
    "goals": ["0001_create_configuration", "0002_trace_outbox", "0003_create_explain_views", "0006_chain_audit", "0007_log_installation", "0008_keep_answers", "0009_create_event_types", "0011_publish_categories", "0012_keep_askers"],
    "evaluator": ["0001_create_enrollments", "0002_trace_outbox", "0003_announce_actions", "0004_keep_answers", "0005_forget_contacts", "0006_keep_askers", "0007_skip_statistics", "0008_assume_large_tenants", "0009_list_ended"],
    "reporting": ["0001_create_views", "0002_create_dead_letter_view", "0003_settle_dead_letters", "0004_hold_readers_by_index", "0005_create_tiles"],
};

/// What migrating can fail with.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A migration failed, or one that was applied has been edited since.
    #[error("a migration failed")]
    Refinery(#[from] refinery::Error),
    /// The database refused a statement around them.
    #[error("the database refused a statement")]
    Postgres(#[from] tokio_postgres::Error),
}

/// Makes the roles, and gives them this database. Needs a superuser (or a role that may create roles and owns the
/// database). With `password`, every login gets it: for private servers only.
pub async fn roles(client: &Client, password: Option<&str>) -> Result<(), MigrateError> {
    client.batch_execute(ROLES).await?;
    if let Some(password) = password {
        for login in LOGINS {
            client.batch_execute(&format!("ALTER ROLE {login} PASSWORD '{}'", password.replace('\'', "''"))).await?;
        }
    }
    grant_database(client).await
}

/// Gives the roles, which belong to the whole server, the database the client is connected to.
pub async fn grant_database(client: &Client) -> Result<(), MigrateError> {
    let database: String = client.query_one("SELECT quote_ident(current_database())", &[]).await?.get(0);
    client
        .batch_execute(&format!(
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC; \
             GRANT CONNECT ON DATABASE {database} TO {logins}, goalpost_readers; \
             GRANT CREATE ON DATABASE {database} TO goalpost_owner; \
             CREATE SCHEMA IF NOT EXISTS platform AUTHORIZATION goalpost_owner",
            logins = LOGINS.join(", ")
        ))
        .await?;
    Ok(())
}

const LOCK: &str = "SELECT pg_advisory_lock(hashtextextended('goalpost:migrate', 0))";
const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtextextended('goalpost:migrate', 0))";

/// Applies what is missing, as `goalpost_owner`; the client logs in as `goalpost_migrator` or a superuser. How many were
/// applied. Two at once wait for each other.
pub async fn run(client: &mut Client) -> Result<usize, MigrateError> {
    client.execute(LOCK, &[]).await?;
    client.batch_execute("SET ROLE goalpost_owner; SET client_min_messages = warning").await?;
    let applied = apply(client).await;
    client.batch_execute("RESET ROLE; RESET client_min_messages").await?;
    client.execute(UNLOCK, &[]).await?;
    applied
}

async fn apply(client: &mut Client) -> Result<usize, MigrateError> {
    let mut applied = 0;
    for (schema, files) in MIGRATIONS {
        let table = history_table(schema);
        let mut runner = Runner::new(&unapplied(files)?);
        runner.set_migration_table_name(&table);
        applied += runner.run_async(client).await?.applied_migrations().len();
        client
            .batch_execute(&format!(
                "GRANT USAGE ON SCHEMA platform TO {logins}; GRANT SELECT ON {table} TO {logins}",
                logins = LOGINS.join(", ")
            ))
            .await?;
    }
    Ok(applied)
}

/// Where the history of one schema's migrations is kept.
pub fn history_table(schema: &str) -> String {
    format!("platform.migrations_{schema}")
}

/// `0002_create_x` as refinery writes it: `V0002__create_x`.
fn unapplied(files: &[(&str, &str)]) -> Result<Vec<Migration>, refinery::Error> {
    files
        .iter()
        .map(|(file, sql)| {
            let (number, name) = file.split_once('_').unwrap_or((file, ""));
            Migration::unapplied(&format!("V{number}__{name}"), sql)
        })
        .collect()
}
