//! `goalpost env`: what `goalpost dev` says in dev.json, as shell variables, for trying things with curl.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;

use crate::database::DEV_JSON;

#[derive(Deserialize)]
struct Dev {
    database_url: String,
    amqp_url: String,
    amqp_management_url: Option<String>,
    tenant_id: String,
    write_token: String,
    api_key: String,
    operator_key: String,
    services: BTreeMap<String, Service>,
}

#[derive(Deserialize)]
struct Service {
    url: String,
    admin_url: String,
}

/// Prints `export` lines for `eval "$(goalpost env)"`.
pub fn main() -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(DEV_JSON)
        .context("nothing runs here: start `goalpost dev` in this directory (or `make dev`)")?;
    let dev: Dev = serde_json::from_str(&text).with_context(|| format!("{DEV_JSON} cannot be read"))?;
    let secrets = [
        ("TENANT", &dev.tenant_id),
        ("WRITE_TOKEN", &dev.write_token),
        ("API_KEY", &dev.api_key),
        ("OPERATOR_KEY", &dev.operator_key),
        ("DATABASE_URL", &dev.database_url),
        ("AMQP_URL", &dev.amqp_url),
    ];
    for (name, value) in secrets {
        println!("export {name}='{value}'");
    }
    if let Some(url) = &dev.amqp_management_url {
        println!("export AMQP_MANAGEMENT_URL='{url}'");
    }
    for (name, service) in &dev.services {
        let name = name.to_uppercase();
        println!("export {name}='{}' {name}_ADMIN='{}'", service.url, service.admin_url);
    }
    Ok(ExitCode::SUCCESS)
}
