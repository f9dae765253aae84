//! `custom_event`: any event by name, with up to eight conditions on its properties.

use std::cmp::Ordering;

use super::Reason;
use super::fields::{Fields, empty, glob, list_of, text, wrong_type};
use super::glob::Glob;
use crate::event::is_event_name;
use crate::fault::Fault;
use crate::ids::MAX_ID_CHARS;
use crate::json::Json;
use crate::number;
use crate::words::words;

/// Most conditions of one goal.
const MAX_CONDITIONS: usize = 8;
/// Longest text that a property is compared with, in characters.
const MAX_VALUE_CHARS: usize = 256;

words! {
    /// How a property is compared.
    pub enum Op as "operator" {
        Eq = "eq",
        Ne = "ne",
        In = "in",
        Gt = "gt",
        Gte = "gte",
        Lt = "lt",
        Lte = "lte",
        Exists = "exists",
        Prefix = "prefix",
        Glob = "glob",
    }
}

/// Which event is wanted. Compiled as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CustomRule {
    pub(super) event_name: String,
    conditions: Box<[Condition]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    property: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// Equal to one of these scalars; `listed` when it was written as `in`.
    OneOf {
        values: Vec<Json>,
        listed: bool,
    },
    Not(Json),
    /// Holds when the comparison with the number gives one of the two.
    Order {
        op: Op,
        number: String,
    },
    Exists(bool),
    Prefix(String),
    Glob {
        pattern: String,
        glob: Box<Glob>,
    },
}

impl CustomRule {
    pub(super) fn parse(criteria: &Json) -> Result<Self, Fault> {
        let fields = Fields::of(criteria, &["event_name", "where"])?;
        let Some(event_name) = fields.text("event_name")? else {
            return Err(match fields.value("where") {
                Some(_) => Fault::at("event_name", "missing_field", "event_name is required"),
                None => empty(),
            });
        };
        if !is_event_name(event_name) {
            let message = "must be the name of an event: lower-case words of a-z, 0-9 and '_', joined by '.'";
            return Err(Fault::at("event_name", "invalid_event_name", message));
        }
        let conditions = match fields.value("where") {
            None => Vec::new(),
            Some(list) => conditions(list).map_err(|fault| fault.within("where"))?,
        };
        Ok(CustomRule { event_name: event_name.to_owned(), conditions: conditions.into() })
    }

    pub(super) fn canonical(&self) -> Vec<(&'static str, Json)> {
        let mut members = vec![("event_name", Json::from(self.event_name.as_str()))];
        let mut conditions: Vec<Json> = self.conditions.iter().map(Condition::canonical).collect();
        conditions.sort_by_cached_key(Json::canonical_text);
        conditions.dedup();
        if !conditions.is_empty() {
            members.push(("where", Json::Array(conditions)));
        }
        members
    }

    pub(super) fn verdict(&self, properties: &Json) -> Result<(), Reason> {
        self.conditions.iter().try_for_each(|condition| condition.verdict(properties))
    }

    /// The properties that the conditions look at, each once.
    pub(super) fn properties(&self) -> Vec<&str> {
        let mut seen: Vec<&str> = Vec::new();
        for condition in &self.conditions {
            if !seen.contains(&condition.property.as_str()) {
                seen.push(&condition.property);
            }
        }
        seen
    }

    /// The first condition that only certain values meet: the property, and those values.
    pub(super) fn discriminator(&self) -> Option<(&str, &[Json])> {
        self.conditions.iter().find_map(|condition| match &condition.test {
            Test::OneOf { values, .. } => Some((condition.property.as_str(), values.as_slice())),
            _ => None,
        })
    }
}

fn conditions(list: &Json) -> Result<Vec<Condition>, Fault> {
    let items = list.as_array().ok_or_else(|| wrong_type("a list", list))?;
    if items.len() > MAX_CONDITIONS {
        return Err(Fault::new("too_many", format!("must hold at most {MAX_CONDITIONS} conditions")));
    }
    let parse = |(index, item)| Condition::parse(item).map_err(|fault| fault.within(&usize::to_string(&index)));
    items.iter().enumerate().map(parse).collect()
}

impl Condition {
    fn parse(item: &Json) -> Result<Self, Fault> {
        let fields = Fields::of(item, &["property", "op", "value"])?;
        let missing = |key: &str| Fault::at(key, "missing_field", format!("{key} is required"));
        let property = fields.value("property").ok_or_else(|| missing("property"))?;
        let property = text(property, MAX_ID_CHARS).map_err(|fault| fault.within("property"))?;
        let op = fields.text("op")?.ok_or_else(|| missing("op"))?;
        let op: Op =
            op.parse().map_err(|why: crate::words::UnknownWord| Fault::at("op", "invalid_value", why.to_string()))?;
        let test = match (op, fields.value("value")) {
            (Op::Exists, None) => Test::Exists(true),
            (_, None) => return Err(missing("value")),
            (op, Some(value)) => Test::parse(op, value).map_err(|fault| fault.within("value"))?,
        };
        Ok(Condition { property: property.to_owned(), test })
    }

    fn canonical(&self) -> Json {
        let (op, value) = match &self.test {
            Test::OneOf { values, listed: false } => (Op::Eq, values.first().cloned().unwrap_or(Json::Null)),
            Test::OneOf { values, listed: true } => (Op::In, Json::Array(values.clone())),
            Test::Not(value) => (Op::Ne, value.clone()),
            Test::Order { op, number } => (*op, Json::Number(number.as_str().into())),
            Test::Exists(wanted) => (Op::Exists, Json::Bool(*wanted)),
            Test::Prefix(prefix) => (Op::Prefix, Json::from(prefix.as_str())),
            Test::Glob { pattern, .. } => (Op::Glob, Json::from(pattern.as_str())),
        };
        Json::object([
            ("property", Json::from(self.property.as_str())),
            ("op", Json::from(op.as_str())),
            ("value", value),
        ])
    }

    fn verdict(&self, properties: &Json) -> Result<(), Reason> {
        let value = properties.present(&self.property);
        if let Test::Exists(wanted) = &self.test {
            return match (value.is_some(), *wanted) {
                (true, true) | (false, false) => Ok(()),
                (false, true) => Err(Reason::PropertyMissing),
                (true, false) => Err(Reason::PropertyDiffers),
            };
        }
        let value = value.ok_or(Reason::PropertyMissing)?;
        if self.test.holds(value) { Ok(()) } else { Err(Reason::PropertyDiffers) }
    }
}

impl Test {
    fn parse(op: Op, value: &Json) -> Result<Test, Fault> {
        Ok(match op {
            Op::Eq => Test::OneOf { values: vec![scalar(value)?], listed: false },
            Op::Ne => Test::Not(scalar(value)?),
            Op::In => {
                let mut values = list_of(value, scalar)?;
                values.sort_by_cached_key(Json::canonical_text);
                values.dedup_by(|a, b| same(a, b));
                Test::OneOf { values, listed: true }
            }
            Op::Gt | Op::Gte | Op::Lt | Op::Lte => {
                let number = number_in(value).ok_or_else(|| wrong_type("a number or a decimal string", value))?;
                number::check(number).map_err(|why| Fault::new("invalid_value", why.message))?;
                Test::Order { op, number: number::canonical(number) }
            }
            Op::Exists => Test::Exists(value.as_bool().ok_or_else(|| wrong_type("true or false", value))?),
            Op::Prefix => Test::Prefix(text(value, MAX_VALUE_CHARS)?.to_owned()),
            Op::Glob => {
                let pattern = text(value, MAX_VALUE_CHARS)?;
                Test::Glob { pattern: pattern.to_owned(), glob: Box::new(glob(pattern)?) }
            }
        })
    }

    fn holds(&self, value: &Json) -> bool {
        match self {
            Test::OneOf { values, .. } => values.iter().any(|wanted| same(wanted, value)),
            Test::Not(unwanted) => !same(unwanted, value),
            Test::Order { op, number } => {
                let order = number_in(value).and_then(|given| number::compare(given, number));
                order.is_some_and(|order| match op {
                    Op::Gt => order == Ordering::Greater,
                    Op::Gte => order != Ordering::Less,
                    Op::Lt => order == Ordering::Less,
                    _ => order != Ordering::Greater,
                })
            }
            Test::Prefix(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix)),
            Test::Glob { glob, .. } => value.as_str().is_some_and(|text| glob.matches(text)),
            Test::Exists(wanted) => *wanted,
        }
    }
}

/// A number, or a string that is one by the grammar of JSON.
fn number_in(value: &Json) -> Option<&str> {
    value.number_text().or(value.as_str()).filter(|text| number::is_number(text))
}

/// A string, number or truth value, in its canonical spelling.
fn scalar(value: &Json) -> Result<Json, Fault> {
    match value {
        Json::Number(text) => Ok(Json::Number(number::canonical(text).into())),
        Json::Bool(_) => Ok(value.clone()),
        Json::String(_) if text_fits(value) => Ok(value.clone()),
        Json::String(_) => Err(Fault::new("too_long", format!("must be at most {MAX_VALUE_CHARS} characters"))),
        other => Err(wrong_type("a string, a number, true or false", other)),
    }
}

fn text_fits(value: &Json) -> bool {
    value.as_str().is_some_and(|text| text.chars().count() <= MAX_VALUE_CHARS)
}

/// Equal in type and value; numbers by exact value, strings by every character.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => number::compare(a, b) == Some(Ordering::Equal),
        (Json::String(a), Json::String(b)) => a == b,
        (Json::Bool(a), Json::Bool(b)) => a == b,
        _ => false,
    }
}
