//! A request that has one effect, however often it comes: by what it is known again, what it was answered, and whom else the
//! answer goes to. Storage keeps it, in the transaction of the work; HTTP and the bus ask.

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::contract::ReplyTo;
use crate::ids::TenantId;

/// The scope of everything that is asked for over the bus.
pub const BUS: &str = "bus";

/// The status under which a command is kept that the rules refused, whatever HTTP would say.
const REFUSED: u16 = 409;

/// By what a request is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Within what the key is one: a route of HTTP with its ids, or [`BUS`].
    pub scope: String,
    /// The caller's own: the header `Idempotency-Key`, or the id of the message.
    pub key: String,
    /// SHA-256 of what is asked for: something else under the same key is refused.
    pub fingerprint: [u8; 32],
}

impl Key {
    /// Of a request over HTTP: `route` is its method and its path.
    #[must_use]
    pub fn of_request(route: String, key: String, body: &[u8]) -> Self {
        Self { scope: route, key, fingerprint: Sha256::digest(body).into() }
    }

    /// Of a command.
    #[must_use]
    pub fn of_message(command: &str, message_id: Uuid, body: &[u8]) -> Self {
        let fingerprint = Sha256::new().chain_update(command).chain_update([0]).chain_update(body).finalize().into();
        Self { scope: BUS.to_owned(), key: message_id.to_string(), fingerprint }
    }
}

/// What a request was answered, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of HTTP, also over the bus.
    pub status: u16,
    /// JSON text.
    pub body: String,
}

#[derive(Serialize)]
struct Refusal<'a> {
    code: &'a str,
    message: &'a str,
}

impl Answer {
    /// An answer with a JSON body.
    #[must_use]
    #[expect(clippy::expect_used, reason = "what is answered holds only strings, numbers, lists and JSON")]
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        Self { status, body: serde_json::to_string(body).expect("what is answered always serializes") }
    }

    /// Whether what was asked for was done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A command was refused by the rules.
    #[must_use]
    pub fn refused(code: &str, message: &str) -> Self {
        Self::json(REFUSED, &Refusal { code, message })
    }
}

/// A request, as far as it matters for carrying it out once.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whose it is; none: the installation's.
    pub owner: Option<TenantId>,
    /// Without one it is carried out each time.
    pub key: Option<Key>,
    /// Who waits for the answer on the bus.
    pub reply: Option<ReplyTo>,
}

impl Asked {
    /// Over HTTP, with a key or without.
    #[must_use]
    pub fn over_http(owner: Option<&TenantId>, key: Option<Key>) -> Self {
        Self { owner: owner.cloned(), key, reply: None }
    }

    /// Without a key: it is carried out each time.
    #[must_use]
    pub fn unnamed(owner: Option<&TenantId>) -> Self {
        Self::over_http(owner, None)
    }

    /// With how its outcome is answered.
    pub fn answering<T>(self, answer: impl Fn(&T) -> Answer + Send + Sync + 'static) -> Once<T> {
        Once { asked: self, answer: Arc::new(answer) }
    }
}

/// A request, and how its outcome is answered.
pub struct Once<T> {
    pub asked: Asked,
    pub answer: Arc<dyn Fn(&T) -> Answer + Send + Sync>,
}

impl<T> Clone for Once<T> {
    fn clone(&self) -> Self {
        Self { asked: self.asked.clone(), answer: Arc::clone(&self.answer) }
    }
}

/// What came of a request that is carried out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered<T> {
    /// It was carried out now.
    Now(T),
    /// It was carried out before, and answered so.
    Before(Answer),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_command_or_another_body_is_another_request() {
        let id = Uuid::from_u128(7);
        let of = |command, body: &str| Key::of_message(command, id, body.as_bytes());
        let first = of("enroll", "{}");
        assert_eq!((first.scope.as_str(), first.key.as_str()), (BUS, "00000000-0000-0000-0000-000000000007"));
        assert_eq!(first, of("enroll", "{}"));
        for other in [of("enroll", "{} "), of("enrol", "l{}"), of("recheck", "{}")] {
            assert_ne!(first.fingerprint, other.fingerprint);
        }
    }

    #[test]
    fn answers_are_json() {
        let done = Answer::json(201, &[1]);
        assert_eq!((done.body.as_str(), done.is_done()), ("[1]", true));
        let refused = Answer::refused("not_found", "there is no \"x\"");
        assert_eq!(refused.body, r#"{"code":"not_found","message":"there is no \"x\""}"#);
        assert!(!refused.is_done());
    }
}
