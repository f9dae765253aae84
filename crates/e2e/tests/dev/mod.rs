//! A whole Goalpost: `goalpost dev` of the same build, with servers of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use uuid::Uuid;

const START_LIMIT: Duration = Duration::from_secs(60);

/// Beside the test's own directory `deps`.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("goalpost");
    assert!(program.is_file(), "{} is not built: cargo build --bin goalpost", program.display());
    program
}

/// A `goalpost dev --ephemeral` with servers of its own.
pub struct Dev {
    child: Child,
    place: Value,
    dir: tempfile::TempDir,
}

impl Dev {
    /// With these settings of the services, as variables of the environment.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The servers' users must be able to enter it.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(program());
        command.args(["dev", "--ephemeral", "--json"]).current_dir(&dir).env("TMPDIR", dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.envs(settings.iter().copied());
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
        Self { child, place, dir }
    }

    /// Where it was started: `goalpost env` tells its addresses there.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What `dev.json` says.
    pub fn place(&self) -> &Value {
        &self.place
    }

    pub fn text(&self, pointer: &str) -> &str {
        self.place().pointer(pointer).and_then(Value::as_str).unwrap()
    }

    async fn post(&self, service: &str, path: &str, secret: &str, body: String) -> Value {
        self.send(service, path, (secret, None), body).await
    }

    async fn send(
        &self,
        service: &str,
        path: &str,
        (secret, traceparent): (&str, Option<&str>),
        body: String,
    ) -> Value {
        let url = format!("{}{path}", self.text(&format!("/services/{service}/url")));
        let request = reqwest::Client::new()
            .post(&url)
            .bearer_auth(self.text(secret))
            .header("content-type", "application/json")
            .body(body);
        let request = traceparent.into_iter().fold(request, |request, trace| request.header("traceparent", trace));
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{url}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn configure(&self, path: &str, body: &Value) -> Value {
        self.post("goals", path, "/api_key", body.to_string()).await
    }

    /// An active workflow with these goals, and one contact in it who has two actions to come.
    pub async fn enrolled(&self, logic: &Value, goals: &[Value], contact: &str) {
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
    pub async fn happens(&self, name: &str, contact: &str, properties: &str) {
        self.happens_in(None, name, contact, properties).await;
    }

    /// The same, in the trace of the sender.
    pub async fn happens_in(&self, traceparent: Option<&str>, name: &str, contact: &str, properties: &str) {
        let body = format!(
            r#"{{"events": [{{"event_id": "{}", "event_name": "{name}", "occurred_at": "2026-01-03T10:00:00.5Z",
                "contact_id": "{contact}", "properties": {properties}}}]}}"#,
            Uuid::now_v7()
        );
        let answer = self.send("ingest", "/api/v1/events", ("/write_token", traceparent), body).await;
        assert_eq!(answer["accepted"], 1, "{answer}");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
    }
}
