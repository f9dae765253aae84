//! Every refusal of criteria, with its words, and what is taken.

use super::*;

fn refusal(goal_type: &str, text: &str) -> (String, String, String) {
    let fault = Criteria::parse(goal_type.parse().unwrap(), &json(text)).expect_err(text);
    (fault.code.to_owned(), fault.pointer, fault.message)
}

fn refused(goal_type: &str, text: &str, code: &str, pointer: &str) {
    let (given_code, given_pointer, message) = refusal(goal_type, text);
    assert_eq!(
        (given_code.as_str(), given_pointer.as_str()),
        (code, pointer),
        "{goal_type} {text}: {message}"
    );
}

const TYPES: [&str; 6] = [
    "tag_added",
    "purchase_made",
    "appointment_booked",
    "form_submitted",
    "pipeline_stage_reached",
    "custom_event",
];

#[test]
fn empty_criteria_have_their_words() {
    for goal_type in TYPES {
        for text in [
            "{}",
            "null",
            r#"{"form_id":null}"#,
            r#"{"min_amount":null,"x":null}"#,
        ] {
            assert_eq!(
                refusal(goal_type, text),
                (
                    "criteria_empty".into(),
                    String::new(),
                    "Goal criteria cannot be empty".into()
                ),
                "{goal_type} {text}"
            );
        }
    }
    for (goal_type, text) in [
        ("purchase_made", r#"{"any_purchase":false}"#),
        (
            "purchase_made",
            r#"{"any_purchase":false,"product_id":null}"#,
        ),
        ("appointment_booked", r#"{"any_appointment":false}"#),
        ("form_submitted", r#"{"any_form":false}"#),
        ("tag_added", r#"{"case_sensitive":true}"#),
        ("pipeline_stage_reached", r#"{"at_or_beyond":true}"#),
    ] {
        assert_eq!(
            refusal(goal_type, text).2,
            "Goal criteria cannot be empty",
            "{text}"
        );
    }
}

#[test]
fn unknown_keys_and_wrong_types_are_named() {
    for goal_type in TYPES {
        refused(
            goal_type,
            r#"{"min_amout":1}"#,
            "unknown_field",
            "/min_amout",
        );
        refused(goal_type, "[]", "invalid_type", "");
        refused(goal_type, "\"x\"", "invalid_type", "");
    }
    assert!(
        refusal("purchase_made", r#"{"min_amout":1}"#)
            .2
            .contains("min_amout")
    );
    for (goal_type, text, pointer) in [
        ("tag_added", r#"{"tag_name":1}"#, "/tag_name"),
        (
            "tag_added",
            r#"{"tag_name":"x","case_sensitive":"yes"}"#,
            "/case_sensitive",
        ),
        ("purchase_made", r#"{"min_amount":true}"#, "/min_amount"),
        ("purchase_made", r#"{"any_purchase":1}"#, "/any_purchase"),
        ("purchase_made", r#"{"product_ids":"p"}"#, "/product_ids"),
        (
            "purchase_made",
            r#"{"product_ids":["p",1]}"#,
            "/product_ids/1",
        ),
        (
            "appointment_booked",
            r#"{"calendar_id":456}"#,
            "/calendar_id",
        ),
        ("form_submitted", r#"{"form_id":["f"]}"#, "/form_id"),
        ("pipeline_stage_reached", r#"{"stage_id":{}}"#, "/stage_id"),
        ("custom_event", r#"{"event_name":"a","where":{}}"#, "/where"),
        (
            "custom_event",
            r#"{"event_name":"a","where":["x"]}"#,
            "/where/0",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","op":"gt","value":true}]}"#,
            "/where/0/value",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","op":"eq","value":[1]}]}"#,
            "/where/0/value",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","op":"in","value":1}]}"#,
            "/where/0/value",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","op":"exists","value":1}]}"#,
            "/where/0/value",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","op":"prefix","value":1}]}"#,
            "/where/0/value",
        ),
    ] {
        refused(goal_type, text, "invalid_type", pointer);
    }
}

#[test]
fn conflicts_are_refused() {
    for (goal_type, text, pointer) in [
        ("tag_added", r#"{"tag_name":"a","tag_id":"b"}"#, "/tag_id"),
        (
            "tag_added",
            r#"{"tag_name":"a","tag_pattern":"b*"}"#,
            "/tag_pattern",
        ),
        (
            "tag_added",
            r#"{"tag_id":"a","case_sensitive":true}"#,
            "/case_sensitive",
        ),
        (
            "purchase_made",
            r#"{"any_purchase":true,"product_id":"p"}"#,
            "/product_id",
        ),
        (
            "purchase_made",
            r#"{"any_purchase":true,"min_amount":1}"#,
            "/min_amount",
        ),
        (
            "purchase_made",
            r#"{"product_id":"p","product_ids":["q"]}"#,
            "/product_ids",
        ),
        (
            "purchase_made",
            r#"{"min_amount":100,"max_amount":99.99}"#,
            "/max_amount",
        ),
        (
            "appointment_booked",
            r#"{"any_appointment":true,"calendar_id":"c"}"#,
            "/calendar_id",
        ),
        (
            "appointment_booked",
            r#"{"any_appointment":true,"service_id":"s"}"#,
            "/service_id",
        ),
        (
            "form_submitted",
            r#"{"any_form":true,"form_ids":["f"]}"#,
            "/form_ids",
        ),
    ] {
        refused(goal_type, text, "conflicting_criteria", pointer);
    }
}

#[test]
fn bad_values_are_refused() {
    let long = "x".repeat(129);
    let conditions = |count: usize| vec![r#"{"property":"p","op":"exists"}"#; count].join(",");
    for (goal_type, text, code, pointer) in [
        (
            "tag_added",
            r#"{"tag_name":"  "}"#.to_owned(),
            "invalid_value",
            "/tag_name",
        ),
        (
            "tag_added",
            format!(r#"{{"tag_id":"{long}"}}"#),
            "too_long",
            "/tag_id",
        ),
        (
            "tag_added",
            r#"{"tag_pattern":"*"}"#.to_owned(),
            "invalid_pattern",
            "/tag_pattern",
        ),
        (
            "tag_added",
            r#"{"tag_pattern":"a\\"}"#.to_owned(),
            "invalid_pattern",
            "/tag_pattern",
        ),
        (
            "tag_added",
            r#"{"tag_pattern":" a*"}"#.to_owned(),
            "invalid_pattern",
            "/tag_pattern",
        ),
        (
            "tag_added",
            format!(r#"{{"tag_pattern":"{long}"}}"#),
            "too_long",
            "/tag_pattern",
        ),
        (
            "tag_added",
            format!(r#"{{"tag_pattern":"{}"}}"#, "ß".repeat(70)),
            "too_long",
            "/tag_pattern",
        ),
        (
            "purchase_made",
            r#"{"min_amount":-1}"#.to_owned(),
            "invalid_value",
            "/min_amount",
        ),
        (
            "purchase_made",
            r#"{"min_amount":"10,00"}"#.to_owned(),
            "invalid_value",
            "/min_amount",
        ),
        (
            "purchase_made",
            r#"{"min_amount":0.12345678901234567890123456789}"#.to_owned(),
            "invalid_value",
            "/min_amount",
        ),
        (
            "purchase_made",
            r#"{"max_amount":0}"#.to_owned(),
            "invalid_value",
            "/max_amount",
        ),
        (
            "purchase_made",
            r#"{"currency":"dollars"}"#.to_owned(),
            "invalid_value",
            "/currency",
        ),
        (
            "purchase_made",
            r#"{"min_amount":1.001,"currency":"usd"}"#.to_owned(),
            "invalid_value",
            "/min_amount",
        ),
        (
            "purchase_made",
            r#"{"max_amount":1.5,"currency":"JPY"}"#.to_owned(),
            "invalid_value",
            "/max_amount",
        ),
        (
            "purchase_made",
            r#"{"product_ids":[]}"#.to_owned(),
            "invalid_value",
            "/product_ids",
        ),
        (
            "form_submitted",
            r#"{"form_id":""}"#.to_owned(),
            "invalid_value",
            "/form_id",
        ),
        (
            "form_submitted",
            r#"{"form_id":"a\u0007"}"#.to_owned(),
            "invalid_value",
            "/form_id",
        ),
        (
            "pipeline_stage_reached",
            r#"{"pipeline_id":"p"}"#.to_owned(),
            "missing_field",
            "/stage_id",
        ),
        (
            "custom_event",
            r#"{"where":[]}"#.to_owned(),
            "missing_field",
            "/event_name",
        ),
        (
            "custom_event",
            r#"{"event_name":"Trial Started"}"#.to_owned(),
            "invalid_event_name",
            "/event_name",
        ),
        (
            "custom_event",
            format!(r#"{{"event_name":"a","where":[{}]}}"#, conditions(9)),
            "too_many",
            "/where",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"op":"eq","value":1}]}"#.to_owned(),
            "missing_field",
            "/where/0/property",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","value":1}]}"#.to_owned(),
            "missing_field",
            "/where/0/op",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","op":"eq"}]}"#.to_owned(),
            "missing_field",
            "/where/0/value",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","op":"like","value":1}]}"#.to_owned(),
            "invalid_value",
            "/where/0/op",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","op":"eq","value":1,"x":2}]}"#.to_owned(),
            "unknown_field",
            "/where/0/x",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","op":"glob","value":"**"}]}"#.to_owned(),
            "invalid_pattern",
            "/where/0/value",
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","op":"in","value":[]}]}"#.to_owned(),
            "invalid_value",
            "/where/0/value",
        ),
    ] {
        refused(goal_type, &text, code, pointer);
    }
    assert!(
        Criteria::parse(
            GoalType::CustomEvent,
            &json(&format!(
                r#"{{"event_name":"a","where":[{}]}}"#,
                conditions(8)
            ))
        )
        .is_ok()
    );
    assert!(
        "reward_points"
            .parse::<GoalType>()
            .unwrap_err()
            .to_string()
            .contains("unknown goal type")
    );
}

#[test]
fn the_acceptance_examples_are_taken_and_kept_as_written() {
    for (goal_type, given, kept) in [
        (
            "tag_added",
            r#"{"tag_name":"Customer"}"#,
            r#"{"tag_name":"Customer"}"#,
        ),
        (
            "purchase_made",
            r#"{"product_id":null,"min_amount":100.00}"#,
            r#"{"min_amount":100.00}"#,
        ),
        (
            "purchase_made",
            r#"{"min_amount":"100.00"}"#,
            r#"{"min_amount":"100.00"}"#,
        ),
        (
            "form_submitted",
            r#"{"form_id":"form-123"}"#,
            r#"{"form_id":"form-123"}"#,
        ),
        (
            "appointment_booked",
            r#"{"calendar_id":"cal-456","any_appointment":false}"#,
            r#"{"calendar_id":"cal-456","any_appointment":false}"#,
        ),
        (
            "pipeline_stage_reached",
            r#"{"pipeline_id":"pipe-123","stage_id":"stage-789"}"#,
            r#"{"pipeline_id":"pipe-123","stage_id":"stage-789"}"#,
        ),
        (
            "custom_event",
            r#"{"event_name":"trial_started","where":null}"#,
            r#"{"event_name":"trial_started"}"#,
        ),
    ] {
        assert_eq!(criteria(goal_type, given).to_json().to_text(), kept);
    }
}

#[test]
fn equal_meaning_has_one_canonical_text() {
    for (goal_type, a, b) in [
        (
            "purchase_made",
            r#"{"min_amount":100}"#,
            r#"{"min_amount":"100.00","product_id":null}"#,
        ),
        (
            "purchase_made",
            r#"{"product_id":"p","min_amount":1e2}"#,
            r#"{"min_amount":100,"product_ids":["p","p"]}"#,
        ),
        (
            "purchase_made",
            r#"{"product_ids":["a","b"]}"#,
            r#"{"any_purchase":false,"product_ids":["b","a"]}"#,
        ),
        (
            "purchase_made",
            r#"{"currency":"usd"}"#,
            r#"{"currency":"USD"}"#,
        ),
        (
            "tag_added",
            r#"{"tag_name":"Customer"}"#,
            r#"{"tag_name":" CUSTOMER ","case_sensitive":false}"#,
        ),
        (
            "tag_added",
            r#"{"tag_pattern":"VIP*"}"#,
            r#"{"tag_pattern":"vip*"}"#,
        ),
        (
            "form_submitted",
            r#"{"form_id":"f"}"#,
            r#"{"form_ids":["f"],"any_form":false}"#,
        ),
        (
            "pipeline_stage_reached",
            r#"{"stage_id":"s"}"#,
            r#"{"at_or_beyond":false,"stage_id":"s"}"#,
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[{"property":"p","op":"eq","value":1.0},{"property":"q","op":"exists"}]}"#,
            r#"{"where":[{"op":"exists","property":"q","value":true},{"property":"p","op":"eq","value":1}],"event_name":"a"}"#,
        ),
        (
            "custom_event",
            r#"{"event_name":"a","where":[]}"#,
            r#"{"event_name":"a"}"#,
        ),
    ] {
        assert_eq!(
            criteria(goal_type, a).canonical(),
            criteria(goal_type, b).canonical()
        );
    }
    for (goal_type, a, b) in [
        (
            "purchase_made",
            r#"{"min_amount":100}"#,
            r#"{"min_amount":100.01}"#,
        ),
        (
            "purchase_made",
            r#"{"min_amount":100}"#,
            r#"{"max_amount":100}"#,
        ),
        (
            "purchase_made",
            r#"{"any_purchase":true}"#,
            r#"{"currency":"USD"}"#,
        ),
        (
            "tag_added",
            r#"{"tag_name":"vip"}"#,
            r#"{"tag_name":"vip","case_sensitive":true}"#,
        ),
        ("tag_added", r#"{"tag_name":"vip"}"#, r#"{"tag_id":"vip"}"#),
        (
            "tag_added",
            r#"{"tag_name":"vip"}"#,
            r#"{"tag_pattern":"vip"}"#,
        ),
    ] {
        assert_ne!(
            criteria(goal_type, a).canonical(),
            criteria(goal_type, b).canonical()
        );
    }
    // The same keys under another goal type are another goal.
    assert!(
        criteria("form_submitted", r#"{"any_form":true}"#)
            .canonical()
            .starts_with("form_submitted")
    );
}

#[test]
fn references_are_what_must_exist() {
    for (goal_type, text, expected) in [
        ("tag_added", r#"{"tag_id":"t"}"#, "tag:t"),
        ("tag_added", r#"{"tag_name":"t"}"#, ""),
        ("tag_added", r#"{"tag_pattern":"t*"}"#, ""),
        (
            "purchase_made",
            r#"{"product_ids":["b","a"]}"#,
            "product:a product:b",
        ),
        ("purchase_made", r#"{"min_amount":1}"#, ""),
        (
            "appointment_booked",
            r#"{"calendar_id":"c","service_id":"s"}"#,
            "calendar:c service:s",
        ),
        ("form_submitted", r#"{"form_id":"f"}"#, "form:f"),
        (
            "pipeline_stage_reached",
            r#"{"stage_id":"s","pipeline_id":"p"}"#,
            "pipeline:p stage:s",
        ),
        ("custom_event", r#"{"event_name":"a"}"#, ""),
    ] {
        let listed: Vec<String> = criteria(goal_type, text)
            .references()
            .iter()
            .map(|r| format!("{}:{}", r.kind, r.id))
            .collect();
        assert_eq!(listed.join(" "), expected, "{text}");
    }
}

#[test]
fn amounts_in_the_tenants_currency_are_checked_when_it_is_known() {
    let precise = criteria("purchase_made", r#"{"min_amount":0.125}"#);
    assert!(precise.check_currency("KWD").is_ok());
    assert!(precise.check_currency("BTC").is_ok());
    assert_eq!(
        precise.check_currency("USD").unwrap_err().pointer,
        "/min_amount"
    );
    // Needless zeros are no digits.
    assert!(
        criteria("purchase_made", r#"{"min_amount":100.000}"#)
            .check_currency("USD")
            .is_ok()
    );
    // Its own currency was checked before; the tenant's says nothing about it.
    assert!(
        criteria("purchase_made", r#"{"min_amount":0.125,"currency":"KWD"}"#)
            .check_currency("USD")
            .is_ok()
    );
    assert!(
        criteria("form_submitted", r#"{"any_form":true}"#)
            .check_currency("USD")
            .is_ok()
    );
}

#[test]
fn every_type_listens_to_its_event() {
    for (goal_type, text, name) in [
        ("tag_added", r#"{"tag_id":"t"}"#, "contact.tag.added"),
        (
            "purchase_made",
            r#"{"any_purchase":true}"#,
            "payment.completed",
        ),
        (
            "appointment_booked",
            r#"{"any_appointment":true}"#,
            "appointment.booked",
        ),
        ("form_submitted", r#"{"any_form":true}"#, "form.submitted"),
        (
            "pipeline_stage_reached",
            r#"{"stage_id":"s"}"#,
            "pipeline.stage.changed",
        ),
        (
            "custom_event",
            r#"{"event_name":"trial_started"}"#,
            "trial_started",
        ),
    ] {
        let read = criteria(goal_type, text);
        assert_eq!(
            (read.event_name(), read.goal_type().as_str()),
            (name, goal_type)
        );
    }
}
