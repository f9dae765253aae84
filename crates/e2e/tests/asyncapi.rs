//! `asyncapi.yaml` names exactly the exchanges, routing keys and queues that there are. (That it is a valid AsyncAPI document is
//! for `scripts/lint-contract`.) The file is read by its lines: it is written in block style, two spaces a level.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;

use bus::{ExchangeType, Queue, exchanges};
use domain::contract::{
    ActionCancelled, ActionDue, Command, DeleteReference, EndEnrollment, Enroll, EnrollmentCreated, EraseSubject,
    EventsStored, Fact, GoalAchieved, GoalChanged, IdentityLinked, PutReference, Recheck, ScheduleAction,
    SubjectErased, WorkflowActivated, WorkflowDeactivated, WorkflowExitGoal, exchange,
};

const FILE: &str = include_str!("../../../proto-schemas/asyncapi.yaml");

type Pairs = BTreeSet<(String, String)>;

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// What is nested in `lines` under each key at `depth` spaces.
fn blocks<'a>(lines: &[&'a str], depth: usize) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        if indent(line) == depth {
            blocks.push((line.trim().trim_end_matches(':'), Vec::new()));
        } else if let Some((_, nested)) = blocks.last_mut() {
            nested.push(line);
        }
    }
    blocks
}

fn section(name: &str) -> Vec<&'static str> {
    let lines: Vec<&str> = FILE.lines().filter(|line| !line.starts_with('#')).collect();
    blocks(&lines, 0).into_iter().find(|(key, _)| *key == name).unwrap().1
}

/// The value of the first `key: value` in a block.
fn value<'a>(block: &[&'a str], key: &str) -> Option<&'a str> {
    let lines = block.iter().map(|line| line.trim());
    lines
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
        .map(|value| value.trim_matches(['"', '\'']))
        .next()
}

/// The words of `[a, b]`.
fn words(list: &str) -> Vec<String> {
    let list = list.trim_start_matches('[').trim_end_matches(']');
    list.split(", ").map(|word| word.trim_matches('"').to_owned()).collect()
}

/// Channels by routing key, as (exchange, address).
fn routed() -> Pairs {
    let channels = section("channels");
    let channels = blocks(&channels, 2);
    let routed = channels.iter().filter_map(|(_, block)| {
        let exchange = block.iter().find_map(|line| line.split("/channelBindings/").nth(1))?.trim_matches('\'');
        Some((format!("goalpost.{exchange}"), value(block, "address").unwrap().to_owned()))
    });
    routed.collect()
}

#[test]
fn the_exchanges_are_those_that_are_declared() {
    let components = section("components");
    let components = blocks(&components, 2);
    let bindings = &components.iter().find(|(key, _)| *key == "channelBindings").unwrap().1;
    let named: Pairs = blocks(bindings, 4)
        .iter()
        .map(|(_, block)| {
            assert_eq!((value(block, "durable"), value(block, "autoDelete")), (Some("true"), Some("false")));
            (value(block, "name").unwrap().to_owned(), value(block, "type").unwrap().to_owned())
        })
        .collect();
    let kind = |kind| if kind == ExchangeType::Topic { "topic" } else { "direct" };
    let declared = exchanges().map(|(name, of)| (name.to_owned(), kind(of).to_owned()));
    assert_eq!(named, declared.into());
}

#[test]
fn the_routing_keys_are_those_of_the_contract() {
    let facts = [
        WorkflowExitGoal::ROUTING_KEY,
        GoalAchieved::ROUTING_KEY,
        EnrollmentCreated::ROUTING_KEY,
        ActionDue::ROUTING_KEY,
        ActionCancelled::ROUTING_KEY,
        WorkflowActivated::ROUTING_KEY,
        WorkflowDeactivated::ROUTING_KEY,
        GoalChanged::ROUTING_KEY,
        IdentityLinked::ROUTING_KEY,
        SubjectErased::ROUTING_KEY,
    ];
    let commands = [
        Enroll::ROUTING_KEY,
        EndEnrollment::ROUTING_KEY,
        ScheduleAction::ROUTING_KEY,
        PutReference::ROUTING_KEY,
        DeleteReference::ROUTING_KEY,
        EraseSubject::ROUTING_KEY,
        Recheck::ROUTING_KEY,
    ];
    let pair = |exchange: &str, key: &str| (exchange.to_owned(), key.to_owned());
    let mut expected: Pairs = facts.iter().map(|key| pair(exchange::WORKFLOW, key)).collect();
    expected.extend(commands.iter().map(|key| pair(exchange::COMMANDS, key)));
    expected.extend([
        pair(EventsStored::EXCHANGE, EventsStored::ROUTING_KEY),
        pair(exchange::DOMAIN, "{event_name}"),
        pair(exchange::DEAD, "{queue}"),
    ]);
    assert_eq!(routed(), expected);
    // Beside each of those stands its schema, and no schema of a message is without its key.
    let schemas = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-schemas");
    for (_, key) in expected.iter().filter(|(_, key)| !key.contains('{')) {
        assert!(schemas.join(key).join("v1.json").is_file(), "{key}");
        assert!(FILE.contains(&format!("$ref: ./{key}/v1.json")), "{key}");
    }
    let listed = std::fs::read_dir(&schemas).unwrap().map(|entry| entry.unwrap());
    let listed = listed.filter(|entry| entry.path().join("v1.json").is_file());
    for name in listed.map(|entry| entry.file_name().into_string().unwrap()) {
        assert!(FILE.contains(&format!("$ref: ./{name}/v1.json")), "{name} is no message of asyncapi.yaml");
    }
}

#[test]
fn the_queues_and_their_bindings_are_those_that_are_declared() {
    let channels = section("channels");
    let channels = blocks(&channels, 2);
    let of_queues: Vec<_> =
        channels.iter().filter(|(_, block)| block.iter().any(|line| line.trim() == "is: queue")).collect();
    let names: BTreeSet<&str> = of_queues.iter().map(|(_, block)| value(block, "address").unwrap()).collect();
    let expected: BTreeSet<&str> = Queue::ALL.iter().map(|queue| queue.name()).chain(["{queue}.dead"]).collect();
    assert_eq!(names, expected);
    let by_default = bus::Settings::default().domain_event_names;
    for queue in Queue::ALL {
        let (_, block) = of_queues.iter().find(|(_, block)| value(block, "address") == Some(queue.name())).unwrap();
        assert_eq!((value(block, "name"), value(block, "durable")), (Some(queue.name()), Some("true")));
        let bound = blocks(block, 4).into_iter().find(|(key, _)| *key == "x-bound-to").unwrap().1;
        let bound: Pairs = bound
            .iter()
            .filter_map(|line| line.trim().split_once(": "))
            .flat_map(|(exchange, keys)| words(keys).into_iter().map(move |key| (exchange.to_owned(), key)))
            .collect();
        let bindings = queue.bindings(&by_default).into_iter().map(|(exchange, key)| (exchange.to_owned(), key));
        assert_eq!(bound, bindings.collect(), "{}", queue.name());
    }
    let dead: Vec<String> = Queue::ALL.iter().map(|queue| queue.name().to_owned()).collect();
    let (_, block) = channels.iter().find(|(key, _)| *key == "dead").unwrap();
    assert_eq!(words(value(block, "enum").unwrap()), dead);
    assert!(Queue::ALL.iter().all(|queue| queue.dead_name() == format!("{}.dead", queue.name())));
}
