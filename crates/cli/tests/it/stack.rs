//! What only the library shows: data that stays, services that are kept running.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use devstack::{Options, Stack};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_postgres::{Client, NoTls};

use crate::goalpost::{PROGRAM, Traces, enterable_directory, exists};

fn persistent(home: &Path) -> Options {
    Options::persistent(home).with_guard_program(PROGRAM)
}

async fn connect(stack: &Stack) -> Client {
    let (client, connection) = tokio_postgres::connect(stack.database_url(), NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the client")]
    tokio::spawn(connection);
    client
}

/// Publishes to, or reads from, a durable quorum queue over the management API.
async fn queue(stack: &Stack, what: &str, body: &serde_json::Value) -> serde_json::Value {
    let address = format!("{}/api/{what}", stack.management_url().unwrap());
    let request = reqwest::Client::new();
    let request = if what.ends_with("/kept") { request.put(address) } else { request.post(address) };
    let answer = request.json(body).send().await.unwrap().error_for_status().unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn persistent_data_is_there_at_the_next_start() {
    let dir = enterable_directory();
    let home = dir.path().join("home");
    let mut stack = Stack::start(persistent(&home)).await.unwrap();
    let url = stack.database_url().to_owned();
    let port = stack.port("ingest").unwrap();
    let client = connect(&stack).await;
    client.execute("CREATE TABLE kept AS SELECT 42 AS answer", &[]).await.unwrap();
    let quorum = serde_json::json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    queue(&stack, "queues/%2f/kept", &quorum).await;
    let message = serde_json::json!({
        "routing_key": "kept", "payload": "still here", "payload_encoding": "string",
        "properties": {"delivery_mode": 2},
    });
    let published = queue(&stack, "exchanges/%2f/amq.default/publish", &message).await;
    assert_eq!(published["routed"], true);
    let announced = stack.publish("dev.json", b"{}").unwrap();
    assert_eq!(announced, home.join("dev.json"));

    let refusal = Stack::start(persistent(&home)).await.map(drop).unwrap_err().to_string();
    assert!(refusal.contains("already runs here"), "{refusal}");
    assert!(refusal.contains(&std::process::id().to_string()), "{refusal}");

    let traces = Traces::of(stack.dir().to_owned());
    stack.stop().await.unwrap();
    assert!(!exists(&announced));
    assert_eq!(traces.left(), [traces.directory().display().to_string()], "only the data is left");

    let mut stack = Stack::start(persistent(&home)).await.unwrap();
    assert_eq!(stack.database_url(), url, "the same port and password");
    assert_eq!(stack.port("ingest").unwrap(), port);
    let row = connect(&stack).await.query_one("SELECT answer FROM kept", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
    let get = serde_json::json!({"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"});
    let got = queue(&stack, "queues/%2f/kept/get", &get).await;
    assert_eq!(got[0]["payload"], "still here");
    stack.stop().await.unwrap();
    std::fs::remove_dir_all(traces.directory()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_dies_is_started_again_and_stopped_in_order() {
    let dir = enterable_directory();
    let options = Options::ephemeral(dir.path().join("home")).with_guard_program(PROGRAM);
    let mut stack = Stack::start(options).await.unwrap();
    let script = "echo \"started with $COLOUR\"; trap 'echo asked to stop; exit 0' TERM; \
                  while :; do sleep 0.05; done";
    let command: Vec<OsString> = ["sh", "-c", script].map(Into::into).into();
    let env = [("COLOUR".to_owned(), "green".to_owned())];
    stack.spawn_service("painter", &command, &env).await.unwrap();
    let first = stack.service("painter").unwrap().pid.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;

    kill(Pid::from_raw(first.try_into().unwrap()), Signal::SIGKILL).unwrap();
    let limit = std::time::Instant::now() + Duration::from_secs(10);
    let second = loop {
        let state = stack.service("painter").unwrap();
        if let Some(pid) = state.pid.filter(|_| state.restarts == 1) {
            assert!(state.last_end.unwrap().contains("SIGKILL"));
            break pid;
        }
        assert!(std::time::Instant::now() < limit, "{state:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_ne!(first, second);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let log = stack.log("painter");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "started with green\n".repeat(2));

    // A hard link shows what the log holds after the directory is gone.
    let kept = log.parent().unwrap().parent().unwrap().parent().unwrap().join(format!("{second}.log"));
    std::fs::hard_link(&log, &kept).unwrap();
    let traces = Traces::of(stack.dir().to_owned());
    stack.stop().await.unwrap();
    assert_eq!(traces.left(), Vec::<String>::new());
    let output = std::fs::read_to_string(&kept).unwrap();
    std::fs::remove_file(&kept).unwrap();
    assert!(output.ends_with("asked to stop\n"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_is_dropped_leaves_nothing() {
    let dir = enterable_directory();
    let options = Options::ephemeral(dir.path().join("home")).with_guard_program(PROGRAM);
    let mut stack = Stack::start(options).await.unwrap();
    let command: Vec<OsString> = ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"].map(Into::into).into();
    stack.spawn_service("stubborn", &command, &[]).await.unwrap();
    let traces = Traces::of(stack.dir().to_owned());
    tokio::task::spawn_blocking(move || drop(stack)).await.unwrap();
    assert_eq!(traces.left(), Vec::<String>::new());
}
