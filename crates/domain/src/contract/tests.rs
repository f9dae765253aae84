//! Messages against their published examples and schemas, and what identifies them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::event::{Admission, Defaults, Event, Taxonomy};
use crate::ids::TenantId;
use crate::json::{Json, Limits};
use crate::once::Answer;
use crate::outbox::NewMessage;

fn folder(message: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-schemas").join(message)
}

fn read(path: &Path) -> Json {
    let text = fs::read_to_string(path).unwrap();
    Json::parse(&text, &Limits::WIRE).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

fn examples(message: &str, kind: &str) -> Vec<(String, Json)> {
    let folder = folder(message).join("examples").join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), read(path))).collect()
}

fn keys(object: &Json) -> Vec<String> {
    object.as_object().unwrap().iter().map(|(key, _)| key.clone()).collect()
}

/// `full.json` has every field of type and schema, and comes back as it went in; `minimal.json` has
/// the required ones, and is enough.
fn same_as_published<T: serde::Serialize + serde::de::DeserializeOwned>(message: &str) {
    let schema = read(&folder(message).join("v1.json"));
    assert_eq!(schema.get("title").unwrap().as_str(), Some(message));
    assert_eq!(schema.get("$id").unwrap().as_str(), Some(format!("/schemas/{message}/v1.json").as_str()));
    let required: Vec<&str> =
        schema.get("required").unwrap().as_array().unwrap().iter().filter_map(Json::as_str).collect();
    let valid = examples(message, "valid");
    for (name, example) in &valid {
        let parsed: T =
            serde_json::from_str(&example.to_text()).unwrap_or_else(|why| panic!("{message}/{name}: {why}"));
        if name == "full" {
            assert_eq!(serde_json::to_string(&parsed).unwrap(), example.to_text(), "{message}");
            assert_eq!(keys(example), keys(schema.get("properties").unwrap()), "{message}");
        }
        if name == "minimal" {
            assert_eq!(keys(example), [&required[..], &extra(message)].concat(), "{message}");
        }
    }
    assert!(valid.iter().any(|(name, _)| name == "full"), "{message}");
    // Every required field is required by the type too.
    let (_, full) = valid.iter().find(|(name, _)| name == "full").unwrap();
    for key in required {
        let without = full.as_object().unwrap().iter().filter(|(name, _)| name != key).cloned();
        let without = Json::object(without).to_text();
        assert!(serde_json::from_str::<T>(&without).is_err(), "{message} without {key}");
    }
    assert!(!examples(message, "invalid").is_empty(), "{message}");
}

/// Fields of a minimal example of which one or another is required.
fn extra(message: &str) -> Vec<&'static str> {
    if message == "erase_subject" { vec!["contact_ids"] } else { Vec::new() }
}

#[test]
fn messages_are_as_published() {
    same_as_published::<WorkflowExitGoal>("workflow.exit.goal");
    same_as_published::<GoalAchieved>("goal.achieved");
    same_as_published::<EnrollmentCreated>("workflow.enrollment.created");
    same_as_published::<ActionDue>("workflow.action.due");
    same_as_published::<ActionCancelled>("workflow.action.cancelled");
    same_as_published::<WorkflowActivated>("workflow.activated");
    same_as_published::<WorkflowDeactivated>("workflow.deactivated");
    same_as_published::<GoalChanged>("goal.changed");
    same_as_published::<IdentityLinked>("identity.linked");
    same_as_published::<SubjectErased>("subject.erased");
    same_as_published::<EventsStored>("events.stored");
    same_as_published::<Enroll>("enroll");
    same_as_published::<EndEnrollment>("end_enrollment");
    same_as_published::<ScheduleAction>("schedule_action");
    same_as_published::<PutReference>("put_reference");
    same_as_published::<DeleteReference>("delete_reference");
    same_as_published::<EraseSubject>("erase_subject");
    same_as_published::<Recheck>("recheck");
    same_as_published::<CloudEvent<WorkflowDeactivated>>("cloudevent");
}

/// It has no example with every field: a result and a refusal exclude each other.
#[test]
fn a_reply_is_as_published() {
    let schema = read(&folder("command_reply").join("v1.json"));
    let mut seen = std::collections::BTreeSet::new();
    for (name, example) in examples("command_reply", "valid") {
        let reply: CommandReply = serde_json::from_str(&example.to_text()).unwrap();
        assert_eq!(serde_json::to_string(&reply).unwrap(), example.to_text(), "{name}");
        seen.extend(keys(&example));
    }
    assert_eq!(seen, keys(schema.get("properties").unwrap()).into_iter().collect());
}

#[test]
fn an_answer_becomes_the_published_reply_and_the_same_every_time() {
    let tenant = TenantId::parse("demo").unwrap();
    for (name, example) in examples("command_reply", "valid") {
        let published: CommandReply = serde_json::from_str(&example.to_text()).unwrap();
        let to = ReplyTo {
            command: published.command.clone(),
            message_id: published.message_id,
            queue: "replies".to_owned(),
            correlation_id: "7".to_owned(),
            traceparent: None,
        };
        let answer = match (&published.result, &published.code, &published.message) {
            (Some(result), ..) => Answer::json(200, result),
            (None, Some(code), Some(message)) => Answer::refused(code, message),
            _ => panic!("{name}"),
        };
        let reply = to.reply(&tenant, &answer);
        assert_eq!(String::from_utf8(reply.payload.clone()).unwrap(), example.to_text(), "{name}");
        assert_eq!((reply.queue.as_str(), reply.correlation_id.as_str()), ("replies", "7"));
        assert_eq!(reply, to.reply(&tenant, &answer));
    }
}

#[test]
fn every_folder_is_a_message_of_this_test() {
    let mut folders: Vec<String> = fs::read_dir(folder(""))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("v1.json").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let source = include_str!("tests.rs");
    for folder in folders {
        assert!(source.contains(&format!("(\"{folder}\"")), "{folder} is in no test");
    }
}

#[test]
fn events_are_as_published() {
    let tenant = TenantId::parse("demo").unwrap();
    let defaults = Defaults::default();
    let admission = Admission {
        tenant: &tenant,
        taxonomy: Taxonomy::Open,
        own_types: &(),
        max_properties_bytes: 2_048,
        defaults: &defaults,
    };
    for (name, example) in examples("event", "valid") {
        assert!(Event::parse(&example.to_text(), &admission).is_ok(), "{name}");
    }
    for (name, example) in examples("event", "invalid") {
        assert!(Event::parse(&example.to_text(), &admission).is_err(), "{name}");
    }
}

fn full<T: serde::de::DeserializeOwned>(message: &str) -> T {
    serde_json::from_str(&read(&folder(message).join("examples/valid/full.json")).to_text()).unwrap()
}

#[test]
fn a_fact_becomes_the_published_cloud_event() {
    let fact: WorkflowDeactivated = full("workflow.deactivated");
    let published: CloudEvent<WorkflowDeactivated> = full("cloudevent");
    assert_eq!(fact.into_event(published.traceparent.clone()), published);
}

#[test]
fn a_fact_is_an_outbox_message_with_the_same_bytes_every_time() {
    let message = || -> NewMessage { full::<WorkflowExitGoal>("workflow.exit.goal").into_message(None) };
    let first = message();
    assert_eq!(first, message());
    assert_eq!((first.exchange, first.routing_key), ("goalpost.workflow", "workflow.exit.goal"));
    assert_eq!((first.mandatory, first.content_type), (false, "application/cloudevents+json"));
    assert_eq!(first.tenant_id.as_str(), "demo");
    let event: CloudEvent<WorkflowExitGoal> = parse_fact(&first.payload).unwrap();
    assert_eq!(event.id, first.message_id);
    assert_eq!(event.id, crate::exit::exit_id(event.data.enrollment_id, event.data.enrollment_version));
    assert_eq!(event.time, event.data.exited_at);
    assert_eq!(event.data.trigger_event.to_text(), r#"{"amount":100.00,"currency":"USD"}"#);
    let text = String::from_utf8(first.payload).unwrap();
    assert!(
        text.contains(r#""dataschema":"/schemas/workflow.exit.goal/v1.json""#) && text.contains(r#""amount":100.00"#)
    );
    assert!(!text.contains("traceparent"));
}

#[test]
fn facts_that_are_none_are_refused_with_a_code() {
    let good =
        String::from_utf8(full::<WorkflowDeactivated>("workflow.deactivated").into_message(None).payload).unwrap();
    let code = |text: String| parse_fact::<WorkflowDeactivated>(text.as_bytes()).unwrap_err().code;
    assert!(parse_fact::<WorkflowDeactivated>(good.as_bytes()).is_ok());
    assert_eq!(code("{".into()), "invalid_json");
    assert_eq!(code("{}".into()), "invalid_message");
    assert_eq!(code(good.replace("workflow.deactivated\"", "workflow.activated\"")), "unexpected_type");
    assert_eq!(code(good.replace("/v1.json", "/v2.json")), "unknown_version");
    assert_eq!(code(good.replace("\"tenantid\":\"demo\"", "\"tenantid\":\"other\"")), "tenant_mismatch");
    assert_eq!(code(good.replace("\"workflow_version\":3", "\"workflow_version\":\"3\"")), "invalid_message");
}

#[test]
fn commands_are_mandatory_and_versioned() {
    let command: Enroll = full("enroll");
    let id = uuid::Uuid::from_u128(5);
    let message = command.clone().into_message(id);
    assert_eq!((message.exchange, message.routing_key, message.mandatory), ("goalpost.commands", "enroll", true));
    assert_eq!((message.message_id, message.content_type), (id, "application/json"));
    assert_eq!(parse_command::<Enroll>(&message.payload).unwrap(), command);
    let code = |text: &str| parse_command::<Enroll>(text.as_bytes()).unwrap_err().code;
    assert_eq!(code("["), "invalid_json");
    assert_eq!(code(r#"{"version":2}"#), "unknown_version");
    assert_eq!(code(r#"{"version":1}"#), "invalid_message");
    assert_eq!(code(r#"{"version":"1"}"#), "invalid_message");
}

#[test]
fn stored_events_have_an_id_of_their_own() {
    let chunk: EventsStored = full("events.stored");
    let message = chunk.clone().into_message();
    assert_eq!((message.exchange, message.routing_key, message.mandatory), ("goalpost.events", "events.stored", true));
    assert_eq!(message, chunk.clone().into_message());
    let mut other = chunk.clone();
    other.events.truncate(1);
    assert_ne!(other.into_message().message_id, message.message_id);
    let read: EventsStored = parse_command(&message.payload).unwrap();
    assert_eq!(read, chunk);
    assert_eq!(read.events[0].properties.to_text(), r#"{"amount":150.00}"#);
}
