//! A private RabbitMQ: its configuration, its port mapper, its process.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::account::{Account, give};
use crate::machine::memory_mib;
use crate::place::{Place, server_directory};
use crate::process::{Launch, Process, find_program, with_tail};
use crate::spawner::Spawner;

const START_LIMIT: Duration = Duration::from_secs(90);
const USER: &str = "goalpost";

/// How often a quorum queue reports its length. The broker's own default of 5 s would make
/// [`queue_totals`](crate::broker::queue_totals) slow; 10 queues cost 3 % of a core this way.
const QUEUE_REPORT_MS: u32 = 100;

/// A running private RabbitMQ.
pub(crate) struct Rabbitmq {
    plan: Plan,
    pub(crate) process: Process,
    port_mapper: Process,
    pub(crate) amqp_url: String,
    pub(crate) management_url: String,
    pub(crate) log: PathBuf,
}

/// What a start needs from the stack.
pub(crate) struct Plan {
    server: PathBuf,
    epmd: PathBuf,
    account: Option<Account>,
    dir: PathBuf,
    log: PathBuf,
    ports: Ports,
    node: String,
    cookie: String,
    password: String,
    ephemeral: bool,
}

struct Ports {
    amqp: u16,
    management: u16,
    metrics: u16,
    port_mapper: u16,
    distribution: u16,
}

impl Plan {
    pub(crate) fn new(place: &mut Place) -> anyhow::Result<Self> {
        Ok(Self {
            server: find_server()?,
            epmd: find_program("epmd").context("Erlang's epmd is not in PATH: install the package erlang-base")?,
            account: Account::for_server("rabbitmq")?,
            dir: place.dir.join("rabbitmq"),
            log: place.log("rabbitmq"),
            ports: Ports {
                amqp: place.port("amqp")?,
                management: place.port("amqp_management")?,
                metrics: place.port("amqp_metrics")?,
                port_mapper: place.port("epmd")?,
                distribution: place.port("amqp_distribution")?,
            },
            node: place.memory.node.clone(),
            cookie: place.memory.cookie.clone(),
            password: place.memory.rabbitmq_password.clone(),
            ephemeral: place.ephemeral,
        })
    }

    /// Starts the port mapper, then the broker, and waits until it speaks AMQP.
    pub(crate) async fn start(self, spawner: &Spawner, mark: &str) -> anyhow::Result<Rabbitmq> {
        server_directory(&self.dir, self.account)?;
        self.write("rabbitmq.conf", &self.configuration(), 0o600)?;
        self.write("enabled_plugins", "[rabbitmq_management,rabbitmq_prometheus].\n", 0o600)?;
        self.write(".erlang.cookie", &self.cookie, 0o400)?;

        // A broker that finds no port mapper starts one that outlives it; so it finds one.
        let port_mapper = self
            .launch(&self.epmd)?
            .args(["-address", "127.0.0.1", "-port", &self.ports.port_mapper.to_string()])
            .start(spawner, mark)
            .await?;
        wait_for(&port_mapper, "epmd", || accepts(self.ports.port_mapper))
            .await
            .map_err(|error| with_tail(error, &self.log))?;

        let process = self.run(spawner, mark).await?;
        let (user, password) = (USER, &self.password);
        Ok(Rabbitmq {
            process,
            port_mapper,
            amqp_url: format!("amqp://{user}:{password}@127.0.0.1:{}/%2f", self.ports.amqp),
            management_url: format!("http://{user}:{password}@127.0.0.1:{}", self.ports.management),
            log: self.log.clone(),
            plan: self,
        })
    }

    /// Starts the broker beside its port mapper and waits until it speaks AMQP.
    async fn run(&self, spawner: &Spawner, mark: &str) -> anyhow::Result<Process> {
        let launch = self.launch(&self.server)?;
        let process = self.environment(launch).start(spawner, mark).await?;
        wait_for(&process, "RabbitMQ", || speaks_amqp(self.ports.amqp))
            .await
            .map_err(|error| with_tail(error, &self.log))?;
        Ok(process)
    }

    fn configuration(&self) -> String {
        let Ports { amqp, management, metrics, .. } = self.ports;
        let memory_mib = (memory_mib() / 4).clamp(256, 2048);
        let password = &self.password;
        format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             prometheus.tcp.ip = 127.0.0.1\n\
             prometheus.tcp.port = {metrics}\n\
             default_user = {USER}\n\
             default_pass = {password}\n\
             collect_statistics_interval = 1000\n\
             vm_memory_high_watermark.absolute = {memory_mib}MiB\n\
             raft.wal_max_size_bytes = 67108864\n"
        )
    }

    fn launch(&self, program: &Path) -> anyhow::Result<Launch> {
        // The broker loses nothing by a KILL that it confirmed, and takes seconds to go otherwise.
        let launch = Launch::background(program, self.account, Signal::SIGKILL, &self.log)?;
        Ok(launch.clean_env().env("HOME", &self.dir).current_dir(&self.dir))
    }

    /// Everything the broker would look for in system directories is sent to its own.
    fn environment(&self, launch: Launch) -> Launch {
        let arguments = format!(
            "+sbwt none +sbwtdcpu none +sbwtdio none \
             -kernel inet_dist_use_interface {{127,0,0,1}} \
             -rabbit quorum_tick_interval {QUEUE_REPORT_MS}"
        );
        let own = |name: &str| self.dir.join(name).into_os_string();
        launch
            // The script becomes the broker instead of waiting for it as a child.
            .env("RUNNING_UNDER_SYSTEMD", "1")
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.ports.port_mapper.to_string())
            .env("RABBITMQ_DIST_PORT", self.ports.distribution.to_string())
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", arguments)
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", own("rabbitmq.conf"))
            .env("RABBITMQ_CONFIG_FILES", own("conf.d"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", own("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", own("enabled_plugins"))
            .env("RABBITMQ_PLUGINS_EXPAND_DIR", own("plugins"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", own("generated"))
            .env("RABBITMQ_LOG_BASE", own("log"))
            .env("RABBITMQ_MNESIA_BASE", own("mnesia"))
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        crate::place::write_private(&path, text.as_bytes())?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        give(&path, self.account)
    }
}

impl Rabbitmq {
    pub(crate) fn kill(&self) {
        self.process.signal(Signal::SIGKILL);
        self.port_mapper.signal(Signal::SIGKILL);
    }

    /// Ends the broker alone, by force or by its own orderly shutdown.
    pub(crate) async fn stop_broker(&self, orderly: bool) {
        let asked = [(Signal::SIGTERM, Duration::from_secs(60))];
        self.process.stop(if orderly { &asked } else { &[] }).await;
    }

    /// Starts the broker again with the same name, data and ports.
    pub(crate) async fn start_again(&mut self, spawner: &Spawner, mark: &str) -> anyhow::Result<()> {
        self.process = self.plan.run(spawner, mark).await?;
        Ok(())
    }

    /// Runs `rabbitmqctl` against the broker.
    pub(crate) async fn control(&self, args: &[&str], spawner: &Spawner, mark: &str) -> anyhow::Result<()> {
        let program = self.plan.server.with_file_name("rabbitmqctl");
        let launch = self.plan.environment(self.plan.launch(&program)?).args(args);
        let status = launch.start(spawner, mark).await?.wait().await;
        if !status.success() {
            bail!("rabbitmqctl {} failed ({status})", args.join(" "));
        }
        Ok(())
    }

    /// Ends the broker, then its port mapper. The orderly shutdown closes its stores within
    /// milliseconds and then dawdles for seconds; where nothing is kept it is not asked for.
    pub(crate) async fn stop(&self) {
        let orderly = [(Signal::SIGTERM, Duration::from_secs(2))];
        self.process.stop(if self.plan.ephemeral { &[] } else { &orderly }).await;
        self.port_mapper.stop(&[]).await;
    }
}

async fn wait_for<F, R>(process: &Process, name: &str, ready: F) -> anyhow::Result<()>
where
    F: Fn() -> R,
    R: Future<Output = std::io::Result<()>>,
{
    let limit = Instant::now() + START_LIMIT;
    loop {
        let last = match tokio::time::timeout(Duration::from_secs(5), ready()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => std::io::ErrorKind::TimedOut.into(),
        };
        if let Some(status) = process.ended() {
            bail!("{name} ended while starting ({status})");
        }
        if Instant::now() > limit {
            return Err(last).with_context(|| format!("{name} does not answer"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn accepts(port: u16) -> std::io::Result<()> {
    TcpStream::connect(("127.0.0.1", port)).await.map(drop)
}

async fn speaks_amqp(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    // The first frame is Connection.Start, on channel 0.
    stream.read_u8().await.map(drop)
}

/// The broker's own start script: the one in `/usr/sbin` switches users and refuses most.
fn find_server() -> anyhow::Result<PathBuf> {
    let mut found: Vec<(Vec<u32>, PathBuf)> = std::fs::read_dir("/usr/lib/rabbitmq/lib")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            let name = entry.file_name();
            let version = name.to_string_lossy().rsplit('-').next().map(version).unwrap_or_default();
            (version, entry.path().join("sbin/rabbitmq-server"))
        })
        .filter(|(_, server)| server.is_file())
        .collect();
    found.sort();
    found
        .pop()
        .map(|(_, server)| server)
        .context("RabbitMQ is not installed: `make demo` installs it, or `apt-get install rabbitmq-server`")
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(version("3.10.8") > version("3.9.27"));
        assert!(version("4.0.1") > version("3.13.7"));
    }
}
