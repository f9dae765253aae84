//! The database that the operator's commands work on, and how they find it.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio_postgres::{Client, NoTls};

/// Where `goalpost dev` says where everything is.
pub const DEV_JSON: &str = ".goalpost/dev.json";

const TX_TIMEOUT_MS: u64 = 20_000;

/// Which database.
#[derive(clap::Args)]
pub struct DatabaseArgs {
    /// The database, by a role that may do this; without it, that of a `goalpost dev` that runs
    /// in this directory
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    database_url: Option<String>,
}

impl DatabaseArgs {
    /// The address of the database.
    pub fn url(&self) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        struct Dev {
            database_url: String,
        }
        if let Some(url) = &self.database_url {
            return Ok(url.clone());
        }
        let text = std::fs::read_to_string(Path::new(DEV_JSON))
            .context("which database? Give --database-url or DATABASE_URL, or run this where `goalpost dev` runs")?;
        Ok(serde_json::from_str::<Dev>(&text).with_context(|| format!("{DEV_JSON} has no database_url"))?.database_url)
    }

    /// The goals service's way to it: for what that service does, done here.
    pub fn db(&self) -> anyhow::Result<pg::Db> {
        let url = self.url()?;
        let settings = pg::Settings {
            system_url: url.clone(),
            url,
            pool_size: 1,
            system_pool_size: 1,
            tx_timeout_ms: TX_TIMEOUT_MS,
        };
        Ok(pg::Db::connect(&settings, "goals", Handle::current())?)
    }

    /// A connection to it.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        connect(&self.url()?).await
    }
}

/// Connects to `url`. The connection ends with its client.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("cannot connect to the database: is it up, and are user and password right?")?;
    #[expect(clippy::disallowed_methods, reason = "ends with the client, which hears of its errors")]
    tokio::spawn(connection);
    Ok(client)
}
