//! A whole service in little: it writes down what happens to it. The tests of this crate run it as a
//! process, with signals and all.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use goalpost_runtime::{Context, Life};
use serde::Deserialize;

const DEFAULTS: &str = r#"
[life]
grace_seconds = 0

[example]
# A file that gets a line for every stage.
journal = "/dev/null"
# What the worker does: "work", "return", "fail", "panic" or "hang".
worker = "work"
# Wait before the service has started.
start_ms = 0
password = ""
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    life: Life,
    example: Example,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    journal: PathBuf,
    worker: String,
    start_ms: u64,
    password: String,
}

fn main() -> ExitCode {
    goalpost_runtime::main("minimal", DEFAULTS, start)
}

async fn start(context: Context<Settings>) -> anyhow::Result<()> {
    let Context { settings: Settings { life, example }, tasks, shutdown, .. } = context;
    let journal = example.journal;
    let (stopping, draining) = (shutdown.stopping(), shutdown.draining());
    let flushing = shutdown.flushing();
    tokio::time::sleep(Duration::from_millis(example.start_ms)).await;
    anyhow::ensure!(example.worker != "unstartable", "cannot be started");
    write(&journal, &format!("started {} {}", life.grace_seconds, example.password))?;
    let pages = journal.clone();
    tasks.spawn("worker", async move {
        match example.worker.as_str() {
            "return" => return Ok(()),
            "fail" => anyhow::bail!("out of luck"),
            "panic" => panic!("out of luck"),
            "hang" => std::future::pending().await,
            _ => {}
        }
        stopping.cancelled().await;
        write(&pages, "stopping")?;
        draining.cancelled().await;
        write(&pages, "draining")
    });
    tasks.spawn_last("relay", async move {
        flushing.cancelled().await;
        write(&journal, "flushing")
    });
    Ok(())
}

fn write(journal: &std::path::Path, line: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(journal)?;
    Ok(writeln!(file, "{line}")?)
}
