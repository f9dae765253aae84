//! Who enters a workflow, what is scheduled for them, and how they leave it other than by a goal.

use cucumber::gherkin::Step;
use cucumber::{given, then, when};
use reqwest::Method;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::installation::Answer;
use crate::world::{ENROLLED_AT, World, moment};

const SCHEDULED_AFTER: Duration = Duration::days(3);

fn enrollment_of(contact: &str, since: &str, current_step: &str) -> Value {
    let since = if since.is_empty() { ENROLLED_AT.to_owned() } else { moment(since) };
    let mut enrollment = json!({"contact_id": contact, "enrolled_at": since});
    if let Ok(number) = current_step.parse::<i64>() {
        enrollment["current_step"] = number.into();
    }
    enrollment
}

async fn enroll(world: &mut World, contact: &str, since: &str, current_step: &str) -> Answer {
    let path = world.path("/enrollments");
    let body = enrollment_of(contact, since, current_step).to_string();
    let answer = world.api(Method::POST, ("evaluator", &path), Some(&body)).await;
    if let Some(id) = answer.body["id"].as_str() {
        world.enrolled(contact, id.to_owned());
    }
    answer
}

#[given(regex = r"^(\S+) is enrolled(?: in (\S+))?(?: at step (\d+))?(?: since (\S+))?$")]
#[when(regex = r"^(\S+) is enrolled(?: in (\S+))?(?: at step (\d+))?(?: since (\S+))?$")]
async fn is_enrolled(world: &mut World, contact: String, workflow: String, at_step: String, since: String) {
    world.speak_of(&workflow);
    let answer = enroll(world, &contact, &since, &at_step).await;
    assert_eq!(answer.status, 201, "{} was answered {}", answer.what, answer.text);
}

#[then(regex = r"^enrolling (\S+) is refused: (\d+) (.+)$")]
async fn not_enrolled(world: &mut World, contact: String, status: u16, why: String) {
    enroll(world, &contact, "", "").await.is_refused(status, &why);
}

#[then(regex = r"^enrolling (\S+) is skipped$")]
async fn skipped(world: &mut World, contact: String) {
    world.settle().await;
    let answer = enroll(world, &contact, "", "").await.good();
    assert_eq!((&answer["status"], &answer["id"]), (&json!("skipped"), &Value::Null), "{answer}");
}

/// `member-1` to `member-<count>`, in one request.
#[given(regex = r"^(\d+) members are enrolled$")]
async fn members_are_enrolled(world: &mut World, count: usize) {
    let members: Vec<String> = (1..=count).map(|number| format!("member-{number}")).collect();
    let enrollments: Vec<Value> = members.iter().map(|member| enrollment_of(member, "", "")).collect();
    let path = world.path("/enrollments/batch");
    let body = json!({"enrollments": enrollments}).to_string();
    let answer = world.api(Method::POST, ("evaluator", &path), Some(&body)).await.good();
    assert_eq!(answer["created"], count, "{answer}");
    for (member, result) in members.iter().zip(answer["results"].as_array().unwrap()) {
        world.enrolled(member, result["enrollment_id"].as_str().unwrap().to_owned());
    }
}

#[when(regex = r"^(\S+) is ended as (completed|removed|failed)$")]
async fn is_ended(world: &mut World, contact: String, status: String) {
    world.settle().await;
    let path = format!("/api/v1/enrollments/{}/end", world.enrollment(&contact));
    let body = json!({"status": status}).to_string();
    world.api(Method::POST, ("evaluator", &path), Some(&body)).await.good();
}

async fn schedule(world: &mut World, contact: &str, action_type: &str, after: Duration) -> Answer {
    let enrollment = world.enrollment(contact);
    let at = (OffsetDateTime::now_utc() + after).format(&Rfc3339).unwrap();
    let body = json!({"action_type": action_type, "scheduled_at": at}).to_string();
    let path = format!("/api/v1/enrollments/{enrollment}/actions");
    let answer = world.api(Method::POST, ("evaluator", &path), Some(&body)).await;
    if let Some(id) = answer.body["id"].as_str() {
        world.actions.insert((enrollment, action_type.to_owned()), id.to_owned());
    }
    answer
}

/// All of them three days from now; or due since a minute ago.
#[given(regex = r"^(\S+) has (pending|due) ([\w, ]+)$")]
#[when(regex = r"^(\S+) has (pending|due) ([\w, ]+)$")]
async fn has_pending(world: &mut World, contact: String, when: String, actions: String) {
    let after = if when == "due" { Duration::minutes(-1) } else { SCHEDULED_AFTER };
    for action_type in actions.split(", ") {
        let action = schedule(world, &contact, action_type, after).await.good();
        assert_eq!(action["status"], "pending", "{action}");
    }
}

#[then(regex = r"^scheduling (\w+) for (\S+) is refused: (\d+) (.+)$")]
async fn not_scheduled(world: &mut World, action_type: String, contact: String, status: u16, why: String) {
    world.settle().await;
    schedule(world, &contact, &action_type, SCHEDULED_AFTER).await.is_refused(status, &why);
}

async fn act(world: &mut World, contact: &str, action_type: &str, verb: &str) -> Answer {
    let body = if verb == "finish" { r#"{"status": "done"}"# } else { "{}" };
    let path = format!("/api/v1/actions/{}/{verb}", world.action(contact, action_type));
    world.api(Method::POST, ("evaluator", &path), Some(body)).await
}

#[given(regex = r"^the (\w+) of (\S+) is (start|finish)ed$")]
#[when(regex = r"^the (\w+) of (\S+) is (start|finish)ed$")]
async fn action_is(world: &mut World, action_type: String, contact: String, verb: String) {
    world.settle().await;
    act(world, &contact, &action_type, &verb).await.good();
}

#[then(regex = r"^starting the (\w+) of (\S+) is refused: (\d+) (.+)$")]
async fn not_started(world: &mut World, action_type: String, contact: String, status: u16, why: String) {
    world.settle().await;
    act(world, &contact, &action_type, "start").await.is_refused(status, &why);
}

/// One row for each action: its type and its status.
#[then(regex = r"^the actions of (\S+) are:$")]
async fn actions_are(world: &mut World, contact: String, #[step] step: &Step) {
    let path = format!("/api/v1/enrollments/{}/actions", world.enrollment(&contact));
    let actions = world.read("evaluator", &path).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = actions["items"].as_array().unwrap().iter();
    let mut are: Vec<Vec<String>> =
        items.map(|action| vec![text(&action["action_type"]), text(&action["status"])]).collect();
    let mut expected = step.table.as_ref().unwrap().rows.clone();
    are.sort();
    expected.sort();
    assert_eq!(are, expected, "{actions}");
}
