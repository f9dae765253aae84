//! Every message that a run publishes, as somebody sees it who has bound to everything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bus::{Message, Subscription};
use domain::contract::exchange;
use jsonschema::Validator;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::dev::Dev;
use crate::work::{PUBLISHED, commands, through_everything, to_the_end};

const LIMIT: Duration = Duration::from_secs(40);
/// The commands: their exchange compares for equality, so each is bound by its name.
const COMMANDS: [&str; 7] =
    ["enroll", "end_enrollment", "schedule_action", "put_reference", "delete_reference", "erase_subject", "recheck"];

/// The schemas in use, each compiled once.
#[derive(Default)]
struct Schemas(BTreeMap<String, Validator>);

impl Schemas {
    /// Everything that the schema of `message` has against `value`.
    fn faults(&mut self, message: &str, value: &Value) -> Vec<String> {
        let schema = self.0.entry(message.to_owned()).or_insert_with(|| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-schemas").join(message);
            let text = fs::read_to_string(folder.join("v1.json")).expect("every message has a schema");
            let options = jsonschema::options().should_validate_formats(true);
            options.build(&serde_json::from_str(&text).unwrap()).unwrap()
        });
        schema.iter_errors(value).map(|fault| format!("{message}{}: {fault}", fault.instance_path())).collect()
    }

    /// What is wrong with a message that came by `exchange`.
    fn judge(&mut self, exchange: &str, message: &Message) -> Vec<String> {
        let key = message.routing_key.as_str();
        let body: Value = match serde_json::from_slice(&message.body) {
            Ok(body) => body,
            Err(error) => return vec![format!("{key} is no JSON: {error}")],
        };
        let is_fact = exchange == exchange::WORKFLOW;
        let expected = if is_fact { "application/cloudevents+json" } else { "application/json" };
        let mut faults = Vec::new();
        if exchange != exchange::DOMAIN && message.content_type.as_deref() != Some(expected) {
            faults.push(format!("{key} is {:?}", message.content_type));
        }
        match exchange {
            exchange::WORKFLOW => {
                faults.extend(self.faults("cloudevent", &body));
                faults.extend(self.faults(key, &body["data"]));
                let id = message.message_id.map(|id| id.to_string());
                if (id.as_deref(), body["type"].as_str()) != (body["id"].as_str(), Some(key)) {
                    faults.push(format!("{key} has another id or type outside than inside"));
                }
                if body["dataschema"] != format!("/schemas/{key}/v1.json") {
                    faults.push(format!("{key} names the schema {}", body["dataschema"]));
                }
            }
            exchange::DOMAIN if body.get("specversion").is_none() => faults.extend(self.faults("event", &body)),
            exchange::DOMAIN => {}
            _ => faults.extend(self.faults(key, &body)),
        }
        faults
    }
}

/// Looks on at everything; what comes, comes with the name of its exchange.
async fn everything(dev: &Dev) -> mpsc::UnboundedReceiver<(&'static str, Message)> {
    let topics = [exchange::DOMAIN, exchange::EVENTS, exchange::WORKFLOW, exchange::DEAD].map(|topic| (topic, "#"));
    let commands = COMMANDS.map(|command| (exchange::COMMANDS, command));
    let (seen, messages) = mpsc::unbounded_channel();
    for (exchange, key) in topics.into_iter().chain(commands) {
        let mut subscription = Subscription::open(dev.text("/amqp_url"), exchange, key).await.unwrap();
        let seen = seen.clone();
        tokio::spawn(async move {
            while let Some(message) = subscription.next().await {
                if seen.send((exchange, message)).is_err() {
                    break;
                }
            }
        });
    }
    messages
}

pub async fn every_message_is_as_its_schema_says(dev: &Dev) {
    let mut messages = everything(dev).await;
    through_everything(dev).await;
    let mut schemas = Schemas::default();
    let replies = commands(dev).await;
    for (place, reply) in replies.iter().enumerate() {
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(schemas.faults("command_reply", &body), Vec::<String>::new(), "{body}");
        let status = if place + 1 == replies.len() { "refused" } else { "done" };
        assert_eq!(
            (&body["status"], reply.content_type.as_deref()),
            (&status.into(), Some("application/json")),
            "{body}"
        );
    }
    let mut seen: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let (mut has_left, limit) = (false, Instant::now() + LIMIT);
    let count = |seen: &BTreeMap<(&str, String), usize>, (exchange, key): (&'static str, &str)| {
        seen.get(&(exchange, key.to_owned())).copied().unwrap_or_default()
    };
    while PUBLISHED.iter().any(|&(exchange, key, least)| count(&seen, (exchange, key)) < least) {
        let next = tokio::time::timeout_at(limit.into(), messages.recv()).await;
        let (exchange, message) = next.unwrap_or_else(|_| panic!("not all has come: {seen:?}")).unwrap();
        let faults = schemas.judge(exchange, &message);
        let text = String::from_utf8_lossy(&message.body);
        assert!(faults.is_empty(), "{faults:#?} in {text}");
        *seen.entry((exchange, message.routing_key)).or_default() += 1;
        // What is due has to be told before the workflow ends, which holds it back.
        let is_told = |key| count(&seen, (exchange::WORKFLOW, key)) > 0;
        if !has_left && is_told("workflow.exit.goal") && is_told("workflow.action.due") {
            has_left = true;
            to_the_end(dev).await;
        }
    }
    let unexpected: Vec<_> =
        seen.keys().filter(|(exchange, key)| !PUBLISHED.iter().any(|(e, k, _)| e == exchange && k == key)).collect();
    assert!(unexpected.is_empty(), "messages that this run should not publish: {unexpected:?}");
}
