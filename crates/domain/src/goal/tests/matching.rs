//! Which events meet which criteria, type by type.

use super::*;

#[test]
fn tags_by_name() {
    let customer = r#"{"tag_name":"Customer"}"#;
    assert_eq!(
        verdict("tag_added", customer, r#"{"tag_name":"Customer"}"#),
        Ok(())
    );
    assert_eq!(
        verdict("tag_added", customer, r#"{"tag_name":" CUSTOMER "}"#),
        Ok(())
    );
    assert_eq!(
        verdict("tag_added", customer, r#"{"tag_name":"Prospect"}"#),
        Err(Reason::TagDiffers)
    );
    assert_eq!(
        verdict("tag_added", customer, r#"{"tag_id":"t-1"}"#),
        Err(Reason::TagDiffers)
    );
    assert_eq!(
        verdict("tag_added", customer, "{}"),
        Err(Reason::TagMissing)
    );
    assert_eq!(
        verdict("tag_added", customer, r#"{"tag_name":7}"#),
        Err(Reason::TagMissing)
    );
    let again = r#"{"tag_name":"Customer","already_present":true}"#;
    assert_eq!(
        verdict("tag_added", customer, again),
        Err(Reason::AlreadyPresent)
    );
    assert_eq!(
        verdict(
            "tag_added",
            customer,
            r#"{"tag_name":"Customer","already_present":false}"#
        ),
        Ok(())
    );
    let sensitive = r#"{"tag_name":"VIP","case_sensitive":true}"#;
    assert_eq!(
        verdict("tag_added", sensitive, r#"{"tag_name":"vip"}"#),
        Err(Reason::TagDiffers)
    );
    assert_eq!(
        verdict("tag_added", sensitive, r#"{"tag_name":" VIP"}"#),
        Ok(())
    );
    // A star in a name is a star.
    assert_eq!(
        verdict("tag_added", r#"{"tag_name":"V*"}"#, r#"{"tag_name":"VIP"}"#),
        Err(Reason::TagDiffers)
    );
}

#[test]
fn tags_by_pattern() {
    assert_eq!(
        verdict(
            "tag_added",
            r#"{"tag_pattern":"vip-*"}"#,
            r#"{"tag_name":"VIP-Gold"}"#
        ),
        Ok(())
    );
    assert_eq!(
        verdict(
            "tag_added",
            r#"{"tag_pattern":"vip-?"}"#,
            r#"{"tag_name":"VIP-Gold"}"#
        ),
        Err(Reason::TagDiffers)
    );
    let sensitive = r#"{"tag_pattern":"VIP*","case_sensitive":true}"#;
    assert_eq!(
        verdict("tag_added", sensitive, r#"{"tag_name":"vip"}"#),
        Err(Reason::TagDiffers)
    );
    assert_eq!(
        verdict("tag_added", sensitive, r#"{"tag_name":"VIP"}"#),
        Ok(())
    );
}

#[test]
fn the_directory_lets_id_and_name_stand_for_each_other() {
    let mut directory = Directory::default();
    directory.add_tag("t-1", " Customer");
    directory.add_tag("t-2", "customer");
    directory.add_tag("t-3", "Prospect");
    let meets = |text: &str, properties: &str| {
        let goal = goal(1, "tag_added", text).compile(&directory, "USD");
        goal.verdict("contact.tag.added", &json(properties)).is_ok()
    };
    // An id goal meets an event that carries only the name, and the other way round.
    assert!(meets(r#"{"tag_id":"t-1"}"#, r#"{"tag_name":"CUSTOMER"}"#));
    assert!(!meets(r#"{"tag_id":"t-1"}"#, r#"{"tag_name":"Prospect"}"#));
    assert!(meets(r#"{"tag_name":"customer"}"#, r#"{"tag_id":"t-1"}"#));
    assert!(meets(r#"{"tag_name":"customer"}"#, r#"{"tag_id":"t-2"}"#));
    assert!(!meets(r#"{"tag_name":"customer"}"#, r#"{"tag_id":"t-3"}"#));
    assert!(meets(r#"{"tag_pattern":"cust*"}"#, r#"{"tag_id":"t-2"}"#));
    assert!(meets(
        r#"{"tag_name":"Customer","case_sensitive":true}"#,
        r#"{"tag_id":"t-1"}"#
    ));
    assert!(!meets(
        r#"{"tag_name":"Customer","case_sensitive":true}"#,
        r#"{"tag_id":"t-2"}"#
    ));
    // Given both, what the goal is written in decides.
    assert!(!meets(
        r#"{"tag_id":"t-1"}"#,
        r#"{"tag_id":"t-3","tag_name":"customer"}"#
    ));
    assert!(meets(
        r#"{"tag_name":"prospect"}"#,
        r#"{"tag_id":"t-1","tag_name":"Prospect"}"#
    ));
    // An id nobody knows is still an id.
    assert!(meets(r#"{"tag_id":"new"}"#, r#"{"tag_id":"new"}"#));
    assert!(!meets(r#"{"tag_id":"new"}"#, r#"{"tag_name":"new"}"#));
}

#[test]
fn purchases_by_amount() {
    let min = r#"{"min_amount":100.00}"#;
    for (amount, expected) in [
        ("150.00", Ok(())),
        ("\"150.00\"", Ok(())),
        ("100.00", Ok(())),
        ("1e2", Ok(())),
        ("100.01", Ok(())),
        ("99.99", Err(Reason::AmountBelowMin)),
        ("99.999999999999999999", Err(Reason::AmountBelowMin)),
        ("\"99.999999999999999999\"", Err(Reason::AmountBelowMin)),
        ("50.00", Err(Reason::AmountBelowMin)),
        ("0", Err(Reason::AmountNotPositive)),
        ("-150.00", Err(Reason::AmountNotPositive)),
        ("\"150,00\"", Err(Reason::AmountInvalid)),
        ("\" 150\"", Err(Reason::AmountInvalid)),
        ("true", Err(Reason::AmountInvalid)),
        ("\"1e400\"", Err(Reason::AmountInvalid)),
        (
            "100.00000000000000000000000000001",
            Err(Reason::AmountInvalid),
        ),
        ("null", Err(Reason::AmountMissing)),
    ] {
        assert_eq!(
            verdict("purchase_made", min, &format!(r#"{{"amount":{amount}}}"#)),
            expected,
            "{amount}"
        );
    }
    assert_eq!(
        verdict("purchase_made", min, "{}"),
        Err(Reason::AmountMissing)
    );
    let range = r#"{"min_amount":10,"max_amount":20}"#;
    assert_eq!(
        verdict("purchase_made", range, r#"{"amount":20.00}"#),
        Ok(())
    );
    assert_eq!(
        verdict("purchase_made", range, r#"{"amount":20.01}"#),
        Err(Reason::AmountAboveMax)
    );
    assert_eq!(
        verdict(
            "purchase_made",
            r#"{"any_purchase":true}"#,
            r#"{"amount":10.00}"#
        ),
        Ok(())
    );
    assert_eq!(
        verdict(
            "purchase_made",
            r#"{"any_purchase":true}"#,
            r#"{"amount":0.00}"#
        ),
        Err(Reason::AmountNotPositive)
    );
    assert_eq!(
        verdict(
            "purchase_made",
            r#"{"any_purchase":true}"#,
            r#"{"amount":10,"currency":"EUR"}"#
        ),
        Ok(())
    );
}

#[test]
fn purchases_by_product_and_currency() {
    let both = r#"{"product_id":"p","min_amount":100}"#;
    assert_eq!(
        verdict("purchase_made", both, r#"{"product_id":"p","amount":100}"#),
        Ok(())
    );
    assert_eq!(
        verdict("purchase_made", both, r#"{"product_id":"p","amount":99}"#),
        Err(Reason::AmountBelowMin)
    );
    assert_eq!(
        verdict("purchase_made", both, r#"{"product_id":"q","amount":100}"#),
        Err(Reason::ProductDiffers)
    );
    assert_eq!(
        verdict("purchase_made", both, r#"{"amount":100}"#),
        Err(Reason::ProductDiffers)
    );
    assert_eq!(
        verdict(
            "purchase_made",
            r#"{"product_ids":["p","q"]}"#,
            r#"{"product_id":"q","amount":1}"#
        ),
        Ok(())
    );
    // A product alone says nothing about money.
    assert_eq!(
        verdict(
            "purchase_made",
            r#"{"product_id":"p"}"#,
            r#"{"product_id":"p","amount":1,"currency":"EUR"}"#
        ),
        Ok(())
    );
    // Absent: the tenant's (USD here), in goal and event.
    let min = r#"{"min_amount":100}"#;
    assert_eq!(
        verdict("purchase_made", min, r#"{"amount":100,"currency":"usd"}"#),
        Ok(())
    );
    assert_eq!(
        verdict("purchase_made", min, r#"{"amount":100,"currency":null}"#),
        Ok(())
    );
    assert_eq!(
        verdict("purchase_made", min, r#"{"amount":100,"currency":"EUR"}"#),
        Err(Reason::CurrencyMismatch)
    );
    assert_eq!(
        verdict(
            "purchase_made",
            min,
            r#"{"amount":100,"currency":"dollars"}"#
        ),
        Err(Reason::CurrencyMismatch)
    );
    assert_eq!(
        verdict("purchase_made", min, r#"{"amount":100,"currency":5}"#),
        Err(Reason::CurrencyMismatch)
    );
    let euro = r#"{"min_amount":100,"currency":"EUR"}"#;
    assert_eq!(
        verdict("purchase_made", euro, r#"{"amount":100,"currency":"EUR"}"#),
        Ok(())
    );
    assert_eq!(
        verdict("purchase_made", euro, r#"{"amount":100}"#),
        Err(Reason::CurrencyMismatch)
    );
    assert_eq!(
        verdict(
            "purchase_made",
            r#"{"currency":"EUR"}"#,
            r#"{"amount":1,"currency":"EUR"}"#
        ),
        Ok(())
    );
    assert_eq!(
        verdict("purchase_made", r#"{"currency":"EUR"}"#, r#"{"amount":1}"#),
        Err(Reason::CurrencyMismatch)
    );
}

#[test]
fn appointments_and_forms() {
    let calendar = r#"{"calendar_id":"cal-456"}"#;
    assert_eq!(
        verdict(
            "appointment_booked",
            calendar,
            r#"{"calendar_id":"cal-456"}"#
        ),
        Ok(())
    );
    assert_eq!(
        verdict(
            "appointment_booked",
            calendar,
            r#"{"calendar_id":"cal-789"}"#
        ),
        Err(Reason::CalendarDiffers)
    );
    let service = r#"{"calendar_id":"cal-456","service_id":"s"}"#;
    assert_eq!(
        verdict(
            "appointment_booked",
            service,
            r#"{"calendar_id":"cal-456"}"#
        ),
        Err(Reason::ServiceDiffers)
    );
    assert_eq!(
        verdict(
            "appointment_booked",
            service,
            r#"{"calendar_id":"cal-456","service_id":"s"}"#
        ),
        Ok(())
    );
    assert_eq!(
        verdict(
            "appointment_booked",
            r#"{"any_appointment":true}"#,
            r#"{"calendar_id":"x"}"#
        ),
        Ok(())
    );
    assert_eq!(
        verdict(
            "form_submitted",
            r#"{"form_ids":["a","b"]}"#,
            r#"{"form_id":"b"}"#
        ),
        Ok(())
    );
    assert_eq!(
        verdict("form_submitted", r#"{"form_id":"a"}"#, r#"{"form_id":"b"}"#),
        Err(Reason::FormDiffers)
    );
    assert_eq!(
        verdict("form_submitted", r#"{"form_id":"a"}"#, r#"{"form_id":1}"#),
        Err(Reason::FormDiffers)
    );
    assert_eq!(
        verdict("form_submitted", r#"{"any_form":true}"#, "{}"),
        Ok(())
    );
}

#[test]
fn stages() {
    let mut directory = Directory::default();
    for (stage, pipeline, position) in [
        ("lead", "p", Some(1)),
        ("qualified", "p", Some(2)),
        ("won", "p", Some(3)),
        ("lost", "p", None),
        ("won-q", "q", Some(9)),
    ] {
        directory.add_stage(stage, pipeline, position);
    }
    let meets = |text: &str, properties: &str| {
        goal(1, "pipeline_stage_reached", text)
            .compile(&directory, "USD")
            .verdict("pipeline.stage.changed", &json(properties))
    };
    let exact = r#"{"stage_id":"qualified"}"#;
    assert_eq!(meets(exact, r#"{"stage_id":"qualified"}"#), Ok(()));
    assert_eq!(
        meets(exact, r#"{"stage_id":"qualified","from_stage_id":"lead"}"#),
        Ok(())
    );
    assert_eq!(
        meets(
            exact,
            r#"{"stage_id":"qualified","from_stage_id":"qualified"}"#
        ),
        Err(Reason::StageNotEntered)
    );
    assert_eq!(
        meets(exact, r#"{"stage_id":"won"}"#),
        Err(Reason::StageDiffers)
    );
    assert_eq!(meets(exact, "{}"), Err(Reason::StageDiffers));
    let beyond = r#"{"stage_id":"qualified","at_or_beyond":true}"#;
    assert_eq!(meets(beyond, r#"{"stage_id":"won"}"#), Ok(()));
    assert_eq!(
        meets(beyond, r#"{"stage_id":"won","from_stage_id":"qualified"}"#),
        Ok(())
    );
    assert_eq!(
        meets(beyond, r#"{"stage_id":"lead"}"#),
        Err(Reason::StageDiffers)
    );
    assert_eq!(
        meets(beyond, r#"{"stage_id":"lost"}"#),
        Err(Reason::StageDiffers)
    );
    assert_eq!(
        meets(beyond, r#"{"stage_id":"won-q"}"#),
        Err(Reason::StageDiffers)
    );
    assert_eq!(
        meets(
            r#"{"stage_id":"lost","at_or_beyond":true}"#,
            r#"{"stage_id":"lost"}"#
        ),
        Ok(())
    );
    assert_eq!(
        meets(
            r#"{"stage_id":"new","at_or_beyond":true}"#,
            r#"{"stage_id":"new"}"#
        ),
        Ok(())
    );
    // Absent in the event, the pipeline is the directory's.
    let of_pipeline = r#"{"stage_id":"qualified","pipeline_id":"p"}"#;
    assert_eq!(meets(of_pipeline, r#"{"stage_id":"qualified"}"#), Ok(()));
    assert_eq!(
        meets(of_pipeline, r#"{"stage_id":"qualified","pipeline_id":"p"}"#),
        Ok(())
    );
    assert_eq!(
        meets(of_pipeline, r#"{"stage_id":"qualified","pipeline_id":"q"}"#),
        Err(Reason::PipelineDiffers)
    );
    assert_eq!(
        meets(
            r#"{"stage_id":"won","pipeline_id":"q"}"#,
            r#"{"stage_id":"won"}"#
        ),
        Err(Reason::PipelineDiffers)
    );
}

#[test]
fn custom_conditions() {
    let meets = |condition: &str, properties: &str| {
        verdict(
            "custom_event",
            &format!(r#"{{"event_name":"a","where":[{condition}]}}"#),
            properties,
        )
    };
    for (condition, properties, expected) in [
        (
            r#"{"property":"p","op":"eq","value":1}"#,
            r#"{"p":1.0}"#,
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"eq","value":1}"#,
            r#"{"p":"1"}"#,
            Err(Reason::PropertyDiffers),
        ),
        (
            r#"{"property":"p","op":"eq","value":"x"}"#,
            r#"{"p":"X"}"#,
            Err(Reason::PropertyDiffers),
        ),
        (
            r#"{"property":"p","op":"eq","value":9007199254740993}"#,
            r#"{"p":9007199254740992}"#,
            Err(Reason::PropertyDiffers),
        ),
        (
            r#"{"property":"p","op":"eq","value":true}"#,
            r#"{"p":true}"#,
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"ne","value":1}"#,
            r#"{"p":2}"#,
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"ne","value":1}"#,
            r#"{"p":1.00}"#,
            Err(Reason::PropertyDiffers),
        ),
        (
            r#"{"property":"p","op":"ne","value":1}"#,
            "{}",
            Err(Reason::PropertyMissing),
        ),
        (
            r#"{"property":"p","op":"in","value":["a",2,true]}"#,
            r#"{"p":2.0}"#,
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"in","value":["a",2,true]}"#,
            r#"{"p":"b"}"#,
            Err(Reason::PropertyDiffers),
        ),
        (
            r#"{"property":"p","op":"gt","value":0.1}"#,
            r#"{"p":0.1000000000000000000001}"#,
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"gt","value":0.1}"#,
            r#"{"p":0.10}"#,
            Err(Reason::PropertyDiffers),
        ),
        (
            r#"{"property":"p","op":"gte","value":"100"}"#,
            r#"{"p":"100.00"}"#,
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"lt","value":0}"#,
            r#"{"p":-1}"#,
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"lte","value":5}"#,
            r#"{"p":5.0}"#,
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"lte","value":5}"#,
            r#"{"p":6}"#,
            Err(Reason::PropertyDiffers),
        ),
        (
            r#"{"property":"p","op":"lte","value":5}"#,
            r#"{"p":"cheap"}"#,
            Err(Reason::PropertyDiffers),
        ),
        (
            r#"{"property":"p","op":"exists"}"#,
            r#"{"p":false}"#,
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"exists"}"#,
            r#"{"p":null}"#,
            Err(Reason::PropertyMissing),
        ),
        (
            r#"{"property":"p","op":"exists","value":false}"#,
            "{}",
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"exists","value":false}"#,
            r#"{"p":1}"#,
            Err(Reason::PropertyDiffers),
        ),
        (
            r#"{"property":"p","op":"prefix","value":"/buy"}"#,
            r#"{"p":"/buy/now"}"#,
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"prefix","value":"/buy"}"#,
            r#"{"p":"/"}"#,
            Err(Reason::PropertyDiffers),
        ),
        (
            r#"{"property":"p","op":"glob","value":"/buy/*"}"#,
            r#"{"p":"/buy/now"}"#,
            Ok(()),
        ),
        (
            r#"{"property":"p","op":"glob","value":"/buy/*"}"#,
            r#"{"p":5}"#,
            Err(Reason::PropertyDiffers),
        ),
    ] {
        assert_eq!(
            meets(condition, properties),
            expected,
            "{condition} {properties}"
        );
    }
    // All conditions must hold.
    let both = r#"{"property":"p","op":"eq","value":1},{"property":"q","op":"exists"}"#;
    assert_eq!(meets(both, r#"{"p":1}"#), Err(Reason::PropertyMissing));
    assert_eq!(meets(both, r#"{"p":1,"q":0}"#), Ok(()));
    assert_eq!(
        verdict("custom_event", r#"{"event_name":"a"}"#, "{}"),
        Ok(())
    );
    assert_eq!(
        compiled(goal(1, "custom_event", r#"{"event_name":"a"}"#)).verdict("b", &json("{}")),
        Err(Reason::EventTypeDiffers)
    );
}
