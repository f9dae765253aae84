//! One process of a service: `goalpost serve …` of the same build.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::balancer::Endpoint;
use crate::place::Place;

const START_LIMIT: Duration = Duration::from_secs(60);
/// What Kubernetes gives a pod unless it is told otherwise; then it kills.
const END_LIMIT: Duration = Duration::from_secs(30);

pub struct Replica {
    child: Child,
    log: PathBuf,
    pub endpoint: Arc<Endpoint>,
}

/// Beside the test's own directory `deps`.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("goalpost");
    assert!(program.is_file(), "{} is not built: cargo build --bin goalpost", program.display());
    program
}

impl Replica {
    /// Starts a process; it need not be ready when this returns.
    pub async fn start(place: &Place, service: &str, name: &str) -> Self {
        let file = |ending: &str| place.directory.path().join(format!("{name}.{ending}"));
        let (announced, log) = (file("json"), file("log"));
        let output = File::create(&log).unwrap();
        let mut command = Command::new(program());
        command
            .args(["serve", service])
            .envs(place.environment(service))
            .env("GOALPOST__HTTP__ANNOUNCE_FILE", &announced)
            .stdin(std::process::Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let limit = Instant::now() + START_LIMIT;
        while !announced.exists() {
            assert!(child.try_wait().unwrap().is_none(), "{name} ended early:\n{}", tail(&log));
            assert!(Instant::now() < limit, "{name} did not start:\n{}", tail(&log));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let addresses: Value = serde_json::from_str(&std::fs::read_to_string(&announced).unwrap()).unwrap();
        let address = |key: &str| addresses[key].as_str().unwrap().to_owned();
        let endpoint = Arc::new(Endpoint::new(name, address("url"), address("admin_url")));
        Self { child, log, endpoint }
    }

    /// SIGTERM; how long it took to end.
    pub async fn terminate(&mut self) -> Duration {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap());
        let asked = Instant::now();
        self.endpoint.terminated(asked);
        kill(pid, Signal::SIGTERM).unwrap();
        let status = tokio::time::timeout(END_LIMIT, self.child.wait()).await;
        let name = &self.endpoint.name;
        let status: ExitStatus = status.unwrap_or_else(|_| panic!("{name} did not end:\n{}", tail(&self.log))).unwrap();
        assert_eq!(status.code(), Some(0), "{name}: {status}:\n{}", tail(&self.log));
        asked.elapsed()
    }
}

/// The end of a log.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
