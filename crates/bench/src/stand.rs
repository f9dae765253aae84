//! What is measured: a `goalpost dev --ephemeral` of the same build, with 100 tenants.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use load::finish::Servers;
use load::place::{Place, Services};
use load::setup::{self, Tenant};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// As many as rows with many tenants have.
pub const MANY_TENANTS: u64 = 100;
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(60);

pub struct Stand {
    pub place: Place,
    pub tenants: Vec<Tenant>,
    /// The superuser.
    pub database: Client,
    pub idle_mib: Vec<(&'static str, f64)>,
    program: PathBuf,
    dev: Dev,
}

/// From the start of the services until they are idle.
const SETTLED: Duration = Duration::from_secs(5);

/// The process, ended with its directory.
struct Dev {
    child: Child,
    dir: TempDir,
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.end();
    }
}

impl Dev {
    fn end(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let limit = Instant::now() + STOP_LIMIT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Stand {
    /// Starts it. The program is the `goalpost` beside this one.
    pub async fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("goalpost");
        ensure!(program.is_file(), "{} is not built: cargo build --release", program.display());
        let dir =
            tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).prefix("goalpost-bench-").tempdir()?;
        let mut command = Command::new(&program);
        command.args(["dev", "--ephemeral", "--json"]).current_dir(&dir).stdin(Stdio::null()).stdout(Stdio::null());
        for name in ["DATABASE_URL", "AMQP_URL", "AMQP_MANAGEMENT_URL"] {
            command.env_remove(name);
        }
        let mut dev = Dev { child: command.spawn().context("cannot start goalpost dev")?, dir };
        let (path, limit) = (dev.dir.path().join(".goalpost/dev.json"), Instant::now() + START_LIMIT);
        while !path.exists() {
            if let Some(status) = dev.child.try_wait()? {
                bail!("goalpost dev ended ({status})");
            }
            ensure!(Instant::now() < limit, "goalpost dev did not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let place = Place::read(&path)?;
        let database = connect(&place.database_url).await?;
        // Before anything was asked of them, and after what starting takes was given back.
        tokio::time::sleep(SETTLED).await;
        let idle_mib = resident(&program, &place.services)?;
        let tenants = setup::tenants(&place, MANY_TENANTS).await?;
        Ok(Self { place, tenants, database, idle_mib, program, dev })
    }

    /// Ends everything that was started.
    pub async fn stop(self) {
        let mut dev = self.dev;
        // Its end is waited for; nothing else is left to do in this process.
        dev.end();
    }

    /// The first so many tenants.
    pub fn tenants(&self, count: u64) -> &[Tenant] {
        &self.tenants[..usize::try_from(count).unwrap_or(usize::MAX).min(self.tenants.len())]
    }

    pub fn servers(&self) -> anyhow::Result<Servers<'_>> {
        let place = &self.place;
        Ok(Servers { database: &self.database, management_url: place.management_url()?, vhost: place.vhost()? })
    }

    /// The login of a service: the superuser's address and password with another name.
    pub async fn login(&self, role: &str) -> anyhow::Result<Client> {
        let mut url = reqwest::Url::parse(&self.place.database_url)?;
        ensure!(url.set_username(role).is_ok(), "the database's address has no host");
        connect(url.as_str()).await
    }

    /// Megabytes that each service holds now.
    pub fn resident(&self) -> anyhow::Result<Vec<(&'static str, f64)>> {
        resident(&self.program, &self.place.services)
    }

    /// `goalpost` with these arguments, in the stand's directory, to its end.
    pub async fn goalpost(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(&self.dev.dir).stdin(Stdio::null()).stderr(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        ensure!(output.status.success(), "goalpost {} ended with {}", args.join(" "), output.status);
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Connects. The connection ends with its client.
#[expect(clippy::disallowed_methods, reason = "ends with the client, which hears of its errors")]
async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("cannot connect to PostgreSQL")?;
    tokio::spawn(connection);
    Ok(client)
}

/// The resident memory of the four services: processes of this program that have the service's port.
fn resident(program: &PathBuf, services: &Services) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let of = [
        ("ingest", &services.ingest),
        ("goals", &services.goals),
        ("evaluator", &services.evaluator),
        ("analytics", &services.analytics),
    ];
    let mut found = Vec::new();
    for (name, address) in of {
        let port = address.url.rsplit(':').next().context("a service's address has no port")?;
        let wanted = format!("GOALPOST__HTTP__PORT={port}");
        let mut mib = None;
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let process = entry.path();
            if std::fs::read_link(process.join("exe")).ok().as_ref() != Some(program) {
                continue;
            }
            let environment = std::fs::read(process.join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
                mib = resident_mib(&std::fs::read_to_string(process.join("status"))?);
            }
        }
        found.push((name, mib.with_context(|| format!("the process of {name} was not found"))?));
    }
    Ok(found)
}

fn resident_mib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib / 1_024.0)
}
