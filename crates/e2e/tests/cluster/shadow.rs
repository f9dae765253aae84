//! The subscriber: a durable quorum queue of its own, bound to the facts and to `events.stored`, read through the broker's
//! management API when all work has ended. So it misses nothing while the broker is away, and shares no code with Goalpost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use uuid::Uuid;

const BINDINGS: [(&str, &str); 2] = [("goalpost.workflow", "#"), ("goalpost.events", "events.stored")];
const PAGE: usize = 500;
const PATIENCE: Duration = Duration::from_secs(30);

/// A message as the subscriber got it.
#[derive(Clone, Debug)]
pub struct Message {
    pub routing_key: String,
    pub message_id: Option<Uuid>,
    pub body: String,
}

/// All messages, repeats included.
pub type Log = Vec<Message>;

pub struct Shadow {
    http: Client,
    api: String,
    pub queue: String,
}

impl Shadow {
    /// Gets every fact, and every `events.stored`.
    pub async fn bind(http: &Client, management_url: &str, queue: &str) -> Self {
        Self::bind_to(http, management_url, queue, &BINDINGS).await
    }

    pub async fn bind_to(http: &Client, management_url: &str, queue: &str, bindings: &[(&str, &str)]) -> Self {
        let shadow = Self { http: http.clone(), api: format!("{management_url}/api"), queue: queue.to_owned() };
        let quorum = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
        shadow.ask(Method::PUT, &format!("queues/%2f/{queue}"), &quorum).await;
        for (exchange, key) in bindings {
            let binding = json!({"routing_key": key});
            shadow.ask(Method::POST, &format!("bindings/%2f/e/{exchange}/q/{queue}"), &binding).await;
        }
        shadow
    }

    /// Takes all messages out of the queue.
    pub async fn take_all(&self) -> Log {
        let mut log = Log::new();
        let get = json!({"count": PAGE, "ackmode": "ack_requeue_false", "encoding": "auto"});
        loop {
            let page = self.ask(Method::POST, &format!("queues/%2f/{}/get", self.queue), &get).await;
            let page = page.as_array().cloned().unwrap_or_default();
            if page.is_empty() {
                return log;
            }
            log.extend(page.iter().map(|it| Message {
                routing_key: it["routing_key"].as_str().unwrap().to_owned(),
                message_id: it["properties"]["message_id"].as_str().and_then(|id| id.parse().ok()),
                body: it["payload"].as_str().unwrap().to_owned(),
            }));
        }
    }

    /// Removes the queue.
    pub async fn end(self) {
        self.ask(Method::DELETE, &format!("queues/%2f/{}", self.queue), &Value::Null).await;
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let limit = Instant::now() + PATIENCE;
        loop {
            let request = self.http.request(method.clone(), format!("{}/{path}", self.api));
            let request = request.header("content-type", "application/json").body(body.to_string());
            let failure = match request.send().await.and_then(reqwest::Response::error_for_status) {
                Ok(answer) => {
                    let text = answer.text().await.unwrap();
                    return serde_json::from_str(&text).unwrap_or_default();
                }
                Err(error) => error.without_url(),
            };
            // After a start the broker lets AMQP in before its management API.
            assert!(Instant::now() < limit, "{method} {path}: {failure}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// The messages of one tenant by id: how often each came, and whether its bytes differed.
pub fn by_id(log: &Log) -> BTreeMap<Uuid, Vec<&Message>> {
    let mut messages: BTreeMap<Uuid, Vec<&Message>> = BTreeMap::new();
    for message in log {
        messages.entry(message.message_id.unwrap_or_default()).or_default().push(message);
    }
    messages
}
