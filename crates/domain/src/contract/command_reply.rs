//! The reply to a command, for whoever asked for one: on the queue that it named, past every exchange.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{bytes_of, derived_id};
use crate::ids::TenantId;
use crate::json::{Json, Limits};
use crate::once::Answer;
use crate::outbox::NewReply;

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandReply {
    /// Its routing key.
    pub command: String,
    /// The `message_id` of the command.
    pub message_id: Uuid,
    pub status: ReplyStatus,
    /// What HTTP answers to the same request, if it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// Why it was refused; stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether a command was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyStatus {
    Done,
    Refused,
}

/// Who waits for the reply to which command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    pub command: String,
    pub message_id: Uuid,
    /// The property `reply_to` of the command: a queue.
    pub queue: String,
    /// The property of that name of the command, or else its message id.
    pub correlation_id: String,
    /// W3C trace context of the command.
    pub traceparent: Option<String>,
}

impl ReplyTo {
    /// The reply: the same bytes under the same id to the same answer.
    #[must_use]
    pub fn reply(&self, tenant_id: &TenantId, answer: &Answer) -> NewReply {
        let body = Json::parse(&answer.body, &Limits::WIRE).unwrap_or(Json::Null);
        let text = |key: &str| body.get(key).and_then(Json::as_str).map(str::to_owned);
        let (command, message_id) = (self.command.clone(), self.message_id);
        let (code, message) = (text("code"), text("message"));
        let reply = if answer.is_done() {
            let (status, result) = (ReplyStatus::Done, Some(body));
            CommandReply { command, message_id, status, result, code: None, message: None }
        } else {
            CommandReply { command, message_id, status: ReplyStatus::Refused, result: None, code, message }
        };
        NewReply {
            tenant_id: tenant_id.clone(),
            queue: self.queue.clone(),
            message_id: derived_id("command_reply", &[tenant_id.as_str(), &message_id.to_string()]),
            correlation_id: self.correlation_id.clone(),
            payload: bytes_of(&reply),
            traceparent: self.traceparent.clone(),
        }
    }
}
