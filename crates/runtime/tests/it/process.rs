//! The example as a process: exit codes, what it prints, signals, a secret that changes.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// `target/debug/examples/minimal`, beside this test's own binary.
fn example() -> Command {
    let mut directory = std::env::current_exe().unwrap();
    while directory.file_name().is_some_and(|name| name != "deps") {
        directory.pop();
    }
    let mut command = Command::new(directory.with_file_name("examples").join("minimal"));
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn refused(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(status.code(), Some(64), "{}", text(&stdout));
    assert_eq!(text(&stderr).lines().count(), 1, "{}", text(&stderr));
    text(&stderr).to_owned()
}

/// A running example and the journal it writes.
struct Running {
    child: Child,
    directory: TempDir,
}

impl Running {
    fn start(variables: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        let mut command = example();
        command.env("GOALPOST__EXAMPLE__JOURNAL", directory.path().join("journal"));
        let child = command.envs(variables.iter().copied()).spawn().unwrap();
        Self { child, directory }
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.journal_path()).unwrap_or_default()
    }

    fn journal_path(&self) -> PathBuf {
        self.directory.path().join("journal")
    }

    fn await_journal(&self, wanted: &str) {
        let limit = Instant::now() + Duration::from_secs(20);
        while !self.journal().contains(wanted) {
            assert!(Instant::now() < limit, "no {wanted:?} in {:?}", self.journal());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn ended(&mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn bad_settings_and_arguments_exit_with_64_and_one_sentence() {
    let said = refused(example().env("GOALPOST__EXAMPLE__WROKER", "x"));
    let start = "minimal: unknown setting `example.wroker` (from GOALPOST__EXAMPLE__WROKER)";
    assert!(said.starts_with(start), "{said}");
    let said = refused(example().args(["--config", "/nowhere.toml"]));
    assert!(said.contains("/nowhere.toml"), "{said}");
    assert!(refused(example().arg("--config")).contains("wants a file"));
    assert!(refused(example().arg("--verbose")).contains("unknown argument --verbose; usage: "));
}

#[test]
fn check_config_prints_the_effective_settings() {
    let mut command = example();
    command.arg("--check-config").env("GOALPOST__EXAMPLE__PASSWORD", "hunter2");
    let output = command.env("GOALPOST__LIFE__GRACE_SECONDS", "9").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let settings: toml::Table = text(&output.stdout).parse().unwrap();
    assert_eq!(settings["life"]["grace_seconds"].as_integer(), Some(9));
    assert_eq!(settings["example"]["password"].as_str(), Some("[redacted]"));
    assert_eq!(settings["example"]["worker"].as_str(), Some("work"));
}

#[test]
fn sigterm_ends_in_stages_with_0() {
    for signal in ["-TERM", "-INT"] {
        let mut running = Running::start(&[]);
        running.await_journal("started 0");
        running.signal(signal);
        let (code, log) = running.ended();
        assert_eq!(code, Some(0), "{log}");
        assert_eq!(running.journal(), "started 0 \nstopping\ndraining\nflushing\n");
        assert!(log.lines().all(|line| line.starts_with('{')), "JSON lines: {log}");
    }
}

#[test]
fn a_dead_task_ends_the_process_with_its_reason() {
    for (worker, reason) in [
        ("return", "task `worker` ended unasked"),
        ("fail", "task `worker` failed: out of luck"),
        ("panic", "task `worker` panicked: out of luck"),
        ("unstartable", "minimal could not start: cannot be started"),
    ] {
        let mut running =
            Running::start(&[("GOALPOST__EXAMPLE__WORKER", worker), ("GOALPOST__LIFE__GRACE_SECONDS", "60")]);
        let (code, log) = running.ended();
        assert_eq!(code, Some(1), "{worker}: {log}");
        assert!(log.contains(reason), "{worker}: {log}");
    }
}

#[test]
fn a_second_signal_skips_to_the_end() {
    let mut running = Running::start(&[
        ("GOALPOST__EXAMPLE__WORKER", "hang"),
        ("GOALPOST__LIFE__GRACE_SECONDS", "60"),
        ("GOALPOST__LIFE__DRAIN_SECONDS", "60"),
    ]);
    running.await_journal("started");
    let began = Instant::now();
    running.signal("-TERM");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(running.child.try_wait().unwrap(), None, "the first one waits");
    running.signal("-TERM");
    let (code, log) = running.ended();
    assert_eq!(code, Some(1));
    assert!(log.contains("not finished in time, aborted: worker"), "{log}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_signal_gives_up_a_start_that_waits() {
    let mut running = Running::start(&[("GOALPOST__EXAMPLE__START_MS", "60000")]);
    // Until the handlers are there, a signal simply kills.
    std::thread::sleep(Duration::from_millis(500));
    running.signal("-TERM");
    let (code, log) = running.ended();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(running.journal(), "");
}

#[test]
fn a_changed_secret_starts_the_service_again() {
    let secrets = TempDir::new().unwrap();
    let secret = secrets.path().join("password");
    put(&secret, "first\n");
    let mut running = Running::start(&[
        ("GOALPOST__EXAMPLE__PASSWORD_FILE", secret.to_str().unwrap()),
        ("GOALPOST__LIFE__SECRET_POLL_SECONDS", "1"),
    ]);
    running.await_journal("started 0 first\n");
    put(&secret, "second\n");
    running.await_journal("started 0 second\n");
    let journal = "started 0 first\nstopping\ndraining\nflushing\nstarted 0 second\n";
    assert_eq!(running.journal(), journal);
    // One that cannot be used is left alone.
    put(&secret, "");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(running.journal(), journal);
    running.signal("-TERM");
    let (code, log) = running.ended();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("first") && !log.contains("second"), "{log}");
}

/// Replaces a file in one piece, as those who mount secrets do.
fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}
