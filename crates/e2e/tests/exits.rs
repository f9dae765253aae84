//! What the real services publish as `workflow.exit.goal` is what the published schema says. Runs the `goalpost` program of
//! the same build.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bus::{Message, Subscription};
use jsonschema::Validator;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use uuid::Uuid;

const START_LIMIT: Duration = Duration::from_secs(60);
const EXIT_LIMIT: Duration = Duration::from_secs(20);

/// Beside the test's own directory `deps`.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("goalpost");
    assert!(program.is_file(), "{} is not built: cargo build --bin goalpost", program.display());
    program
}

/// A `goalpost dev --ephemeral` with servers of its own.
struct Dev {
    child: Child,
    place: Value,
    _dir: tempfile::TempDir,
}

impl Dev {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The servers' users must be able to enter it.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(program());
        command.args(["dev", "--ephemeral", "--json"]).current_dir(&dir).env("TMPDIR", dir.path()).stdin(Stdio::null());
        for name in ["DATABASE_URL", "AMQP_URL", "AMQP_MANAGEMENT_URL"] {
            command.env_remove(name);
        }
        let mut child = command.spawn().unwrap();
        let (path, limit) = (dir.path().join(".goalpost/dev.json"), Instant::now() + START_LIMIT);
        while !path.exists() {
            assert!(child.try_wait().unwrap().is_none(), "goalpost dev ended early");
            assert!(Instant::now() < limit, "goalpost dev did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        let place = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        Self { child, place, _dir: dir }
    }

    fn text(&self, pointer: &str) -> &str {
        self.place.pointer(pointer).and_then(Value::as_str).unwrap()
    }

    async fn post(&self, service: &str, path: &str, secret: &str, body: String) -> Value {
        let url = format!("{}{path}", self.text(&format!("/services/{service}/url")));
        let request = reqwest::Client::new()
            .post(&url)
            .bearer_auth(self.text(secret))
            .header("content-type", "application/json")
            .body(body);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{url}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn configure(&self, path: &str, body: &Value) -> Value {
        self.post("goals", path, "/api_key", body.to_string()).await
    }

    /// An active workflow with these goals, and one contact in it who has two actions to come.
    async fn enrolled(&self, logic: &Value, goals: &[Value], contact: &str) {
        let workflow = json!({"name": contact, "goal_logic": logic});
        let workflow = self.configure("/api/v1/workflows", &workflow).await;
        let path = format!("/api/v1/workflows/{}", workflow["id"].as_str().unwrap());
        for goal in goals {
            self.configure(&format!("{path}/goals"), goal).await;
        }
        self.configure(&format!("{path}/activate"), &json!({})).await;
        let enrollment = json!({"contact_id": contact, "enrolled_at": "2026-01-01T00:00:00Z"});
        let path = format!("{path}/enrollments");
        let enrollment = self.post("evaluator", &path, "/api_key", enrollment.to_string()).await;
        let path = format!("/api/v1/enrollments/{}/actions", enrollment["id"].as_str().unwrap());
        for action_type in ["send_email", "wait"] {
            let action = json!({"action_type": action_type, "scheduled_at": "2099-01-01T00:00:00Z"});
            self.post("evaluator", &path, "/api_key", action.to_string()).await;
        }
    }

    /// `properties` is text, so that its numbers go out as they are written.
    async fn happens(&self, name: &str, contact: &str, properties: &str) {
        let body = format!(
            r#"{{"events": [{{"event_id": "{}", "event_name": "{name}", "occurred_at": "2026-01-03T10:00:00.5Z",
                "contact_id": "{contact}", "properties": {properties}}}]}}"#,
            Uuid::now_v7()
        );
        let answer = self.post("ingest", "/api/v1/events", "/write_token", body).await;
        assert_eq!(answer["accepted"], 1, "{answer}");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
    }
}

fn schema(message: &str) -> Validator {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-schemas");
    let text = fs::read_to_string(schemas.join(message).join("v1.json")).unwrap();
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// Everything that the schema has against it.
fn faults(schema: &Validator, value: &Value) -> Vec<String> {
    let faults = schema.iter_errors(value);
    faults.map(|fault| format!("{}: {fault}", fault.instance_path())).collect()
}

async fn next(subscription: &mut Subscription) -> Message {
    let message = tokio::time::timeout(EXIT_LIMIT, subscription.next()).await;
    message.expect("no exit came").expect("the subscription ended")
}

/// Three contacts, each in a workflow of another logic, and for each what makes it leave.
async fn three_leave(dev: &Dev) {
    let purchase = json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100}});
    let tag = json!({"goal_type": "tag_added", "criteria": {"tag_name": "Customer"}});
    let grade = json!([{"property": "grade", "op": "gte", "value": 2}]);
    let custom = json!({"event_name": "course.finished", "where": grade});
    let custom = json!({"goal_type": "custom_event", "criteria": custom});
    let form = json!({"goal_type": "form_submitted", "criteria": {"any_form": true}});
    let booked = json!({"goal_type": "appointment_booked", "criteria": {"any_appointment": true}});
    let two = [purchase, tag];
    dev.enrolled(&json!("any"), &two, "contact-any").await;
    dev.enrolled(&json!("all"), &two, "contact-all").await;
    dev.enrolled(&json!({"at_least": 2}), &[custom, form, booked], "contact-two").await;

    let bought = r#"{"amount": 100.000, "currency": "USD", "extra": {"kept": "inside"}}"#;
    let tagged = r#"{"tag_name": " customer ", "already_present": false}"#;
    for contact in ["contact-any", "contact-all"] {
        dev.happens("payment.completed", contact, bought).await;
        dev.happens("contact.tag.added", contact, tagged).await;
    }
    let finished = r#"{"grade": 2.5, "course": "rust"}"#;
    dev.happens("course.finished", "contact-two", finished).await;
    dev.happens("form.submitted", "contact-two", r#"{"form_id": "form-1"}"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exit_is_as_the_schema_says() {
    let dev = Dev::start();
    let (exchange, key) = ("goalpost.workflow", "workflow.exit.goal");
    let subscription = Subscription::open(dev.text("/amqp_url"), exchange, key).await;
    let mut subscription = subscription.unwrap();
    three_leave(&dev).await;

    let (envelope, data) = (schema("cloudevent"), schema("workflow.exit.goal"));
    let mut exits = BTreeMap::new();
    for _ in 0..3 {
        let message = next(&mut subscription).await;
        let text = String::from_utf8(message.body.to_vec()).unwrap();
        let exit: Value = serde_json::from_str(&text).unwrap();
        let faults = [faults(&envelope, &exit), faults(&data, &exit["data"])].concat();
        assert!(faults.is_empty(), "{faults:#?} in {text}");
        let content_type = message.content_type.as_deref();
        assert_eq!(content_type, Some("application/cloudevents+json"));
        assert_eq!(message.message_id.unwrap().to_string(), exit["id"].as_str().unwrap());
        assert_eq!(exit["data"]["cancelled_actions"], 2, "{text}");
        let achievements = exit["data"]["achievements"].as_array().unwrap().len();
        let contact = exit["data"]["contact_id"].as_str().unwrap().to_owned();
        exits.insert(contact, (achievements, text));
    }
    let achievements = exits.iter().map(|(contact, (count, _))| (contact.as_str(), *count));
    let expected = [("contact-all", 2), ("contact-any", 1), ("contact-two", 2)];
    assert_eq!(achievements.collect::<Vec<_>>(), expected);
    let any = &exits["contact-any"].1;
    assert!(any.contains(r#""amount":100.000"#), "the digits of the sender: {any}");
}
