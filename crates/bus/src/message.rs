//! What a handler is given, and what it answers.

use bytes::Bytes;
use domain::contract::{Command, EraseSubject, ReplyTo, parse_command};
use domain::dead_letter::DeadLetter;
use domain::fault::Fault;
use domain::ids::TenantId;
use domain::once::{Asked, Key};
use domain::outbox::BoxFuture;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use serde::Deserialize;
use uuid::Uuid;

use crate::topology::Queue;

/// One delivered message.
#[derive(Clone, Debug)]
pub struct Message {
    /// The payload, as it came.
    pub body: Bytes,
    /// The routing key it was published with.
    pub routing_key: String,
    /// The `message_id` property, when it is a UUID.
    pub message_id: Option<Uuid>,
    /// The `content_type` property.
    pub content_type: Option<String>,
    /// The `user_id` property. When it is there, the broker has checked that it is the publisher.
    pub user_id: Option<String>,
    /// The property `reply_to`: where the answer to a command is wanted.
    pub reply_to: Option<String>,
    /// The property `correlation_id`: by what the asker knows the answer.
    pub correlation_id: Option<String>,
    /// The header `traceparent` (W3C), if it is valid.
    pub traceparent: Option<String>,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    /// How often it was delivered before without an acknowledgement, as the broker counts.
    pub delivery_count: u32,
}

/// What is to become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is done (or was done before): acknowledge it.
    Ack,
    /// Something it needs is away, and the message is not to blame: wait and give it again. The
    /// text says what is away.
    Retry(String),
    /// It can never be handled: store it with its cause, then acknowledge it.
    DeadLetter {
        /// Stable, snake_case.
        code: &'static str,
        /// For the one who looks at it.
        cause: String,
    },
}

/// Handles the messages of one queue.
pub trait Handler: Send + Sync + 'static {
    /// Handles all of `messages` and answers for each, in the same order. It may be given the same
    /// message again, alone or in other company.
    fn handle<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Action>>;
}

/// After this many deliveries a message is suspected of ending the process that handles it.
const SUSPECT_AFTER: u32 = 3;

/// The broker's count. A publisher can write that header too, but not mark its message as
/// delivered before.
fn delivery_count(delivery: &Delivery) -> u32 {
    let headers = delivery.properties.headers().as_ref().filter(|_| delivery.redelivered);
    headers.map_or(0, |headers| count(headers, "x-delivery-count"))
}

/// Whether this message must be out of the queue alone when it is handled.
pub(crate) fn is_suspect(delivery: &Delivery) -> bool {
    delivery_count(delivery) >= SUSPECT_AFTER
}

impl Message {
    pub(crate) fn of(delivery: &mut Delivery) -> Self {
        let properties = &delivery.properties;
        let headers = properties.headers().as_ref();
        let text = |value: &Option<lapin::types::ShortString>| value.as_ref().map(|value| value.as_str().to_owned());
        Self {
            routing_key: delivery.routing_key.as_str().to_owned(),
            message_id: properties.message_id().as_ref().and_then(|id| id.as_str().parse().ok()),
            content_type: text(properties.content_type()),
            user_id: text(properties.user_id()),
            reply_to: text(properties.reply_to()),
            correlation_id: text(properties.correlation_id()),
            traceparent: headers
                .and_then(|headers| string(headers, "traceparent"))
                .filter(|text| trace::is_valid(text)),
            redelivered: delivery.redelivered,
            delivery_count: delivery_count(delivery),
            body: Bytes::from(std::mem::take(&mut delivery.data)),
        }
    }

    /// This command of a tenant as a request that is carried out once: known again by its message id, answered where it says.
    ///
    /// # Errors
    /// It has no UUID as its message id, or what it names is no queue that may be answered on: a dead letter.
    pub fn asked(&self, tenant: &TenantId) -> Result<Asked, Action> {
        let dead = |code, cause: &str| Action::DeadLetter { code, cause: cause.to_owned() };
        let no_id =
            || dead("message_id_required", "a command needs a UUID as its message_id: by it a repetition is known");
        let message_id = self.message_id.ok_or_else(no_id)?;
        let reply = self.reply_to.as_deref().map(|queue| {
            if !may_be_answered_on(queue) {
                let cause = "reply_to has to be the name of a queue of the asker's, in printable ASCII without spaces";
                return Err(dead("invalid_reply_to", cause));
            }
            Ok(ReplyTo {
                command: self.routing_key.clone(),
                message_id,
                queue: queue.to_owned(),
                correlation_id: self.correlation_id.clone().unwrap_or_else(|| message_id.to_string()),
                traceparent: self.traceparent.clone(),
            })
        });
        let key = Key::of_message(&self.routing_key, message_id, &self.body);
        Ok(Asked { owner: Some(tenant.clone()), key: Some(key), reply: reply.transpose()? })
    }

    /// This message as a request to erase somebody.
    ///
    /// # Errors
    /// It is another command, it cannot be read, or it says not whom: a dead letter.
    pub fn erasure(&self) -> Result<(EraseSubject, Asked), Action> {
        if self.routing_key != EraseSubject::ROUTING_KEY {
            let cause = format!("the command {} is not known here", self.routing_key);
            return Err(Action::DeadLetter { code: "unknown_command", cause });
        }
        let read = parse_command::<EraseSubject>(&self.body).and_then(|command| command.check().map(|()| command));
        // Without the text of the fault, which may quote what is to be forgotten.
        let cause = |fault: Fault| format!("{} {}", fault.code, fault.pointer).trim_end().to_owned();
        let command = read.map_err(|fault| Action::DeadLetter { code: "malformed_message", cause: cause(fault) })?;
        let asked = self.asked(&command.tenant_id)?;
        Ok((command, asked))
    }

    /// This message as a dead letter of `queue`, after `attempts` more attempts in this process.
    pub(crate) fn letter(&self, queue: &str, code: &str, cause: &str, attempts: u32) -> DeadLetter {
        DeadLetter {
            tenant_id: claimed_tenant(&self.body),
            queue: queue.to_owned(),
            routing_key: self.routing_key.clone(),
            message_id: self.message_id,
            payload: self.body.to_vec(),
            reply_to: self.reply_to.clone(),
            correlation_id: self.correlation_id.clone(),
            code: code.to_owned(),
            cause: cause.to_owned(),
            attempts: i32::try_from(self.delivery_count.saturating_add(attempts)).unwrap_or(i32::MAX),
        }
    }
}

/// Whoever may publish commands names a queue that Goalpost then publishes to: never one of its own, where a reply would pass for
/// something else. With a space it would address a queue and a routing key (`publisher`).
fn may_be_answered_on(queue: &str) -> bool {
    let ours = || Queue::ALL.iter().any(|own| queue == own.name() || queue == own.dead_name());
    !queue.is_empty() && queue.bytes().all(|byte| byte.is_ascii_graphic()) && !ours()
}

/// Why the broker gave a message up: the newest entry of its `x-death` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) reason: String,
    pub(crate) queue: String,
    pub(crate) routing_key: Option<String>,
}

impl Death {
    pub(crate) fn of(properties: &BasicProperties) -> Option<Self> {
        let deaths = properties.headers().as_ref()?.inner().get("x-death")?.as_array()?;
        let newest = deaths.as_slice().first()?.as_field_table()?;
        let keys = newest.inner().get("routing-keys").and_then(AMQPValue::as_array);
        Some(Self {
            reason: string(newest, "reason")?,
            queue: string(newest, "queue")?,
            routing_key: keys.and_then(|keys| keys.as_slice().first()).and_then(text),
        })
    }
}

/// The tenant a body speaks of: for the operator who looks for a tenant's dead letters. Every
/// contract has it at the top, as a field or as the CloudEvents extension.
fn claimed_tenant(body: &[u8]) -> Option<TenantId> {
    #[derive(Deserialize)]
    struct Claim {
        #[serde(alias = "tenantid")]
        tenant_id: String,
    }
    let claim: Claim = serde_json::from_slice(body).ok()?;
    TenantId::parse(&claim.tenant_id).ok()
}

fn string(table: &FieldTable, key: &str) -> Option<String> {
    table.inner().get(key).and_then(text)
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

fn count(table: &FieldTable, key: &str) -> u32 {
    let count = match table.inner().get(key) {
        Some(AMQPValue::ShortShortInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortShortUInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortUInt(count)) => i64::from(*count),
        Some(AMQPValue::LongInt(count)) => i64::from(*count),
        Some(AMQPValue::LongUInt(count)) => i64::from(*count),
        Some(AMQPValue::LongLongInt(count)) => *count,
        _ => 0,
    };
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use lapin::types::{FieldArray, ShortString};

    use super::*;

    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.insert(ShortString::from(*key), value.clone());
        }
        table
    }

    fn delivery(redelivered: bool, properties: BasicProperties) -> Delivery {
        let mut delivery = Delivery::mock(7, "e".into(), "k".into(), redelivered, b"{}".to_vec());
        delivery.properties = properties;
        delivery
    }

    #[test]
    fn properties_and_headers_are_read() {
        let id = Uuid::now_v7();
        let headers = table(&[
            ("x-delivery-count", AMQPValue::LongLongInt(3)),
            ("traceparent", AMQPValue::LongString(TRACEPARENT.into())),
        ]);
        let properties = BasicProperties::default()
            .with_message_id(id.to_string().into())
            .with_user_id("crm".into())
            .with_headers(headers);
        let mut delivery = delivery(true, properties);
        assert!(is_suspect(&delivery));
        let message = Message::of(&mut delivery);
        assert_eq!(message.message_id, Some(id));
        assert_eq!(message.user_id.as_deref(), Some("crm"));
        assert_eq!(message.traceparent.as_deref(), Some(TRACEPARENT));
        assert_eq!(message.delivery_count, 3);
    }

    #[test]
    fn strange_properties_are_not_trusted() {
        // A publisher's own: the broker has not delivered this one before.
        let headers = table(&[
            ("x-delivery-count", AMQPValue::LongLongInt(9)),
            ("traceparent", AMQPValue::LongString("00-a-b-01".into())),
        ]);
        let properties = BasicProperties::default().with_message_id("not a uuid".into()).with_headers(headers);
        let mut delivery = delivery(false, properties);
        assert!(!is_suspect(&delivery));
        let message = Message::of(&mut delivery);
        assert_eq!((message.message_id, message.delivery_count), (None, 0));
        assert_eq!(message.traceparent, None);
    }

    #[test]
    fn a_command_is_known_by_its_id_and_answered_where_it_says() {
        let (id, tenant) = (Uuid::now_v7(), TenantId::parse("acme").unwrap());
        let asked = |properties: BasicProperties| Message::of(&mut delivery(false, properties)).asked(&tenant);
        let known = || BasicProperties::default().with_message_id(id.to_string().into());
        let plain = asked(known()).unwrap();
        assert_eq!((plain.owner, plain.reply), (Some(tenant.clone()), None));
        assert_eq!(plain.key, Some(Key::of_message("k", id, b"{}")));

        let reply = asked(known().with_reply_to("amq.gen-7x".into())).unwrap().reply.unwrap();
        assert_eq!((reply.queue.as_str(), reply.correlation_id), ("amq.gen-7x", id.to_string()));
        let reply = asked(known().with_reply_to("r".into()).with_correlation_id("7".into())).unwrap().reply.unwrap();
        assert_eq!((reply.correlation_id.as_str(), reply.command.as_str(), reply.message_id), ("7", "k", id));

        let code = |properties| match asked(properties) {
            Err(Action::DeadLetter { code, .. }) => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(BasicProperties::default()), "message_id_required");
        for queue in ["", "evaluator.commands", "goals.commands.dead", "evaluator.commands recheck", "r\u{e9}"] {
            assert_eq!(code(known().with_reply_to(queue.into())), "invalid_reply_to", "{queue}");
        }
    }

    #[test]
    fn the_newest_death_is_read() {
        let death = table(&[
            ("reason", AMQPValue::LongString("delivery_limit".into())),
            ("queue", AMQPValue::LongString("goals.commands".into())),
            (
                "routing-keys",
                AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongString("put_reference".into())])),
            ),
        ]);
        let deaths = FieldArray::from(vec![AMQPValue::FieldTable(death)]);
        let headers = table(&[("x-death", AMQPValue::FieldArray(deaths))]);
        let death = Death::of(&BasicProperties::default().with_headers(headers)).unwrap();
        assert_eq!(death.reason, "delivery_limit");
        assert_eq!(death.queue, "goals.commands");
        assert_eq!(death.routing_key.as_deref(), Some("put_reference"));
    }

    #[test]
    fn a_dead_letter_names_the_tenant_its_body_claims() {
        let of = |body: &str| claimed_tenant(body.as_bytes()).map(|id| id.to_string());
        assert_eq!(of(r#"{"x":1,"tenant_id":"acme"}"#).as_deref(), Some("acme"));
        assert_eq!(of(r#"{"specversion":"1.0","tenantid":"acme"}"#).as_deref(), Some("acme"));
        assert_eq!(of(r#"{"tenant_id":"no spaces"}"#), None);
        assert_eq!(of("}{"), None);
    }
}
