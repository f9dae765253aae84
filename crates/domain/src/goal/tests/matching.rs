//! Which events meet which criteria, type by type.

use super::*;
use crate::table::rows;

/// Rows of criteria, properties, verdict.
fn verdicts(goal_type: &str, directory: &Directory, table: &str) {
    for [text, properties, expected] in rows(table) {
        let goal = goal(1, goal_type, &text).compile(directory, "USD");
        let name = goal.event_name().to_owned();
        let verdict = goal.verdict(&name, &json(&properties)).err().unwrap_or(Reason::Matched);
        assert_eq!(verdict.as_str(), expected, "{text} {properties}");
    }
}

#[test]
fn tags() {
    verdicts(
        "tag_added",
        &Directory::default(),
        r#"
        {"tag_name":"Customer"} | {"tag_name":"Customer"} | matched
        {"tag_name":"Customer"} | {"tag_name":" CUSTOMER "} | matched
        {"tag_name":"Customer"} | {"tag_name":"Prospect"} | tag_differs
        {"tag_name":"Customer"} | {"tag_id":"t-1"} | tag_differs
        {"tag_name":"Customer"} | {} | tag_missing
        {"tag_name":"Customer"} | {"tag_name":7} | tag_missing
        {"tag_name":"Customer"} | {"tag_name":"Customer","already_present":true} | already_present
        {"tag_name":"Customer"} | {"tag_name":"Prospect","already_present":true} | tag_differs
        {"tag_name":"Customer"} | {"tag_name":"Customer","already_present":false} | matched
        {"tag_name":"VIP","case_sensitive":true} | {"tag_name":"vip"} | tag_differs
        {"tag_name":"VIP","case_sensitive":true} | {"tag_name":" VIP"} | matched
        {"tag_name":"V*"} | {"tag_name":"VIP"} | tag_differs
        {"tag_pattern":"vip-*"} | {"tag_name":"VIP-Gold"} | matched
        {"tag_pattern":"vip-?"} | {"tag_name":"VIP-Gold"} | tag_differs
        {"tag_pattern":"VIP*","case_sensitive":true} | {"tag_name":"vip"} | tag_differs
        {"tag_pattern":"VIP*","case_sensitive":true} | {"tag_name":"VIP"} | matched
        "#,
    );
}

#[test]
fn the_directory_lets_id_and_name_stand_for_each_other() {
    let mut directory = Directory::default();
    directory.add_tag("t-1", " Customer");
    directory.add_tag("t-2", "customer");
    directory.add_tag("t-3", "Prospect");
    verdicts(
        "tag_added",
        &directory,
        r#"
        {"tag_id":"t-1"} | {"tag_name":"CUSTOMER"} | matched
        {"tag_id":"t-1"} | {"tag_name":"Prospect"} | tag_differs
        {"tag_name":"customer"} | {"tag_id":"t-1"} | matched
        {"tag_name":"customer"} | {"tag_id":"t-2"} | matched
        {"tag_name":"customer"} | {"tag_id":"t-3"} | tag_differs
        {"tag_pattern":"cust*"} | {"tag_id":"t-2"} | matched
        {"tag_name":"Customer","case_sensitive":true} | {"tag_id":"t-1"} | matched
        {"tag_name":"Customer","case_sensitive":true} | {"tag_id":"t-2"} | tag_differs
        "#,
    );
    // Given both, what the goal is written in decides. An id nobody knows is still an id.
    verdicts(
        "tag_added",
        &directory,
        r#"
        {"tag_id":"t-1"} | {"tag_id":"t-3","tag_name":"customer"} | tag_differs
        {"tag_name":"prospect"} | {"tag_id":"t-1","tag_name":"Prospect"} | matched
        {"tag_id":"new"} | {"tag_id":"new"} | matched
        {"tag_id":"new"} | {"tag_name":"new"} | tag_differs
        "#,
    );
}

#[test]
fn purchases_by_amount() {
    verdicts(
        "purchase_made",
        &Directory::default(),
        r#"
        {"min_amount":100.00} | {"amount":150.00} | matched
        {"min_amount":100.00} | {"amount":"150.00"} | matched
        {"min_amount":100.00} | {"amount":100.00} | matched
        {"min_amount":100.00} | {"amount":1e2} | matched
        {"min_amount":100.00} | {"amount":100.01} | matched
        {"min_amount":100.00} | {"amount":99.99} | amount_below_min
        {"min_amount":100.00} | {"amount":99.999999999999999999} | amount_below_min
        {"min_amount":100.00} | {"amount":"99.999999999999999999"} | amount_below_min
        {"min_amount":100.00} | {"amount":50.00} | amount_below_min
        {"min_amount":100.00} | {"amount":0} | amount_not_positive
        {"min_amount":100.00} | {"amount":-150.00} | amount_not_positive
        {"min_amount":100.00} | {"amount":"150,00"} | amount_invalid
        {"min_amount":100.00} | {"amount":" 150"} | amount_invalid
        {"min_amount":100.00} | {"amount":true} | amount_invalid
        {"min_amount":100.00} | {"amount":"1e400"} | amount_invalid
        {"min_amount":100.00} | {"amount":100.00000000000000000000000000001} | amount_invalid
        {"min_amount":100.00} | {"amount":null} | amount_missing
        {"min_amount":100.00} | {} | amount_missing
        {"min_amount":10,"max_amount":20} | {"amount":20.00} | matched
        {"min_amount":10,"max_amount":20} | {"amount":20.01} | amount_above_max
        {"any_purchase":true} | {"amount":10.00} | matched
        {"any_purchase":true} | {"amount":0.00} | amount_not_positive
        {"any_purchase":true} | {"amount":10,"currency":"EUR"} | matched
        "#,
    );
}

#[test]
fn purchases_by_product_and_currency() {
    // Absent, in goal and event, the currency is the tenant's: USD here. A product alone says nothing
    // about money.
    verdicts(
        "purchase_made",
        &Directory::default(),
        r#"
        {"product_id":"p","min_amount":100} | {"product_id":"p","amount":100} | matched
        {"product_id":"p","min_amount":100} | {"product_id":"p","amount":99} | amount_below_min
        {"product_id":"p","min_amount":100} | {"product_id":"q","amount":100} | product_differs
        {"product_id":"p","min_amount":100} | {"amount":100} | product_differs
        {"product_ids":["p","q"]} | {"product_id":"q","amount":1} | matched
        {"product_id":"p"} | {"product_id":"p","amount":1,"currency":"EUR"} | matched
        {"min_amount":100} | {"amount":100,"currency":"usd"} | matched
        {"min_amount":100} | {"amount":100,"currency":null} | matched
        {"min_amount":100} | {"amount":100,"currency":"EUR"} | currency_mismatch
        {"min_amount":100} | {"amount":100,"currency":"dollars"} | currency_mismatch
        {"min_amount":100} | {"amount":100,"currency":5} | currency_mismatch
        {"min_amount":100,"currency":"EUR"} | {"amount":100,"currency":"EUR"} | matched
        {"min_amount":100,"currency":"EUR"} | {"amount":100} | currency_mismatch
        {"currency":"EUR"} | {"amount":1,"currency":"EUR"} | matched
        {"currency":"EUR"} | {"amount":1} | currency_mismatch
        "#,
    );
}

#[test]
fn appointments_and_forms() {
    verdicts(
        "appointment_booked",
        &Directory::default(),
        r#"
        {"calendar_id":"cal-456"} | {"calendar_id":"cal-456"} | matched
        {"calendar_id":"cal-456"} | {"calendar_id":"cal-789"} | calendar_differs
        {"calendar_id":"cal-456","service_id":"s"} | {"calendar_id":"cal-456"} | service_differs
        {"calendar_id":"cal-456","service_id":"s"} | {"calendar_id":"cal-456","service_id":"s"} | matched
        {"service_id":"s"} | {"calendar_id":"any","service_id":"s"} | matched
        {"any_appointment":true} | {"calendar_id":"x"} | matched
        "#,
    );
    verdicts(
        "form_submitted",
        &Directory::default(),
        r#"
        {"form_ids":["a","b"]} | {"form_id":"b"} | matched
        {"form_id":"a"} | {"form_id":"b"} | form_differs
        {"form_id":"a"} | {"form_id":1} | form_differs
        {"any_form":true} | {} | matched
        "#,
    );
}

#[test]
fn stages() {
    let mut directory = Directory::default();
    directory.add_stage("lead", "p", Some(1));
    directory.add_stage("qualified", "p", Some(2));
    directory.add_stage("won", "p", Some(3));
    directory.add_stage("lost", "p", None);
    directory.add_stage("won-q", "q", Some(9));
    verdicts(
        "pipeline_stage_reached",
        &directory,
        r#"
        {"stage_id":"qualified"} | {"stage_id":"qualified"} | matched
        {"stage_id":"qualified"} | {"stage_id":"qualified","from_stage_id":"lead"} | matched
        {"stage_id":"qualified"} | {"stage_id":"qualified","from_stage_id":"qualified"} | stage_not_entered
        {"stage_id":"qualified"} | {"stage_id":"won"} | stage_differs
        {"stage_id":"qualified"} | {} | stage_differs
        {"stage_id":"qualified","at_or_beyond":true} | {"stage_id":"won"} | matched
        {"stage_id":"qualified","at_or_beyond":true} | {"stage_id":"won","from_stage_id":"qualified"} | matched
        {"stage_id":"qualified","at_or_beyond":true} | {"stage_id":"lead"} | stage_differs
        {"stage_id":"qualified","at_or_beyond":true} | {"stage_id":"lost"} | stage_differs
        {"stage_id":"qualified","at_or_beyond":true} | {"stage_id":"won-q"} | stage_differs
        {"stage_id":"lost","at_or_beyond":true} | {"stage_id":"lost"} | matched
        {"stage_id":"new","at_or_beyond":true} | {"stage_id":"new"} | matched
        {"stage_id":"qualified","pipeline_id":"p"} | {"stage_id":"qualified"} | matched
        {"stage_id":"qualified","pipeline_id":"p"} | {"stage_id":"qualified","pipeline_id":"p"} | matched
        {"stage_id":"qualified","pipeline_id":"p"} | {"stage_id":"qualified","pipeline_id":"q"} | pipeline_differs
        {"stage_id":"won","pipeline_id":"q"} | {"stage_id":"won"} | pipeline_differs
        "#,
    );
}

#[test]
fn custom_conditions() {
    for [condition, properties, expected] in rows(
        r#"
        {"property":"p","op":"eq","value":1} | {"p":1.0} | matched
        {"property":"p","op":"eq","value":1} | {"p":"1"} | property_differs
        {"property":"p","op":"eq","value":"x"} | {"p":"X"} | property_differs
        {"property":"p","op":"eq","value":9007199254740993} | {"p":9007199254740992} | property_differs
        {"property":"p","op":"eq","value":true} | {"p":true} | matched
        {"property":"p","op":"ne","value":1} | {"p":2} | matched
        {"property":"p","op":"ne","value":1} | {"p":1.00} | property_differs
        {"property":"p","op":"ne","value":1} | {} | property_missing
        {"property":"p","op":"in","value":["a",2,true]} | {"p":2.0} | matched
        {"property":"p","op":"in","value":["a",2,true]} | {"p":"b"} | property_differs
        {"property":"p","op":"gt","value":0.1} | {"p":0.1000000000000000000001} | matched
        {"property":"p","op":"gt","value":0.1} | {"p":0.10} | property_differs
        {"property":"p","op":"gte","value":"100"} | {"p":"100.00"} | matched
        {"property":"p","op":"lt","value":0} | {"p":-1} | matched
        {"property":"p","op":"lte","value":5} | {"p":5.0} | matched
        {"property":"p","op":"lte","value":5} | {"p":6} | property_differs
        {"property":"p","op":"lte","value":5} | {"p":"cheap"} | property_differs
        {"property":"p","op":"exists"} | {"p":false} | matched
        {"property":"p","op":"exists"} | {"p":null} | property_missing
        {"property":"p","op":"exists","value":false} | {} | matched
        {"property":"p","op":"exists","value":false} | {"p":1} | property_differs
        {"property":"p","op":"prefix","value":"/buy"} | {"p":"/buy/now"} | matched
        {"property":"p","op":"prefix","value":"/buy"} | {"p":"/"} | property_differs
        {"property":"p","op":"glob","value":"/buy/*"} | {"p":"/buy/now"} | matched
        {"property":"p","op":"glob","value":"/buy/*"} | {"p":5} | property_differs
        {"property":"p","op":"eq","value":1},{"property":"q","op":"exists"} | {"p":1} | property_missing
        {"property":"p","op":"eq","value":1},{"property":"q","op":"exists"} | {"p":1,"q":0} | matched
        "#,
    ) {
        let text = format!(r#"{{"event_name":"a","where":[{condition}]}}"#);
        verdicts("custom_event", &Directory::default(), &format!("{text} | {properties} | {expected}"));
    }
    let bare = compiled(goal(1, "custom_event", r#"{"event_name":"a"}"#));
    assert_eq!(bare.verdict("a", &json("{}")), Ok(()));
    assert_eq!(bare.verdict("b", &json("{}")), Err(Reason::EventTypeDiffers));
}
