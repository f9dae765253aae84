//! The JSON Schema of a tenant's event type, checked before it is taken: what ingest compiles of it costs little, ends, and asks
//! nobody else. So references stay inside it and lead nowhere twice, and patterns are matched in linear time.

use std::collections::HashMap;

use domain::fault::Fault;
use domain::json::{Json, Limits};
use jsonschema::{Draft, PatternOptions};
use serde_json::Value;

/// How large a schema may be.
const SCHEMA: Limits = Limits { max_bytes: 16_384, max_depth: 32, max_keys: 1_024, max_string_bytes: 4_096 };
/// Most subschemas that an event may be held against, each counted as often as it is referred to.
const MOST_SUBSCHEMAS: usize = 1_000;
/// How deep they may lie in each other, with all that is referred to.
const MOST_OPEN: usize = 64;
/// Longest pattern, and most memory that it may take once compiled; ingest has the same.
const MAX_PATTERN_BYTES: usize = 256;
const MAX_COMPILED_BYTES: usize = 262_144;
const MOST_PATTERNS: usize = 64;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Keywords whose value is a schema, a list of schemas, and an object of schemas by names that are no keywords.
const ONE: [&str; 11] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const NAMED: [&str; 5] = ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

/// The schema as compact text, if it is one that can be taken.
pub fn checked(text: &str) -> Result<String, Fault> {
    let json = Json::parse(text, &SCHEMA)?;
    if json.as_object().is_none() {
        return Err(Fault::new("invalid_type", format!("must be an object, not {}", json.type_name())));
    }
    let text = json.to_text();
    let schema: Value = serde_json::from_str(&text).map_err(|error| Fault::new("invalid_schema", error.to_string()))?;
    is_schema(&schema).map_err(|(pointer, why)| invalid(pointer, why))?;
    Walk { whole: &schema, weights: HashMap::new(), open: vec![String::new()], patterns: 0 }.weigh("", &schema)?;
    let built = options().build(&schema);
    built.map_err(|error| invalid(error.instance_path().as_str().to_owned(), error.to_string()))?;
    Ok(text)
}

fn options() -> jsonschema::ValidationOptions<'static> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_COMPILED_BYTES))
        .offline()
}

/// What the meta-schema has against it: where, and why.
fn is_schema(schema: &Value) -> Result<(), (String, String)> {
    let met = jsonschema::draft202012::meta::validate(schema);
    met.map_err(|error| (error.instance_path().as_str().to_owned(), error.masked_with("the value").to_string()))
}

fn invalid(pointer: String, message: String) -> Fault {
    Fault { pointer, ..Fault::new("invalid_schema", message) }
}

fn unsupported(pointer: String, message: impl Into<String>) -> Fault {
    Fault { pointer, ..Fault::new("unsupported_schema", message) }
}

/// The place of `key` in what stands at `pointer`.
fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Goes through a schema and all that it refers to.
struct Walk<'s> {
    whole: &'s Value,
    /// Of what was referred to: how many subschemas it comes to.
    weights: HashMap<String, usize>,
    /// The places that lead here.
    open: Vec<String>,
    patterns: usize,
}

impl<'s> Walk<'s> {
    /// How many subschemas the one at `pointer` comes to.
    fn weigh(&mut self, pointer: &str, schema: &'s Value) -> Result<usize, Fault> {
        let Some(members) = schema.as_object() else {
            return Ok(1);
        };
        let mut weight = 1_usize;
        for (keyword, value) in members {
            let at = below(pointer, keyword);
            let of_keyword = match (keyword.as_str(), value) {
                ("$ref", Value::String(reference)) => self.referred(at, reference)?,
                ("pattern", Value::String(pattern)) => self.pattern(at, pattern)?,
                (keyword, Value::Object(named)) if NAMED.contains(&keyword) => {
                    let mut sum = 0_usize;
                    for (name, schema) in named {
                        let at = below(&at, name);
                        if keyword == "patternProperties" {
                            self.pattern(at.clone(), name)?;
                        }
                        sum = sum.saturating_add(self.within(at, schema)?);
                    }
                    sum
                }
                (keyword, Value::Array(listed)) if LIST.contains(&keyword) => {
                    let mut sum = 0_usize;
                    for (index, schema) in listed.iter().enumerate() {
                        sum = sum.saturating_add(self.within(below(&at, &index.to_string()), schema)?);
                    }
                    sum
                }
                (keyword, schema) if ONE.contains(&keyword) => self.within(at, schema)?,
                (keyword, value) => self.plain(at, keyword, value)?,
            };
            weight = weight.saturating_add(of_keyword);
        }
        if weight > MOST_SUBSCHEMAS {
            let message = format!("comes to more than {MOST_SUBSCHEMAS} subschemas, with all that it refers to");
            return Err(unsupported(pointer.to_owned(), message));
        }
        Ok(weight)
    }

    /// A subschema that stands in the one at hand.
    fn within(&mut self, at: String, schema: &'s Value) -> Result<usize, Fault> {
        if self.open.len() > MOST_OPEN {
            return Err(unsupported(at, format!("lies more than {MOST_OPEN} subschemas deep, references included")));
        }
        self.open.push(at.clone());
        let weight = self.weigh(&at, schema);
        self.open.pop();
        weight
    }

    /// What a reference leads to.
    fn referred(&mut self, at: String, reference: &str) -> Result<usize, Fault> {
        let Some(target) = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
            return Err(unsupported(at, "must be # with a JSON pointer: a reference stays inside the schema"));
        };
        let found = self.whole.pointer(target).filter(|_| !target.contains('%'));
        let Some(found) = found else {
            return Err(invalid(at, "there is nothing at this place of the schema".to_owned()));
        };
        if self.open.iter().any(|open| open == target) {
            return Err(unsupported(at, "leads back to itself: a schema must not be recursive"));
        }
        if let Some(weight) = self.weights.get(target) {
            return Ok(*weight);
        }
        is_schema(found).map_err(|(_, why)| invalid(at, why))?;
        let weight = self.within(target.to_owned(), found)?;
        self.weights.insert(target.to_owned(), weight);
        Ok(weight)
    }

    fn pattern(&mut self, at: String, pattern: &str) -> Result<usize, Fault> {
        self.patterns += 1;
        if self.patterns > MOST_PATTERNS {
            return Err(unsupported(at, format!("there must be at most {MOST_PATTERNS} patterns")));
        }
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(unsupported(at, format!("a pattern must be at most {MAX_PATTERN_BYTES} bytes")));
        }
        match options().build(&serde_json::json!({ "pattern": pattern })) {
            Ok(_) => Ok(0),
            Err(_) => {
                let message = "is no regular expression, or a costly one; without look-around and back-references";
                Err(unsupported(at, message))
            }
        }
    }

    /// A keyword that holds no schema.
    fn plain(&self, at: String, keyword: &str, value: &Value) -> Result<usize, Fault> {
        let text = value.as_str().unwrap_or_default();
        match keyword {
            "$schema" if text.trim_end_matches('#') != DRAFT => Err(unsupported(at, format!("must be {DRAFT}"))),
            "$id" if self.open.len() > 1 => Err(unsupported(at, "only the schema as a whole may have one")),
            "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef" | "$recursiveAnchor" | "$vocabulary"
            | "dependencies" => Err(unsupported(at, "is a keyword that is not taken")),
            "format" if text == "regex" => Err(unsupported(at, "is a format that is not taken")),
            _ => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn refused(schema: &Value) -> (&'static str, String) {
        let fault = checked(&schema.to_string()).unwrap_err();
        (fault.code, fault.pointer)
    }

    #[test]
    fn what_people_write_is_taken() {
        for schema in [
            json!({}),
            json!({"$schema": DRAFT, "$id": "/own/course.json", "type": "object", "additionalProperties": false,
                "properties": {"$ref": {"const": {"$ref": "http://data"}}, "at": {"format": "date-time"}}}),
            json!({"$defs": {"id": {"type": "string", "pattern": "^[a-z]{1,8}$"}},
                "properties": {"a": {"$ref": "#/$defs/id"}, "b": {"items": {"$ref": "#/$defs/id"}}}}),
            json!({"patternProperties": {"^x_": {"type": ["integer", "null"]}}, "unevaluatedProperties": false}),
            json!({"if": {"required": ["a"]}, "then": {"minProperties": 2}, "anyOf": [true, {"not": {"const": 7}}]}),
        ] {
            assert_eq!(checked(&schema.to_string()).map(|_| ()), Ok(()), "{schema}");
        }
        for builtin in domain::catalogue::all() {
            assert_eq!(checked(builtin.schema).map(|_| ()), Ok(()), "{}", builtin.name);
        }
    }

    #[test]
    fn what_is_no_schema_is_refused_where_it_is_none() {
        let invalid = |pointer: &str| ("invalid_schema", pointer.to_owned());
        assert_eq!(refused(&json!({"type": "text"})), invalid("/type"));
        assert_eq!(refused(&json!({"properties": {"a/b": {"minLength": -1}}})), invalid("/properties/a~1b/minLength"));
        assert_eq!(refused(&json!({"items": {"$ref": "#/$defs/none"}})), invalid("/items/$ref"));
        assert_eq!(refused(&json!({"const": {"type": 7}, "$ref": "#/const"})), invalid("/$ref"));
        assert_eq!(refused(&json!(true)).0, "invalid_type");
        assert_eq!(refused(&json!({"title": "x".repeat(5_000)})).0, "too_long");
        assert_eq!(refused(&json!({"enum": vec!["x".repeat(1_000); 20]})).0, "too_large");
    }

    #[test]
    fn what_would_cost_others_is_refused() {
        let unsupported = |pointer: &str| ("unsupported_schema", pointer.to_owned());
        assert_eq!(refused(&json!({"$ref": "https://example.com/schema.json"})), unsupported("/$ref"));
        assert_eq!(refused(&json!({"items": {"$ref": "other.json"}})), unsupported("/items/$ref"));
        assert_eq!(refused(&json!({"$schema": "http://json-schema.org/draft-07/schema#"})), unsupported("/$schema"));
        assert_eq!(refused(&json!({"properties": {"a": {"$ref": "#"}}})), unsupported("/properties/a/$ref"));
        let circle = json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}});
        assert_eq!(refused(&circle), unsupported("/$defs/b/$ref"));
        assert_eq!(refused(&json!({"properties": {"a": {"pattern": "(a)\\1"}}})), unsupported("/properties/a/pattern"));
        assert_eq!(refused(&json!({"pattern": "x".repeat(257)})), unsupported("/pattern"));
        assert_eq!(refused(&json!({"pattern": "(((a{100}){100}){100})"})), unsupported("/pattern"));
        assert_eq!(refused(&json!({"patternProperties": {"(?=x)": true}})), unsupported("/patternProperties/(?=x)"));
        assert_eq!(refused(&json!({"format": "regex"})), unsupported("/format"));
        assert_eq!(refused(&json!({"items": {"$dynamicRef": "#a"}})), unsupported("/items/$dynamicRef"));
        // Each refers twice to the next: 2 to the power of 30.
        let doubling = (0..30).map(|n| {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            (format!("d{n}"), json!({"allOf": [next, next]}))
        });
        let mut definitions: serde_json::Map<String, Value> = doubling.collect();
        definitions.insert("d30".to_owned(), json!({"type": "object"}));
        assert_eq!(refused(&json!({"$defs": definitions, "$ref": "#/$defs/d0"})).0, "unsupported_schema");
        // And a long way from one to the next.
        let chain = (0..300).map(|n| (format!("d{n}"), json!({"$ref": format!("#/$defs/d{}", n + 1)})));
        let mut definitions: serde_json::Map<String, Value> = chain.collect();
        definitions.insert("d300".to_owned(), json!({}));
        assert_eq!(refused(&json!({"$defs": definitions})).0, "unsupported_schema");
    }
}
