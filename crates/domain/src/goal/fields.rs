//! Reading criteria field by field: `null` is absent, everything else has its type or is refused.

use super::glob::{Glob, InvalidGlob};
use crate::fault::Fault;
use crate::json::Json;
use crate::money::{Amount, Currency};

/// Longest text in criteria, in characters.
const MAX_TEXT_CHARS: usize = 256;
/// Most values in a list.
const MAX_LIST: usize = 100;

/// The refusal of criteria that say nothing.
pub(super) fn empty() -> Fault {
    Fault::new("criteria_empty", "Goal criteria cannot be empty")
}

/// A refusal for the wrong JSON type.
pub(super) fn wrong_type(wanted: &str, given: &Json) -> Fault {
    Fault::new("invalid_type", format!("must be {wanted}, not {}", given.type_name()))
}

/// The refusal of criteria that say two things at once.
pub(super) fn conflicting(key: &str, message: impl Into<String>) -> Fault {
    Fault::at(key, "conflicting_criteria", message)
}

/// An object whose keys are all known.
#[derive(Clone, Copy)]
pub(super) struct Fields<'j>(&'j [(String, Json)]);

impl<'j> Fields<'j> {
    /// Takes an object with no other keys than `known`.
    pub(super) fn of(value: &'j Json, known: &[&str]) -> Result<Self, Fault> {
        let members = value.as_object().ok_or_else(|| wrong_type("an object", value))?;
        match members.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((key, _)) => Err(Fault::at(key, "unknown_field", format!("unknown key {key:?}"))),
            None => Ok(Fields(members)),
        }
    }

    /// The value, unless absent or `null`.
    pub(super) fn value(&self, key: &str) -> Option<&'j Json> {
        self.0.iter().find_map(|(name, value)| (name == key && !value.is_null()).then_some(value))
    }

    /// A truth value; absent is `false`.
    pub(super) fn flag(&self, key: &str) -> Result<bool, Fault> {
        match self.value(key) {
            None => Ok(false),
            Some(Json::Bool(value)) => Ok(*value),
            Some(other) => Err(wrong_type("true or false", other).within(key)),
        }
    }

    /// A text of 1 to 256 characters, not only white space.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'j str>, Fault> {
        self.value(key).map(|value| text(value, MAX_TEXT_CHARS)).transpose().map_err(|fault| fault.within(key))
    }

    /// An identifier of 1 to 128 characters.
    pub(super) fn id(&self, key: &str) -> Result<Option<String>, Fault> {
        self.value(key).map(id).transpose().map_err(|fault| fault.within(key))
    }

    /// The identifiers given under `one` (a single one) or `many` (a list), sorted, each once.
    pub(super) fn ids(&self, one: &str, many: &str) -> Result<Vec<String>, Fault> {
        let single = self.id(one)?;
        let Some(list) = self.value(many) else {
            return Ok(single.into_iter().collect());
        };
        if single.is_some() {
            return Err(conflicting(many, format!("give either {one} or {many}, not both")));
        }
        let mut ids = list_of(list, id).map_err(|fault| fault.within(many))?;
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// An exact amount, as a number or a decimal string.
    pub(super) fn amount(&self, key: &str) -> Result<Option<Amount>, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let text = value.number_text().or(value.as_str());
        let text = text.ok_or_else(|| wrong_type("a number or a decimal string", value).within(key))?;
        let amount = Amount::parse(text).map_err(|why| Fault::at(key, "invalid_value", why.to_string()))?;
        Ok(Some(amount))
    }

    /// A three-letter currency code.
    pub(super) fn currency(&self, key: &str) -> Result<Option<Currency>, Fault> {
        let text = self.text(key)?;
        text.map(Currency::parse).transpose().map_err(|why| Fault::at(key, "invalid_value", why.to_string()))
    }
}

/// A glob, or its refusal.
pub(super) fn glob(pattern: &str) -> Result<Glob, Fault> {
    Glob::parse(pattern).map_err(|why| match why {
        InvalidGlob::TooLong => Fault::new("too_long", why.to_string()),
        InvalidGlob::NoLiteral | InvalidGlob::LoneBackslash => Fault::new("invalid_pattern", why.to_string()),
    })
}

/// A text of 1 to `max` characters, not only white space.
pub(super) fn text(value: &Json, max: usize) -> Result<&str, Fault> {
    let text = value.as_str().ok_or_else(|| wrong_type("a string", value))?;
    if text.trim().is_empty() {
        return Err(Fault::new("invalid_value", "must not be empty"));
    }
    if text.chars().count() > max {
        return Err(Fault::new("too_long", format!("must be at most {max} characters")));
    }
    Ok(text)
}

fn id(value: &Json) -> Result<String, Fault> {
    let text = text(value, crate::ids::MAX_ID_CHARS)?;
    if text.chars().any(char::is_control) {
        return Err(Fault::new("invalid_value", "must not contain control characters"));
    }
    Ok(text.to_owned())
}

/// A list of 1 to 100 values.
pub(super) fn list_of<'j, T>(value: &'j Json, read: impl Fn(&'j Json) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    let items = value.as_array().ok_or_else(|| wrong_type("a list", value))?;
    if items.is_empty() || items.len() > MAX_LIST {
        return Err(Fault::new("invalid_value", format!("must hold 1 to {MAX_LIST} values")));
    }
    let read_at = |(index, item)| read(item).map_err(|fault| fault.within(&usize::to_string(&index)));
    items.iter().enumerate().map(read_at).collect()
}
