//! JSON into types, with every fault named by code and JSON pointer. Configuration is read strictly:
//! twice the same key, a NUL, or a field that does not exist is refused.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use domain::fault::Fault;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_path_to_error::Segment;

use crate::Problem;

/// Longest message that is repeated from the parser (it may quote the request).
const MESSAGE_MAX_CHARS: usize = 300;

/// The body as text.
///
/// # Errors
/// 400 `invalid_utf8` or `byte_order_mark`.
pub fn text(body: &[u8]) -> Result<&str, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| Problem::bad_request("invalid_utf8", "the body is not UTF-8"))?;
    if text.starts_with('\u{feff}') {
        let message = "the body starts with a byte order mark";
        return Err(Problem::bad_request("byte_order_mark", message));
    }
    Ok(text)
}

/// Reads `T` from a whole JSON body.
///
/// # Errors
/// 400 with one of `invalid_utf8`, `byte_order_mark`, `malformed_json`, `too_deep`, `duplicate_key`,
/// `nul_character`, `unknown_field`, `missing_field`, `invalid_type`, `invalid_value`; for the latter
/// six `errors` has the JSON pointer.
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let text = text(body)?;
    sound(text)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().clone();
        fault_at(&path, error.inner()).into()
    })
}

/// What holds for every JSON text, whatever it is read into. Needed because a type that passes
/// values through (raw JSON, ignored fields, maps) checks none of this.
fn sound(text: &str) -> Result<(), Problem> {
    let found = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let checked = Sound(&found).deserialize(&mut reader).and_then(|()| reader.end());
    let Err(error) = checked else { return Ok(()) };
    if let Some(fault) = found.into_inner() {
        return Err(fault.into());
    }
    let message = error.to_string();
    if message.starts_with("recursion limit") {
        return Err(Problem::bad_request("too_deep", "the JSON is nested too deeply"));
    }
    let what = match error.classify() {
        Category::Eof => "the JSON ends too early".to_owned(),
        _ => format!("the body is not valid JSON: {}", shortened(&message)),
    };
    Err(Problem::bad_request("malformed_json", what))
}

/// Walks any value; a fault is left in the cell, its pointer growing on the way out.
#[derive(Clone, Copy)]
struct Sound<'a>(&'a RefCell<Option<Fault>>);

impl Sound<'_> {
    fn refuse<E: Error>(self, fault: Fault) -> E {
        *self.0.borrow_mut() = Some(fault);
        E::custom("refused")
    }

    fn within<T, E>(self, result: Result<T, E>, segment: impl FnOnce() -> String) -> Result<T, E> {
        if result.is_err() {
            let fault = self.0.borrow_mut().take();
            *self.0.borrow_mut() = fault.map(|fault| fault.within(&segment()));
        }
        result
    }

    fn check_text<E: Error>(self, text: &str) -> Result<(), E> {
        if text.contains('\0') {
            return Err(self.refuse(Fault::new("nul_character", "must not contain a NUL character")));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Sound<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Sound<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.check_text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let item = self.within(items.next_element_seed(self), || index.to_string())?;
            if item.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            self.check_text(&key)?;
            if keys.contains(&key) {
                let message = format!("the key `{}` is given twice", shortened(&key));
                return Err(self.refuse(Fault::at(&key, "duplicate_key", message)));
            }
            self.within(members.next_value_seed(self), || key.clone())?;
            keys.insert(key);
        }
        Ok(())
    }
}

/// A fault of the data, from serde's error and the path to it.
fn fault_at(path: &serde_path_to_error::Path, error: &serde_json::Error) -> Fault {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let (code, field) = if let Some(field) = quoted(message, "unknown field `") {
        ("unknown_field", Some(field))
    } else if let Some(field) = quoted(message, "missing field `") {
        ("missing_field", Some(field))
    } else if let Some(field) = quoted(message, "duplicate field `") {
        ("duplicate_key", Some(field))
    } else if message.starts_with("invalid type") || message.starts_with("invalid length") {
        ("invalid_type", None)
    } else {
        ("invalid_value", None)
    };
    let mut segments: Vec<String> = path.iter().filter_map(segment).collect();
    if let Some(field) = field
        && segments.last().is_none_or(|last| last != field || code == "missing_field")
    {
        segments.push(field.to_owned());
    }
    let fault = Fault::new(code, shortened(message));
    segments.iter().rev().fold(fault, |fault, segment| fault.within(segment))
}

fn segment(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        // An externally tagged variant is a key in JSON.
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

fn quoted<'t>(message: &'t str, start: &str) -> Option<&'t str> {
    message.strip_prefix(start)?.split('`').next()
}

fn shortened(message: &str) -> String {
    let mut characters = message.chars();
    let short: String = characters.by_ref().take(MESSAGE_MAX_CHARS).collect();
    if characters.next().is_some() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Workflow {
        #[expect(dead_code, reason = "only read")]
        name: String,
        #[serde(default)]
        logic: Option<Logic>,
        #[serde(default)]
        goals: Vec<Goal>,
        #[serde(default)]
        extra: Option<Box<RawValue>>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Logic {
        Any,
        AtLeast(u8),
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Goal {
        #[expect(dead_code, reason = "only read")]
        position: i16,
    }

    fn refused(body: &str) -> (&'static str, String) {
        let problem = json::<Workflow>(body.as_bytes()).unwrap_err();
        let pointer = problem.errors.first().map(|fault| fault.pointer.clone());
        (problem.code, pointer.unwrap_or_default())
    }

    #[test]
    fn a_good_body_is_read_and_raw_json_keeps_its_text() {
        let body = br#"{"name":"w","logic":{"at_least":2},"goals":[{"position":1}],
            "extra":{"amount": 99.999999999999999999}}"#;
        let workflow: Workflow = json(body).unwrap();
        assert_eq!(workflow.logic, Some(Logic::AtLeast(2)));
        assert_eq!(workflow.goals.len(), 1);
        assert_eq!(workflow.extra.unwrap().get(), r#"{"amount": 99.999999999999999999}"#);
    }

    #[test]
    fn every_fault_has_its_code_and_place() {
        let cases = [
            (r#"{"name":"w","nmae":1}"#, "unknown_field", "/nmae"),
            (r#"{"name":"w","goals":[{"position":1},{"position":1,"x/y":2}]}"#, "unknown_field", "/goals/1/x~1y"),
            ("{}", "missing_field", "/name"),
            (r#"{"name":"w","goals":[{}]}"#, "missing_field", "/goals/0/position"),
            (r#"{"name":7}"#, "invalid_type", "/name"),
            (r#"{"name":"w","goals":{}}"#, "invalid_type", "/goals"),
            (r#"{"name":"w","goals":[{"position":99999}]}"#, "invalid_value", "/goals/0/position"),
            (r#"{"name":"w","logic":"some"}"#, "invalid_value", "/logic"),
            (r#"{"name":"w","logic":{"at_least":"x"}}"#, "invalid_type", "/logic/at_least"),
            (r#"{"name":"w","name":"v"}"#, "duplicate_key", "/name"),
            (r#"{"name":"w","extra":{"a":[{"b":1,"b":2}]}}"#, "duplicate_key", "/extra/a/0/b"),
            (r#"{"name":"a\u0000b"}"#, "nul_character", "/name"),
            (r#"{"name":"w","extra":["\u0000"]}"#, "nul_character", "/extra/0"),
            (r#"{"name":"w","extra":{"\u0000":1}}"#, "nul_character", "/extra"),
            ("[]", "invalid_type", ""),
            ("7", "invalid_type", ""),
        ];
        for (body, code, pointer) in cases {
            assert_eq!(refused(body), (code, pointer.to_owned()), "{body}");
        }
    }

    #[test]
    fn what_is_not_json_is_malformed_wherever_it_stands() {
        let cases = [
            "",
            " ",
            "{",
            "nul",
            "{\"name\":\"w\"} x",
            "{'name':1}",
            "{\"name\":\"w\",}",
            "\u{1}",
            "{\"name\":\"w\",\"extra\":\"\\ud800\"}",
            "{\"name\":\"w\",\"extra\":1e999}",
            "{\"name\":\"w\",\"extra\":01}",
            "{\"name\":NaN}",
            "{\"name\":\"a\nb\"}",
        ];
        for body in cases {
            assert_eq!(refused(body).0, "malformed_json", "{body}");
        }
        let deep = format!("{{\"name\":\"w\",\"extra\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(refused(&deep).0, "too_deep");
        assert_eq!(refused("\u{feff}{}").0, "byte_order_mark");
        assert_eq!(json::<Workflow>(b"{\"name\":\"\xff\"}").unwrap_err().code, "invalid_utf8");
    }

    #[test]
    fn messages_are_bounded() {
        let body = format!(r#"{{"name":"w","{}":1}}"#, "x".repeat(10_000));
        let problem = json::<Workflow>(body.as_bytes()).unwrap_err();
        assert!(problem.errors[0].message.chars().count() <= MESSAGE_MAX_CHARS + 1);
    }
}
