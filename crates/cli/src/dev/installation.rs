//! What an installation needs before its services start: roles, migrations, a tenant, secrets.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, bail};
use devstack::Stack;
use domain::ids::TenantId;
use goals::bootstrap::{self, Role};
use pg::Db;
use pg::maintain::Options;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use web::secret::{Prefix, mint};

use crate::maintain::{self, MONTHS_AHEAD, PAUSE_MS};

/// The tenant that is there from the start.
pub const TENANT: &str = "demo";

/// The logins of the services: the superuser's address with another name, and the same password.
pub struct Logins {
    superuser: Url,
    password: String,
}

impl Logins {
    pub fn new(database_url: &str) -> anyhow::Result<Self> {
        let mut superuser = Url::parse(database_url)
            .context("DATABASE_URL must be like postgres://user:password@host:port/database")?;
        let config: tokio_postgres::Config = database_url.parse()?;
        let password = match config.get_password() {
            Some(password) => String::from_utf8(password.to_vec())?,
            None => {
                // A server that trusts whoever comes; its roles still want some password.
                let password = mint(Prefix::ApiKey).text;
                if superuser.set_password(Some(&password)).is_err() {
                    bail!("DATABASE_URL names no host");
                }
                password
            }
        };
        Ok(Self { superuser, password })
    }

    /// The address by which `goalpost_<login>` reaches the database.
    pub fn url(&self, login: &str) -> String {
        let mut url = self.superuser.clone();
        // It cannot fail: the address has a host, else `new` or the connection had failed.
        let _ = url.set_username(&format!("goalpost_{login}"));
        url.into()
    }
}

/// Makes the roles with their passwords, applies the migrations, makes the coming partitions.
pub async fn migrate(database_url: &str, logins: &Logins) -> anyhow::Result<()> {
    let mut client = crate::database::connect(database_url).await?;
    let made = pg::migrate::roles(&client, Some(&logins.password)).await;
    made.context("the roles could not be made: that needs a superuser")?;
    pg::migrate::run(&mut client).await.context("a migration failed")?;
    pg::maintain::partitions(&client, MONTHS_AHEAD).await.context("no partitions were made")?;
    Ok(())
}

/// Between two times that everything is maintained.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Does what `goalpost maintain` does, now and every day.
pub async fn maintain_daily(database_url: &str) -> Infallible {
    let pause = Duration::from_millis(PAUSE_MS);
    let options = Options { months_ahead: MONTHS_AHEAD, pause, dry_run: false };
    loop {
        if let Err(error) = maintain::run(database_url, &options).await {
            eprintln!("goalpost: maintenance failed: {error:#}");
        }
        tokio::time::sleep(A_DAY).await;
    }
}

/// The secrets that `dev.json` tells.
#[derive(Deserialize, Serialize)]
pub struct Secrets {
    pub write_token: String,
    pub api_key: String,
    pub operator_key: String,
}

impl Secrets {
    /// Those of the last start, if the data is persistent; else new ones, which are kept before
    /// they are used.
    pub fn of(stack: &Stack) -> anyhow::Result<Self> {
        const FILE: &str = "credentials.json";
        if let Some(kept) = stack.kept(FILE)? {
            return serde_json::from_slice(&kept)
                .with_context(|| format!("{FILE} in {} is damaged", stack.dir().display()));
        }
        let secrets = Self {
            write_token: mint(Prefix::WriteToken).text,
            api_key: mint(Prefix::ApiKey).text,
            operator_key: mint(Prefix::ApiKey).text,
        };
        stack.keep(FILE, &serde_json::to_vec(&secrets)?)?;
        Ok(secrets)
    }
}

/// Makes the tenant and its secrets, unless they are there.
pub async fn make_tenant(logins: &Logins, secrets: &Secrets) -> anyhow::Result<()> {
    let settings = pg::Settings {
        url: logins.url("goals"),
        system_url: logins.url("goals_system"),
        pool_size: 1,
        system_pool_size: 1,
        tx_timeout_ms: 10_000,
    };
    let db = Db::connect(&settings, "goals", Handle::current())?;
    let tenant: TenantId = TENANT.parse()?;
    bootstrap::tenant(&db, &tenant, Some("Demo")).await?;
    bootstrap::write_token(&db, &tenant, Some(&secrets.write_token)).await?;
    bootstrap::api_key(&db, &tenant, Role::Admin, Some(&secrets.api_key)).await?;
    bootstrap::operator_key(&db, Some(&secrets.operator_key)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn logins_have_the_superusers_password() {
        let logins = Logins::new("postgres://root:a%2Fb@127.0.0.1:1/x").unwrap();
        assert_eq!(logins.password, "a/b");
        assert_eq!(logins.url("goals"), "postgres://goalpost_goals:a%2Fb@127.0.0.1:1/x");
    }

    #[test]
    fn without_a_password_the_logins_get_one() {
        let logins = Logins::new("postgres://root@127.0.0.1/x").unwrap();
        let url: tokio_postgres::Config = logins.url("goals").parse().unwrap();
        assert_eq!(url.get_password().unwrap(), logins.password.as_bytes());
    }
}
