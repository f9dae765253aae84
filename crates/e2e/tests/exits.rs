//! What the real services publish as `workflow.exit.goal` is what the published schema says. Runs the `goalpost` program of
//! the same build.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[allow(dead_code, reason = "other tests use the rest")]
mod dev;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bus::{Message, Subscription};
use jsonschema::Validator;
use serde_json::{Value, json};

use dev::Dev;

const EXIT_LIMIT: Duration = Duration::from_secs(20);

fn schema(message: &str) -> Validator {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-schemas");
    let text = fs::read_to_string(schemas.join(message).join("v1.json")).unwrap();
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// Everything that the schema has against it.
fn faults(schema: &Validator, value: &Value) -> Vec<String> {
    let faults = schema.iter_errors(value);
    faults.map(|fault| format!("{}: {fault}", fault.instance_path())).collect()
}

async fn next(subscription: &mut Subscription) -> Message {
    let message = tokio::time::timeout(EXIT_LIMIT, subscription.next()).await;
    message.expect("no exit came").expect("the subscription ended")
}

/// Three contacts, each in a workflow of another logic, and for each what makes it leave.
async fn three_leave(dev: &Dev) {
    let purchase = json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100}});
    let tag = json!({"goal_type": "tag_added", "criteria": {"tag_name": "Customer"}});
    let grade = json!([{"property": "grade", "op": "gte", "value": 2}]);
    let custom = json!({"event_name": "course.finished", "where": grade});
    let custom = json!({"goal_type": "custom_event", "criteria": custom});
    let form = json!({"goal_type": "form_submitted", "criteria": {"any_form": true}});
    let booked = json!({"goal_type": "appointment_booked", "criteria": {"any_appointment": true}});
    let two = [purchase, tag];
    dev.enrolled(&json!("any"), &two, "contact-any").await;
    dev.enrolled(&json!("all"), &two, "contact-all").await;
    dev.enrolled(&json!({"at_least": 2}), &[custom, form, booked], "contact-two").await;

    let bought = r#"{"amount": 100.000, "currency": "USD", "extra": {"kept": "inside"}}"#;
    let tagged = r#"{"tag_name": " customer ", "already_present": false}"#;
    for contact in ["contact-any", "contact-all"] {
        dev.happens("payment.completed", contact, bought).await;
        dev.happens("contact.tag.added", contact, tagged).await;
    }
    let finished = r#"{"grade": 2.5, "course": "rust"}"#;
    dev.happens("course.finished", "contact-two", finished).await;
    dev.happens("form.submitted", "contact-two", r#"{"form_id": "form-1"}"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exit_is_as_the_schema_says() {
    let dev = Dev::start(&[]);
    let (exchange, key) = ("goalpost.workflow", "workflow.exit.goal");
    let subscription = Subscription::open(dev.text("/amqp_url"), exchange, key).await;
    let mut subscription = subscription.unwrap();
    three_leave(&dev).await;

    let (envelope, data) = (schema("cloudevent"), schema("workflow.exit.goal"));
    let mut exits = BTreeMap::new();
    for _ in 0..3 {
        let message = next(&mut subscription).await;
        let text = String::from_utf8(message.body.to_vec()).unwrap();
        let exit: Value = serde_json::from_str(&text).unwrap();
        let faults = [faults(&envelope, &exit), faults(&data, &exit["data"])].concat();
        assert!(faults.is_empty(), "{faults:#?} in {text}");
        let content_type = message.content_type.as_deref();
        assert_eq!(content_type, Some("application/cloudevents+json"));
        assert_eq!(message.message_id.unwrap().to_string(), exit["id"].as_str().unwrap());
        assert_eq!(exit["data"]["cancelled_actions"], 2, "{text}");
        let achievements = exit["data"]["achievements"].as_array().unwrap().len();
        let contact = exit["data"]["contact_id"].as_str().unwrap().to_owned();
        exits.insert(contact, (achievements, text));
    }
    let achievements = exits.iter().map(|(contact, (count, _))| (contact.as_str(), *count));
    let expected = [("contact-all", 2), ("contact-any", 1), ("contact-two", 2)];
    assert_eq!(achievements.collect::<Vec<_>>(), expected);
    let any = &exits["contact-any"].1;
    assert!(any.contains(r#""amount":100.000"#), "the digits of the sender: {any}");
}
