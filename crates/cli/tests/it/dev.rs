//! `goalpost dev`: four services from nothing, the same again at the next start, nothing left.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::goalpost::{Goalpost, exists};

const DEV_JSON: &str = ".goalpost/dev.json";
const SERVICES: [&str; 4] = ["ingest", "goals", "evaluator", "analytics"];

fn data(goalpost: &Goalpost) -> PathBuf {
    goalpost.path(".goalpost/data").canonicalize().unwrap()
}

fn place(goalpost: &mut Goalpost) -> Value {
    serde_json::from_str(&goalpost.file(DEV_JSON)).unwrap()
}

fn text<'a>(place: &'a Value, pointer: &str) -> &'a str {
    place.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
}

/// Whether the service says that it is ready.
async fn is_ready(place: &Value, service: &str) -> bool {
    let admin = text(place, &format!("/services/{service}/admin_url"));
    let answer = reqwest::get(format!("{admin}/health/ready")).await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

/// Sends one purchase and gives how many events were accepted and how many were there already.
async fn send(place: &Value, event_id: Uuid) -> (Value, Value) {
    let url = format!("{}/events", text(place, "/services/ingest/url"));
    let event = json!({
        "event_id": event_id, "event_name": "payment.completed",
        "occurred_at": "2026-01-03T10:00:00Z", "contact_id": "c-1", "properties": {"amount": 150.00},
    });
    let request = reqwest::Client::new().post(url).bearer_auth(text(place, "/write_token"));
    let answer = request.json(&json!({"events": [event]})).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{status} {text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    (answer["accepted"].clone(), answer["duplicates"].clone())
}

/// What the admin key of `demo` and the operator's key are answered.
async fn configure(place: &Value) -> [u16; 2] {
    let goals = text(place, "/services/goals/url");
    let get = async |path: &str, key: &str| {
        let request = reqwest::Client::new().get(format!("{goals}{path}"));
        request.bearer_auth(text(place, key)).send().await.unwrap().status().as_u16()
    };
    [get("/api/v1/workflows", "/api_key").await, get("/api/v1/tenants/demo", "/operator_key").await]
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_up_and_stays_at_the_next_start() {
    let mut goalpost = Goalpost::start(["dev"]);
    let place_1 = place(&mut goalpost);
    let mode = goalpost.path(DEV_JSON).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(text(&place_1, "/tenant_id"), "demo");
    for service in SERVICES {
        assert!(is_ready(&place_1, service).await, "{service}");
    }
    assert_eq!(configure(&place_1).await, [200, 200]);
    let event_id = Uuid::now_v7();
    assert_eq!(send(&place_1, event_id).await, (json!(1), json!(0)));

    // A service that is killed comes back where it was.
    let before = goalpost.children(&["serve", "ingest"]);
    assert_eq!(before.len(), 1);
    kill(before[0], Signal::SIGKILL).unwrap();
    let limit = std::time::Instant::now() + Duration::from_secs(20);
    while goalpost.children(&["serve", "ingest"]) == before || !is_ready(&place_1, "ingest").await {
        assert!(std::time::Instant::now() < limit, "ingest did not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(send(&place_1, event_id).await, (json!(0), json!(1)));

    let traces = goalpost.traces(data(&goalpost));
    goalpost.signal(Signal::SIGTERM);
    assert_eq!(goalpost.end().code(), Some(0));
    assert!(!exists(goalpost.path(DEV_JSON)));
    assert_eq!(traces.left(), [traces.directory().display().to_string()], "only the data is left");

    let mut goalpost = Goalpost::start_in(goalpost.into_dir(), ["dev"], &[]);
    let place_2 = place(&mut goalpost);
    assert_eq!(place_1, place_2, "the same addresses and secrets");
    assert_eq!(send(&place_2, event_id).await, (json!(0), json!(1)));
    let traces = goalpost.traces(data(&goalpost));
    goalpost.signal(Signal::SIGKILL);
    assert_eq!(goalpost.end().signal(), Some(9));
    let only_data = [traces.directory().display().to_string()];
    crate::goalpost::wait_until(Duration::from_secs(5), || {
        !exists(goalpost.path(DEV_JSON)) && traces.left() == only_data
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_one_leaves_nothing() {
    let mut goalpost = Goalpost::start(["dev", "--ephemeral", "--json"]);
    let place = place(&mut goalpost);
    assert!(is_ready(&place, "evaluator").await);
    let traces = goalpost.traces(goalpost.stack_directory().unwrap());
    goalpost.signal(Signal::SIGINT);
    assert_eq!(goalpost.end().code(), Some(0));
    assert_eq!(traces.left(), Vec::<String>::new());
    assert!(!exists(goalpost.path(".goalpost")), "it was made by this start");
}
