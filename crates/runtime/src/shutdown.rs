//! The end of a service, in stages, each with its own bound.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::tasks::{Failure, Group, Tasks};

/// The section `life` of every service's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Life {
    /// How long requests are still taken after readiness went false (load balancers need to see
    /// it); 0 is allowed.
    pub grace_seconds: u64,
    /// How long requests and consumers have to finish.
    pub drain_seconds: u64,
    /// How long the outbox has to drain after that.
    pub flush_seconds: u64,
    /// How often files named by `…_FILE` are looked at for a change; 0 is never.
    pub secret_poll_seconds: u64,
}

impl Default for Life {
    fn default() -> Self {
        Self { grace_seconds: 5, drain_seconds: 15, flush_seconds: 5, secret_poll_seconds: 30 }
    }
}

type Outcome = Result<(), Failure>;

/// The stages: `stopping` (not ready any more) → grace → `draining` (take nothing new, finish) →
/// `flushing` (nothing new can come from inside either) → ended. Clones share one end.
#[derive(Clone)]
pub struct Shutdown {
    stages: Arc<Stages>,
    outcome: watch::Receiver<Option<Outcome>>,
}

struct Stages {
    stopping: CancellationToken,
    draining: CancellationToken,
    flushing: CancellationToken,
    skipped: CancellationToken,
}

impl Shutdown {
    /// Starts the task that walks the stages for `tasks`.
    pub(crate) fn start(life: &Life, tasks: &Tasks, handle: &Handle) -> Self {
        let stages = Arc::new(Stages {
            stopping: CancellationToken::new(),
            draining: CancellationToken::new(),
            flushing: CancellationToken::new(),
            skipped: CancellationToken::new(),
        });
        let (sender, outcome) = watch::channel(None);
        let walk = walk(Arc::clone(&stages), life.clone(), tasks.clone());
        #[expect(clippy::disallowed_methods, reason = "awaited through `outcome`")]
        handle.spawn(async move {
            let outcome = walk.await;
            sender.send_replace(Some(outcome));
        });
        Self { stages, outcome }
    }

    /// Begins the end; when it has begun already, skips to its last step.
    pub fn begin(&self) {
        if self.stages.stopping.is_cancelled() {
            self.stages.skipped.cancel();
        }
        self.stages.stopping.cancel();
    }

    /// Whether the end has begun: a service is not ready from then on.
    pub fn is_stopping(&self) -> bool {
        self.stages.stopping.is_cancelled()
    }

    /// Cancelled when the end begins. The service still serves.
    pub fn stopping(&self) -> CancellationToken {
        self.stages.stopping.clone()
    }

    /// Cancelled after the grace: servers and consumers take nothing new and finish what they have.
    pub fn draining(&self) -> CancellationToken {
        self.stages.draining.clone()
    }

    /// Cancelled when all tasks of [`Tasks::spawn`] have ended (or their time is over): the relay
    /// sends what they left in the outbox, and ends.
    pub fn flushing(&self) -> CancellationToken {
        self.stages.flushing.clone()
    }

    pub(crate) fn running(&self) -> Running {
        Running { shutdown: self.clone() }
    }
}

/// A started service, seen by whoever started it.
#[derive(Clone)]
pub struct Running {
    shutdown: Shutdown,
}

impl Running {
    /// Resolves when the service has ended, asked or not.
    ///
    /// # Errors
    /// The reason why it did not end well.
    pub async fn ended(&self) -> Result<(), Failure> {
        let mut outcome = self.shutdown.outcome.clone();
        match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            // The runtime itself is going away.
            Err(_) => Ok(()),
        }
    }

    /// Begins the end if it has not begun, and waits for it.
    ///
    /// # Errors
    /// The reason why it did not end well.
    pub async fn stop(&self) -> Result<(), Failure> {
        if !self.shutdown.is_stopping() {
            self.shutdown.begin();
        }
        self.ended().await
    }

    /// Ends at once what never got to serve.
    pub(crate) async fn abandon(&self) {
        self.shutdown.begin();
        self.shutdown.begin();
        let _ = self.ended().await;
    }
}

async fn walk(stages: Arc<Stages>, life: Life, tasks: Tasks) -> Outcome {
    tokio::select! {
        () = stages.stopping.cancelled() => tracing::info!("stopping"),
        () = tasks.failed() => stages.stopping.cancel(),
    }
    tokio::select! {
        () = tokio::time::sleep(life.grace()) => {}
        () = stages.skipped.cancelled() => {}
        () = tasks.failed() => {}
    }
    tasks.let_end();
    stages.draining.cancel();
    tracing::info!("draining");
    let mut unfinished = join(&stages, &tasks, Group::Work, life.drain()).await;
    stages.flushing.cancel();
    unfinished.extend(join(&stages, &tasks, Group::Last, life.flush()).await);
    tasks.abort();
    match tasks.failure() {
        Some(failure) => Err(failure),
        None if unfinished.is_empty() => Ok(()),
        None => Err(Failure::Unfinished { tasks: unfinished }),
    }
}

/// Waits for `group`, at most `bound`; the names of those that are still running then.
async fn join(stages: &Stages, tasks: &Tasks, group: Group, bound: Duration) -> Vec<&'static str> {
    tokio::select! {
        biased;
        () = tasks.joined(group) => return Vec::new(),
        () = tokio::time::sleep(bound) => {}
        () = stages.skipped.cancelled() => {}
    }
    let unfinished = tasks.unfinished(group);
    if !unfinished.is_empty() {
        tracing::warn!(tasks = unfinished.join(", "), "not finished in time");
    }
    unfinished
}
