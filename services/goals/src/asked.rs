//! What callers may ask for. The same checks over HTTP and over the bus.

use domain::fault::Fault;
use domain::goal::{ReferenceKind, fold_name};
use domain::ids::MAX_ID_CHARS;

use crate::store::directory::NewReference;

/// Longest name of a reference, in characters.
const MAX_REFERENCE_NAME_CHARS: usize = 256;

/// What a reference is to be put as.
pub struct Content {
    pub name: Option<String>,
    pub pipeline_id: Option<String>,
    pub position: Option<i32>,
}

/// Something to read, on one line.
pub fn line(key: &str, text: String, max_chars: usize) -> Result<String, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::at(key, "invalid_value", "must not be empty"));
    }
    if text.chars().count() > max_chars {
        return Err(Fault::at(key, "too_long", format!("must be at most {max_chars} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::at(key, "invalid_value", "must not contain control characters"));
    }
    Ok(text)
}

/// Whether a reference may be called so.
pub fn is_id(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= MAX_ID_CHARS && !text.chars().any(char::is_control)
}

/// The id of a reference.
pub fn id(key: &str, text: String) -> Result<String, Fault> {
    if is_id(&text) {
        return Ok(text);
    }
    let message = format!("must be 1 to {MAX_ID_CHARS} characters without control characters");
    Err(Fault::at(key, "invalid_value", message))
}

/// A reference that is to be put.
pub fn reference(kind: ReferenceKind, ref_id: String, content: Content) -> Result<NewReference, Fault> {
    if kind != ReferenceKind::Stage {
        let given = [("pipeline_id", content.pipeline_id.is_some()), ("position", content.position.is_some())];
        if let Some((key, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(Fault::at(key, "invalid_value", "is for stages only"));
        }
    }
    let name = content.name.map(|text| line("name", text, MAX_REFERENCE_NAME_CHARS)).transpose()?;
    Ok(NewReference {
        kind,
        id: id("id", ref_id)?,
        name_folded: name.as_deref().map(fold_name),
        name,
        pipeline_id: content.pipeline_id.map(|text| id("pipeline_id", text)).transpose()?,
        position: content.position,
    })
}
