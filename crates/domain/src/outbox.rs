//! The outbox: messages that a transaction made true, and the traits by which the relay sees them
//! without knowing the database, and the database without knowing the broker.

pub mod gather;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use uuid::Uuid;

use crate::ids::TenantId;

/// A future on the heap, as the traits here hand them out.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// Any error of the other side.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A message to be written into the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    pub tenant_id: TenantId,
    pub exchange: &'static str,
    pub routing_key: &'static str,
    /// Whether the message must reach a queue before it may leave the outbox.
    pub mandatory: bool,
    pub message_id: Uuid,
    pub content_type: &'static str,
    pub payload: Vec<u8>,
    /// W3C trace context of what caused it: the header of the published message continues it.
    pub traceparent: Option<String>,
    /// How many stored events it speaks of: what the backlog is counted in. 0 for all but `events.stored`.
    pub events: u32,
}

impl NewMessage {
    /// The same message, in the trace of what caused it.
    #[must_use]
    pub fn in_trace(self, traceparent: Option<String>) -> Self {
        Self { traceparent, ..self }
    }
}

/// The reply to a command, to be written into the outbox: for the queue that whoever asked has named, past every exchange. It
/// waits for nobody: if the queue is gone, nobody waits any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReply {
    pub tenant_id: TenantId,
    pub queue: String,
    pub message_id: Uuid,
    pub correlation_id: String,
    /// JSON.
    pub payload: Vec<u8>,
    /// W3C trace context of the command.
    pub traceparent: Option<String>,
}

/// A message as it stands in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// The outbox row. Says nothing about order.
    pub id: i64,
    pub exchange: String,
    pub routing_key: String,
    pub mandatory: bool,
    pub message_id: Uuid,
    pub content_type: String,
    pub payload: Vec<u8>,
    /// W3C trace context of what caused it.
    pub traceparent: Option<String>,
    /// Of a reply, and of a command that is given again: what the asker knows the answer by.
    pub correlation_id: Option<String>,
    /// Of a command that is given again: where its answer is waited for.
    pub reply_to: Option<String>,
}

/// What became of one message that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The broker has it.
    Confirmed,
    /// Mandatory, and no queue was bound: it stays in the outbox.
    Returned,
    /// The broker refused it, with its reason: it stays in the outbox.
    Refused(String),
}

/// The side that talks to the broker.
pub trait Publish: Send + Sync + 'static {
    /// Whether publishing makes sense now: false while disconnected or blocked.
    fn ready(&self) -> bool;

    /// Publishes and awaits the confirms: one delivery per message, in the same order. An error means
    /// that nothing is known about any of them.
    fn publish(&self, messages: Arc<[OutboxMessage]>) -> BoxFuture<'_, Result<Vec<Delivery>, BoxError>>;
}

/// What one round of the relay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Rows taken.
    pub claimed: usize,
    /// There may be others that could have been taken: it is full, by their number or by their bytes.
    pub more: bool,
    /// Messages published that were chunks with room for more: what waits longer makes them fewer.
    pub unfilled: usize,
    /// Rows confirmed and deleted.
    pub confirmed: usize,
}

/// The side that keeps the messages.
pub trait Outbox: Send + Sync + 'static {
    /// Claims up to `limit` rows, publishes them, deletes the confirmed ones; all in one transaction.
    fn relay_round(&self, limit: usize, to: Arc<dyn Publish>) -> BoxFuture<'_, Result<Round, BoxError>>;

    /// Resolves once a transaction of this process has added messages.
    fn woken(&self) -> BoxFuture<'_, ()>;
}
