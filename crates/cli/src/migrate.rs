//! `goalpost migrate`: brings a database to the state this version needs.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use serde_json::json;
use tokio_postgres::Client;

use crate::database::DatabaseArgs;
use crate::output::OutputArgs;

/// Applies the migrations that are missing, under a lock, each in its own transaction. Running
/// services go on meanwhile. Needs the login goalpost_migrator or a superuser.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Make the roles first (once per server, and per database; needs a superuser). They get no
    /// passwords: set them with ALTER ROLE
    #[arg(long)]
    roles: bool,
    #[command(flatten)]
    output: OutputArgs,
}

const OWNER: &str = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'goalpost_owner')";

pub async fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let mut client = args.database.connect().await?;
    if args.roles {
        pg::migrate::roles(&client, None).await.context("the roles could not be made: that needs a superuser")?;
    }
    prepared(&client).await?;
    let applied = pg::migrate::run(&mut client)
        .await
        .context("a migration failed; it was rolled back, and those before it stay. Mend the cause and run it again")?;
    let schemas: Vec<_> = pg::migrate::MIGRATIONS
        .iter()
        .map(|(schema, files)| json!({"schema": schema, "version": files.len()}))
        .collect();
    let said = json!({"roles": args.roles, "applied": applied, "schemas": schemas});
    args.output.print(&said, || {
        if args.roles {
            println!("The roles are there. Logins without a password: ALTER ROLE goalpost_… PASSWORD '…'.");
        }
        println!("{applied} migrations applied; the database is up to date:");
        for (schema, files) in pg::migrate::MIGRATIONS {
            println!("  {schema}: {}", files.last().map_or("none", |(name, _)| name));
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The roles belong to the server, and are not made by a migration.
async fn prepared(client: &Client) -> anyhow::Result<()> {
    let row = client.query_one(OWNER, &[]).await?;
    ensure!(row.get::<_, bool>(0), "the roles are missing: run `goalpost migrate --roles` once, as a superuser");
    Ok(())
}
