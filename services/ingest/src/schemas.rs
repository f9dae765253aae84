//! The schemas of event types, compiled: the built-in ones once, a tenant's own when they have changed. Only the verdict comes
//! from here: what is stored is the text that was sent.

use std::collections::HashMap;

use domain::catalogue;
use domain::fault::Fault;
use domain::json::Json;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Number, Value};

/// Most memory of one compiled pattern: goals takes no pattern that needs more.
const MAX_COMPILED_BYTES: usize = 262_144;

/// Those of the built-in types, by event name.
pub struct Schemas(HashMap<&'static str, Schema>);

impl Schemas {
    /// Compiles the whole catalogue.
    pub fn compile() -> anyhow::Result<Self> {
        let compiled = catalogue::all().iter().map(|event_type| {
            let schema = Schema::compile(event_type.schema);
            Ok((event_type.name, schema.map_err(|error| anyhow::anyhow!("schema of {}: {error}", event_type.name))?))
        });
        compiled.collect::<anyhow::Result<_>>().map(Self)
    }

    /// Whether these properties are what their type wants. Names without a schema may bring anything.
    pub fn check(&self, event_name: &str, properties: &Json) -> Result<(), Fault> {
        self.0.get(event_name).map_or(Ok(()), |schema| schema.check(properties))
    }
}

/// One schema.
pub struct Schema(Validator);

impl Schema {
    /// Compiles it. Patterns are matched in linear time, and nothing is fetched.
    pub fn compile(text: &str) -> anyhow::Result<Self> {
        let schema: Value = serde_json::from_str(text)?;
        let built = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex().size_limit(MAX_COMPILED_BYTES))
            .offline()
            .build(&schema);
        Ok(Self(built.map_err(|error| anyhow::anyhow!("{error}"))?))
    }

    /// Whether these properties are what it wants.
    pub fn check(&self, properties: &Json) -> Result<(), Fault> {
        let instance = approximate(properties);
        self.0.validate(&instance).map_err(|error| fault(&error).within("properties"))
    }
}

/// The value as the schema engine knows values: numbers beyond 64 bits lose digits here.
fn approximate(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(text) => number(text).map_or(Value::Null, Value::Number),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(approximate).collect()),
        Json::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), approximate(value))).collect::<Map<_, _>>())
        }
    }
}

fn number(text: &str) -> Option<Number> {
    let integer = text.parse::<i64>().ok().map(Number::from);
    integer.or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64))
}

fn fault(error: &ValidationError<'_>) -> Fault {
    let missing = missing_keys(error.kind()).unwrap_or_default();
    let fault = match missing.as_slice() {
        [] => Fault::new("schema_violation", error.masked_with("the value").to_string()),
        [key] => Fault::at(key, "missing_field", "is required by the type of this event"),
        [first, ..] => Fault::at(first, "missing_field", format!("one of {} is required", missing.join(", "))),
    };
    let pointer = error.instance_path().as_str().to_owned() + &fault.pointer;
    Fault { pointer, ..fault }
}

/// The keys whose absence is the whole fault: one, or alternatives of which one would do.
fn missing_keys(kind: &ValidationErrorKind) -> Option<Vec<String>> {
    match kind {
        ValidationErrorKind::Required { property } => property.as_str().map(|key| vec![key.to_owned()]),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let keys = context.iter().flatten().map(|error| missing_keys(error.kind()));
            keys.collect::<Option<Vec<_>>>().map(|keys| keys.concat())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use domain::json::Limits;

    fn check(name: &str, properties: &str) -> Result<(), (&'static str, String)> {
        let properties = Json::parse(properties, &Limits::PROPERTIES).unwrap();
        Schemas::compile().unwrap().check(name, &properties).map_err(|fault| (fault.code, fault.pointer))
    }

    #[test]
    fn what_a_type_wants_must_be_there() {
        let missing = |pointer: &str| Err(("missing_field", pointer.to_owned()));
        assert_eq!(check("payment.completed", "{}"), missing("/properties/amount"));
        assert_eq!(check("contact.tag.added", "{}"), missing("/properties/tag_name"));
        assert_eq!(check("contact.tag.added", r#"{"tag_id":"t-1"}"#), Ok(()));
        assert_eq!(check("message_sent", r#"{"conversationId":"c"}"#), missing("/properties/role"));
    }

    #[test]
    fn what_is_there_must_fit() {
        let violation = |pointer: &str| Err(("schema_violation", pointer.to_owned()));
        assert_eq!(check("payment.completed", r#"{"amount":true}"#), violation("/properties/amount"));
        assert_eq!(check("payment.completed", r#"{"amount":"ten"}"#), violation("/properties/amount"));
        assert_eq!(check("message_sent", r#"{"conversationId":"c","role":"admin"}"#), violation("/properties/role"));
        assert_eq!(check("form.submitted", r#"{"form_id":7}"#), violation("/properties/form_id"));
    }

    #[test]
    fn exact_and_enormous_amounts_and_further_keys_pass() {
        for amount in
            ["99.999999999999999999", "100.00", "\"100.00\"", "9223372036854775807", "123456789012345678901234567890.5"]
        {
            assert_eq!(
                check("payment.completed", &format!(r#"{{"amount":{amount},"more":[1,{{"a":null}}]}}"#)),
                Ok(()),
                "{amount}"
            );
        }
    }

    #[test]
    fn names_without_a_schema_may_bring_anything() {
        assert_eq!(check("trial_started", r#"{"amount":true}"#), Ok(()));
    }
}
