//! Everything of `goalpost dev`, brought up step by step, and the `dev.json` that says where it is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use devstack::{Options, Stack};
use serde::Serialize;

use super::installation::{self, Secrets, TENANT};
use super::services::{self, Address};

/// What runs, and where it is.
pub struct Running {
    /// The servers and services; must be stopped in the end.
    pub stack: Stack,
    /// Where everything is.
    pub place: Place,
}

/// The content of `dev.json`.
#[derive(Serialize)]
pub struct Place {
    database_url: String,
    amqp_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    amqp_management_url: Option<String>,
    tenant_id: &'static str,
    #[serde(flatten)]
    secrets: Secrets,
    services: BTreeMap<&'static str, Address>,
}

/// Starts the servers, migrates, makes the tenant `demo` and its secrets, starts the services,
/// waits until they are ready, and writes `dev.json`. Says on standard error what it is doing.
pub async fn up(options: Options) -> anyhow::Result<Running> {
    let mut stack = super::servers(options).await?;
    eprintln!("goalpost: migrating");
    let logins = installation::Logins::new(stack.database_url())?;
    installation::migrate(stack.database_url(), &logins).await?;
    let secrets = Secrets::of(&stack)?;
    installation::make_tenant(&logins, &secrets).await?;
    eprintln!("goalpost: starting the services");
    let services = services::start(&mut stack, &logins).await?;
    let place = Place {
        database_url: stack.database_url().to_owned(),
        amqp_url: stack.amqp_url().to_owned(),
        amqp_management_url: stack.management_url().map(str::to_owned),
        tenant_id: TENANT,
        secrets,
        services,
    };
    stack.publish("dev.json", &serde_json::to_vec_pretty(&place)?)?;
    Ok(Running { stack, place })
}

impl Place {
    /// The same as a few lines of text.
    pub fn for_people(&self, data: &Path, ephemeral: bool) -> String {
        let mut text = String::from("\nGoalpost is up.\n\n");
        let mut line = |name: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {name:<14} {value}");
        };
        for (name, address) in &self.services {
            line(name, &format!("{}   (health, metrics: {})", address.url, address.admin_url));
        }
        line("PostgreSQL", &self.database_url);
        line("RabbitMQ", self.amqp_management_url.as_ref().unwrap_or(&self.amqp_url));
        line("tenant", self.tenant_id);
        line("write token", &self.secrets.write_token);
        line("API key", &format!("{} (admin)", self.secrets.api_key));
        line("operator key", &self.secrets.operator_key);
        let kept = if ephemeral { "removed at the end" } else { "kept for the next start" };
        line("data, logs", &format!("{} ({kept})", data.display()));
        text.push_str("\nAll of this is in .goalpost/dev.json too. Ctrl-C ends it.\n");
        text
    }
}
