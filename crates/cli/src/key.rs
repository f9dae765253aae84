//! `goalpost key`: API keys, made on the database itself; the first operator's key comes from here.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use domain::ids::TenantId;
use goals::bootstrap::{self, Role, Table};

use crate::credentials::{self, advice, tenant_id};
use crate::database::DatabaseArgs;
use crate::output::OutputArgs;
use crate::store::operators;

/// API keys: secrets of internal callers, with a role. Needs the login goalpost_goals_system or a
/// superuser.
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
    /// Make one and show it, for the only time
    Create {
        #[command(flatten)]
        of: Of,
        /// What it may do in its tenant
        #[arg(long, conflicts_with = "operator", default_value = "viewer", value_parser = ["viewer", "editor", "admin"])]
        role: String,
    },
    /// List those of a tenant or of the installation, revoked ones too
    List {
        #[command(flatten)]
        of: Of,
    },
    /// Revoke one: it opens nothing from then on
    Revoke {
        #[command(flatten)]
        of: Of,
        id: String,
    },
}

/// Whose keys.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// Those of a tenant
    #[arg(long, value_parser = tenant_id)]
    tenant: Option<TenantId>,
    /// Those of the installation, which make tenants
    #[arg(long)]
    operator: bool,
}

pub async fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let output = args.output;
    match &args.action {
        Action::Create { of, role } => {
            let db = args.database.db()?;
            let issued = match &of.tenant {
                Some(tenant) => bootstrap::api_key(&db, tenant, role.parse::<Role>()?, None).await,
                None => bootstrap::operator_key(&db, None).await,
            };
            credentials::show(&issued.map_err(advice)?, "key", output)?;
        }
        Action::List { of: Of { tenant: Some(tenant), .. } } => {
            credentials::list(&args.database.db()?, tenant, Table::ApiKeys, output).await?;
        }
        Action::List { .. } => {
            let all = operators::list(&args.database.connect().await?).await;
            credentials::print(&all.context("is the database migrated (`goalpost migrate`)?")?, output)?;
        }
        Action::Revoke { of: Of { tenant: Some(tenant), .. }, id } => {
            credentials::revoke(&args.database.db()?, tenant, Table::ApiKeys, id, output).await?;
        }
        Action::Revoke { id, .. } => {
            let client = args.database.connect().await?;
            let known = operators::revoke(&client, id).await?;
            ensure!(known, "there is no operator's key {id}: see `goalpost key list --operator`");
            credentials::say_revoked(id, output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
