//! A database per test, copied from a template that the first test makes: migrated, with the partitions of now.
#![expect(clippy::disallowed_methods, reason = "makes and drops databases, which no transaction may hold")]

use crate::{at_the_end, environment};
use anyhow::Context;
use std::hash::{DefaultHasher, Hash, Hasher};
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

/// The private database of one test. Dropped with it.
pub struct Database {
    name: String,
    server: Config,
}

impl Database {
    /// A fresh, migrated, empty database.
    pub async fn create() -> anyhow::Result<Self> {
        let url = environment("DATABASE_URL")?;
        let server: Config = url.parse().context("DATABASE_URL cannot be read")?;
        let admin = connect(&server).await?;
        let template = ensure_template(&admin, &server).await?;
        let name = format!("test_{}", Uuid::now_v7().simple());
        admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
        let database = Self { name, server };
        pg::migrate::grant_database(&database.superuser().await?).await?;
        Ok(database)
    }

    /// The URL by which `role` (one of `pg::migrate::LOGINS`) reaches this database.
    pub fn url(&self, role: &str) -> String {
        let (host, port, password) = address(&self.server);
        format!("postgres://{role}:{password}@{host}:{port}/{}", self.name)
    }

    /// The URL of the superuser, for looking and for arranging.
    pub fn superuser_url(&self) -> String {
        self.url(self.server.get_user().unwrap_or("postgres"))
    }

    /// A connection as the superuser.
    pub async fn superuser(&self) -> anyhow::Result<Client> {
        connect(self.server.clone().dbname(&self.name)).await
    }

    /// A connection as `role`.
    pub async fn login(&self, role: &str) -> anyhow::Result<Client> {
        connect(self.server.clone().dbname(&self.name).user(role)).await
    }

    /// The settings by which `service` reaches this database.
    pub fn settings(&self, service: &str) -> pg::Settings {
        pg::Settings {
            url: self.url(&format!("goalpost_{service}")),
            system_url: self.url(&format!("goalpost_{service}_system")),
            pool_size: 4,
            system_pool_size: 4,
            tx_timeout_ms: 20_000,
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        at_the_end(async move {
            connect(&server).await?.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
            Ok(())
        });
    }
}

fn address(server: &Config) -> (String, u16, String) {
    let host = match server.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
        _ => "127.0.0.1".to_owned(),
    };
    let port = server.get_ports().first().copied().unwrap_or(5432);
    let password = server.get_password().map(|p| String::from_utf8_lossy(p).into_owned()).unwrap_or_default();
    (host, port, password)
}

async fn connect(config: &Config) -> anyhow::Result<Client> {
    let (client, connection) = config.connect(NoTls).await.context("the test server cannot be reached")?;
    tokio::spawn(connection);
    Ok(client)
}

/// The name of the template for today's migrations, made first if it is not there. Tests of other processes wait.
async fn ensure_template(admin: &Client, server: &Config) -> anyhow::Result<String> {
    let mut hasher = DefaultHasher::new();
    (pg::migrate::ROLES, pg::migrate::MIGRATIONS).hash(&mut hasher);
    let name = format!("goalpost_template_{:016x}", hasher.finish());
    admin.execute("SELECT pg_advisory_lock(hashtextextended('goalpost:template', 0))", &[]).await?;
    let made = make_template(admin, server, &name).await;
    admin.execute("SELECT pg_advisory_unlock(hashtextextended('goalpost:template', 0))", &[]).await?;
    made.map(|()| name)
}

async fn make_template(admin: &Client, server: &Config, name: &str) -> anyhow::Result<()> {
    if admin.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&name]).await?.is_some() {
        return Ok(());
    }
    let raw = format!("{name}_raw");
    admin.batch_execute(&format!("DROP DATABASE IF EXISTS {raw} WITH (FORCE)")).await?;
    admin.batch_execute(&format!("CREATE DATABASE {raw}")).await?;
    let mut client = connect(server.clone().dbname(&raw)).await?;
    let (_, _, password) = address(server);
    pg::migrate::roles(&client, Some(&password)).await?;
    pg::migrate::run(&mut client).await?;
    let maintainer = connect(server.clone().dbname(&raw).user("goalpost_maintainer")).await?;
    pg::maintain::partitions(&maintainer, 3).await?;
    drop((client, maintainer));
    wait_until_alone(admin, &raw).await?;
    admin.batch_execute(&format!("ALTER DATABASE {raw} RENAME TO {name}")).await?;
    Ok(())
}

/// A database with a connection cannot be renamed or copied; the server notices a closed one a moment later.
async fn wait_until_alone(admin: &Client, name: &str) -> anyhow::Result<()> {
    admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", &[&name]).await?;
    Ok(())
}
