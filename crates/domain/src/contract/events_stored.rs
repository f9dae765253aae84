//! `events.stored`: events of one tenant that have been stored, up to 200 at once.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{JSON, V1, bytes_of, derived_id, exchange};
use crate::ids::{ContactId, EventId, TenantId};
use crate::json::Json;
use crate::outbox::NewMessage;

/// A chunk of stored events. It only nominates: what is judged and counted is what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsStored<'a> {
    #[serde(default)]
    pub version: V1,
    pub tenant_id: TenantId,
    /// 1–200.
    pub events: Vec<EventStored<'a>>,
}

/// One stored event, as far as consumers need it to decide whether to look. Who writes it lends what it has; who reads it owns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventStored<'a> {
    pub event_id: EventId,
    pub event_name: Cow<'a, str>,
    #[serde(with = "crate::time_format")]
    pub event_time: OffsetDateTime,
    #[serde(with = "crate::time_format")]
    pub received_at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<Cow<'a, ContactId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Cow<'a, str>>,
    /// As stored, redacted.
    pub properties: Cow<'a, Json>,
    /// W3C trace context of the request that brought it, where that belongs to a trace: a chunk mixes requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Cow<'a, str>>,
}

impl EventsStored<'_> {
    pub const EXCHANGE: &'static str = exchange::EVENTS;
    pub const ROUTING_KEY: &'static str = "events.stored";
    /// Most events in one chunk.
    pub const MAX_EVENTS: usize = 200;
    /// Most bytes of one chunk, unless a single event is bigger.
    pub const MAX_BYTES: usize = 1_048_576;

    /// The outbox message of this chunk. Mandatory; its id is derived from the events in it. It travels in the trace of the
    /// first event that has one; whoever reads it goes by that of each event.
    #[must_use]
    pub fn into_message(self) -> NewMessage {
        let ids: String = self.events.iter().map(|event| event.event_id.as_uuid().simple().to_string()).collect();
        let message_id: Uuid = derived_id(Self::ROUTING_KEY, &[self.tenant_id.as_str(), &ids]);
        NewMessage {
            payload: bytes_of(&self),
            traceparent: self.events.iter().find_map(|event| event.traceparent.as_deref()).map(str::to_owned),
            events: u32::try_from(self.events.len()).unwrap_or(u32::MAX),
            tenant_id: self.tenant_id,
            exchange: Self::EXCHANGE,
            routing_key: Self::ROUTING_KEY,
            mandatory: true,
            message_id,
            content_type: JSON,
        }
    }
}
