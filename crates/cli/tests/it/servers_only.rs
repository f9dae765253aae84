//! `goalpost dev --servers-only`: the servers are real, and nothing of them outlives it.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::goalpost::{Goalpost, exists, listens, variable, wait_until};

/// Says where everything is, then goes on until the file `go` is there, and exits with 7.
const WAIT: &str = "env > env.new; mv env.new env; until [ -e go ]; do sleep 0.05; done; exit 7";

/// Ends in its own way when it is asked to.
const TRAP: &str = "trap 'exit 9' TERM; env > env.new; mv env.new env; while :; do sleep 0.05; done";

/// Asks to be left alone, and leaves a child that asks the same.
const STUBBORN: &str = "trap '' TERM HUP INT; sleep 300 & env > env.new; mv env.new env; wait";

fn servers_only(script: &str) -> Goalpost {
    Goalpost::start(["dev", "--servers-only", "--", "sh", "-c", script])
}

#[tokio::test]
async fn the_command_finds_servers_and_its_exit_code_is_passed_on() {
    let mut goalpost = servers_only(WAIT);
    let environment = goalpost.file("env");
    let traces = goalpost.traces(goalpost.stack_directory().unwrap());

    let database = variable(&environment, "DATABASE_URL");
    let (client, connection) = tokio_postgres::connect(&database, tokio_postgres::NoTls).await.unwrap();
    let rows = async {
        let settings = "SELECT current_setting('fsync'), current_setting('max_connections')";
        client.query_one(settings, &[]).await.unwrap()
    };
    let row = tokio::select! {
        row = rows => row,
        _ = connection => panic!("the connection ended"),
    };
    assert_eq!((row.get(0), row.get(1)), ("on", "300"));
    let wrong = database.replace("postgres:", "postgres:wrong");
    assert!(tokio_postgres::connect(&wrong, tokio_postgres::NoTls).await.is_err());

    assert!(listens(&variable(&environment, "AMQP_URL")));
    let management = variable(&environment, "AMQP_MANAGEMENT_URL");
    let who = reqwest::get(format!("{management}/api/whoami")).await.unwrap();
    assert_eq!(who.status(), 200);
    assert!(devstack::broker::queue_totals(&management, "/").await.unwrap().is_empty());

    assert!(!exists(goalpost.path(".goalpost")), "servers alone publish nothing");
    std::fs::write(goalpost.path("go"), "").unwrap();
    assert_eq!(goalpost.end().code(), Some(7));
    assert_eq!(traces.left(), Vec::<String>::new());
}

#[test]
fn sigterm_is_passed_to_the_command_and_everything_ends() {
    let mut goalpost = servers_only(TRAP);
    goalpost.file("env");
    let traces = goalpost.traces(goalpost.stack_directory().unwrap());
    goalpost.signal(Signal::SIGTERM);
    assert_eq!(goalpost.end().code(), Some(9));
    assert_eq!(traces.left(), Vec::<String>::new());
}

#[test]
fn a_killed_goalpost_leaves_nothing() {
    let mut goalpost = servers_only(STUBBORN);
    goalpost.file("env");
    let traces = goalpost.traces(goalpost.stack_directory().unwrap());
    goalpost.signal(Signal::SIGKILL);
    assert_eq!(goalpost.end().signal(), Some(9));
    traces.vanish_within(Duration::from_secs(5));
}

#[test]
fn a_start_that_is_interrupted_leaves_nothing() {
    let mut goalpost = Goalpost::start(["dev", "--servers-only"]);
    wait_until(Duration::from_secs(20), || {
        goalpost.stack_directory().is_some_and(|dir| dir.join("rabbitmq/mnesia").exists())
    });
    let traces = goalpost.traces(goalpost.stack_directory().unwrap());
    goalpost.signal(Signal::SIGTERM);
    assert_eq!(goalpost.end().code(), Some(143));
    assert_eq!(traces.left(), Vec::<String>::new());
}

#[test]
fn servers_of_the_environment_are_used_as_they_are() {
    let named = [("DATABASE_URL", "postgres://a@127.0.0.1/b"), ("AMQP_URL", "amqp://127.0.0.1/c")];
    let args = ["dev", "--servers-only", "--", "sh", "-c", "env > env"];
    let mut goalpost = Goalpost::start_with(args, &named);
    assert!(goalpost.end().success());
    let environment = std::fs::read_to_string(goalpost.path("env")).unwrap();
    for (name, value) in named {
        assert_eq!(variable(&environment, name), value);
    }
    assert!(!environment.contains("AMQP_MANAGEMENT_URL"));
}

#[test]
fn a_command_that_does_not_exist_is_127() {
    let named = [("DATABASE_URL", "postgres://a@127.0.0.1/b"), ("AMQP_URL", "amqp://127.0.0.1/c")];
    let mut goalpost = Goalpost::start_with(["dev", "--servers-only", "--", "no-such"], &named);
    assert_eq!(goalpost.end().code(), Some(127));
}
