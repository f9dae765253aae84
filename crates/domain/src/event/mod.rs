//! The event: one immutable fact, as every door takes it and every table keeps it.

mod context;
mod parse;

use time::{Duration, OffsetDateTime};

use crate::catalogue::Subject;
use crate::fault::Fault;
use crate::ids::{ContactId, EventId, TenantId};
use crate::json::Json;
use crate::time_format;

pub use parse::is_event_name;

/// How far an event may lie in the future before its time is not believed.
pub const MAX_AHEAD: Duration = Duration::minutes(5);

/// One event, its envelope checked. `properties` is always an object, empty when none was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub event_id: EventId,
    pub project_id: Option<String>,
    pub event_name: String,
    pub event_category: Option<String>,
    /// As sent, in UTC, whole microseconds.
    pub occurred_at: OffsetDateTime,
    pub user_id: Option<String>,
    pub contact_id: Option<ContactId>,
    pub session_id: Option<String>,
    pub properties: Json,
    pub context: Option<Json>,
}

/// Ids given once for a whole request, for the events that lack them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    pub project_id: Option<String>,
    pub user_id: Option<String>,
    pub session_id: Option<String>,
}

impl Defaults {
    /// Checks the ids once, so that a bad default is a fault of the request and not of every event.
    ///
    /// # Errors
    /// The first default that is no identifier, with its pointer.
    pub fn check(&self) -> Result<(), Fault> {
        let fields = [("project_id", &self.project_id), ("user_id", &self.user_id), ("session_id", &self.session_id)];
        for (key, value) in fields {
            if let Some(text) = value {
                parse::text_id(text).map_err(|fault| fault.within(key))?;
            }
        }
        Ok(())
    }
}

/// What a tenant does with names that neither the catalogue nor its own types know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Taxonomy {
    /// Takes them: that is how custom goals start.
    #[default]
    Open,
    /// Rejects them.
    Strict,
}

/// The event types a tenant added itself. `()` knows none.
pub trait OwnTypes {
    /// Whom events of that type are about, or `None` when the tenant has no such type.
    fn subject(&self, event_name: &str) -> Option<Subject>;
}

impl OwnTypes for () {
    fn subject(&self, _event_name: &str) -> Option<Subject> {
        None
    }
}

/// Under what rules an event is let in.
#[derive(Clone, Copy)]
pub struct Admission<'a> {
    /// The tenant the credential decided.
    pub tenant: &'a TenantId,
    pub taxonomy: Taxonomy,
    /// The tenant's own event types.
    pub own_types: &'a dyn OwnTypes,
    pub max_properties_bytes: usize,
    pub defaults: &'a Defaults,
}

/// Why an event was not let in; with its id, when that could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Reject {
    pub event_id: Option<EventId>,
    pub fault: Fault,
}

impl Event {
    /// Reads one event, envelope first, then its name, then size, depth, keys and content of
    /// `properties` and `context`. Properties are not held against a schema here.
    ///
    /// # Errors
    /// The first fault found, with a stable code; the README lists them all.
    pub fn parse(raw: &str, admission: &Admission<'_>) -> Result<Event, Reject> {
        parse::event(raw, admission)
    }

    /// The content of the event as one canonical text: the same event written with other key order,
    /// number spelling, time offset or white space gives the same text, another event another. What a conflict is decided by
    /// (through a keyed hash); it never leaves memory.
    #[must_use]
    pub fn content_text(&self) -> String {
        let texts = [
            ("event_id", Some(self.event_id.to_string())),
            ("project_id", self.project_id.clone()),
            ("event_name", Some(self.event_name.clone())),
            ("event_category", self.event_category.clone()),
            ("occurred_at", Some(time_format::to_text(self.occurred_at))),
            ("user_id", self.user_id.clone()),
            ("contact_id", self.contact_id.as_ref().map(ToString::to_string)),
            ("session_id", self.session_id.clone()),
        ];
        let present = texts.into_iter().filter_map(|(key, text)| Some((key, Json::String(text?))));
        // The two large ones are written where they are, each on a line of its own.
        let mut content = Json::object(present).canonical_text();
        for part in [Some(&self.properties), self.context.as_ref()] {
            content.push('\n');
            content.push_str(&part.map(Json::canonical_text).unwrap_or_default());
        }
        content
    }
}

/// The time an event is evaluated and counted by, and whether it was clamped.
///
/// `occurred_at` is corrected by the sender's clock skew (`sent_at − received_at`) when `sent_at` is
/// known; a correction that leads before 1970 is not believed. What then lies more than five minutes
/// ahead of `received_at` becomes `received_at`.
#[must_use]
pub fn event_time(
    occurred_at: OffsetDateTime,
    sent_at: Option<OffsetDateTime>,
    received_at: OffsetDateTime,
) -> (OffsetDateTime, bool) {
    let corrected = sent_at
        .and_then(|sent_at| occurred_at.checked_sub(sent_at - received_at))
        .filter(|time| *time >= OffsetDateTime::UNIX_EPOCH)
        .unwrap_or(occurred_at);
    if corrected - received_at > MAX_AHEAD { (received_at, true) } else { (corrected, false) }
}

#[cfg(test)]
mod tests;
