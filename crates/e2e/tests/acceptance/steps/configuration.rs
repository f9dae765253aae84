//! Workflows, their goals, and what goals point at. A refusal is told by its status and its code, or its message.
//!
//! What is stored but not judged yet when something changes is judged by what is true after; so a change waits for rest.

use cucumber::{given, then, when};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::installation::Answer;
use crate::world::{Said, World, joined};

#[given(regex = r"^the workflow (\S+)(?: with (\{.*\}))?$")]
async fn a_workflow(world: &mut World, name: String, with: String) {
    if world.workflows.contains_key(&name) {
        world.speak_of(&name);
        return;
    }
    let body = joined(&json!({"name": name}).to_string(), &with);
    let made = world.api(Method::POST, ("goals", "/api/v1/workflows"), Some(&body)).await.good();
    world.made_workflow(&name, made["id"].as_str().unwrap().to_owned());
}

async fn new_goal(world: &mut World, goal: &Said) -> Answer {
    world.settle().await;
    let body = format!(r#"{{"goal_type": "{}", "criteria": {}}}"#, goal.name, goal.object);
    let path = world.path("/goals");
    let answer = world.api(Method::POST, ("goals", &path), Some(&joined(&body, &goal.with))).await;
    if let Some(id) = answer.body["id"].as_str() {
        world.speak_of("").goals.push(id.to_owned());
    }
    answer
}

#[given(regex = r"^its goal (\w+ \{.*\})$")]
#[when(regex = r"^its goal (\w+ \{.*\}) is added$")]
#[then(regex = r"^a goal (\w+ \{.*\}) is taken$")]
async fn a_goal(world: &mut World, goal: Said) {
    new_goal(world, &goal).await.good();
}

#[then(regex = r"^a goal (\w+ \{.*\}) is refused: (\d+) (.+)$")]
async fn no_goal(world: &mut World, goal: Said, status: u16, why: String) {
    new_goal(world, &goal).await.is_refused(status, &why);
}

#[when(regex = r"^(\d+) different goals are added at once$")]
async fn goals_at_once(world: &mut World, count: u32) {
    let path = world.path("/goals");
    let world = &*world;
    let goals = (1..=count).map(|amount| {
        let path = path.clone();
        async move {
            let body = json!({"goal_type": "purchase_made", "criteria": {"min_amount": amount}}).to_string();
            world.place.ask(&world.tenant.api_key, Method::POST, ("goals", &path), Some(&body)).await
        }
    });
    for answer in join_all(goals).await {
        if answer.status != 201 {
            answer.is_refused(400, "Maximum of 3 goals per workflow exceeded");
        }
    }
}

#[then(regex = r"^it has (\d+) goals?$")]
async fn count_goals(world: &mut World, count: usize) {
    let path = world.path("/goals");
    let goals = world.read("goals", &path).await;
    assert_eq!(goals["items"].as_array().unwrap().len(), count, "{goals}");
}

#[then(regex = r"^goal (\d) says (\{.*\})$")]
async fn goal_says(world: &mut World, number: usize, expected: String) {
    let path = world.goal_path(number);
    let goal = world.read("goals", &path).await;
    crate::covers::says("the goal", &goal, &expected);
    assert_eq!(goal["workflow_id"], world.speak_of("").id.as_str(), "it is tied to its workflow");
}

/// As it is written, but for spaces: the digits of an amount.
#[then(regex = r"^goal (\d) is written with (.+)$")]
async fn goal_is_written_with(world: &mut World, number: usize, text: String) {
    let path = world.goal_path(number);
    let goal = world.api(Method::GET, ("goals", &path), None).await;
    assert!(goal.text.replace(' ', "").contains(&text), "{}", goal.text);
}

#[when(regex = r"^goal (\d) is changed to (\{.*\})$")]
async fn change_goal(world: &mut World, number: usize, change: String) {
    world.settle().await;
    let path = world.goal_path(number);
    world.api(Method::PATCH, ("goals", &path), Some(&change)).await.good();
}

#[given(regex = r"^goal (\d) is switched off$")]
async fn switch_off(world: &mut World, number: usize) {
    change_goal(world, number, r#"{"status": "inactive"}"#.to_owned()).await;
}

#[then(regex = r"^changing goal (\d) to (\{.*\}) is refused: (\d+) (.+)$")]
async fn no_change(world: &mut World, number: usize, change: String, status: u16, why: String) {
    let path = world.goal_path(number);
    world.api(Method::PATCH, ("goals", &path), Some(&change)).await.is_refused(status, &why);
}

#[when(regex = r"^goal (\d) is deleted$")]
async fn delete_goal(world: &mut World, number: usize) {
    world.settle().await;
    let path = world.goal_path(number);
    world.api(Method::DELETE, ("goals", &path), None).await.good();
}

async fn turn(world: &mut World, name: &str, verb: &str) -> Answer {
    world.speak_of(name);
    let (verb, body) = match verb {
        "activated" => ("activate", "{}"),
        "activated with catch-up" => {
            world.is_moving = true;
            ("activate", r#"{"catch_up": true}"#)
        }
        "paused" => ("pause", "{}"),
        _ => ("deactivate", "{}"),
    };
    let path = world.path(&format!("/{verb}"));
    world.api(Method::POST, ("goals", &path), Some(body)).await
}

#[given(regex = r"^(\S+) is (activated|activated with catch-up|paused|deactivated)$")]
#[when(regex = r"^(\S+) is (activated|activated with catch-up|paused|deactivated)$")]
async fn turned(world: &mut World, name: String, verb: String) {
    world.settle().await;
    turn(world, &name, &verb).await.good();
}

#[then(regex = r"^activating it is refused: (\d+) (.+)$")]
async fn not_activated(world: &mut World, status: u16, why: String) {
    turn(world, "it", "activated").await.is_refused(status, &why);
}

#[when(regex = r"^it is rechecked$")]
async fn recheck(world: &mut World) {
    let path = world.path("/recheck");
    world.api(Method::POST, ("evaluator", &path), Some("{}")).await.good();
}

#[then(regex = r"^it says (\{.*\})$")]
async fn workflow_says(world: &mut World, expected: String) {
    let path = world.path("");
    let workflow = world.read("goals", &path).await;
    crate::covers::says("the workflow", &workflow, &expected);
}

#[when(regex = r"^it is changed to (\{.*\})$")]
async fn change_workflow(world: &mut World, change: String) {
    world.settle().await;
    let path = world.path("");
    world.api(Method::PATCH, ("goals", &path), Some(&change)).await.good();
}

#[given(regex = r"^the (tag|form|calendar|service|product|pipeline|stage) (\S+)(?: (\{.*\}))?$")]
async fn a_reference(world: &mut World, kind: String, id: String, with: String) {
    let path = format!("/api/v1/references/{kind}/{id}");
    let body = if with.is_empty() { "{}" } else { with.as_str() };
    world.api(Method::PUT, ("goals", &path), Some(body)).await.good();
}

#[when(regex = r"^the (tag|form|calendar|service|product|pipeline|stage) (\S+) is deleted$")]
async fn delete_reference(world: &mut World, kind: String, id: String) {
    let path = format!("/api/v1/references/{kind}/{id}");
    world.api(Method::DELETE, ("goals", &path), None).await.good();
}
