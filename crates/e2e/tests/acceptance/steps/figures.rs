//! What can be looked up: listeners, statistics, events, the audit log.

use cucumber::{then, when};
use reqwest::Method;
use serde_json::Value;

use crate::covers::{covers, json, says, time};
use crate::world::World;

/// `nothing`, or the event types in alphabetical order; and how many enrollments wait behind each.
#[then(regex = r"^(\S+) listens to (.+?)(?: with (\d+) enrollments? behind)?$")]
async fn listens_to(world: &mut World, workflow: String, event_types: String, behind: String) {
    world.speak_of(&workflow);
    let path = world.path("/listeners");
    let listeners = world.read("goals", &path).await;
    let items = listeners["items"].as_array().unwrap();
    let mut types: Vec<&str> = items.iter().map(|listener| listener["event_type"].as_str().unwrap()).collect();
    types.sort_unstable();
    let expected: Vec<&str> = event_types.split(", ").filter(|it| *it != "nothing").collect();
    assert_eq!(types, expected, "{listeners}");
    for listener in items {
        assert!(listener["registered_at"].is_string(), "{listener}");
        if let Ok(behind) = behind.parse::<u64>() {
            assert_eq!(listener["active_enrollments"], behind, "{listener}");
        }
    }
}

async fn count(world: &mut World, query: &str) -> Value {
    let path = world.path(&format!("/goals/stats?{query}"));
    world.read("analytics", &path).await
}

#[then(regex = r"^the statistics say (\{.*\})$")]
async fn statistics_say(world: &mut World, expected: String) {
    says("the statistics", &count(world, "fresh=true").await, &expected);
}

#[then(regex = r"^the statistics of (\S+) say (\{.*\})$")]
async fn statistics_of_say(world: &mut World, query: String, expected: String) {
    says("the statistics", &count(world, &format!("fresh=true&{query}")).await, &expected);
}

#[then(regex = r"^the feed(?: of (\S+))? shows (\[.*\])$")]
async fn feed_shows(world: &mut World, query: String, expected: String) {
    let feed = world.read("analytics", &format!("/api/v1/analytics/feed?{query}")).await;
    says("the feed", &feed["items"], &expected);
}

/// Kept from here on: whoever does not ask for fresh ones gets the same again.
#[when(regex = r"^the statistics are looked at$")]
async fn statistics_are_looked_at(world: &mut World) {
    world.settle().await;
    let path = world.path("/goals/stats");
    world.statistics = world.api(Method::GET, ("analytics", &path), None).await.good();
}

#[then(regex = r"^the statistics that were looked at are shown again$")]
async fn same_statistics(world: &mut World) {
    let before = world.statistics.clone();
    assert!(before["as_of"].is_string(), "{before}");
    assert_eq!(count(world, "").await, before);
}

#[then(regex = r"^fresh statistics are of a later moment, and say (\{.*\})$")]
async fn later_statistics(world: &mut World, expected: String) {
    let before = time(&world.statistics["as_of"]);
    let fresh = count(world, "fresh=true").await;
    assert!(time(&fresh["as_of"]) > before, "{fresh}");
    says("the statistics", &fresh, &expected);
}

/// By what was done, and what the entry says beside.
#[then(regex = r"^the audit log has (\S+) with (\{.*\})$")]
async fn audit_has(world: &mut World, action: String, expected: String) {
    let log = world.read("goals", "/api/v1/audit?limit=200").await;
    let expected = json(&expected);
    let mut entries = log["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == action.as_str());
    let is_there = entries.any(|entry| {
        assert!(entry["actor"].is_string() && entry["at"].is_string(), "{entry}");
        covers(entry, &expected).is_ok()
    });
    assert!(is_there, "{log}");
}
