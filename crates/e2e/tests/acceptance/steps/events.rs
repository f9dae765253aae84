//! What happens to contacts: over HTTP by the tenant's write token, or over the bus as another system tells it.

use cucumber::gherkin::Step;
use cucumber::{given, then, when};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::covers::json;
use crate::installation::Answer;
use crate::world::{Said, World, joined, moment};

/// An event as text, so that its numbers go out as they are written.
fn event(world: &mut World, (name, properties): (&str, &str), contact: &str, at: &str) -> String {
    let at = if at.is_empty() { world.next_time() } else { moment(at) };
    let id = Uuid::now_v7();
    format!(
        r#"{{"event_id": "{id}", "event_name": "{name}", "occurred_at": "{at}", "contact_id": "{contact}", "properties": {properties}}}"#
    )
}

/// Over HTTP.
async fn send(world: &mut World, events: &[String]) -> Answer {
    world.is_moving = true;
    let body = format!(r#"{{"events": [{}]}}"#, events.join(", "));
    world.place.ask(&world.tenant.write_token, Method::POST, ("ingest", "/api/v1/events"), Some(&body)).await
}

async fn tell(world: &mut World, name: &str, event: &str) {
    world.is_moving = true;
    let event = joined(&format!(r#"{{"tenant_id": "{}"}}"#, world.tenant.id), event);
    world.place.publish_event(name, &event).await;
}

#[given(regex = r"^(\S+ \{.*\}) happens to (\S+?)(?: at (\S+))?( over the bus)?$")]
#[when(regex = r"^(\S+ \{.*\}) happens to (\S+?)(?: at (\S+))?( over the bus)?$")]
async fn happens(world: &mut World, what: Said, contact: String, at: String, bus: String) {
    let event = event(world, (&what.name, &what.object), &contact, &at);
    world.sent = (what.name.clone(), event.clone());
    if bus.is_empty() {
        let answer = send(world, &[event]).await;
        assert_eq!(answer.body["accepted"], 1, "{} was answered {}", answer.what, answer.text);
        world.answer = Some(answer);
    } else {
        tell(world, &what.name, &event).await;
    }
}

#[when(regex = r"^(\S+ \{.*\}) with (\w+) of (\d+) characters happens to (\S+)$")]
async fn happens_at_length(world: &mut World, what: Said, key: String, length: usize, contact: String) {
    let object = joined(&what.object, &json!({key: "x".repeat(length)}).to_string());
    happens(world, Said { object, ..what }, contact, String::new(), String::new()).await;
}

/// The event that was sent last, to the letter, or with something otherwise.
#[when(regex = r"^the same event is sent again(?: with (\{.*\}))?( over the bus)?$")]
async fn again(world: &mut World, with: String, bus: String) {
    let (name, event) = world.sent.clone();
    let mut same = json(&event);
    for (key, value) in json(if with.is_empty() { "{}" } else { &with }).as_object().unwrap() {
        same[key] = value.clone();
    }
    let event = if with.is_empty() { event } else { same.to_string() };
    if bus.is_empty() {
        world.answer = Some(send(world, &[event]).await);
    } else {
        tell(world, &name, &event).await;
    }
}

/// An event with this instead of what it would have; `null` is left out.
#[when(regex = r"^(\S+ \{.*\}) is sent of (\S+) with (\{.*\})$")]
async fn is_sent(world: &mut World, what: Said, contact: String, with: String) {
    let mut event = json(&event(world, (&what.name, &what.object), &contact, ""));
    for (key, value) in json(&with).as_object().unwrap() {
        event[key] = value.clone();
    }
    event.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    world.sent = (what.name, event.to_string());
    world.answer = Some(send(world, &[event.to_string()]).await);
}

#[when(regex = r"^(\S+ \{.*\}) is sent of (\S+) in the name of the first tenant$")]
async fn is_sent_in_the_name(world: &mut World, what: Said, contact: String) {
    let with = json!({"tenant_id": world.first_tenant.as_ref().unwrap().id}).to_string();
    is_sent(world, what, contact, with).await;
}

/// For steps after which the order of work matters.
#[given(regex = r"^the services are at rest$")]
#[when(regex = r"^the services are at rest$")]
async fn at_rest(world: &mut World) {
    world.settle().await;
}

/// Verdict, and its code if it has one.
#[then(regex = r"^the verdict is (\w+)(?: (\w+))?$")]
async fn verdict(world: &mut World, status: String, code: String) {
    let answer = world.answer.as_ref().unwrap();
    let result = &answer.body["results"][0];
    assert_eq!(result["status"], status.as_str(), "{}", answer.text);
    if !code.is_empty() {
        assert_eq!(result["code"], code.as_str(), "{}", answer.text);
    }
}

/// One row for each event: name, properties, contact. Each in a request of its own.
#[when(regex = r"^at once:$")]
async fn at_once(world: &mut World, #[step] step: &Step) {
    let rows = &step.table.as_ref().unwrap().rows;
    let events: Vec<String> = rows.iter().map(|row| event(world, (&row[0], &row[1]), &row[2], "")).collect();
    world.is_moving = true;
    let world = &*world;
    let requests = events.iter().map(|event| async move {
        let body = format!(r#"{{"events": [{event}]}}"#);
        world.place.ask(&world.tenant.write_token, Method::POST, ("ingest", "/api/v1/events"), Some(&body)).await
    });
    for answer in join_all(requests).await {
        assert_eq!(answer.body["accepted"], 1, "{} was answered {}", answer.what, answer.text);
    }
}

/// One row for each contact: its tags, and the stage it is in. Stored facts of the time before all enrollments.
#[given(regex = r"^contacts with tags and a stage:$")]
async fn contacts(world: &mut World, #[step] step: &Step) {
    let mut events = Vec::new();
    for row in &step.table.as_ref().unwrap().rows {
        for tag in row[1].split(", ") {
            let tag = json!({"tag_name": tag}).to_string();
            events.push(event(world, ("contact.tag.added", &tag), &row[0], "2025-12-01T10:00:00Z"));
        }
        let stage = json!({"stage_id": row[2]}).to_string();
        events.push(event(world, ("pipeline.stage.changed", &stage), &row[0], "2025-12-02T10:00:00Z"));
    }
    let answer = send(world, &events).await;
    assert_eq!(answer.body["accepted"], events.len(), "{}", answer.text);
}
