//! Every refusal of criteria, with its words, and what is taken.

use super::*;
use crate::table::rows;

fn refusal(goal_type: &str, text: &str) -> (String, String, String) {
    let fault = Criteria::parse(goal_type.parse().unwrap(), &json(text)).expect_err(text);
    (fault.code.to_owned(), fault.pointer, fault.message)
}

/// Rows of goal type, criteria, code, pointer.
fn refused(table: &str) {
    for [goal_type, text, code, pointer] in rows(table) {
        let (given_code, given_pointer, message) = refusal(&goal_type, &text);
        assert_eq!((given_code, given_pointer), (code, pointer), "{goal_type} {text}: {message}");
    }
}

#[test]
fn empty_criteria_have_their_words() {
    for goal_type in GoalType::ALL {
        for text in ["{}", "null", r#"{"form_id":null}"#, r#"{"min_amount":null,"x":null}"#] {
            let expected = ("criteria_empty".into(), String::new(), "Goal criteria cannot be empty".into());
            assert_eq!(refusal(goal_type.as_str(), text), expected, "{goal_type} {text}");
        }
    }
    for [goal_type, text] in rows(
        r#"
        purchase_made          | {"any_purchase":false}
        purchase_made          | {"any_purchase":false,"product_id":null}
        appointment_booked     | {"any_appointment":false}
        form_submitted         | {"any_form":false}
        tag_added              | {"case_sensitive":true}
        pipeline_stage_reached | {"at_or_beyond":true}
        "#,
    ) {
        assert_eq!(refusal(&goal_type, &text).2, "Goal criteria cannot be empty", "{text}");
    }
}

#[test]
fn unknown_keys_are_named() {
    for goal_type in GoalType::ALL {
        let (code, pointer, message) = refusal(goal_type.as_str(), r#"{"min_amout":1}"#);
        assert_eq!((code.as_str(), pointer.as_str()), ("unknown_field", "/min_amout"));
        assert!(message.contains("min_amout"));
        for text in ["[]", "\"x\"", "5"] {
            assert_eq!(refusal(goal_type.as_str(), text).0, "invalid_type");
        }
    }
}

#[test]
fn wrong_types_are_refused() {
    refused(
        r#"
        tag_added              | {"tag_name":1} | invalid_type | /tag_name
        tag_added              | {"tag_name":"x","case_sensitive":"yes"} | invalid_type | /case_sensitive
        purchase_made          | {"min_amount":true} | invalid_type | /min_amount
        purchase_made          | {"any_purchase":1} | invalid_type | /any_purchase
        purchase_made          | {"product_ids":"p"} | invalid_type | /product_ids
        purchase_made          | {"product_ids":["p",1]} | invalid_type | /product_ids/1
        appointment_booked     | {"calendar_id":456} | invalid_type | /calendar_id
        form_submitted         | {"form_id":["f"]} | invalid_type | /form_id
        pipeline_stage_reached | {"stage_id":{}} | invalid_type | /stage_id
        custom_event           | {"event_name":"a","where":{}} | invalid_type | /where
        custom_event           | {"event_name":"a","where":["x"]} | invalid_type | /where/0
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"gt","value":true}]} | invalid_type | /where/0/value
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"eq","value":[1]}]} | invalid_type | /where/0/value
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"in","value":1}]} | invalid_type | /where/0/value
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"exists","value":1}]} | invalid_type | /where/0/value
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"prefix","value":1}]} | invalid_type | /where/0/value
        "#,
    );
}

#[test]
fn conflicts_are_refused() {
    refused(
        r#"
        tag_added          | {"tag_name":"a","tag_id":"b"} | conflicting_criteria | /tag_id
        tag_added          | {"tag_name":"a","tag_pattern":"b*"} | conflicting_criteria | /tag_pattern
        tag_added          | {"tag_id":"a","case_sensitive":true} | conflicting_criteria | /case_sensitive
        purchase_made      | {"any_purchase":true,"product_id":"p"} | conflicting_criteria | /product_id
        purchase_made      | {"any_purchase":true,"min_amount":1} | conflicting_criteria | /min_amount
        purchase_made      | {"product_id":"p","product_ids":["q"]} | conflicting_criteria | /product_ids
        purchase_made      | {"min_amount":100,"max_amount":99.99} | conflicting_criteria | /max_amount
        appointment_booked | {"any_appointment":true,"calendar_id":"c"} | conflicting_criteria | /calendar_id
        appointment_booked | {"any_appointment":true,"service_id":"s"} | conflicting_criteria | /service_id
        form_submitted     | {"any_form":true,"form_id":"f"} | conflicting_criteria | /form_id
        form_submitted     | {"any_form":true,"form_ids":["f"]} | conflicting_criteria | /form_ids
        "#,
    );
}

#[test]
fn bad_values_are_refused() {
    refused(
        r#"
        tag_added              | {"tag_name":"  "} | invalid_value | /tag_name
        tag_added              | {"tag_id":"<129x>"} | too_long | /tag_id
        tag_added              | {"tag_pattern":"*"} | invalid_pattern | /tag_pattern
        tag_added              | {"tag_pattern":"a\\"} | invalid_pattern | /tag_pattern
        tag_added              | {"tag_pattern":" a*"} | invalid_pattern | /tag_pattern
        tag_added              | {"tag_pattern":"<129x>"} | too_long | /tag_pattern
        tag_added              | {"tag_pattern":"<70ß>"} | too_long | /tag_pattern
        purchase_made          | {"min_amount":-1} | invalid_value | /min_amount
        purchase_made          | {"min_amount":"10,00"} | invalid_value | /min_amount
        purchase_made          | {"min_amount":0.12345678901234567890123456789} | invalid_value | /min_amount
        purchase_made          | {"max_amount":0} | invalid_value | /max_amount
        purchase_made          | {"currency":"dollars"} | invalid_value | /currency
        purchase_made          | {"min_amount":1.001,"currency":"usd"} | invalid_value | /min_amount
        purchase_made          | {"max_amount":1.5,"currency":"JPY"} | invalid_value | /max_amount
        purchase_made          | {"product_ids":[]} | invalid_value | /product_ids
        form_submitted         | {"form_id":""} | invalid_value | /form_id
        form_submitted         | {"form_id":"a\u0007"} | invalid_value | /form_id
        pipeline_stage_reached | {"pipeline_id":"p"} | missing_field | /stage_id
        custom_event           | {"where":[]} | missing_field | /event_name
        custom_event           | {"event_name":"Trial Started"} | invalid_event_name | /event_name
        custom_event           | {"event_name":"a","where":[<8{},>{}]} | too_many | /where
        custom_event           | {"event_name":"a","where":[{"op":"eq","value":1}]} | missing_field | /where/0/property
        custom_event           | {"event_name":"a","where":[{"property":"p","value":1}]} | missing_field | /where/0/op
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"eq"}]} | missing_field | /where/0/value
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"like","value":1}]} | invalid_value | /where/0/op
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"eq","value":1,"x":2}]} | unknown_field | /where/0/x
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"glob","value":"**"}]} | invalid_pattern | /where/0/value
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"in","value":[]}]} | invalid_value | /where/0/value
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"eq","value":"<257x>"}]} | too_long | /where/0/value
        "#,
    );
    let eight = [r#"{"property":"p","op":"exists"}"#; 8].join(",");
    criteria("custom_event", &format!(r#"{{"event_name":"a","where":[{eight}]}}"#));
    let unknown = "reward_points".parse::<GoalType>().unwrap_err();
    assert!(unknown.to_string().contains("unknown goal type"));
}

#[test]
fn the_acceptance_examples_are_taken_and_kept_as_written() {
    for [goal_type, given, kept] in rows(
        r#"
        tag_added              | {"tag_name":"Customer"} | {"tag_name":"Customer"}
        purchase_made          | {"product_id":null,"min_amount":100.00} | {"min_amount":100.00}
        purchase_made          | {"min_amount":"100.00"} | {"min_amount":"100.00"}
        form_submitted         | {"form_id":"form-123"} | {"form_id":"form-123"}
        appointment_booked     | {"calendar_id":"cal-456","any_appointment":false} | {"calendar_id":"cal-456","any_appointment":false}
        pipeline_stage_reached | {"pipeline_id":"pipe-123","stage_id":"stage-789"} | {"pipeline_id":"pipe-123","stage_id":"stage-789"}
        custom_event           | {"event_name":"trial_started","where":null} | {"event_name":"trial_started"}
        "#,
    ) {
        assert_eq!(criteria(&goal_type, &given).to_json().to_text(), kept);
    }
}

#[test]
fn equal_meaning_has_one_canonical_text() {
    for [goal_type, a, b] in rows(
        r#"
        purchase_made          | {"min_amount":100} | {"min_amount":"100.00","product_id":null}
        purchase_made          | {"product_id":"p","min_amount":1e2} | {"min_amount":100,"product_ids":["p","p"]}
        purchase_made          | {"product_ids":["a","b"]} | {"any_purchase":false,"product_ids":["b","a"]}
        purchase_made          | {"currency":"usd"} | {"currency":"USD"}
        tag_added              | {"tag_name":"Customer"} | {"tag_name":" CUSTOMER ","case_sensitive":false}
        tag_added              | {"tag_pattern":"VIP*"} | {"tag_pattern":"vip*"}
        form_submitted         | {"form_id":"f"} | {"form_ids":["f"],"any_form":false}
        pipeline_stage_reached | {"stage_id":"s"} | {"at_or_beyond":false,"stage_id":"s"}
        custom_event           | {"event_name":"a","where":[{"property":"p","op":"eq","value":1.0},{"property":"q","op":"exists"}]} | {"where":[{"op":"exists","property":"q","value":true},{"property":"p","op":"eq","value":1}],"event_name":"a"}
        custom_event           | {"event_name":"a","where":[]} | {"event_name":"a"}
        "#,
    ) {
        assert_eq!(criteria(&goal_type, &a).canonical(), criteria(&goal_type, &b).canonical());
    }
    for [goal_type, a, b] in rows(
        r#"
        purchase_made | {"min_amount":100} | {"min_amount":100.01}
        purchase_made | {"min_amount":100} | {"max_amount":100}
        purchase_made | {"any_purchase":true} | {"currency":"USD"}
        tag_added     | {"tag_name":"vip"} | {"tag_name":"vip","case_sensitive":true}
        tag_added     | {"tag_name":"vip"} | {"tag_id":"vip"}
        tag_added     | {"tag_name":"vip"} | {"tag_pattern":"vip"}
        "#,
    ) {
        assert_ne!(criteria(&goal_type, &a).canonical(), criteria(&goal_type, &b).canonical());
    }
    // The same keys under another goal type are another goal.
    assert!(criteria("form_submitted", r#"{"any_form":true}"#).canonical().starts_with("form_submitted"));
}

#[test]
fn references_are_what_must_exist() {
    for [goal_type, text, expected] in rows(
        r#"
        tag_added              | {"tag_id":"t"} | tag:t
        tag_added              | {"tag_name":"t"} | nothing
        tag_added              | {"tag_pattern":"t*"} | nothing
        purchase_made          | {"product_ids":["b","a"]} | product:a product:b
        purchase_made          | {"min_amount":1} | nothing
        appointment_booked     | {"calendar_id":"c","service_id":"s"} | calendar:c service:s
        form_submitted         | {"form_id":"f"} | form:f
        pipeline_stage_reached | {"stage_id":"s","pipeline_id":"p"} | pipeline:p stage:s
        custom_event           | {"event_name":"a"} | nothing
        "#,
    ) {
        let references = criteria(&goal_type, &text).references();
        let listed: Vec<String> = references.iter().map(|r| format!("{}:{}", r.kind, r.id)).collect();
        let expected = if expected == "nothing" { "" } else { &expected };
        assert_eq!(listed.join(" "), expected, "{text}");
    }
}

#[test]
fn amounts_in_the_tenants_currency_are_checked_when_it_is_known() {
    let precise = criteria("purchase_made", r#"{"min_amount":0.125}"#);
    assert!(precise.check_currency("KWD").is_ok());
    assert!(precise.check_currency("BTC").is_ok());
    assert_eq!(precise.check_currency("USD").unwrap_err().pointer, "/min_amount");
    // Needless zeros are no digits.
    assert!(criteria("purchase_made", r#"{"min_amount":100.000}"#).check_currency("USD").is_ok());
    // Its own currency was checked before; the tenant's says nothing about it.
    assert!(criteria("purchase_made", r#"{"min_amount":0.125,"currency":"KWD"}"#).check_currency("USD").is_ok());
    assert!(criteria("form_submitted", r#"{"any_form":true}"#).check_currency("USD").is_ok());
}

#[test]
fn every_type_listens_to_its_event() {
    for [goal_type, text, name] in rows(
        r#"
        tag_added              | {"tag_id":"t"} | contact.tag.added
        purchase_made          | {"any_purchase":true} | payment.completed
        appointment_booked     | {"any_appointment":true} | appointment.booked
        form_submitted         | {"any_form":true} | form.submitted
        pipeline_stage_reached | {"stage_id":"s"} | pipeline.stage.changed
        custom_event           | {"event_name":"trial_started"} | trial_started
        "#,
    ) {
        let read = criteria(&goal_type, &text);
        assert_eq!((read.event_name(), read.goal_type().as_str()), (name.as_str(), goal_type.as_str()));
    }
}
