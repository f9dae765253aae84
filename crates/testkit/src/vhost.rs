//! A RabbitMQ virtual host per test, made and removed through the management API.

use crate::{at_the_end, environment};
use anyhow::Context;
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use uuid::Uuid;

/// The private virtual host of one test. Removed with it, and every connection to it closed.
pub struct Vhost {
    name: String,
    amqp_url: String,
    api: Api,
}

#[derive(Clone)]
struct Api {
    client: Client,
    base: Url,
}

impl Vhost {
    /// A fresh virtual host.
    pub async fn create() -> anyhow::Result<Self> {
        let mut amqp: Url = environment("AMQP_URL")?.parse().context("AMQP_URL cannot be read")?;
        let api = Api { client: Client::new(), base: environment("AMQP_MANAGEMENT_URL")?.parse()? };
        let name = format!("test-{}", Uuid::now_v7().simple());
        let user = amqp.username().to_owned();
        api.call(Method::PUT, &format!("api/vhosts/{name}"), None).await?;
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        api.call(Method::PUT, &format!("api/permissions/{name}/{user}"), Some(all)).await?;
        amqp.set_path(&name);
        Ok(Self { name, amqp_url: amqp.to_string(), api })
    }

    /// Where a client reaches it.
    pub fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of the connections that are open to it. The broker takes up to a few seconds to list a new one.
    pub async fn connections(&self) -> anyhow::Result<Vec<String>> {
        let list = self.api.call(Method::GET, &format!("api/vhosts/{}/connections", self.name), None).await?;
        let names = list.as_array().into_iter().flatten();
        Ok(names.filter_map(|c| c.get("name")?.as_str().map(str::to_owned)).collect())
    }

    /// Cuts a connection, as the broker would.
    pub async fn close_connection(&self, name: &str) -> anyhow::Result<()> {
        let mut url = self.api.base.join("api/connections/")?;
        url.path_segments_mut().map_err(|()| anyhow::anyhow!("no base"))?.pop_if_empty().push(name);
        self.api.client.delete(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// Messages ready in a queue and delivered but not acknowledged, never behind what the caller knows.
    pub async fn messages(&self, queue: &str) -> anyhow::Result<(u64, u64)> {
        let totals = devstack::broker::queue_totals(self.api.base.as_str(), &self.name).await?;
        let found = totals.iter().find(|total| total.name == queue);
        let found = found.with_context(|| format!("there is no queue {queue}"))?;
        Ok((found.ready, found.unacked))
    }

    /// Messages ready or not acknowledged in all queues together, never behind what the caller knows.
    pub async fn waiting(&self) -> anyhow::Result<u64> {
        let totals = devstack::broker::queue_totals(self.api.base.as_str(), &self.name).await?;
        Ok(totals.iter().map(|total| total.ready + total.unacked).sum())
    }

    /// Publishes a text with properties of AMQP (`message_id`, `reply_to`, …), as another system does. It has to reach a queue.
    pub async fn publish(
        &self,
        (exchange, routing_key): (&str, &str),
        properties: Value,
        text: &str,
    ) -> anyhow::Result<()> {
        let message = json!({"routing_key": routing_key, "properties": properties, "payload": text, "payload_encoding": "string"});
        let path = format!("api/exchanges/{}/{exchange}/publish", self.name);
        let answer = self.api.call(Method::POST, &path, Some(message)).await?;
        anyhow::ensure!(answer["routed"] == true, "no queue takes {routing_key}");
        Ok(())
    }

    /// Removes a queue, consumers or not.
    pub async fn delete_queue(&self, queue: &str) -> anyhow::Result<()> {
        self.api.call(Method::DELETE, &format!("api/queues/{}/{queue}", self.name), None).await.map(drop)
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        let (base, name) = (self.api.base.clone(), self.name.clone());
        at_the_end(async move {
            let api = Api { client: Client::new(), base };
            api.call(Method::DELETE, &format!("api/vhosts/{name}"), None).await.map(drop)
        });
    }
}

impl Api {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self.client.request(method, self.base.join(path)?);
        request = match body {
            Some(body) => request.json(&body),
            None => request.header("content-type", "application/json"),
        };
        let answer =
            request.send().await.context("the broker's management API cannot be reached")?.error_for_status()?;
        let text = answer.text().await?;
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }
}
