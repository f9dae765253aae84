//! Bounded JSON that keeps every number as it was written. Used for event properties, criteria,
//! and everything else whose content a sender chooses.

mod parse;
mod serde_impl;

use std::fmt;

use crate::fault::Fault;
use crate::number;

pub(crate) use parse::split_object;

/// A JSON value. Numbers are their literal text, objects keep the order they were written in and
/// never hold a key twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Box<str>),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// What a JSON text may cost. Sizes are those of the compact form, as [`Json::to_text`] writes it:
/// white space and needless escapes of a sender do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest compact form, in bytes.
    pub max_bytes: usize,
    /// Deepest nesting of arrays and objects; a scalar has none.
    pub max_depth: usize,
    /// Most object keys, all levels together.
    pub max_keys: usize,
    /// Longest string or key, in bytes.
    pub max_string_bytes: usize,
}

impl Limits {
    /// Properties of an event, unless the tenant has another size.
    pub const PROPERTIES: Limits = Limits { max_bytes: 2_048, max_depth: 16, max_keys: 256, max_string_bytes: 8_192 };
    /// Context of an event.
    pub const CONTEXT: Limits = Limits { max_bytes: 8_192, max_depth: 16, max_keys: 256, max_string_bytes: 8_192 };
    /// Criteria of a goal.
    pub const CRITERIA: Limits = Limits { max_bytes: 16_384, max_depth: 8, max_keys: 256, max_string_bytes: 1_024 };
    /// What a wire type may carry as free JSON, where nothing narrower is said.
    pub const WIRE: Limits =
        Limits { max_bytes: 1_048_576, max_depth: 64, max_keys: 65_536, max_string_bytes: 262_144 };
}

impl Json {
    /// Reads exactly one JSON value. Refuses what PostgreSQL's `jsonb` would refuse or change: NUL and
    /// lone surrogates in strings and keys, duplicate keys, numbers out of bounds, and anything beyond
    /// `limits`. Depth is checked before it is entered.
    ///
    /// # Errors
    /// `invalid_json`, `nul_character`, `lone_surrogate`, `duplicate_key`, `integer_out_of_range`,
    /// `number_out_of_range`, `too_deep`, `too_large`, `too_many_keys` or `too_long`.
    pub fn parse(text: &str, limits: &Limits) -> Result<Json, Fault> {
        parse::document(text, limits)
    }

    /// An object with these members, in this order. Later duplicates of a key are dropped.
    #[must_use]
    pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Json)>) -> Json {
        let mut object: Vec<(String, Json)> = Vec::new();
        for (key, value) in members {
            let key = key.into();
            if object.iter().all(|(present, _)| *present != key) {
                object.push((key, value));
            }
        }
        Json::Object(object)
    }

    /// The member `key` of an object; `None` for anything else.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object()?.iter().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Like [`Json::get`], with `null` read as absent.
    #[must_use]
    pub fn present(&self, key: &str) -> Option<&Json> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The members of an object, in written order.
    #[must_use]
    pub fn as_object(&self) -> Option<&[(String, Json)]> {
        match self {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The items of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The literal text of a number.
    #[must_use]
    pub fn number_text(&self) -> Option<&str> {
        match self {
            Json::Number(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// Whether this is neither an array nor an object.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Json::Array(_) | Json::Object(_))
    }

    /// The JSON name of this value's type, for messages: `string`, `number`, …
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// Compact JSON; numbers verbatim, keys in their order.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, false);
        out
    }

    /// Compact JSON with keys sorted and numbers in their one canonical spelling: two values are the
    /// same fact exactly when these texts are equal.
    #[must_use]
    pub fn canonical_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, true);
        out
    }

    fn write(&self, out: &mut String, canonical: bool) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Number(text) if canonical => out.push_str(&number::canonical(text)),
            Json::Number(text) => out.push_str(text),
            Json::String(text) => write_string(text, out),
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out, canonical);
                }
                out.push(']');
            }
            Json::Object(members) if canonical => {
                let mut sorted: Vec<&(String, Json)> = members.iter().collect();
                sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
                write_members(sorted.into_iter(), out, canonical);
            }
            Json::Object(members) => write_members(members.iter(), out, canonical),
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Json::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Json::Number(value.to_string().into())
    }
}

fn write_members<'a>(members: impl Iterator<Item = &'a (String, Json)>, out: &mut String, canonical: bool) {
    out.push('{');
    for (index, (key, value)) in members.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(key, out);
        out.push(':');
        value.write(out, canonical);
    }
    out.push('}');
}

/// How a byte of a string is escaped, if it must be.
fn escape(byte: u8) -> Option<&'static str> {
    Some(match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        0x08 => "\\b",
        0x0c => "\\f",
        _ => return None,
    })
}

fn write_string(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    let mut clean_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = escape(byte);
        if short.is_none() && byte >= 0x20 {
            continue;
        }
        out.push_str(&text[clean_from..at]);
        clean_from = at + 1;
        match short {
            Some(escaped) => out.push_str(escaped),
            None => {
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str(&text[clean_from..]);
    out.push('"');
}

/// Bytes that [`write_string`] needs for `text`, quotes included.
fn written_len(text: &str) -> usize {
    let escapes: usize = text
        .bytes()
        .map(|byte| match escape(byte) {
            Some(_) => 1,
            None if byte < 0x20 => 5,
            None => 0,
        })
        .sum();
    text.len() + escapes + 2
}

#[cfg(test)]
pub(crate) mod tests;
