//! Examples for every refusal, and properties against `serde_json` as an independent reader.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Json, Fault> {
    Json::parse(text, &Limits::PROPERTIES)
}

fn code(text: &str) -> &'static str {
    parse(text).unwrap_err().code
}

#[test]
fn keeps_numbers_and_key_order_as_written() {
    let text = r#"{"b":100.00,"a":[1e2,-0.0,99.999999999999999999],"c":"x"}"#;
    assert_eq!(parse(text).unwrap().to_text(), text);
    assert_eq!(serde_json::to_string(&parse(text).unwrap()).unwrap(), text);
    assert_eq!(parse(text).unwrap().canonical_text(), r#"{"a":[100,0,99.999999999999999999],"b":100,"c":"x"}"#);
}

#[test]
fn every_refusal_has_its_code() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (text, expected) in [
        (r#""a\u0000b""#, "nul_character"),
        (r#"{"a\u0000":1}"#, "nul_character"),
        (r#""\ud800""#, "lone_surrogate"),
        (r#""\ud800x""#, "lone_surrogate"),
        (r#""\ud800\u0041""#, "lone_surrogate"),
        (r#""\udc00\ud800""#, "lone_surrogate"),
        (r#"{"a":1,"a":2}"#, "duplicate_key"),
        (r#"{"a":1,"\u0061":2}"#, "duplicate_key"),
        (r#"{"x":[{"a":1,"b":2,"a":3}]}"#, "duplicate_key"),
        ("[9223372036854775808]", "integer_out_of_range"),
        ("[1e200000]", "number_out_of_range"),
        (&deep(17), "too_deep"),
        (&"[".repeat(100_000), "too_deep"),
        (&format!("\"{}\"", "x".repeat(2_047)), "too_large"),
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("{a:1}", "invalid_json"),
        ("{\"a\":1,}", "invalid_json"),
        ("[1,]", "invalid_json"),
        ("[1 2]", "invalid_json"),
        ("nul", "invalid_json"),
        ("NaN", "invalid_json"),
        ("Infinity", "invalid_json"),
        ("-", "invalid_json"),
        ("01", "invalid_json"),
        ("\u{feff}1", "invalid_json"),
        ("1 1", "invalid_json"),
        ("\"a\nb\"", "invalid_json"),
        ("\"\\x\"", "invalid_json"),
        ("\"\\u00g0\"", "invalid_json"),
        ("\"\\u+123\"", "invalid_json"),
        ("\"", "invalid_json"),
        ("\"\\", "invalid_json"),
        ("'a'", "invalid_json"),
        ("// x\n1", "invalid_json"),
    ] {
        assert_eq!(code(text), expected, "{text:.60}");
    }
    assert!(parse(&deep(16)).is_ok());
    assert!(parse(&format!("\"{}\"", "x".repeat(2_046))).is_ok());
}

#[test]
fn keys_and_strings_are_counted() {
    let object = |keys: usize| {
        let members: Vec<String> = (0..keys).map(|key| format!("\"{key:x}\":0")).collect();
        format!("{{\"o\":{{{}}}}}", members.join(","))
    };
    let limits = Limits { max_bytes: 100_000, ..Limits::PROPERTIES };
    assert!(Json::parse(&object(255), &limits).is_ok());
    assert_eq!(Json::parse(&object(256), &limits).unwrap_err().code, "too_many_keys");
    let long = format!("\"{}\"", "x".repeat(8_193));
    assert_eq!(Json::parse(&long, &limits).unwrap_err().code, "too_long");
    let twice = format!("{{{},\"0\":1}}", (0..40).map(|key| format!("\"{key}\":0")).collect::<Vec<_>>().join(","));
    assert_eq!(Json::parse(&twice, &limits).unwrap_err().code, "duplicate_key");
}

#[test]
fn size_is_that_of_the_compact_form() {
    let spaced = format!("[{}1]", " ".repeat(5_000));
    assert!(parse(&spaced).is_ok());
    let escaped = format!("\"{}\"", "\\u0041".repeat(2_046));
    assert!(parse(&escaped).is_ok());
    let control = format!("\"{}\"", "\\u0001".repeat(342));
    assert_eq!(code(&control), "too_large");
}

#[test]
fn faults_point_to_their_place() {
    assert_eq!(parse(r#"{"a":[0,{"b/c":"\u0000"}]}"#).unwrap_err().pointer, "/a/1/b~1c");
    assert_eq!(parse(r#"{"a":{"k":1,"k":1}}"#).unwrap_err().pointer, "/a/k");
}

#[test]
fn serde_checks_what_raw_values_hide() {
    #[derive(serde::Deserialize)]
    struct Holder {
        #[allow(dead_code, reason = "only read")]
        value: Json,
    }
    for bad in [r#"{"value":"\ud800"}"#, r#"{"value":{"a":1,"a":1}}"#, r#"{"value":1e999}"#, r#"{"value":"\u0000"}"#] {
        assert!(serde_json::from_str::<Holder>(bad).is_err(), "{bad}");
    }
    let deep = format!("{{\"value\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(serde_json::from_str::<Holder>(&deep).is_err());
    let value: Json = serde_json::from_value(serde_json::json!({"a": [1, null, true, "x"]})).unwrap();
    assert_eq!(value.to_text(), r#"{"a":[1,null,true,"x"]}"#);
    assert_eq!(serde_json::to_value(&value).unwrap(), serde_json::json!({"a": [1, null, true, "x"]}));
}

#[test]
fn split_finds_the_members_whatever_is_in_them() {
    let text = r#" { "a" : {"x":"}\"]"} ,"b":[1,[2]],"c":-1.5e3 , "d":"\ud800" } "#;
    let members = split_object(text, &Limits::WIRE).unwrap();
    let seen: Vec<(&str, &str)> = members.iter().map(|(key, raw)| (key.as_str(), *raw)).collect();
    assert_eq!(seen, [("a", r#"{"x":"}\"]"}"#), ("b", "[1,[2]]"), ("c", "-1.5e3"), ("d", r#""\ud800""#)]);
    for (bad, expected) in [
        ("[1]", "invalid_type"),
        ("\"x\"", "invalid_type"),
        ("{\"a\":}", "invalid_json"),
        ("{\"a\":1", "invalid_json"),
        ("{\"a\":1,}", "invalid_json"),
        ("{\"a\":1} x", "invalid_json"),
        ("{\"a\":1,\"a\":2}", "duplicate_key"),
        ("", "invalid_json"),
        ("{\"a\":\"", "invalid_json"),
        ("{\"a\":\"\\", "invalid_json"),
        ("{\"a\":[", "invalid_json"),
    ] {
        assert_eq!(split_object(bad, &Limits::WIRE).unwrap_err().code, expected, "{bad}");
    }
}

/// Any JSON value within the bounds.
pub(crate) fn any_json() -> impl Strategy<Value = Json> {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        "-?(0|[1-9][0-9]{0,12})\\.[0-9]{1,12}",
        "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,6})?[eE][+-]?[0-9]",
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number.prop_map(|text| Json::Number(text.into())),
        "[^\u{0}]{0,12}".prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
            prop::collection::vec(("[^\u{0}]{0,6}", inner), 0..5).prop_map(Json::object),
        ]
    })
}

proptest! {
    #[test]
    fn round_trips(value in any_json()) {
        let text = value.to_text();
        prop_assert_eq!(&Json::parse(&text, &Limits::WIRE).unwrap(), &value);
        prop_assert_eq!(&serde_json::from_str::<Json>(&text).unwrap(), &value);
        prop_assert_eq!(serde_json::to_string(&value).unwrap(), text);
    }

    #[test]
    fn size_limit_is_exact(value in any_json()) {
        let text = value.to_text();
        let exact = Limits { max_bytes: text.len(), ..Limits::WIRE };
        prop_assert!(Json::parse(&text, &exact).is_ok());
        let short = Limits { max_bytes: text.len() - 1, ..Limits::WIRE };
        prop_assert_eq!(Json::parse(&text, &short).unwrap_err().code, "too_large");
    }

    #[test]
    fn canonical_text_ignores_key_order_and_number_spelling(value in any_json()) {
        fn shuffled(value: &Json) -> Json {
            match value {
                Json::Object(members) => Json::Object(members.iter().rev().map(|(k, v)| (k.clone(), shuffled(v))).collect()),
                Json::Array(items) => Json::Array(items.iter().map(shuffled).collect()),
                Json::Number(text) => Json::Number(number::plain(text).into()),
                other => other.clone(),
            }
        }
        let canonical = value.canonical_text();
        prop_assert_eq!(&shuffled(&value).canonical_text(), &canonical);
        prop_assert_eq!(Json::parse(&canonical, &Limits::WIRE).unwrap().canonical_text(), canonical);
    }

    /// What is accepted, `serde_json` accepts with the same meaning; what it refuses, is refused.
    #[test]
    fn agrees_with_serde_json(text in "[\\[\\]{}:,\"0-9eE.+\\- \\\\untrfalse]{0,24}") {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match Json::parse(&text, &Limits::WIRE) {
            Ok(value) => prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&value.to_text()).unwrap(), theirs.unwrap()),
            Err(fault) if fault.code == "invalid_json" => prop_assert!(theirs.is_err(), "{} {}", text, fault),
            Err(_) => {}
        }
    }

    /// A stored number comes back from `jsonb` written out; that text must be readable again.
    #[test]
    fn bounds_are_closed_under_writing_numbers_out(
        text in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?"
    ) {
        if Json::parse(&text, &Limits::WIRE).is_ok() {
            let plain = number::plain(&text);
            prop_assert!(Json::parse(&plain, &Limits::WIRE).is_ok(), "{} -> {}", text, plain);
            prop_assert_eq!(number::compare(&text, &plain), Some(std::cmp::Ordering::Equal));
            prop_assert_eq!(number::canonical(&text), number::canonical(&plain));
        }
    }

    #[test]
    fn split_agrees_with_parse(value in any_json()) {
        let text = Json::object([("k", value.clone()), ("l", value)]).to_text();
        let members = split_object(&text, &Limits::WIRE).unwrap();
        let rebuilt = Json::object(members.into_iter().map(|(k, raw)| (k, Json::parse(raw, &Limits::WIRE).unwrap())));
        prop_assert_eq!(rebuilt.to_text(), text);
    }
}
