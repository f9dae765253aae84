//! Where a running `goalpost dev` is: its `dev.json`.

use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// What is used here of `dev.json`.
#[derive(Deserialize)]
pub struct Place {
    /// A superuser's, to see when the work has ended.
    pub database_url: String,
    pub amqp_url: String,
    /// Only known of a broker that `goalpost dev` started, or that it was told of.
    pub amqp_management_url: Option<String>,
    pub operator_key: String,
    pub services: Services,
}

/// The four services.
#[derive(Deserialize)]
pub struct Services {
    pub ingest: Address,
    pub goals: Address,
    pub evaluator: Address,
    pub analytics: Address,
}

/// Where a service listens.
#[derive(Deserialize)]
pub struct Address {
    pub url: String,
    pub admin_url: String,
}

impl Place {
    /// Reads a `dev.json`.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read: is `goalpost dev` running there?", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not what `goalpost dev` writes", path.display()))
    }

    /// The same of a stack that this process has started.
    pub fn of(dev: &impl Serialize) -> anyhow::Result<Self> {
        Ok(serde_json::from_value(serde_json::to_value(dev)?)?)
    }

    /// The broker's management API.
    pub fn management_url(&self) -> anyhow::Result<&str> {
        self.amqp_management_url.as_deref().context(
            "the broker's management API is not known, and without it nobody knows when the work has ended: \
             set AMQP_MANAGEMENT_URL beside AMQP_URL for `goalpost dev`",
        )
    }

    /// The virtual host of `amqp_url`.
    pub fn vhost(&self) -> anyhow::Result<&str> {
        let after_scheme = self.amqp_url.split_once("://").map_or("", |(_, rest)| rest);
        let path = after_scheme.split_once('/').map_or("", |(_, path)| path);
        match path.split('?').next().unwrap_or_default() {
            "" | "%2f" | "%2F" => Ok("/"),
            plain if !plain.contains('%') => Ok(plain),
            coded => bail!("the virtual host {coded} has characters that are not decoded here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(amqp_url: &str) -> Place {
        let address = serde_json::json!({"url": "http://127.0.0.1:1", "admin_url": "http://127.0.0.1:2"});
        let services = serde_json::json!({
            "ingest": address, "goals": address, "evaluator": address, "analytics": address,
        });
        let dev = serde_json::json!({
            "database_url": "postgres://x", "amqp_url": amqp_url, "tenant_id": "demo", "write_token": "gpw_", "api_key": "gpk_",
            "operator_key": "gpk_", "services": services,
        });
        serde_json::from_value(dev).unwrap()
    }

    #[test]
    fn the_virtual_host_is_the_path() {
        for (url, vhost) in
            [("amqp://u:p@h:1/%2f", "/"), ("amqp://u:p@h:1", "/"), ("amqp://u:p@h:1/test-7?heartbeat=3", "test-7")]
        {
            assert_eq!(place(url).vhost().unwrap(), vhost, "{url}");
        }
        assert!(place("amqp://h/a%2fb").vhost().is_err());
    }

    #[test]
    fn a_broker_without_management_is_refused_with_advice() {
        let refusal = place("amqp://h").management_url().unwrap_err().to_string();
        assert!(refusal.contains("AMQP_MANAGEMENT_URL"), "{refusal}");
    }
}
