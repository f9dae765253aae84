//! A message that was given up, and the trait of the place that keeps it.

use uuid::Uuid;

use crate::ids::TenantId;
use crate::outbox::{BoxError, BoxFuture};

/// A message that no repetition can help, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Known only when the message could be read that far.
    pub tenant_id: Option<TenantId>,
    /// The queue it died in.
    pub queue: String,
    pub routing_key: String,
    pub message_id: Option<Uuid>,
    pub payload: Vec<u8>,
    /// Stable, `snake_case`.
    pub code: String,
    /// For people.
    pub cause: String,
    /// How often it was tried.
    pub attempts: i32,
}

/// Where dead letters go.
pub trait DeadLetters: Send + Sync + 'static {
    /// Keeps the letter; only after that the message may be acknowledged.
    fn store(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), BoxError>>;
}
