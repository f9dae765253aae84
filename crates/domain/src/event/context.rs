//! The context of an event: the fields that are read later must have the types they are read as.

use crate::fault::Fault;
use crate::json::Json;

/// What a known field must be; `null` is as good as absent everywhere.
enum Kind {
    Text,
    Number,
    Members(&'static [(&'static str, Kind)]),
}

const CONTEXT: &[(&str, Kind)] = &[
    ("page", Kind::Members(&[("url", Kind::Text), ("title", Kind::Text), ("referrer", Kind::Text)])),
    (
        "campaign",
        Kind::Members(&[
            ("source", Kind::Text),
            ("medium", Kind::Text),
            ("term", Kind::Text),
            ("content", Kind::Text),
            ("name", Kind::Text),
        ]),
    ),
    ("user_agent", Kind::Text),
    ("locale", Kind::Text),
    ("screen", Kind::Members(&[("width", Kind::Number), ("height", Kind::Number)])),
    ("response_ms", Kind::Number),
];

/// Checks the types of the known fields of a context; others are free.
pub(super) fn check(context: &Json) -> Result<(), Fault> {
    check_members(context, CONTEXT)
}

fn check_members(value: &Json, members: &[(&str, Kind)]) -> Result<(), Fault> {
    for (key, kind) in members {
        if let Some(member) = value.present(key) {
            check_kind(member, kind).map_err(|fault| fault.within(key))?;
        }
    }
    Ok(())
}

fn check_kind(value: &Json, kind: &Kind) -> Result<(), Fault> {
    let wanted = match (kind, value) {
        (Kind::Text, Json::String(_)) | (Kind::Number, Json::Number(_)) => return Ok(()),
        (Kind::Members(members), Json::Object(_)) => return check_members(value, members),
        (Kind::Text, _) => "a string",
        (Kind::Number, _) => "a number",
        (Kind::Members(_), _) => "an object",
    };
    Err(Fault::new("invalid_type", format!("must be {wanted}, not {}", value.type_name())))
}
