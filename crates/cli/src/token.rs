//! `goalpost token`: write tokens, made on the database itself.

use std::process::ExitCode;

use domain::ids::TenantId;
use domain::origin::OriginPattern;
use goals::bootstrap::{self, Table};

use crate::credentials::{self, advice, tenant_id};
use crate::database::DatabaseArgs;
use crate::output::OutputArgs;

/// Write tokens: secrets that may only write events of their tenant. Needs the login
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
    /// Make one and show it, for the only time (a tenant has at most two of a kind)
    Create {
        #[arg(long, value_parser = tenant_id)]
        tenant: TenantId,
        /// Make one that may stand in the pages of this origin, as `https://www.example.com` or
        /// `https://*.example.com`; may be given repeatedly
        #[arg(long = "origin", value_name = "ORIGIN", value_parser = origin)]
        origins: Vec<OriginPattern>,
    },
    /// List those of a tenant, revoked ones too
    List {
        #[arg(long, value_parser = tenant_id)]
        tenant: TenantId,
    },
    /// Revoke one: it opens nothing from then on
    Revoke {
        #[arg(long, value_parser = tenant_id)]
        tenant: TenantId,
        id: String,
    },
}

pub async fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let (db, output) = (args.database.db()?, args.output);
    match &args.action {
        Action::Create { tenant, origins } => {
            let issued = match origins.as_slice() {
                [] => bootstrap::write_token(&db, tenant, None).await,
                origins => bootstrap::browser_token(&db, tenant, origins).await,
            };
            let issued = issued.map_err(advice)?;
            credentials::show(&issued, "token", output)?;
        }
        Action::List { tenant } => credentials::list(&db, tenant, Table::WriteTokens, output).await?,
        Action::Revoke { tenant, id } => {
            credentials::revoke(&db, tenant, Table::WriteTokens, id, output).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn origin(text: &str) -> anyhow::Result<OriginPattern> {
    OriginPattern::parse(text).map_err(|fault| anyhow::anyhow!("an origin {}", fault.message))
}
