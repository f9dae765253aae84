//! A service as a process of its own, of the `goalpost` program of the same build: for tests in which it dies.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use uuid::Uuid;

use crate::{Database, Vhost};

/// Longest wait for it to begin or to end.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process. Killed with this, if it still runs.
pub struct Program {
    child: Child,
    /// Its public port.
    pub url: String,
}

impl Program {
    /// Starts `goalpost serve SERVICE`, with a crash point armed (`crates/crash`), and waits until its ports are open.
    pub async fn serve(service: &str, database: &Database, vhost: &Vhost, crash: &str) -> anyhow::Result<Self> {
        let announced = std::env::temp_dir().join(format!("{service}-{}.json", Uuid::now_v7()));
        let settings = database.settings(service);
        let child = Command::new(program()?)
            .args(["serve", service])
            .env("GOALPOST__DATABASE__URL", &settings.url)
            .env("GOALPOST__DATABASE__SYSTEM_URL", &settings.system_url)
            .env("GOALPOST__BUS__URL", vhost.amqp_url())
            .env("GOALPOST__HTTP__PORT", "0")
            .env("GOALPOST__HTTP__ADMIN_PORT", "0")
            .env("GOALPOST__HTTP__ANNOUNCE_FILE", &announced)
            .env("GOALPOST_CRASH", crash)
            .spawn()
            .context("the program cannot be started")?;
        let mut program = Self { child, url: String::new() };
        let begun = Instant::now();
        let text = loop {
            match std::fs::read_to_string(&announced) {
                Ok(text) => break text,
                Err(error) => anyhow::ensure!(begun.elapsed() < PATIENCE, "{service} opened no port: {error}"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        std::fs::remove_file(&announced)?;
        let addresses: Value = serde_json::from_str(&text)?;
        addresses["url"].as_str().context("no address was announced")?.clone_into(&mut program.url);
        Ok(program)
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "the process goes on");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Beside the directory `deps` of this test.
fn program() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let program = test.ancestors().nth(2).context("a test without a directory")?.join("goalpost");
    anyhow::ensure!(program.is_file(), "{} is not built: cargo build --workspace --bin goalpost", program.display());
    Ok(program)
}
