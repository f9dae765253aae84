//! `goalpost demo`: the figures come out on real services, and a spoilt purchase is noticed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::goalpost::{Goalpost, PROGRAM, enterable_directory, exists};

const KILL_EVERY: Duration = Duration::from_millis(1_500);

/// Runs it to its end, without the servers of the environment: exit code and report.
fn demo(dir: &Path, args: &[&str]) -> (i32, Value) {
    let mut command = Command::new(PROGRAM);
    command.args(["demo", "--json"]).args(args);
    command.current_dir(dir).env("TMPDIR", dir).stdin(Stdio::null()).stderr(Stdio::inherit());
    for name in ["DATABASE_URL", "AMQP_URL", "AMQP_MANAGEMENT_URL"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    println!("goalpost demo {args:?}: {}\n{text}", output.status);
    let report = serde_json::from_str(&text).unwrap_or_default();
    (output.status.code().unwrap(), report)
}

/// The names of the figures that differ.
fn wrong(report: &Value) -> Vec<&str> {
    let figures = report["figures"].as_array().unwrap().iter();
    let wrong = figures.filter(|figure| figure["holds"] == false);
    wrong.map(|figure| figure["name"].as_str().unwrap()).collect()
}

fn came_out<'a>(report: &'a Value, name: &str) -> &'a str {
    let mut figures = report["figures"].as_array().unwrap().iter();
    figures.find(|figure| figure["name"] == name).unwrap()["came_out"].as_str().unwrap()
}

#[test]
fn everything_comes_out_and_a_replay_changes_nothing() {
    let dir = enterable_directory();
    let exits = tempfile::NamedTempFile::new().unwrap();
    let (code, report) = demo(dir.path(), &["--exits", exits.path().to_str().unwrap()]);
    assert_eq!((code, wrong(&report)), (0, vec![]));
    assert_eq!(report["holds"], true);
    assert_eq!(report["exit_messages"]["faults"], Value::Array(vec![]));
    for (name, figure) in [
        ("events stored", "69,659"),
        ("goals_achieved", "1,809"),
        ("different workflow.exit.goal messages", "1,809"),
        ("exits by a purchase of 99.99 (messages)", "0 of 9"),
        ("exits by a purchase of 100.00 (achievements)", "1 of 1"),
        ("replay 1: events stored", "0"),
        ("replay 1: duplicates", "69,659"),
    ] {
        assert_eq!(came_out(&report, name), figure, "{name}");
    }
    assert_eq!(valid_exits(&std::fs::read_to_string(&exits).unwrap()), 1_809);
    let left: Vec<_> = std::fs::read_dir(&dir).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// How many different messages these lines hold; each is valid against the published schemas.
fn valid_exits(lines: &str) -> usize {
    let schema = |name: &str| {
        let path = format!("{}/../../proto-schemas/{name}/v1.json", env!("CARGO_MANIFEST_DIR"));
        let text: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        jsonschema::options().should_validate_formats(true).build(&text).unwrap()
    };
    let (envelope, data) = (schema("cloudevent"), schema("workflow.exit.goal"));
    let messages = lines.lines().map(|line| {
        let message: Value = serde_json::from_str(line).unwrap();
        assert!(envelope.is_valid(&message), "{line}");
        assert!(data.is_valid(&message["data"]), "{line}");
        message["id"].as_str().unwrap().to_owned()
    });
    messages.collect::<std::collections::HashSet<_>>().len()
}

/// Kills services in turn, each a while after the last has come back.
fn kill_until(dev: &Goalpost, is_done: impl Fn() -> bool) {
    for service in ["evaluator", "ingest", "evaluator", "goals", "ingest"].iter().cycle() {
        for _ in 0..KILL_EVERY.as_millis() / 50 {
            std::thread::sleep(Duration::from_millis(50));
            if is_done() {
                return;
            }
        }
        for child in dev.children(&["serve", service]) {
            // It may have ended by itself since it was seen; then there is nothing to kill.
            let _ = nix::sys::signal::kill(child, Signal::SIGKILL);
        }
    }
}

#[test]
fn the_order_and_killed_services_do_not_matter_and_a_spoilt_purchase_does() {
    let mut dev = Goalpost::start(["dev", "--ephemeral", "--json"]);
    dev.file(".goalpost/dev.json");
    let traces = dev.traces(dev.stack_directory().unwrap());
    let (dir, on) = (dev.path("."), ".goalpost/dev.json");

    let (code, report) = demo(&dir, &["--on", on, "--replays", "0", "--spoil"]);
    assert_eq!((code, &report["holds"]), (1, &Value::Bool(false)));
    assert_eq!(came_out(&report, "goals_achieved"), "1,808");
    let differ = wrong(&report);
    for name in
        ["goals_achieved", "average_time_to_goal_hours", "achievements listed", "different workflow.exit.goal messages"]
    {
        assert!(differ.contains(&name), "{name} in {differ:?}");
    }
    assert!(report["spoilt"].as_str().unwrap().contains("99.98"));

    let (code, report) = std::thread::scope(|scope| {
        let running = scope.spawn(|| demo(&dir, &["--on", on, "--replays", "0", "--events-first"]));
        kill_until(&dev, || running.is_finished());
        running.join().unwrap()
    });
    assert_eq!((code, wrong(&report)), (0, vec![]), "events first, and services killed all the while");

    // A kill of the whole, services and all, in the middle of its life.
    dev.signal(Signal::SIGKILL);
    dev.end();
    traces.vanish_within(Duration::from_secs(5));
    assert!(!exists(dev.path(".goalpost")));
}

#[test]
fn a_place_where_nothing_runs_is_said_so() {
    let dir = enterable_directory();
    let output = Command::new(PROGRAM).args(["demo", "--on", ".goalpost/dev.json"]).current_dir(&dir).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("is `goalpost dev` running there?"), "{said}");
}
