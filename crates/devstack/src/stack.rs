//! A stack: the servers, the services on them, and their end in order.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::task::spawn_blocking;

use crate::guard::Guard;
use crate::machine::random_text;
use crate::options::Options;
use crate::place::{Place, make_directory, write_private};
use crate::postgres::{self, Postgres};
use crate::process::tail;
use crate::rabbitmq::{self, Rabbitmq};
use crate::service::{Recipe, Service, ServiceState};
use crate::spawner::Spawner;

/// Running servers and services. [`Stack::stop`] ends them in order; a stack that is dropped
/// instead is ended by force, and the drop waits for that.
pub struct Stack {
    database_url: String,
    amqp_url: String,
    management_url: Option<String>,
    home: PathBuf,
    mark: String,
    place: Place,
    settled: Duration,
    services: Vec<Service>,
    postgres: Option<Postgres>,
    rabbitmq: Option<Rabbitmq>,
    // Dropped in this order: the spawner's end kills what it started, the guard waits for it.
    spawner: Spawner,
    guard: Guard,
}

/// How PostgreSQL is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresStop {
    /// Clients are cut off, everything is written.
    Fast,
    /// As if its power went: the next start recovers.
    Immediate,
}

impl Stack {
    /// Starts what the options ask for and waits until it answers: about 6 s for both servers,
    /// whose starts run side by side. If this future is dropped, all that was started is ended.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let mark = random_text(10).to_lowercase();
        let home = std::path::absolute(&options.home)?;
        let options = Options { home: home.clone(), ..options };
        let for_place = (options.clone(), mark.clone());
        let prepared = spawn_blocking(move || prepare(&for_place.0, &for_place.1)).await?;
        let (guard, mut place) = prepared?;
        let spawner = Spawner::start()?;

        let own_postgres = match options.database_url {
            Some(_) => None,
            None => Some(postgres::Plan::new(&mut place)?),
        };
        let own_rabbitmq = match options.amqp_url {
            Some(_) => None,
            None => Some(rabbitmq::Plan::new(&mut place)?),
        };
        let start_postgres = async {
            match own_postgres {
                Some(plan) => plan.start(&spawner, &mark).await.map(Some),
                None => Ok(None),
            }
        };
        let start_rabbitmq = async {
            match own_rabbitmq {
                Some(plan) => plan.start(&spawner, &mark).await.map(Some),
                None => Ok(None),
            }
        };
        let (postgres, rabbitmq) = tokio::try_join!(start_postgres, start_rabbitmq)?;

        let named = options.database_url;
        let database_url = named.or_else(|| postgres.as_ref().map(|own| own.url.clone()));
        let named = options.amqp_url;
        let amqp_url = named.or_else(|| rabbitmq.as_ref().map(|own| own.amqp_url.clone()));
        let management_url = match &rabbitmq {
            Some(own) => Some(own.management_url.clone()),
            None => options.management_url,
        };
        Ok(Self {
            database_url: database_url.context("no PostgreSQL was started")?,
            amqp_url: amqp_url.context("no RabbitMQ was started")?,
            management_url,
            home,
            mark,
            place,
            settled: options.settled,
            services: Vec::new(),
            postgres,
            rabbitmq,
            spawner,
            guard,
        })
    }

    /// PostgreSQL as its superuser, database `postgres`.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// RabbitMQ as its administrator, virtual host `/`.
    pub fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    /// RabbitMQ's management API with user and password; unknown for a broker that was named in
    /// the environment without `AMQP_MANAGEMENT_URL`.
    pub fn management_url(&self) -> Option<&str> {
        self.management_url.as_deref()
    }

    /// `DATABASE_URL`, `AMQP_URL` and, where known, `AMQP_MANAGEMENT_URL`.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = vec![("DATABASE_URL", self.database_url.clone()), ("AMQP_URL", self.amqp_url.clone())];
        environment.extend(self.management_url.clone().map(|url| ("AMQP_MANAGEMENT_URL", url)));
        environment
    }

    /// The directory of the data, logs and secrets.
    pub fn dir(&self) -> &Path {
        &self.place.dir
    }

    /// Where the server or service `name` (`postgres`, `rabbitmq`, …) writes its output.
    pub fn log(&self, name: &str) -> PathBuf {
        self.place.log(name)
    }

    /// The end of [`Stack::log`], for an error message.
    pub fn log_tail(&self, name: &str) -> String {
        tail(&self.log(name))
    }

    /// Keeps a file of mode 0600 beside the data, for [`Stack::kept`] at this or the next start.
    pub fn keep(&self, name: &str, text: &[u8]) -> anyhow::Result<()> {
        write_private(&self.dir().join(name), text)
    }

    /// What was kept under this name, if anything was.
    pub fn kept(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let path = self.dir().join(name);
        match std::fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// A free port for `name`: the same as at the last start if the data is persistent and the
    /// port still free.
    pub fn port(&mut self, name: &str) -> anyhow::Result<u16> {
        self.place.port(name)
    }

    /// Starts a service that is kept running until [`Stack::stop`]: when it ends unasked it is
    /// started again in the same way, after a pause that grows from 0.2 to 5 s. Its output goes
    /// to [`Stack::log`].
    pub async fn spawn_service(
        &mut self,
        name: &str,
        command: &[OsString],
        env: &[(String, String)],
    ) -> anyhow::Result<()> {
        let (program, args) = command.split_first().context("no command was given")?;
        if self.services.iter().any(|service| service.name == name) {
            bail!("service {name} runs already");
        }
        let recipe = Recipe {
            name: name.to_owned(),
            program: program.into(),
            args: args.to_vec(),
            env: env.to_vec(),
            log: self.log(name),
            mark: self.mark.clone(),
            settled: self.settled,
        };
        let service = Service::start(recipe, self.spawner.clone()).await?;
        self.services.push(service);
        Ok(())
    }

    /// What is known of a service that was spawned here.
    pub fn service(&self, name: &str) -> Option<ServiceState> {
        self.services.iter().find(|service| service.name == name).map(Service::state)
    }

    /// Writes `<home>/<name>` with mode 0600; it disappears when the stack stops or dies.
    pub fn publish(&mut self, name: &str, text: &[u8]) -> anyhow::Result<PathBuf> {
        if !self.home.is_dir() {
            self.guard.remove_if_empty(&self.home)?;
            make_directory(&self.home, 0o700)?;
        }
        let path = self.home.join(name);
        let beside = self.home.join(format!(".{name}-{}", self.mark));
        write_private(&beside, text)?;
        self.guard.remove_file(&path, beside.metadata()?.ino())?;
        std::fs::rename(&beside, &path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Stops the private PostgreSQL, so that all its clients are cut off, and starts it again on the same data and
    /// port. Waits until it answers.
    pub async fn restart_postgres(&mut self, how: PostgresStop) -> anyhow::Result<()> {
        let postgres = self.postgres.as_mut().context("PostgreSQL is not of this stack")?;
        match how {
            PostgresStop::Fast => postgres.stop().await,
            PostgresStop::Immediate => {
                postgres.stop_immediately();
                postgres.process.wait().await;
            }
        }
        postgres.start_again(&self.spawner, &self.mark).await
    }

    /// Ends the private broker, by force or by its orderly shutdown.
    pub async fn stop_rabbitmq(&mut self, orderly: bool) -> anyhow::Result<()> {
        self.rabbitmq.as_ref().context("RabbitMQ is not of this stack")?.stop_broker(orderly).await;
        Ok(())
    }

    /// Starts the private broker again with the same data and ports after [`Stack::stop_rabbitmq`].
    pub async fn start_rabbitmq(&mut self) -> anyhow::Result<()> {
        let rabbitmq = self.rabbitmq.as_mut().context("RabbitMQ is not of this stack")?;
        rabbitmq.start_again(&self.spawner, &self.mark).await
    }

    /// Runs `rabbitmqctl` with these arguments against the private broker.
    pub async fn rabbitmqctl(&self, args: &[&str]) -> anyhow::Result<()> {
        let rabbitmq = self.rabbitmq.as_ref().context("RabbitMQ is not of this stack")?;
        rabbitmq.control(args, &self.spawner, &self.mark).await
    }

    /// The process of the private broker.
    pub fn rabbitmq_pid(&self) -> Option<u32> {
        self.rabbitmq.as_ref().map(|own| own.process.id())
    }

    /// Waits until a private server ends unasked, and says which.
    pub async fn failed(&self) -> String {
        let postgres = async {
            match &self.postgres {
                Some(own) => ("PostgreSQL", own.process.wait().await, &own.log),
                None => std::future::pending().await,
            }
        };
        let rabbitmq = async {
            match &self.rabbitmq {
                Some(own) => ("RabbitMQ", own.process.wait().await, &own.log),
                None => std::future::pending().await,
            }
        };
        let (name, status, log) = tokio::select! {
            end = postgres => end,
            end = rabbitmq => end,
        };
        format!("{name} ended unasked ({status}); {}", tail(log))
    }

    /// Ends everything in order: the published files, the services (SIGTERM, at most 25 s), the
    /// broker, PostgreSQL (fast shutdown); then the guard removes what is not to be kept.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.guard.withdraw()?;
        for service in &self.services {
            service.ask_to_stop();
        }
        for service in &self.services {
            service.stopped().await;
        }
        if let Some(rabbitmq) = &self.rabbitmq {
            rabbitmq.stop().await;
        }
        if let Some(postgres) = &self.postgres {
            postgres.stop().await;
        }
        self.guard.stopped()?;
        spawn_blocking(move || drop(self)).await.context("the guard was not awaited")
    }

    pub(crate) fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }
}

impl Drop for Stack {
    /// After [`Stack::stop`] there is nobody left to be signalled.
    fn drop(&mut self) {
        if let Some(rabbitmq) = &self.rabbitmq {
            rabbitmq.kill();
        }
        if let Some(postgres) = &self.postgres {
            // A KILL from the guard, later, would leave shared memory behind.
            postgres.stop_immediately();
        }
    }
}

fn prepare(options: &Options, mark: &str) -> anyhow::Result<(Guard, Place)> {
    let program = match &options.guard_program {
        Some(program) => program.clone(),
        None => std::env::current_exe().context("cannot find the running program")?,
    };
    let mut guard = Guard::start(&program, mark)?;
    let place = Place::prepare(options, mark, &mut guard)?;
    Ok((guard, place))
}
