//! What the bus is told.

use crate::harness::{Service, eventually};
use bus::{Message, Subscription};
use domain::contract::{
    CloudEvent, Fact, GoalChange, GoalChanged, Recheck, WorkflowActivated, WorkflowDeactivated, exchange,
    parse_command, parse_fact,
};
use domain::time_format::to_text;
use serde_json::json;
use std::time::Duration;

fn url(service: &Service) -> &str {
    service.vhost.as_ref().unwrap().amqp_url()
}

async fn next(subscription: &mut Subscription) -> Message {
    let waited = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await;
    waited.expect("a message within ten seconds").expect("the connection stays")
}

/// The next fact, which has to be a `T`, with its envelope checked.
async fn fact<T: Fact>(subscription: &mut Subscription) -> CloudEvent<T> {
    let message = next(subscription).await;
    let text = String::from_utf8_lossy(&message.body).into_owned();
    assert_eq!(message.routing_key, T::ROUTING_KEY, "{text}");
    assert_eq!(message.content_type.as_deref(), Some("application/cloudevents+json"));
    let event = parse_fact::<T>(&message.body).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    assert_eq!(message.message_id, Some(event.id));
    assert_eq!(event.id, event.data.fact_id());
    assert_eq!((event.specversion.as_str(), event.source.as_str()), ("1.0", "/goalpost/goals"));
    assert_eq!(event.tenantid.as_str(), "a");
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_goal_is_told() {
    let service = Service::with_bus().await;
    let mut facts = Subscription::open(url(&service), exchange::WORKFLOW, "#").await.unwrap();
    let editor = service.editor();
    let goals = format!("{}/goals", editor.workflow().await);
    let body = r#"{"goal_type": "purchase_made", "criteria": {"min_amount": 100.00}, "within": "7d"}"#;
    let goal = editor.raw(reqwest::Method::POST, &goals, Some(body.into())).await.json(201);
    let path = format!("{goals}/{}", goal["id"].as_str().unwrap());

    let created = fact::<GoalChanged>(&mut facts).await;
    assert_eq!(created.subject, goal["id"].as_str().unwrap());
    assert_eq!(to_text(created.time), goal["updated_at"].as_str().unwrap());
    let data = created.data;
    assert_eq!((data.change, data.goal_version, data.position), (GoalChange::Created, 1, 1));
    assert_eq!(data.within.as_deref(), Some("7d"));
    assert_eq!(data.criteria.to_text(), r#"{"min_amount":100.00}"#);

    editor.edit(&path, json!({"status": "inactive"})).await;
    let edited = fact::<GoalChanged>(&mut facts).await.data;
    assert_eq!((edited.change, edited.goal_version), (GoalChange::Updated, 2));
    assert_eq!(edited.status.as_str(), "inactive");
    // The same again is no change.
    editor.edit(&path, json!({"status": "inactive"})).await;
    editor.delete(&path).await.nothing();
    let deleted = fact::<GoalChanged>(&mut facts).await.data;
    assert_eq!((deleted.change, deleted.goal_version), (GoalChange::Deleted, 3));
    let empty = async || (service.number("SELECT count(*) FROM goals.outbox").await == 0).then_some(());
    eventually("the outbox to be emptied", empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activation_and_deactivation_are_told() {
    let service = Service::with_bus().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    for tag in ["a", "b"] {
        editor.goal(&workflow, "tag_added", json!({"tag_name": tag})).await;
    }
    let off = editor.goal(&workflow, "form_submitted", json!({"any_form": true})).await;
    editor.edit(&off, json!({"status": "inactive"})).await;
    let mut facts = Subscription::open(url(&service), exchange::WORKFLOW, "workflow.*").await.unwrap();
    let active = editor.act(&workflow, "activate").await;
    let activated = fact::<WorkflowActivated>(&mut facts).await.data;
    assert_eq!((activated.event_types, activated.catch_up), (vec!["contact.tag.added".to_owned()], false));
    assert_eq!(activated.workflow_version, active["version"].as_i64().unwrap());
    assert_eq!(to_text(activated.activated_at), active["activated_at"].as_str().unwrap());
    // Neither a pause nor what changes nothing is told.
    editor.act(&workflow, "activate").await;
    editor.act(&workflow, "pause").await;
    let inactive = editor.act(&workflow, "deactivate").await;
    let deactivated = fact::<WorkflowDeactivated>(&mut facts).await.data;
    assert_eq!(deactivated.workflow_version, inactive["version"].as_i64().unwrap());
    assert_eq!(to_text(deactivated.deactivated_at), inactive["updated_at"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catch_up_asks_the_evaluator_and_waits_until_it_listens() {
    let service = Service::with_bus().await;
    let url = url(&service).to_owned();
    let editor = service.editor();
    let workflow = editor.workflow().await;
    editor.goal(&workflow, "tag_added", json!({"tag_name": "a"})).await;
    let active = editor.post(&format!("{workflow}/activate"), json!({"catch_up": true})).await.json(200);
    let mut commands = Subscription::open(&url, exchange::COMMANDS, "recheck").await.unwrap();
    let message = next(&mut commands).await;
    let command: Recheck = parse_command(&message.body).unwrap();
    assert_eq!(command.tenant_id.as_str(), "a");
    assert_eq!(command.workflow_id.to_string(), active["id"].as_str().unwrap());
    assert!(command.catch_up && command.enrollment_ids.is_none());
    assert_eq!(message.content_type.as_deref(), Some("application/json"));

    let mut facts = Subscription::open(&url, exchange::WORKFLOW, "workflow.activated").await.unwrap();
    editor.act(&workflow, "pause").await;
    editor.post(&format!("{workflow}/activate"), json!({"catch_up": true})).await.json(200);
    assert!(fact::<WorkflowActivated>(&mut facts).await.data.catch_up);
    let again = next(&mut commands).await;
    assert_ne!(again.message_id, message.message_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_into_the_facts() {
    let service = Service::with_bus().await;
    let mut facts =
        Subscription::open(service.vhost.as_ref().unwrap().amqp_url(), exchange::WORKFLOW, "#").await.unwrap();
    let workflow = service.editor().workflow().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let activate = reqwest::Client::new().post(format!("{}{workflow}/activate", service.url));
    let answer = activate.bearer_auth(&service.a.editor_key).header("traceparent", trace).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(fact::<WorkflowActivated>(&mut facts).await.traceparent.as_deref(), Some(trace));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_while_the_broker_is_away_is_kept() {
    let service = Service::start().await;
    let workflow = service.editor().workflow().await;
    service.editor().goal(&workflow, "tag_added", json!({"tag_name": "a"})).await;
    service.editor().post(&format!("{workflow}/activate"), json!({"catch_up": true})).await.json(200);
    let kept = "SELECT count(*) FROM goals.outbox WHERE tenant_id = 'a' AND (routing_key, mandatory) IN
         (('goal.changed', false), ('workflow.activated', false), ('recheck', true))";
    assert_eq!(service.number(kept).await, 3);
}
