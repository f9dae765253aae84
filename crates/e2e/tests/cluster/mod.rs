//! The real thing on this machine: private servers, and every service as a process of the `goalpost` program of the same
//! build, each killable, and started again as a Deployment would.

pub mod publisher;
pub mod rest;
pub mod shadow;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use devstack::{Options, Stack};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Url};
use testkit::proxy::Proxy;
use tokio_postgres::NoTls;
use web::secret::{Prefix, mint};

/// Starts `$1 serve $2`. The file `$3` arms a crash point for this start alone, the files beside it, ending in `.poison` and `.env`, a poison and an
/// environment for every start.
const SERVE: &str = r#"
if [ -e "${3%.crash}.env" ]; then . "${3%.crash}.env"; fi
if [ -e "${3%.crash}.poison" ]; then GOALPOST_POISON=$(cat "${3%.crash}.poison") && export GOALPOST_POISON; fi
if mv "$3" "$3.taken" 2>/dev/null; then GOALPOST_CRASH=$(cat "$3.taken") && export GOALPOST_CRASH; fi
exec "$1" serve "$2"
"#;

const READY_LIMIT: Duration = Duration::from_secs(90);
const SERVICES: [&str; 4] = ["ingest", "goals", "evaluator", "analytics"];

/// One process of a service.
#[derive(Clone, Debug)]
pub struct Replica {
    /// `evaluator-1`.
    pub name: String,
    pub service: &'static str,
    pub url: String,
    pub admin_url: String,
}

/// Servers and services.
pub struct Cluster {
    pub stack: Stack,
    pub replicas: Vec<Replica>,
    pub http: Client,
    pub operator_key: String,
    /// Between each replica and its servers, if there are any.
    proxies: Option<BTreeMap<String, Proxies>>,
    dir: tempfile::TempDir,
}

/// What stands before PostgreSQL and before RabbitMQ for one replica.
pub struct Proxies {
    pub postgres: Proxy,
    pub rabbitmq: Proxy,
}

/// Beside the directory `deps` of this test.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("goalpost");
    assert!(program.is_file(), "{} is not built: cargo build --workspace --bin goalpost", program.display());
    program
}

impl Cluster {
    /// Both servers, migrated, and one replica of each service.
    /// `proxied`: every service reaches them through proxies of its own.
    pub async fn start(proxied: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The servers' users must be able to enter it.
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = Options::ephemeral(dir.path().join("home"))
            .with_guard_program(program())
            .with_settled_after(Duration::from_millis(200));
        let stack = Stack::start(options).await.unwrap();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        let mut cluster = Self {
            stack,
            replicas: Vec::new(),
            http,
            operator_key: String::new(),
            proxies: proxied.then(BTreeMap::new),
            dir,
        };
        cluster.migrate().await;
        for service in SERVICES {
            cluster.add(service).await;
        }
        cluster.ready().await;
        cluster
    }

    async fn migrate(&mut self) {
        let mut database = self.database().await;
        let url: Url = self.stack.database_url().parse().unwrap();
        pg::migrate::roles(&database, url.password()).await.unwrap();
        pg::migrate::run(&mut database).await.unwrap();
        pg::maintain::partitions(&database, 3).await.unwrap();
        let key = mint(Prefix::ApiKey);
        let insert = "INSERT INTO platform.api_keys (id, tenant_id, role, secret_hash, created_by) \
                      VALUES ($1, NULL, 'operator', $2, 'test')";
        database.execute(insert, &[&key.id, &key.hash.as_slice()]).await.unwrap();
        self.operator_key = key.text;
    }

    /// One more process of a service.
    pub async fn add(&mut self, service: &'static str) {
        let name = format!("{service}-{}", self.of(service).count() + 1);
        let (port, admin_port) = (self.stack.port(&name).unwrap(), self.stack.port(&format!("{name}-admin")).unwrap());
        let [mut own, mut system] = [service.to_owned(), format!("{service}_system")].map(|login| self.login(&login));
        let mut amqp_url = self.stack.amqp_url().to_owned();
        if let Some(proxies) = &mut self.proxies {
            let postgres = Proxy::before(&own).await.unwrap();
            let rabbitmq = Proxy::before(&amqp_url).await.unwrap();
            [own, system] = [own, system].map(|url| postgres.through(&url).unwrap());
            amqp_url = rabbitmq.through(&amqp_url).unwrap();
            proxies.insert(name.clone(), Proxies { postgres, rabbitmq });
        }
        let mut env: BTreeMap<String, String> = [
            ("GOALPOST__HTTP__PORT", port.to_string()),
            ("GOALPOST__HTTP__ADMIN_PORT", admin_port.to_string()),
            ("GOALPOST__DATABASE__URL", own),
            ("GOALPOST__DATABASE__SYSTEM_URL", system),
            ("GOALPOST__LIFE__GRACE_SECONDS", "0".to_owned()),
            // One caller makes all the load.
            ("GOALPOST__HTTP__RATE_LIMIT__PER_MINUTE", "0".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        // A service refuses settings that it does not know.
        if service != "analytics" {
            env.insert("GOALPOST__BUS__URL".to_owned(), amqp_url);
        }
        let env: Vec<_> = env.into_iter().collect();
        let flag = self.flag(&name).into_os_string();
        let command: [OsString; 7] =
            ["sh".into(), "-c".into(), SERVE.into(), "serve".into(), program().into(), service.into(), flag];
        self.stack.spawn_service(&name, &command, &env).await.unwrap();
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        self.replicas.push(Replica { name, service, url: at(port), admin_url: at(admin_port) });
    }

    /// At least so many replicas.
    pub async fn scale(&mut self, service: &'static str, replicas: usize) {
        while self.of(service).count() < replicas {
            self.add(service).await;
        }
        self.ready().await;
    }

    pub fn of(&self, service: &str) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(move |replica| replica.service == service)
    }

    /// The file that arms a crash point of a replica.
    pub fn flag(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.crash"))
    }

    /// The file that gives a replica further environment at each start, as commands of the shell.
    pub fn environment(&self, name: &str) -> PathBuf {
        self.flag(name).with_extension("env")
    }

    /// Takes the further environment from every replica that has any; `start_again` starts such a one without.
    pub async fn take_environments(
        &self,
        start_again: impl AsyncFn(&Replica) -> Result<(), String>,
    ) -> Result<(), String> {
        for replica in &self.replicas {
            if std::fs::remove_file(self.environment(&replica.name)).is_ok() {
                start_again(replica).await?;
            }
        }
        self.ready().await;
        Ok(())
    }

    /// What stands between a replica and its servers.
    pub fn proxies(&self, name: &str) -> Option<&Proxies> {
        self.proxies.as_ref()?.get(name)
    }

    pub fn is_proxied(&self) -> bool {
        self.proxies.is_some()
    }

    fn login(&self, login: &str) -> String {
        let mut url: Url = self.stack.database_url().parse().unwrap();
        url.set_username(&format!("goalpost_{login}")).unwrap();
        url.into()
    }

    pub fn management_url(&self) -> &str {
        self.stack.management_url().unwrap()
    }

    /// Waits until every replica says that it is ready.
    pub async fn ready(&self) {
        let limit = Instant::now() + READY_LIMIT;
        for replica in &self.replicas {
            loop {
                let answer = self.http.get(format!("{}/health/ready", replica.admin_url)).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    break;
                }
                let late = || format!("{} is not ready; {}", replica.name, self.stack.log_tail(&replica.name));
                assert!(Instant::now() < limit, "{}", late());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Sends a signal to the process of a replica; waits until there is one, if it is just being started again.
    pub async fn signal(&self, name: &str, signal: Signal) -> u32 {
        let limit = Instant::now() + READY_LIMIT;
        loop {
            if let Some(pid) = self.stack.service(name).unwrap().pid {
                kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
                return pid;
            }
            assert!(Instant::now() < limit, "{name} is not started again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A superuser's session; waits for a server that is on its way back.
    pub async fn database(&self) -> tokio_postgres::Client {
        connect(self.stack.database_url()).await
    }

    /// The process, and how many messages were delivered to it again, for each replica.
    pub async fn redeliveries(&self) -> BTreeMap<String, (Option<u32>, u64)> {
        let mut counts = BTreeMap::new();
        for replica in &self.replicas {
            let text = match self.http.get(format!("{}/metrics", replica.admin_url)).send().await {
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(_) => continue,
            };
            let lines = text.lines().filter(|line| line.starts_with("bus_redeliveries"));
            let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let sum = values.sum::<f64>() as u64;
            let pid = self.stack.service(&replica.name).unwrap().pid;
            counts.insert(replica.name.clone(), (pid, sum));
        }
        counts
    }

    /// Keeps what servers and services wrote, for whoever looks into a failure; says where.
    pub fn keep_logs(&self, run: &str) -> PathBuf {
        let kept = program().with_file_name("faults").join(run);
        std::fs::create_dir_all(&kept).unwrap();
        for log in std::fs::read_dir(self.stack.dir().join("logs")).unwrap().flatten() {
            std::fs::copy(log.path(), kept.join(log.file_name())).unwrap();
        }
        kept
    }

    /// Ends everything.
    pub async fn stop(self) {
        self.stack.stop().await.unwrap();
    }
}

/// A session; waits for a server that is on its way back.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let limit = Instant::now() + READY_LIMIT;
    loop {
        match tokio_postgres::connect(url, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return client;
            }
            Err(error) => assert!(Instant::now() < limit, "PostgreSQL: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
