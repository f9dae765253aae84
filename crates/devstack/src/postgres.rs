//! A private PostgreSQL: its programs, its data directory, its process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use tokio_postgres::NoTls;

use crate::account::{Account, give};
use crate::machine::memory_mib;
use crate::place::{Place, server_directory, write_private};
use crate::process::{Launch, Process, find_program, with_tail};
use crate::spawner::Spawner;

/// A crash recovery may come first.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running private PostgreSQL.
pub(crate) struct Postgres {
    plan: Plan,
    pub(crate) process: Process,
    pub(crate) url: String,
    pub(crate) log: PathBuf,
}

/// What a start needs from the stack.
pub(crate) struct Plan {
    bin: PathBuf,
    account: Option<Account>,
    dir: PathBuf,
    log: PathBuf,
    port: u16,
    password: String,
    ephemeral: bool,
}

impl Plan {
    pub(crate) fn new(place: &mut Place) -> anyhow::Result<Self> {
        let dir = place.dir.join("postgres");
        let version = std::fs::read_to_string(dir.join("data/PG_VERSION"));
        Ok(Self {
            bin: find_bin(version.ok().and_then(|text| text.trim().parse().ok()))?,
            account: Account::for_server("postgres")?,
            port: place.port("postgres")?,
            log: place.log("postgres"),
            password: place.memory.postgres_password.clone(),
            ephemeral: place.ephemeral,
            dir,
        })
    }

    /// Makes the data directory at the first start, starts the server, and waits until it
    /// answers.
    pub(crate) async fn start(self, spawner: &Spawner, mark: &str) -> anyhow::Result<Postgres> {
        server_directory(&self.dir, self.account)?;
        if !self.data().exists() {
            self.initialise(spawner, mark).await.map_err(|error| with_tail(error, &self.log))?;
        }
        let url = format!("postgres://postgres:{}@127.0.0.1:{}/postgres", self.password, self.port);
        let process = self.run(&url, spawner, mark).await?;
        Ok(Postgres { process, url, log: self.log.clone(), plan: self })
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Starts the server on its data and waits until it answers.
    async fn run(&self, url: &str, spawner: &Spawner, mark: &str) -> anyhow::Result<Process> {
        let data = self.data();
        let process = self
            .launch("postgres")?
            .args(["-D".into(), data.into_os_string(), "-p".into(), self.port.to_string().into()])
            .args(settings().iter().flat_map(|setting| ["-c", setting]))
            .start(spawner, mark)
            .await?;
        wait_until_ready(&process, url).await.map_err(|error| with_tail(error, &self.log))?;
        Ok(process)
    }

    /// `initdb` into a directory that gets its real name only when it is whole.
    async fn initialise(&self, spawner: &Spawner, mark: &str) -> anyhow::Result<()> {
        let unfinished = self.dir.join("data.unfinished");
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).context("cannot remove an unfinished initdb")?;
        }
        let password = self.dir.join("password");
        write_private(&password, self.password.as_bytes())?;
        give(&password, self.account)?;
        let mut args: Vec<OsString> = vec!["-D".into(), unfinished.clone().into()];
        args.extend(["--pwfile".into(), password.clone().into_os_string()]);
        args.extend(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C.UTF-8"].map(OsString::from));
        if self.ephemeral {
            args.push("--no-sync".into());
        }
        let status = self.launch("initdb")?.args(args).start(spawner, mark).await?.wait().await;
        std::fs::remove_file(&password).context("cannot remove the password file")?;
        if !status.success() {
            bail!("initdb failed ({status})");
        }
        std::fs::rename(&unfinished, self.data()).context("cannot name the data directory")
    }

    fn launch(&self, program: &str) -> anyhow::Result<Launch> {
        // QUIT is PostgreSQL's immediate shutdown: no process, no shared memory is left.
        let program = self.bin.join(program);
        let launch = Launch::background(&program, self.account, Signal::SIGQUIT, &self.log)?;
        Ok(launch.clean_env().current_dir(&self.dir))
    }
}

impl Postgres {
    /// Asks for the immediate shutdown: clients are cut off, the next start recovers.
    pub(crate) fn stop_immediately(&self) {
        self.process.signal(Signal::SIGQUIT);
    }

    /// Starts it again on the same data and port after it was stopped; a crash recovery comes first if it must.
    pub(crate) async fn start_again(&mut self, spawner: &Spawner, mark: &str) -> anyhow::Result<()> {
        self.process = self.plan.run(&self.url, spawner, mark).await?;
        Ok(())
    }

    /// The fast shutdown: clients are cut off, everything is on disk.
    pub(crate) async fn stop(&self) {
        let patience = Duration::from_secs(30);
        let immediately = (Signal::SIGQUIT, Duration::from_secs(6));
        self.process.stop(&[(Signal::SIGINT, patience), immediately]).await;
    }
}

fn settings() -> Vec<String> {
    let shared_buffers_mib = (memory_mib() / 16).clamp(64, 512);
    [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=300",
        "max_locks_per_transaction=256",
        "max_wal_size=4GB",
        "jit=off",
        // What is new has no statistics, and is planned for as if it stayed as small as it was.
        "autovacuum_naptime=5s",
        "timezone=UTC",
        "log_timezone=UTC",
        "log_line_prefix=%m [%p] %q%u@%d ",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([format!("shared_buffers={shared_buffers_mib}MB")])
    .collect()
}

async fn wait_until_ready(process: &Process, url: &str) -> anyhow::Result<()> {
    let limit = Instant::now() + START_LIMIT;
    loop {
        let last = match tokio_postgres::connect(url, NoTls).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if let Some(status) = process.ended() {
            bail!("PostgreSQL ended while starting ({status})");
        }
        if Instant::now() > limit {
            return Err(last).context("PostgreSQL does not answer");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The directory with PostgreSQL's programs: the given major version if there is data of it,
/// else the newest.
fn find_bin(version: Option<u32>) -> anyhow::Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .map(|(version, path)| (version, path.join("bin")))
        .filter(|(_, bin)| is_complete(bin))
        .collect();
    found.sort();
    if let Some(wanted) = version {
        if let Some((_, bin)) = found.into_iter().find(|(version, _)| *version == wanted) {
            return Ok(bin);
        }
        // Outside Debian's directories the server itself says if the version is wrong.
    } else if let Some((_, bin)) = found.pop() {
        return Ok(bin);
    }
    let in_path = find_program("postgres").and_then(|file| Some(file.parent()?.to_owned()));
    match (in_path.filter(|bin| is_complete(bin)), version) {
        (Some(bin), _) => Ok(bin),
        (None, Some(version)) => bail!(
            "the data is of PostgreSQL {version}, which is not installed: install \
             postgresql-{version}, or start afresh by removing .goalpost"
        ),
        (None, None) => bail!("PostgreSQL is not installed: `make demo` installs it, or `apt-get install postgresql`"),
    }
}

fn is_complete(bin: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|program| bin.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_a_version_that_is_missing_is_refused_with_advice() {
        let Err(refusal) = find_bin(Some(7)) else {
            return;
        };
        assert!(refusal.to_string().contains("install postgresql-7"), "{refusal}");
    }
}
