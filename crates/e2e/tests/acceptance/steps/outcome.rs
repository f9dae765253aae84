//! What came of it: who left, by what, and what the bus was told. Looked at when the services are at rest, so that what did
//! not happen will not.

use std::time::{Duration, Instant};

use cucumber::then;
use serde_json::Value;
use uuid::Uuid;

use crate::covers::{json, says, time};
use crate::world::World;

const EXIT: &str = "workflow.exit.goal";
/// Far longer than it takes.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(10);

async fn enrollment(world: &mut World, contact: &str) -> Value {
    let path = format!("/api/v1/enrollments/{}", world.enrollment(contact));
    world.read("evaluator", &path).await
}

/// Every `workflow.exit.goal` of the contact's enrollment.
async fn exits(world: &mut World, contact: &str) -> Vec<Value> {
    world.settle().await;
    let facts = world.place.facts(EXIT, &world.enrollment(contact)).await;
    let exits = facts.into_iter().map(|(message, exit)| {
        let id: Uuid = exit["id"].as_str().unwrap().parse().unwrap();
        assert_eq!((message.message_id, id.get_version_num()), (Some(id), 5), "{exit}");
        exit
    });
    exits.collect()
}

/// The only exit that the bus was told of.
async fn exit(world: &mut World, contact: &str) -> Value {
    let mut exits = exits(world, contact).await;
    assert_eq!(exits.len(), 1, "{contact} leaves once: {exits:?}");
    exits.remove(0)
}

/// By a goal: the enrollment says so, nothing is pending for it, and the bus is told once.
#[then(regex = r"^(\S+) leaves(?: (\S+))?$")]
async fn leaves(world: &mut World, contact: String, workflow: String) {
    world.speak_of(&workflow);
    let left = enrollment(world, &contact).await;
    says("the enrollment", &left, r#"{"status": "completed_goal", "exit_reason": "goal_achieved"}"#);
    assert!(left["exited_at"].is_string(), "{left}");
    let path = format!("/api/v1/enrollments/{}/actions", world.enrollment(&contact));
    let actions = world.read("evaluator", &path).await;
    let pending = actions["items"].as_array().unwrap().iter().filter(|action| action["status"] == "pending").count();
    assert_eq!(pending, 0, "nothing is pending: {actions}");

    let exit = exit(world, &contact).await;
    for (key, kept) in [("workflow_id", "workflow_id"), ("contact_id", "contact_id"), ("enrollment_version", "version")]
    {
        assert_eq!(exit["data"][key], left[kept], "{exit}");
    }
    let told = exit["data"]["achievements"].as_array().unwrap().len();
    assert_eq!(told, left["achievements"].as_array().unwrap().len(), "{exit} {left}");
}

#[then(regex = r"^(\S+) stays(?: in (\S+))?$")]
async fn stays(world: &mut World, contact: String, workflow: String) {
    world.speak_of(&workflow);
    let enrollment = enrollment(world, &contact).await;
    says("the enrollment", &enrollment, r#"{"status": "active", "exit_reason": null, "exited_at": null}"#);
    assert_eq!(exits(world, &contact).await, Vec::<Value>::new());
}

#[then(regex = r"^the enrollment of (\S+) says (\{.*\})$")]
async fn enrollment_says(world: &mut World, contact: String, expected: String) {
    says("the enrollment", &enrollment(world, &contact).await, &expected);
}

#[then(regex = r"^(\S+) has (\d+) achievements?$")]
async fn count_achievements(world: &mut World, contact: String, count: usize) {
    let enrollment = enrollment(world, &contact).await;
    assert_eq!(enrollment["achievements"].as_array().unwrap().len(), count, "{enrollment}");
}

/// Its type, and the whole event as it is kept.
#[then(regex = r"^(\S+) has achieved (\w+) by (\{.*\})$")]
async fn has_achieved(world: &mut World, contact: String, goal_type: String, trigger: String) {
    let enrollment = enrollment(world, &contact).await;
    let trigger = json(&trigger);
    let mut all = enrollment["achievements"].as_array().unwrap().iter();
    let is_there = all.any(|it| it["goal_type"] == goal_type.as_str() && it["trigger_event"] == trigger);
    assert!(is_there, "{}", enrollment["achievements"]);
}

/// The only one.
#[then(regex = r"^the achievement of (\S+) says (\{.*\})$")]
async fn achievement_says(world: &mut World, contact: String, expected: String) {
    let enrollment = enrollment(world, &contact).await;
    assert_eq!(enrollment["achievements"].as_array().unwrap().len(), 1, "{enrollment}");
    let achievement = &enrollment["achievements"][0];
    assert_eq!(
        (&achievement["contact_id"], &achievement["enrollment_id"]),
        (&enrollment["contact_id"], &enrollment["id"])
    );
    says("the achievement", achievement, &expected);
}

/// Goals by their numbers: the credited one, and those that the same event met, as they are kept.
#[then(regex = r"^the achievement of (\S+) is of goal (\d)(?:, and goals? ([\d, ]+) (?:was|were) met as well)?$")]
async fn achievement_is_of(world: &mut World, contact: String, number: usize, others: String) {
    let enrollment = enrollment(world, &contact).await;
    let achievement = &enrollment["achievements"][0];
    let goals = world.speak_of("").goals.clone();
    assert_eq!(achievement["goal_id"], goals[number - 1].as_str(), "{achievement}");
    let met: Vec<&str> =
        achievement["metadata"]["also_matched"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let others: Vec<&str> =
        others.split(", ").filter_map(|it| it.parse::<usize>().ok()).map(|it| goals[it - 1].as_str()).collect();
    assert_eq!(met, others, "{achievement}");
}

#[then(regex = r"^the exit of (\S+) says (\{.*\})$")]
async fn exit_says(world: &mut World, contact: String, expected: String) {
    says(EXIT, &exit(world, &contact).await["data"], &expected);
}

/// As it is written, but for spaces: the digits of an amount.
#[then(regex = r"^the exit of (\S+) is written with (.+)$")]
async fn exit_is_written_with(world: &mut World, contact: String, text: String) {
    world.settle().await;
    let facts = world.place.facts(EXIT, &world.enrollment(&contact)).await;
    let body = String::from_utf8(facts[0].0.body.to_vec()).unwrap();
    assert!(body.replace(' ', "").contains(&text), "{body}");
}

#[then(regex = r"^nobody is told that (\S+) left by a goal$")]
async fn not_told(world: &mut World, contact: String) {
    assert_eq!(exits(world, &contact).await, Vec::<Value>::new());
}

/// Once, as what it is; or not at all. Something that has come due is told by the next look of an evaluator, or the one after it.
#[then(regex = r"^the (\w+) of (\S+) is( not)? announced$")]
async fn is_announced(world: &mut World, action_type: String, contact: String, not: String) {
    world.settle().await;
    let (id, enrollment) = (world.action(&contact, &action_type), world.enrollment(&contact));
    let limit = Instant::now() + ANNOUNCED_WITHIN;
    let facts = loop {
        let facts = world.place.facts("workflow.action.due", &enrollment).await;
        let is_told = facts.iter().any(|(_, fact)| fact["data"]["action_id"] == id.as_str());
        if is_told || !not.is_empty() || Instant::now() > limit {
            break facts;
        }
        world.place.rest().await;
    };
    let told: Vec<&Value> =
        facts.iter().map(|(_, fact)| fact).filter(|fact| fact["data"]["action_id"] == id.as_str()).collect();
    let path = format!("/api/v1/enrollments/{enrollment}/actions");
    let actions = world.read("evaluator", &path).await;
    let action = actions["items"].as_array().unwrap().iter().find(|action| action["id"] == id.as_str()).unwrap();
    assert_eq!(told.len(), usize::from(not.is_empty()), "{action} {facts:?}");
    let announced_at = told.first().map_or(&Value::Null, |fact| &fact["data"]["announced_at"]);
    assert_eq!(&action["announced_at"], announced_at, "{action}");
    for fact in told {
        let expected =
            format!(r#"{{"contact_id": "{contact}", "action_type": "{action_type}", "enrollment_version": 1}}"#);
        says("the announcement", &fact["data"], &expected);
    }
}

/// What happened cannot lie after the exit that came of it.
#[then(regex = r"^(\S+) reached the goal no later than it left$")]
async fn reached_before_it_left(world: &mut World, contact: String) {
    let enrollment = enrollment(world, &contact).await;
    assert!(time(&enrollment["goal_reached_at"]) <= time(&enrollment["exited_at"]), "{enrollment}");
}

/// Enrollments of the contact in the workflow that is spoken of, by status.
#[then(regex = r"^(\S+) has (\d+) enrollments? that (?:is|are) (\w+)$")]
async fn count_enrollments(world: &mut World, contact: String, count: usize, status: String) {
    let path = world.path(&format!("/enrollments?contact_id={contact}&status={status}"));
    let enrollments = world.read("evaluator", &path).await;
    assert_eq!(enrollments["items"].as_array().unwrap().len(), count, "{enrollments}");
}
