//! The envelope, fault by fault; what is filled in; what counts as the same content; event time.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::table::rows;

const ID: &str = "6f0c1a52-7d3f-4d7e-9a51-0c8b6a3d1e2f";

struct Own;

impl OwnTypes for Own {
    fn subject(&self, event_name: &str) -> Option<Subject> {
        match event_name {
            "own.user_type" => Some(Subject::User),
            "own.free_type" => Some(Subject::None),
            _ => None,
        }
    }
}

fn parse_with(raw: &str, taxonomy: Taxonomy, defaults: &Defaults) -> Result<Event, Reject> {
    let tenant = TenantId::parse("demo").unwrap();
    let admission = Admission { tenant: &tenant, taxonomy, own_types: &Own, max_properties_bytes: 2_048, defaults };
    Event::parse(raw, &admission)
}

fn parse(raw: &str) -> Result<Event, Reject> {
    parse_with(raw, Taxonomy::Open, &Defaults::default())
}

/// A good event with more members, which replace the good ones of the same key.
fn event(members: &str) -> String {
    let good = [
        ("event_id", format!("\"{ID}\"")),
        ("event_name", r#""payment.completed""#.to_owned()),
        ("occurred_at", r#""2026-01-03T10:00:00Z""#.to_owned()),
        ("contact_id", r#""c-1""#.to_owned()),
    ];
    let mut text = members.to_owned();
    for (key, value) in good {
        if !members.contains(&format!("\"{key}\"")) {
            let comma = if text.is_empty() { "" } else { "," };
            text = format!("{text}{comma}\"{key}\":{value}");
        }
    }
    format!("{{{text}}}")
}

#[test]
fn the_example_of_the_contract_is_taken() {
    let event = parse(&event(r#""properties":{"amount":150.00}"#)).unwrap();
    assert_eq!(event.event_id.to_string(), ID);
    assert_eq!(event.event_name, "payment.completed");
    assert_eq!(event.contact_id.unwrap().as_str(), "c-1");
    assert_eq!(event.properties.to_text(), r#"{"amount":150.00}"#);
    assert_eq!(event.occurred_at, OffsetDateTime::from_unix_timestamp(1_767_434_400).unwrap());
    assert_eq!((event.user_id, event.session_id, event.context), (None, None, None));
}

#[test]
fn every_fault_has_its_code_and_place() {
    for [members, code, pointer] in rows(
        r#"
        "event_id":null | missing_field | /event_id
        "event_name":null | missing_field | /event_name
        "occurred_at":null | missing_field | /occurred_at
        "event_id":17 | invalid_type | /event_id
        "event_id":"17" | invalid_event_id | /event_id
        "event_id":"6f0c1a527d3f4d7e9a510c8b6a3d1e2f" | invalid_event_id | /event_id
        "event_id":"00000000-0000-0000-0000-000000000000" | placeholder_id | /event_id
        "tenant_id":"other" | tenant_mismatch | /tenant_id
        "tenant_id":5 | invalid_type | /tenant_id
        "event_name":7 | invalid_type | /event_name
        "event_name":"" | invalid_event_name | /event_name
        "event_name":"Trial Started" | invalid_event_name | /event_name
        "event_name":"a..b" | invalid_event_name | /event_name
        "event_name":"1a" | invalid_event_name | /event_name
        "event_name":"<129x>" | invalid_event_name | /event_name
        "occurred_at":1767434400 | invalid_type | /occurred_at
        "occurred_at":"yesterday" | invalid_timestamp | /occurred_at
        "occurred_at":"2101-01-01T00:00:00Z" | invalid_timestamp | /occurred_at
        "user_id":17 | invalid_type | /user_id
        "contact_id":17 | invalid_type | /contact_id
        "session_id":{} | invalid_type | /session_id
        "project_id":true | invalid_type | /project_id
        "user_id":"undefined" | placeholder_id | /user_id
        "user_id":"[object Object]" | placeholder_id | /user_id
        "contact_id":"anonymous" | placeholder_id | /contact_id
        "contact_id":"" | placeholder_id | /contact_id
        "contact_id":"00000000-0000-0000-0000-000000000000" | placeholder_id | /contact_id
        "user_id":"<129x>" | too_long | /user_id
        "user_id":"a\u0007" | invalid_value | /user_id
        "user_id":"a\u0000" | nul_character | /user_id
        "user_id":"\ud800" | lone_surrogate | /user_id
        "event_category":"<65x>" | too_long | /event_category
        "contact_id":null | missing_subject | /user_id
        "user_id":"a","user_id":"b" | duplicate_key | /user_id
        "extra":"\u0000" | nul_character | /extra
        "extra":{"a":1,"a":1} | duplicate_key | /extra/a
        "#,
    ) {
        let reject = parse(&event(&members)).unwrap_err();
        assert_eq!((reject.fault.code, &reject.fault.pointer), (code.as_str(), &pointer), "{members}");
        assert!(!reject.fault.message.is_empty());
    }
}

#[test]
fn content_has_its_faults_too() {
    for [members, code, pointer] in rows(
        r#"
        "properties":[] | invalid_type | /properties
        "properties":"{}" | invalid_type | /properties
        "properties":{"a":1,"a":2} | duplicate_key | /properties/a
        "properties":{"a":{"b":"\u0000"}} | nul_character | /properties/a/b
        "properties":{"a":"\udfff"} | lone_surrogate | /properties/a
        "properties":{"a":99999999999999999999} | integer_out_of_range | /properties/a
        "properties":{"a":1e400} | number_out_of_range | /properties/a
        "properties":{"a":NaN} | invalid_json | /properties/a
        "properties":{"a":"<2041x>"} | too_large | /properties/a
        "properties":{"a":<16[>5<16]>} | too_deep | /properties/a/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0
        "properties":{"contact_id":17},"contact_id":null | invalid_type | /properties/contact_id
        "properties":{"contact_id":"null"},"contact_id":null | placeholder_id | /properties/contact_id
        "properties":{"sessionId":17} | invalid_type | /properties/sessionId
        "context":"x" | invalid_type | /context
        "context":{"page":"x"} | invalid_type | /context/page
        "context":{"page":{"url":5}} | invalid_type | /context/page/url
        "context":{"screen":{"width":"5"}} | invalid_type | /context/screen/width
        "context":{"response_ms":"5"} | invalid_type | /context/response_ms
        "context":{"x":1,"x":2} | duplicate_key | /context/x
        "context":{"x":"\u0000"} | nul_character | /context/x
        "context":{"a":<16[>5<16]>} | too_deep | /context/a/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0
        "#,
    ) {
        let reject = parse(&event(&members)).unwrap_err();
        assert_eq!((reject.fault.code, &reject.fault.pointer), (code.as_str(), &pointer), "{members}");
    }
    let many = |what: &str, count: usize| -> String {
        let members: Vec<String> = (0..count).map(|key| format!("\"{what}{key:x}\":0")).collect();
        members.join(",")
    };
    let code = |raw: &str| parse(raw).unwrap_err().fault.code;
    assert_eq!(code(&event(&format!("\"properties\":{{{}}}", many("", 257)))), "too_many_keys");
    assert_eq!(code(&event(&many("field", 61))), "too_many_keys");
    for [raw, expected] in rows(
        r#"
        [] | invalid_type
        5 | invalid_type
        { | invalid_json
        {"a":} | invalid_json
    "#,
    ) {
        assert_eq!(code(&raw), expected, "{raw}");
    }
    assert_eq!(code(""), "invalid_json");
    assert_eq!(code(&format!("{}{}", event(""), " ".repeat(300_000))), "too_large");
    let deep = format!(r#""extra":{}{}"#, "[".repeat(60_000), "]".repeat(60_000));
    assert_eq!(code(&event(&deep)), "too_deep");
}

#[test]
fn a_reject_carries_the_id_when_it_could_be_read() {
    for members in
        [r#""event_name":null"#, r#""properties":{"a":"\ud800"}"#, r#""properties":{"a":1,"a":1}"#, r#""user_id":5"#]
    {
        assert_eq!(parse(&event(members)).unwrap_err().event_id.unwrap().to_string(), ID, "{members}");
    }
    for raw in
        [r#"{"event_id":5}"#, r#"{"event_id":"x"}"#, "[]", "{", &format!(r#"{{"event_id":"{ID}","event_id":"{ID}"}}"#)]
    {
        assert_eq!(parse(raw).unwrap_err().event_id, None, "{raw}");
    }
}

#[test]
fn envelope_faults_come_before_those_of_the_content() {
    let both = event(r#""event_name":null,"properties":{"a":1,"a":1}"#);
    assert_eq!(parse(&both).unwrap_err().fault.code, "missing_field");
    let unknown =
        parse_with(&event(r#""event_name":"b","properties":{"a":1,"a":1}"#), Taxonomy::Strict, &Defaults::default());
    assert_eq!(unknown.unwrap_err().fault.code, "unknown_event_name");
}

#[test]
fn names_are_known_or_the_tenant_is_open() {
    let strict = |name: &str| {
        parse_with(&event(&format!(r#""event_name":"{name}""#)), Taxonomy::Strict, &Defaults::default())
            .map_err(|reject| reject.fault.code)
            .map(|event| event.event_name)
    };
    assert_eq!(strict("form.submitted").unwrap(), "form.submitted");
    assert_eq!(strict("own.user_type").unwrap(), "own.user_type");
    assert_eq!(strict("trial_started"), Err("unknown_event_name"));
    assert!(parse(&event(r#""event_name":"trial_started""#)).is_ok());
}

#[test]
fn somebody_is_needed_unless_the_type_is_about_nobody() {
    let nobody = |name: &str| parse(&event(&format!(r#""event_name":"{name}","contact_id":null"#))).is_ok();
    assert!(nobody("plan_updated") && nobody("conversation_started") && nobody("own.free_type"));
    assert!(
        !nobody("widget_seen") && !nobody("payment.completed") && !nobody("own.user_type") && !nobody("unheard_of")
    );
    for somebody in [
        r#""user_id":"u""#,
        r#""session_id":"s""#,
        r#""properties":{"contact_id":"c"}"#,
        r#""properties":{"sessionId":"s"}"#,
    ] {
        assert!(
            parse(&event(&format!(r#""event_name":"widget_seen","contact_id":null,{somebody}"#))).is_ok(),
            "{somebody}"
        );
    }
}

#[test]
fn absent_ids_are_filled_in() {
    let filled = parse(&event(r#""contact_id":null,"properties":{"contact_id":"c-9","sessionId":"s-9"}"#)).unwrap();
    assert_eq!(filled.contact_id.unwrap().as_str(), "c-9");
    assert_eq!(filled.session_id.as_deref(), Some("s-9"));
    let kept =
        parse(&event(r#""contact_id":"c-1","session_id":"s-1","properties":{"contact_id":17,"sessionId":"s-9"}"#))
            .unwrap();
    assert_eq!(kept.contact_id.unwrap().as_str(), "c-1");
    assert_eq!(kept.session_id.as_deref(), Some("s-1"));
    let defaults = Defaults { project_id: Some("p".into()), user_id: Some("u".into()), session_id: Some("s".into()) };
    let by_default = parse_with(&event(""), Taxonomy::Open, &defaults).unwrap();
    assert_eq!(
        (by_default.project_id.as_deref(), by_default.user_id.as_deref(), by_default.session_id.as_deref()),
        (Some("p"), Some("u"), Some("s"))
    );
    let own = event(r#""project_id":"q","user_id":"v","properties":{"sessionId":"t"}"#);
    let own = parse_with(&own, Taxonomy::Open, &defaults).unwrap();
    assert_eq!(
        (own.project_id.as_deref(), own.user_id.as_deref(), own.session_id.as_deref()),
        (Some("q"), Some("v"), Some("t"))
    );
    assert!(defaults.check().is_ok());
    let bad = Defaults { user_id: Some("undefined".into()), ..Defaults::default() };
    assert_eq!(bad.check().unwrap_err(), Fault::at("user_id", "placeholder_id", "is a placeholder, not an identifier"));
}

#[test]
fn content_is_the_same_however_it_is_written() {
    let content = |members: &str| parse(&event(members)).unwrap().content_text();
    let one = content(r#""properties":{"amount":100.00,"b":{"x":1,"y":2}}"#);
    assert_eq!(
        one,
        content(r#""occurred_at":"2026-01-03T11:00:00+01:00", "properties":{"b":{"y":2.0,"x":1},"amount":1e2}"#)
    );
    assert_eq!(
        one,
        content(r#""user_id":null,"extra":5,"tenant_id":"demo","properties":{"b":{"y":2,"x":1},"\u0061mount":100}"#)
    );
    for other in [
        r#""properties":{"amount":100.01,"b":{"x":1,"y":2}}"#,
        r#""properties":{"amount":"100.00","b":{"x":1,"y":2}}"#,
        r#""user_id":"u","properties":{"amount":100.00,"b":{"x":1,"y":2}}"#,
        r#""occurred_at":"2026-01-03T10:00:01Z","properties":{"amount":100.00,"b":{"x":1,"y":2}}"#,
        r#""context":{"locale":"de"},"properties":{"amount":100.00,"b":{"x":1,"y":2}}"#,
    ] {
        assert_ne!(one, content(other), "{other}");
    }
}

#[test]
fn event_time_follows_the_senders_clock_within_reason() {
    let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(1_767_434_400 + seconds).unwrap();
    assert_eq!(event_time(at(0), None, at(50)), (at(0), false));
    // The sender's clock is an hour ahead.
    assert_eq!(event_time(at(3_600), Some(at(3_605)), at(5)), (at(0), false));
    assert_eq!(event_time(at(0), Some(at(5)), at(3_605)), (at(3_600), false));
    assert_eq!(event_time(at(300), None, at(0)), (at(300), false));
    assert_eq!(event_time(at(301), None, at(0)), (at(0), true));
    assert_eq!(event_time(at(400), Some(at(0)), at(0)), (at(0), true));
    // A `sent_at` from another age: too early makes the event lie ahead, too late is not believed.
    assert_eq!(event_time(at(0), Some(OffsetDateTime::UNIX_EPOCH), at(0)), (at(0), true));
    let far = time::macros::datetime!(2100-01-01 0:00 UTC);
    assert_eq!(event_time(at(0), Some(far), at(10)), (at(0), false));
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(raw in any::<String>()) {
        let _ = parse(&raw);
    }

    #[test]
    fn nothing_like_an_event_makes_it_panic(
        key in "(event_id|occurred_at|properties|context|user_id|x)", value in "[\\[\\]{}:,\"0-9a-z\\\\.\\-]{0,20}",
    ) {
        let raw = event(&format!("\"{key}\":{value}"));
        if let Ok(event) = parse(&raw) {
            prop_assert!(event.properties.as_object().is_some());
        }
    }

    #[test]
    fn event_names_follow_the_pattern(name in "[a-zA-Z0-9_.]{0,12}") {
        let naive = !name.is_empty() && name.split('.').all(|part| {
            let mut characters = part.chars();
            characters.next().is_some_and(|first| first.is_ascii_lowercase())
                && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        });
        prop_assert_eq!(is_event_name(&name), naive);
    }

    #[test]
    fn event_time_is_never_far_ahead_nor_before_1970(
        occurred in 0_i64..4_000_000_000, sent in prop::option::of(0_i64..4_000_000_000), received in 1_700_000_000_i64..1_900_000_000,
    ) {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let (time, clamped) = event_time(at(occurred), sent.map(at), at(received));
        prop_assert!(time <= at(received) + MAX_AHEAD);
        prop_assert!(time >= OffsetDateTime::UNIX_EPOCH);
        prop_assert!(!clamped || time == at(received));
    }
}
