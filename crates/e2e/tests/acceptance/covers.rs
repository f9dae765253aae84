//! Whether an answer says what a feature expects of it. A feature names what matters; an answer may say more.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What `actual` lacks or has otherwise: objects may have further members, lists may not have further items.
pub fn covers(actual: &Value, expected: &Value) -> Result<(), String> {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => expected.iter().try_for_each(|(key, expected)| {
            let actual = actual.get(key).ok_or_else(|| format!("{key} is missing"))?;
            covers(actual, expected).map_err(|fault| format!("{key}: {fault}"))
        }),
        (Value::Array(actual), Value::Array(expected)) if actual.len() == expected.len() => {
            actual.iter().zip(expected).try_for_each(|(actual, expected)| covers(actual, expected))
        }
        (Value::Number(actual), Value::Number(expected)) if actual.as_f64() == expected.as_f64() => Ok(()),
        _ if actual == expected => Ok(()),
        _ => Err(format!("{actual} instead of {expected}")),
    }
}

/// Fails with the whole answer.
#[track_caller]
pub fn says(what: &str, actual: &Value, expected: &str) {
    let expected = json(expected);
    if let Err(fault) = covers(actual, &expected) {
        panic!("{what}: {fault}; it says {actual}");
    }
}

/// The JSON of a step.
#[track_caller]
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("the step is not JSON: {text}: {error}"))
}

/// A time of an answer.
#[track_caller]
pub fn time(value: &Value) -> OffsetDateTime {
    value
        .as_str()
        .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
        .unwrap_or_else(|| panic!("{value} is no time"))
}
