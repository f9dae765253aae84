//! A service of a stack: kept running, its output in a log.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::process::{Launch, Process};
use crate::spawner::Spawner;

/// Readiness off, five seconds of grace, requests, outbox: see the life of a service.
const STOP_PATIENCE: Duration = Duration::from_secs(25);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a stack knows of a service.
#[derive(Clone, Debug, Default)]
pub struct ServiceState {
    /// Its process while it runs.
    pub pid: Option<u32>,
    /// How many times it was started again after it ended unasked.
    pub restarts: u32,
    /// How it ended the last time, if it ever did.
    pub last_end: Option<String>,
}

/// How a service is started, each time in the same way.
pub(crate) struct Recipe {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) log: PathBuf,
    pub(crate) mark: String,
    /// A service that ran this long is no longer counted as failing to start.
    pub(crate) settled: Duration,
}

/// A supervised service.
pub(crate) struct Service {
    pub(crate) name: String,
    state: Arc<Mutex<ServiceState>>,
    stopping: watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
}

impl Service {
    /// Starts it, and a task that starts it again whenever it ends unasked.
    pub(crate) async fn start(recipe: Recipe, spawner: Spawner) -> anyhow::Result<Self> {
        let first = recipe.launch(&spawner).await?;
        let state = Arc::new(Mutex::new(ServiceState { pid: Some(first.id()), ..Default::default() }));
        let (stopping, asked) = watch::channel(false);
        let (done, stopped) = watch::channel(false);
        let name = recipe.name.clone();
        let keeper = Keeper { recipe, spawner, state: Arc::clone(&state), asked };
        crate::process::attend(async move {
            keeper.run(first).await;
            done.send_replace(true);
        });
        Ok(Self { name, state, stopping, stopped })
    }

    pub(crate) fn state(&self) -> ServiceState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// SIGTERM, and SIGKILL for one that does not go.
    pub(crate) fn ask_to_stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        // An error means that the keeper is gone, and then so is its runtime.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

impl Recipe {
    async fn launch(&self, spawner: &Spawner) -> anyhow::Result<Process> {
        // After a SIGKILL of the stack nothing may live for long; a service promises to survive it.
        let mut launch = Launch::background(&self.program, None, Signal::SIGKILL, &self.log)?.args(&self.args);
        for (name, value) in &self.env {
            launch = launch.env(name, value);
        }
        launch.start(spawner, &self.mark).await
    }
}

struct Keeper {
    recipe: Recipe,
    spawner: Spawner,
    state: Arc<Mutex<ServiceState>>,
    asked: watch::Receiver<bool>,
}

impl Keeper {
    async fn run(mut self, first: Process) {
        let name = self.recipe.name.clone();
        let mut current = Some(first);
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            if let Some(process) = current.take() {
                tokio::select! {
                    status = process.wait() => {
                        warn!(service = name, %status, log = %self.recipe.log.display(), "service ended unasked");
                        self.note(|state| {
                            state.pid = None;
                            state.last_end = Some(status.to_string());
                        });
                    }
                    _ = asked(&mut self.asked) => {
                        process.stop(&[(Signal::SIGTERM, STOP_PATIENCE)]).await;
                        self.note(|state| state.pid = None);
                        return;
                    }
                }
            }
            if started.elapsed() > self.recipe.settled {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = asked(&mut self.asked) => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.recipe.launch(&self.spawner).await {
                Ok(process) => {
                    info!(service = name, pid = process.id(), "service started again");
                    self.note(|state| {
                        state.pid = Some(process.id());
                        state.restarts += 1;
                    });
                    current = Some(process);
                }
                Err(error) => warn!(service = name, %error, "service cannot be started"),
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut ServiceState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Waits until the stop is asked for, or nobody is left to ask.
async fn asked(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
