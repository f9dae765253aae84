//! The envelope of an event, rule by rule, each with its own code.

use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::{Admission, Event, Reject, Taxonomy, context};
use crate::catalogue::{self, Subject};
use crate::fault::Fault;
use crate::ids::{self, ContactId, EventId};
use crate::json::{Json, Limits, split_object};
use crate::time_format;

/// Longest text of one event, white space and fields that nobody reads included.
const MAX_EVENT_BYTES: usize = 256 * 1024;
/// Most fields beside each other in one event.
const MAX_FIELDS: usize = 64;
const MAX_NAME_CHARS: usize = 128;
const MAX_CATEGORY_CHARS: usize = 64;

/// Bounds of the event as a whole while its fields are told apart.
const EVENT: Limits = Limits {
    max_bytes: MAX_EVENT_BYTES,
    max_depth: 16,
    max_keys: MAX_FIELDS,
    max_string_bytes: 8_192,
};
/// Bounds of one field that is neither `properties` nor `context`.
const FIELD: Limits = Limits {
    max_bytes: 8_192,
    max_depth: 16,
    max_keys: 256,
    max_string_bytes: 8_192,
};

/// Whether `name` may be the name of an event: `^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`, 1–128 characters.
#[must_use]
pub fn is_event_name(name: &str) -> bool {
    let segment = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_lowercase())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    name.len() <= MAX_NAME_CHARS && name.split('.').all(segment)
}

pub(super) fn event(raw: &str, admission: &Admission<'_>) -> Result<Event, Reject> {
    checked(raw, admission).map_err(|fault| Reject {
        event_id: peek_id(raw),
        fault,
    })
}

/// The id of an event that is otherwise unreadable.
fn peek_id(raw: &str) -> Option<EventId> {
    #[derive(serde::Deserialize)]
    struct Peek<'t> {
        #[serde(borrow)]
        event_id: &'t RawValue,
    }
    let peek: Peek<'_> = serde_json::from_str(raw).ok()?;
    let text: String = serde_json::from_str(peek.event_id.get()).ok()?;
    text.parse().ok()
}

fn checked(raw: &str, admission: &Admission<'_>) -> Result<Event, Fault> {
    if raw.len() > MAX_EVENT_BYTES {
        return Err(Fault::new(
            "too_large",
            format!("an event must be at most {MAX_EVENT_BYTES} bytes"),
        ));
    }
    let fields = Fields::split(raw)?;
    let event_id = event_id(&fields)?;
    tenant(&fields, admission)?;
    let event_name = event_name(&fields)?;
    let occurred_at = occurred_at(&fields)?;
    let project_id = id(&fields, "project_id")?;
    let event_category = category(&fields)?;
    let user_id = id(&fields, "user_id")?;
    let contact_id = contact(&fields, "contact_id")?;
    let session_id = id(&fields, "session_id")?;
    fields.check_unread()?;

    let subject = subject(&event_name, admission)?;
    let limits = Limits {
        max_bytes: admission.max_properties_bytes,
        max_string_bytes: usize::MAX,
        ..Limits::PROPERTIES
    };
    let properties = fields
        .object("properties", &limits)?
        .unwrap_or(Json::Object(Vec::new()));
    let context = fields.object("context", &Limits::CONTEXT)?;
    if let Some(context) = &context {
        context::check(context).map_err(|fault| fault.within("context"))?;
    }

    let defaults = admission.defaults;
    let inner = |key: &str| properties.present(key);
    let contact_id = match contact_id {
        Some(id) => Some(id),
        None => inner("contact_id")
            .map(as_contact)
            .transpose()
            .map_err(in_properties("contact_id"))?,
    };
    let session_id = match session_id {
        Some(id) => Some(id),
        None => inner("sessionId")
            .map(as_id)
            .transpose()
            .map_err(in_properties("sessionId"))?,
    };
    let session_id = session_id.or_else(|| defaults.session_id.clone());
    let user_id = user_id.or_else(|| defaults.user_id.clone());
    if subject.needs_person() && user_id.is_none() && contact_id.is_none() && session_id.is_none() {
        return Err(Fault::at(
            "user_id",
            "missing_subject",
            "one of user_id, contact_id or session_id is required",
        ));
    }
    Ok(Event {
        event_id,
        project_id: project_id.or_else(|| defaults.project_id.clone()),
        event_name,
        event_category,
        occurred_at,
        user_id,
        contact_id,
        session_id,
        properties,
        context,
    })
}

/// The fields of an event, told apart but not yet read.
struct Fields<'t>(Vec<(String, &'t str)>);

impl<'t> Fields<'t> {
    fn split(raw: &'t str) -> Result<Self, Fault> {
        split_object(raw, &EVENT).map(Fields)
    }

    /// The field's value; `None` when it is absent or `null`.
    fn read(&self, key: &str, limits: &Limits) -> Result<Option<Json>, Fault> {
        let Some((_, raw)) = self.0.iter().find(|(name, _)| name == key) else {
            return Ok(None);
        };
        let value = Json::parse(raw, limits).map_err(|fault| fault.within(key))?;
        Ok(Some(value).filter(|value| !value.is_null()))
    }

    fn object(&self, key: &str, limits: &Limits) -> Result<Option<Json>, Fault> {
        let value = self.read(key, limits)?;
        match &value {
            Some(Json::Object(_)) | None => Ok(value),
            Some(other) => Err(wrong_type("an object", other).within(key)),
        }
    }

    fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        match self.read(key, &FIELD)? {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type("a string", &other).within(key)),
        }
    }

    fn required_text(&self, key: &str) -> Result<String, Fault> {
        self.text(key)?
            .ok_or_else(|| Fault::at(key, "missing_field", format!("{key} is required")))
    }

    /// Fields that no rule reads are ignored, but they must be sound JSON all the same.
    fn check_unread(&self) -> Result<(), Fault> {
        const READ: [&str; 11] = [
            "event_id",
            "tenant_id",
            "event_name",
            "occurred_at",
            "project_id",
            "event_category",
            "user_id",
            "contact_id",
            "session_id",
            "properties",
            "context",
        ];
        for (key, _) in self
            .0
            .iter()
            .filter(|(key, _)| !READ.contains(&key.as_str()))
        {
            self.read(key, &FIELD)?;
        }
        Ok(())
    }
}

fn wrong_type(wanted: &str, given: &Json) -> Fault {
    Fault::new(
        "invalid_type",
        format!("must be {wanted}, not {}", given.type_name()),
    )
}

fn in_properties(key: &'static str) -> impl Fn(Fault) -> Fault {
    move |fault| fault.within(key).within("properties")
}

fn event_id(fields: &Fields<'_>) -> Result<EventId, Fault> {
    let text = fields.required_text("event_id")?;
    let id: EventId = text.parse().map_err(|_| {
        Fault::at(
            "event_id",
            "invalid_event_id",
            "must be a UUID of the form 8-4-4-4-12",
        )
    })?;
    if id.as_uuid().is_nil() {
        return Err(Fault::at(
            "event_id",
            "placeholder_id",
            "must not be the nil UUID",
        ));
    }
    Ok(id)
}

fn tenant(fields: &Fields<'_>, admission: &Admission<'_>) -> Result<(), Fault> {
    match fields.text("tenant_id")? {
        Some(named) if named != admission.tenant.as_str() => Err(Fault::at(
            "tenant_id",
            "tenant_mismatch",
            "is not the tenant of the credential",
        )),
        _ => Ok(()),
    }
}

fn event_name(fields: &Fields<'_>) -> Result<String, Fault> {
    let name = fields.required_text("event_name")?;
    if is_event_name(&name) {
        return Ok(name);
    }
    let message =
        "must be 1 to 128 characters: lower-case words of a-z, 0-9 and '_', joined by '.'";
    Err(Fault::at("event_name", "invalid_event_name", message))
}

fn occurred_at(fields: &Fields<'_>) -> Result<OffsetDateTime, Fault> {
    let text = fields.required_text("occurred_at")?;
    time_format::parse(&text).map_err(|fault| fault.within("occurred_at"))
}

fn category(fields: &Fields<'_>) -> Result<Option<String>, Fault> {
    let category = fields
        .text("event_category")?
        .filter(|text| !text.is_empty());
    match &category {
        Some(text) if text.chars().count() > MAX_CATEGORY_CHARS => Err(Fault::at(
            "event_category",
            "too_long",
            format!("must be at most {MAX_CATEGORY_CHARS} characters"),
        )),
        _ => Ok(category),
    }
}

pub(super) fn text_id(text: &str) -> Result<(), Fault> {
    ids::check_text_id(text).map_err(|why| Fault::new(why.code(), why.to_string()))
}

fn id(fields: &Fields<'_>, key: &str) -> Result<Option<String>, Fault> {
    let text = fields.text(key)?;
    if let Some(text) = &text {
        text_id(text).map_err(|fault| fault.within(key))?;
    }
    Ok(text)
}

fn contact(fields: &Fields<'_>, key: &str) -> Result<Option<ContactId>, Fault> {
    let text = fields.text(key)?;
    text.map(|text| contact_id(&text))
        .transpose()
        .map_err(|fault| fault.within(key))
}

fn contact_id(text: &str) -> Result<ContactId, Fault> {
    ContactId::parse(text).map_err(|why| Fault::new(why.code(), why.to_string()))
}

fn as_id(value: &Json) -> Result<String, Fault> {
    let text = value
        .as_str()
        .ok_or_else(|| wrong_type("a string", value))?;
    text_id(text).map(|()| text.to_owned())
}

fn as_contact(value: &Json) -> Result<ContactId, Fault> {
    contact_id(
        value
            .as_str()
            .ok_or_else(|| wrong_type("a string", value))?,
    )
}

/// Whom the event is about, by the catalogue, the tenant's own types, or by default a user.
fn subject(event_name: &str, admission: &Admission<'_>) -> Result<Subject, Fault> {
    if let Some(builtin) = catalogue::builtin(event_name) {
        return Ok(builtin.subject);
    }
    match (admission.own_types.subject(event_name), admission.taxonomy) {
        (Some(subject), _) => Ok(subject),
        (None, Taxonomy::Open) => Ok(Subject::User),
        (None, Taxonomy::Strict) => Err(Fault::at(
            "event_name",
            "unknown_event_name",
            "is not an event type of this tenant",
        )),
    }
}
