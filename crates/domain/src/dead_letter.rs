//! A message that was given up, the trait of the place that keeps it, and what may be told of it to anybody.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::ids::TenantId;
use crate::outbox::{BoxError, BoxFuture};
use crate::words::words;

/// Longest key of a payload that is told; what is longer is no field of a message.
const MAX_KEY_BYTES: usize = 32;

words! {
    /// A schema that keeps dead letters: that of the service whose queues they died in.
    pub enum Schema as "schema" {
        Ingest = "ingest",
        Goals = "goals",
        Evaluator = "evaluator",
    }
}

/// Names a kept letter: its schema, and its number there. Written `evaluator/17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    pub schema: Schema,
    pub number: i64,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.schema, self.number)
    }
}

/// A text that names no letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a dead letter is named by its schema and its number, as evaluator/17")]
pub struct NoLetterId;

impl FromStr for LetterId {
    type Err = NoLetterId;

    fn from_str(text: &str) -> Result<Self, NoLetterId> {
        let (schema, number) = text.split_once('/').ok_or(NoLetterId)?;
        let id =
            Self { schema: schema.parse().map_err(|_| NoLetterId)?, number: number.parse().map_err(|_| NoLetterId)? };
        // One letter has one name: no sign, no leading zero.
        if id.to_string() == text { Ok(id) } else { Err(NoLetterId) }
    }
}

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
    /// Where its answer is waited for.
    pub reply_to: Option<String>,
    /// What whoever waits knows the answer by.
    pub correlation_id: Option<String>,
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

/// The fields of a payload with the kinds of their values. No value, and no key that can be no field of a message: nothing of
/// a person and no secret.
#[must_use]
pub fn kinds(payload: &[u8]) -> Value {
    let fields = match serde_json::from_slice(payload) {
        Ok(Value::Object(fields)) => fields,
        Ok(other) => return kind(&other).into(),
        Err(_) => return "no JSON".into(),
    };
    let is_field =
        |key: &str| key.len() <= MAX_KEY_BYTES && key.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    let (known, others): (Vec<_>, Vec<_>) = fields.iter().partition(|(key, _)| is_field(key));
    let mut kinds: BTreeMap<&str, String> = known.into_iter().map(|(key, value)| (key.as_str(), kind(value))).collect();
    if !others.is_empty() {
        kinds.insert("…", format!("{} others", others.len()));
    }
    json!(kinds)
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(items) => format!("array of {}", items.len()),
        Value::Object(fields) => format!("object of {}", fields.len()),
    }
}

/// The fields of messages in which ids of people stand.
const OF_PEOPLE: [&str; 4] = ["contact_id", "contact_ids", "user_id", "user_ids"];

/// Whether a payload is about somebody who has one of these ids: it stands in a field for ids of people, however deep. In what is no
/// JSON it is enough that it stands somewhere as a text of JSON would.
#[must_use]
pub fn names(payload: &[u8], ids: &[&str]) -> bool {
    if let Ok(value) = serde_json::from_slice(payload) {
        return is_about(&value, ids);
    }
    let text = String::from_utf8_lossy(payload);
    ids.iter().any(|id| text.contains(&Value::from(*id).to_string()))
}

fn is_about(value: &Value, ids: &[&str]) -> bool {
    match value {
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| OF_PEOPLE.contains(&key.as_str()) && is_one(value, ids) || is_about(value, ids)),
        Value::Array(items) => items.iter().any(|item| is_about(item, ids)),
        _ => false,
    }
}

fn is_one(value: &Value, ids: &[&str]) -> bool {
    match value {
        Value::String(text) => ids.contains(&text.as_str()),
        Value::Array(items) => items.iter().any(|item| is_one(item, ids)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_one_name() {
        for good in ["ingest/1", "goals/2", "evaluator/9223372036854775807"] {
            assert_eq!(good.parse::<LetterId>().map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["1", "analytics/1", "ingest/", "ingest/x", "ingest/01", "ingest/+1", "ingest/1/2", "INGEST/1"] {
            assert_eq!(bad.parse::<LetterId>(), Err(NoLetterId), "{bad}");
        }
    }

    #[test]
    fn of_a_payload_only_fields_and_kinds_are_told() {
        let payload =
            br#"{"tenant_id": "shop", "events": [1, 2], "properties": {"mail": "a@b.c"}, "a@b.c": 1, "version": 1}"#;
        let told = json!({"tenant_id": "string", "events": "array of 2", "properties": "object of 1", "version": "number",
            "…": "1 others"});
        assert_eq!(kinds(payload), told);
        assert_eq!(kinds(b"a@b.c"), json!("no JSON"));
        assert_eq!(kinds(b"\"a@b.c\""), json!("string"));
    }

    #[test]
    fn a_letter_names_somebody_where_ids_of_people_stand() {
        let named = |payload: &str| names(payload.as_bytes(), &["c-1", "7"]);
        for payload in [
            r#"{"contact_id": "c-1"}"#,
            r#"{"data": {"user_id": "7"}}"#,
            r#"{"contact_ids": ["c-2", "c-1"]}"#,
            r#"{"events": [{"properties": {"contact_id": "\u0063-1"}}]}"#,
            r#"{"contact_id": "c-1", "#,
        ] {
            assert!(named(payload), "{payload}");
        }
        for payload in
            [r#"{"contact_id": "c-12"}"#, r#"{"quantity": "7"}"#, r#"["c-1"]"#, r#"{"contact_id": 7}"#, "c-1"]
        {
            assert!(!named(payload), "{payload}");
        }
    }
}
