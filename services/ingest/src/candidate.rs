//! An event that has passed the door, in the form in which it is stored.

use std::sync::Arc;

use domain::event::Event;
use domain::ids::{ContactId, EventId, TenantId};
use domain::json::Json;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;

/// The first half of the HMAC-SHA-256 of an event's content under its tenant's key.
pub type ContentHash = [u8; 16];

/// One event to be stored, and the request's clock.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub tenant_id: TenantId,
    pub event_id: EventId,
    pub event_name: String,
    pub event_category: Option<String>,
    pub occurred_at: OffsetDateTime,
    pub sent_at: Option<OffsetDateTime>,
    pub project_id: Option<String>,
    pub user_id: Option<String>,
    pub contact_id: Option<ContactId>,
    pub session_id: Option<String>,
    pub properties: Json,
    pub context: Option<Json>,
    pub content_hash: ContentHash,
    /// At what rate its type is sampled; none where all are kept.
    pub sampling_rate: Option<f32>,
    /// Whether it came with a browser token, and so must not be old.
    pub from_browser: bool,
    /// W3C trace context of the request; none for most.
    pub traceparent: Option<Arc<str>>,
}

impl Candidate {
    /// The event of one tenant as it is to be stored, and the hash of what was sent.
    pub fn new(tenant_id: TenantId, event: Event, sent_at: Option<OffsetDateTime>, content_hash: ContentHash) -> Self {
        Self {
            content_hash,
            tenant_id,
            event_id: event.event_id,
            event_name: event.event_name,
            event_category: event.event_category,
            occurred_at: event.occurred_at,
            sent_at,
            project_id: event.project_id,
            user_id: event.user_id,
            contact_id: event.contact_id,
            session_id: event.session_id,
            properties: event.properties,
            context: event.context,
            sampling_rate: None,
            from_browser: false,
            traceparent: None,
        }
    }
}

/// A tenant's key for content hashes: a hash in the ledger tells nothing about its event.
#[derive(Clone)]
pub struct ContentKey(Hmac<Sha256>);

impl ContentKey {
    /// The key of these bytes.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(bytes).ok().map(Self)
    }

    /// The hash of an event's content.
    pub fn hash(&self, content: &str) -> ContentHash {
        let mut mac = self.0.clone();
        mac.update(content.as_bytes());
        let digest = mac.finalize().into_bytes();
        std::array::from_fn(|position| digest[position])
    }
}

/// A small event for tests: the id and the content are told by one byte each.
#[cfg(test)]
pub fn sample(tenant: &str, id: u8, content: u8) -> Candidate {
    let mut uuid = [0_u8; 16];
    uuid[15] = id;
    Candidate {
        tenant_id: TenantId::parse(tenant).unwrap(),
        event_id: EventId::from(uuid::Uuid::from_bytes(uuid)),
        event_name: "page_viewed".to_owned(),
        event_category: None,
        occurred_at: OffsetDateTime::UNIX_EPOCH,
        sent_at: None,
        project_id: None,
        user_id: Some("u".to_owned()),
        contact_id: None,
        session_id: None,
        properties: Json::object([("content", Json::from(i64::from(content)))]),
        context: None,
        content_hash: [content; 16],
        sampling_rate: None,
        from_browser: false,
        traceparent: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_hash_depends_on_content_and_key() {
        let (one, other) = (ContentKey::new(&[1; 32]).unwrap(), ContentKey::new(&[2; 32]).unwrap());
        assert_eq!(one.hash("a"), one.hash("a"));
        assert_ne!(one.hash("a"), one.hash("b"));
        assert_ne!(one.hash("a"), other.hash("a"));
    }
}
