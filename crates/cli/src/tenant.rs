//! `goalpost tenant`: tenants, and the logins of their analysts.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use comfy_table::{Table, presets};
use domain::ids::TenantId;
use domain::time_format;
use goals::bootstrap;
use rand::distr::{Alphanumeric, SampleString};
use reqwest::Url;
use serde_json::json;

use crate::credentials::{advice, tenant_id};
use crate::database::DatabaseArgs;
use crate::output::OutputArgs;
use crate::store::readers::{self, Reader, RoleName};
use crate::store::tenants;

const PASSWORD_LENGTH: usize = 32;

/// Tenants, and the logins of their analysts. `create` and `list` need the login
/// goalpost_goals_system or a superuser.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make a tenant, with default settings; nothing happens if it is there
    Create {
        /// 1 to 64 letters, digits, `_` and `-`
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
    },
    /// List all tenants, newest first
    List,
    /// Make a database login that reads this tenant's rows through the views in `reporting`, and
    /// nothing else (needs a superuser)
    AddReader(ReaderArgs),
}

#[derive(clap::Args)]
struct ReaderArgs {
    #[arg(value_parser = tenant_id)]
    tenant: TenantId,
    /// The login's name; without it, reader_ and the tenant's id
    #[arg(long, value_name = "NAME")]
    login: Option<String>,
    /// The most connections it may have at once
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,
    /// A statement that takes longer is cancelled
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    statement_timeout_seconds: u32,
}

pub async fn main(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Create { tenant, name } => create(args, tenant, name.as_deref()).await?,
        Action::List => list(args).await?,
        Action::AddReader(reader) => add_reader(args, reader).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(args: &Args, tenant: &TenantId, name: Option<&str>) -> anyhow::Result<()> {
    let created = bootstrap::tenant(&args.database.db()?, tenant, name).await.map_err(advice)?;
    args.output.print(&json!({"tenant_id": tenant, "created": created}), || {
        if created {
            println!("{tenant} is made. Next: `goalpost token create --tenant {tenant}`, `goalpost key create --tenant {tenant} --role admin`.");
        } else {
            println!("{tenant} is there already; nothing was changed.");
        }
    })
}

async fn list(args: &Args) -> anyhow::Result<()> {
    let client = args.database.connect().await?;
    let all = tenants::list(&client).await.context("is the database migrated (`goalpost migrate`)?")?;
    args.output.print(&json!({"items": all}), || {
        let mut lines = Table::new();
        lines.load_style(presets::UTF8_BORDERS_ONLY).set_header(["tenant", "name", "created"]);
        for tenant in &all {
            let name = tenant.name.clone().unwrap_or_default();
            lines.add_row([tenant.tenant_id.clone(), name, time_format::to_text(tenant.created_at)]);
        }
        println!("{lines}");
    })
}

async fn add_reader(args: &Args, reader: &ReaderArgs) -> anyhow::Result<()> {
    let tenant = &reader.tenant;
    let named = reader.login.clone().unwrap_or_else(|| login_of(tenant));
    let role = RoleName::parse(&named)
        .map_err(|rule| anyhow::anyhow!("{named} cannot be a login: {rule}; give another one with --login"))?;
    let url = args.database.url()?;
    let client = crate::database::connect(&url).await?;
    ensure!(readers::is_superuser(&client).await?, "this needs a superuser: give its address by --database-url");
    let exists = tenants::exists(&client, tenant.as_str()).await;
    ensure!(
        exists.context("is the database migrated (`goalpost migrate`)?")?,
        "there is no tenant {tenant}: see `goalpost tenant list`, or make it by `goalpost tenant create {tenant}`"
    );
    ensure!(
        !readers::role_exists(&client, &role).await?,
        "the login {named} is there already; its password is not kept. Give another name with --login, or remove it: \
         DELETE FROM reporting.readers WHERE role_name = '{named}'; DROP ROLE {named}"
    );
    let password = Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH);
    let new = Reader {
        tenant,
        role: &role,
        password: &password,
        connections: reader.connections,
        statement_timeout_seconds: reader.statement_timeout_seconds,
    };
    readers::add(&client, &new).await.context("the login could not be made")?;
    let address = address(&url, &named, &password);
    let said = json!({"tenant_id": tenant, "login": named, "password": password, "url": address});
    args.output.print(&said, || {
        println!("{}", address.unwrap_or_else(|| format!("user {named}, password {password}")));
        eprintln!("The login {named} reads {tenant} through the views in `reporting`. The password is shown only now.");
    })
}

/// Lower-case and without `-`, as roles that need no quotes are.
fn login_of(tenant: &TenantId) -> String {
    format!("reader_{}", tenant.as_str().to_lowercase().replace('-', "_"))
}

/// The same database for the new login; none if the address is not a URL.
fn address(url: &str, login: &str, password: &str) -> Option<String> {
    let mut address = Url::parse(url).ok()?;
    address.set_username(login).ok()?;
    address.set_password(Some(password)).ok()?;
    Some(address.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_named_after_its_tenant() {
        let login = |tenant| login_of(&TenantId::parse(tenant).unwrap());
        assert_eq!(login("demo"), "reader_demo");
        assert_eq!(login("Big-Shop_7"), "reader_big_shop_7");
    }

    #[test]
    fn the_address_of_a_reader_is_that_of_the_database() {
        let url = "postgres://postgres:secret@127.0.0.1:5432/goalpost?sslmode=disable";
        let address = address(url, "reader_demo", "pw").unwrap();
        assert_eq!(address, "postgres://reader_demo:pw@127.0.0.1:5432/goalpost?sslmode=disable");
        assert_eq!(super::address("host=127.0.0.1 user=postgres", "reader_demo", "pw"), None);
    }
}
