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
const EVENT: Limits =
    Limits { max_bytes: MAX_EVENT_BYTES, max_depth: 16, max_keys: MAX_FIELDS, max_string_bytes: 8_192 };
/// Bounds of one field that is neither `properties` nor `context`.
const FIELD: Limits = Limits { max_bytes: 8_192, max_depth: 16, max_keys: 256, max_string_bytes: 8_192 };

/// Whether `name` may be the name of an event: `^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`, 1–128 characters.
#[must_use]
pub fn is_event_name(name: &str) -> bool {
    let segment = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_lowercase())
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    name.len() <= MAX_NAME_CHARS && name.split('.').all(segment)
}

pub(super) fn event(raw: &str, admission: &Admission<'_>) -> Result<Event, Reject> {
    checked(raw, admission).map_err(|fault| Reject { event_id: peek_id(raw), fault })
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
        let message = format!("an event must be at most {MAX_EVENT_BYTES} bytes");
        return Err(Fault::new("too_large", message));
    }
    let fields = Fields::split(raw)?;
    let event_id = event_id(&fields)?;
    tenant(&fields, admission)?;
    let event_name = event_name(&fields)?;
    let occurred_at = occurred_at(&fields)?;
    let project_id = id(&fields, "project_id")?;
    let event_category = category(&fields)?;
    let who = Who::read(&fields)?;
    fields.check_unread()?;
    let subject = subject(&event_name, admission)?;

    let limits =
        Limits { max_bytes: admission.max_properties_bytes, max_string_bytes: usize::MAX, ..Limits::PROPERTIES };
    let properties = fields.object("properties", &limits)?;
    let properties = properties.unwrap_or(Json::Object(Vec::new()));
    let context = fields.object("context", &Limits::CONTEXT)?;
    if let Some(context) = &context {
        context::check(context).map_err(|fault| fault.within("context"))?;
    }
    let who = who.filled(&properties, admission)?;
    if subject.needs_person() && who.is_nobody() {
        let message = "one of user_id, contact_id or session_id is required";
        return Err(Fault::at("user_id", "missing_subject", message));
    }
    Ok(Event {
        event_id,
        project_id: project_id.or_else(|| admission.defaults.project_id.clone()),
        event_name,
        event_category,
        occurred_at,
        user_id: who.user_id,
        contact_id: who.contact_id,
        session_id: who.session_id,
        properties,
        context,
    })
}

/// Whom an event names.
struct Who {
    user_id: Option<String>,
    contact_id: Option<ContactId>,
    session_id: Option<String>,
}

impl Who {
    fn read(fields: &Fields<'_>) -> Result<Who, Fault> {
        let contact_id = fields.text("contact_id")?.map(|text| contact_id(&text));
        Ok(Who {
            user_id: id(fields, "user_id")?,
            contact_id: contact_id.transpose().map_err(|fault| fault.within("contact_id"))?,
            session_id: id(fields, "session_id")?,
        })
    }

    /// Takes what is absent from the properties, then from the request.
    fn filled(mut self, properties: &Json, admission: &Admission<'_>) -> Result<Who, Fault> {
        let in_properties = |key: &'static str| move |fault: Fault| fault.within(key).within("properties");
        if self.contact_id.is_none() {
            let given = properties.present("contact_id").map(|value| contact_id(string(value)?));
            self.contact_id = given.transpose().map_err(in_properties("contact_id"))?;
        }
        if self.session_id.is_none() {
            let given = properties.present("sessionId").map(|value| {
                let text = string(value)?;
                text_id(text).map(|()| text.to_owned())
            });
            self.session_id = given.transpose().map_err(in_properties("sessionId"))?;
        }
        let defaults = admission.defaults;
        self.session_id = self.session_id.or_else(|| defaults.session_id.clone());
        self.user_id = self.user_id.or_else(|| defaults.user_id.clone());
        Ok(self)
    }

    fn is_nobody(&self) -> bool {
        self.user_id.is_none() && self.contact_id.is_none() && self.session_id.is_none()
    }
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
        self.text(key)?.ok_or_else(|| Fault::at(key, "missing_field", format!("{key} is required")))
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
        for (key, _) in self.0.iter().filter(|(key, _)| !READ.contains(&key.as_str())) {
            self.read(key, &FIELD)?;
        }
        Ok(())
    }
}

fn wrong_type(wanted: &str, given: &Json) -> Fault {
    Fault::new("invalid_type", format!("must be {wanted}, not {}", given.type_name()))
}

fn string(value: &Json) -> Result<&str, Fault> {
    value.as_str().ok_or_else(|| wrong_type("a string", value))
}

fn event_id(fields: &Fields<'_>) -> Result<EventId, Fault> {
    let text = fields.required_text("event_id")?;
    let id: EventId =
        text.parse().map_err(|_| Fault::at("event_id", "invalid_event_id", "must be a UUID of the form 8-4-4-4-12"))?;
    if id.as_uuid().is_nil() {
        return Err(Fault::at("event_id", "placeholder_id", "must not be the nil UUID"));
    }
    Ok(id)
}

fn tenant(fields: &Fields<'_>, admission: &Admission<'_>) -> Result<(), Fault> {
    match fields.text("tenant_id")? {
        Some(named) if named != admission.tenant.as_str() => {
            Err(Fault::at("tenant_id", "tenant_mismatch", "is not the tenant of the credential"))
        }
        _ => Ok(()),
    }
}

fn event_name(fields: &Fields<'_>) -> Result<String, Fault> {
    let name = fields.required_text("event_name")?;
    if is_event_name(&name) {
        return Ok(name);
    }
    let message = "must be 1 to 128 characters: lower-case words of a-z, 0-9 and '_', joined by '.'";
    Err(Fault::at("event_name", "invalid_event_name", message))
}

fn occurred_at(fields: &Fields<'_>) -> Result<OffsetDateTime, Fault> {
    let text = fields.required_text("occurred_at")?;
    time_format::parse(&text).map_err(|fault| fault.within("occurred_at"))
}

fn category(fields: &Fields<'_>) -> Result<Option<String>, Fault> {
    let category = fields.text("event_category")?.filter(|text| !text.is_empty());
    match &category {
        Some(text) if text.chars().count() > MAX_CATEGORY_CHARS => {
            Err(Fault::at("event_category", "too_long", format!("must be at most {MAX_CATEGORY_CHARS} characters")))
        }
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

fn contact_id(text: &str) -> Result<ContactId, Fault> {
    ContactId::parse(text).map_err(|why| Fault::new(why.code(), why.to_string()))
}

/// Whom the event is about, by the catalogue, the tenant's own types, or by default a user.
fn subject(event_name: &str, admission: &Admission<'_>) -> Result<Subject, Fault> {
    if let Some(builtin) = catalogue::builtin(event_name) {
        return Ok(builtin.subject);
    }
    match (admission.own_types.subject(event_name), admission.taxonomy) {
        (Some(subject), _) => Ok(subject),
        (None, Taxonomy::Open) => Ok(Subject::User),
        (None, Taxonomy::Strict) => {
            Err(Fault::at("event_name", "unknown_event_name", "is not an event type of this tenant"))
        }
    }
}
