//! What callers may ask for. The same checks over HTTP and over the bus.

use crate::enroll::Step;
use domain::fault::Fault;
use domain::json::{Json, Limits};

const MAX_REASON_CHARS: usize = 500;
/// Longest name of a step of a workflow.
pub const MAX_STEP_CHARS: usize = 256;
const MAX_TYPE_CHARS: usize = 64;
const PAYLOAD: Limits = Limits { max_bytes: 16_384, max_depth: 16, max_keys: 256, max_string_bytes: 8_192 };

/// A text of the caller: not empty, not too long.
fn text(key: &str, text: String, max_chars: usize) -> Result<String, Fault> {
    if text.is_empty() || text.chars().count() > max_chars {
        return Err(Fault::at(key, "invalid_value", format!("must have 1 to {max_chars} characters")));
    }
    Ok(text)
}

/// Why an enrollment is ended, in the caller's words.
pub fn reason(reason: String) -> Result<String, Fault> {
    text("reason", reason, MAX_REASON_CHARS)
}

/// The name of a step.
pub fn step(name: String) -> Result<Step, Fault> {
    text("current_step", name, MAX_STEP_CHARS).map(Step::Name)
}

/// Nobody is enrolled before they are.
pub fn in_future() -> Fault {
    Fault::at("enrolled_at", "enrolled_at_in_future", "must not lie in the future")
}

/// The type of an action.
pub fn action_type(text: String) -> Result<String, Fault> {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let sound =
        text.len() <= MAX_TYPE_CHARS && text.bytes().all(word) && text.starts_with(|c: char| c.is_ascii_lowercase());
    if sound {
        return Ok(text);
    }
    let message = format!("must be lower-case letters, digits and `_`, at most {MAX_TYPE_CHARS}, as `send_email`");
    Err(Fault::at("action_type", "invalid_value", message))
}

/// What whoever carries out an action is given: JSON text.
pub fn payload(text: &str) -> Result<String, Fault> {
    let payload = Json::parse(text, &PAYLOAD).map_err(|fault| fault.within("payload"))?;
    match payload {
        Json::Object(_) => Ok(payload.to_text()),
        _ => Err(Fault::at("payload", "invalid_type", "must be an object")),
    }
}
