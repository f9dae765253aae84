//! Publishes through the management API: a stranger to the code that is tested.

use reqwest::Client;
use serde_json::{Value, json};

use super::Cluster;

pub struct Publisher {
    http: Client,
    api: String,
}

impl Publisher {
    pub fn of(cluster: &Cluster) -> Self {
        Self { http: cluster.http.clone(), api: format!("{}/api", cluster.management_url()) }
    }

    pub async fn publish(&self, exchange: &str, key: &str, body: &str, message_id: Option<String>) {
        self.tries(exchange, key, body, message_id).await.unwrap();
    }

    /// An error when the broker does not say that it has the message.
    pub async fn tries(
        &self,
        exchange: &str,
        key: &str,
        body: &str,
        message_id: Option<String>,
    ) -> reqwest::Result<()> {
        let mut properties = json!({"delivery_mode": 2, "content_type": "application/json"});
        if let Some(id) = message_id {
            properties["message_id"] = id.into();
        }
        let body = json!({"routing_key": key, "payload": body, "payload_encoding": "string", "properties": properties});
        let request = self.http.post(format!("{}/exchanges/%2f/{exchange}/publish", self.api));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await?.error_for_status()?.text().await?;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["routed"], true);
        Ok(())
    }
}
