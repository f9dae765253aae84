//! Supervised tasks: one that ends before it was asked to, fails, or panics, ends the process.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Why a service did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A task returned although nobody had asked it to end.
    #[error("task `{task}` ended unasked")]
    Ended {
        /// Name of the task.
        task: &'static str,
    },
    /// A task returned an error.
    #[error("task `{task}` failed: {reason}")]
    Failed {
        /// Name of the task.
        task: &'static str,
        /// The error with its causes.
        reason: String,
    },
    /// A task panicked.
    #[error("task `{task}` panicked: {reason}")]
    Panicked {
        /// Name of the task.
        task: &'static str,
        /// The panic's message.
        reason: String,
    },
    /// Tasks were still running when their time was over, and were aborted.
    #[error("not finished in time, aborted: {}", .tasks.join(", "))]
    Unfinished {
        /// Names of the tasks.
        tasks: Vec<&'static str>,
    },
}

/// What a supervised task may return: nothing, or a result.
pub trait TaskOutput: Send + 'static {
    /// The error with its causes, if there is one.
    fn error(self) -> Option<String>;
}

impl TaskOutput for () {
    fn error(self) -> Option<String> {
        None
    }
}

impl<E: Into<anyhow::Error> + Send + 'static> TaskOutput for Result<(), E> {
    fn error(self) -> Option<String> {
        self.err().map(|error| format!("{:#}", error.into()))
    }
}

/// The two groups of tasks: work ends first, then what must outlive it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Work,
    Last,
}

/// Spawns tasks on the main runtime and watches them. Clones share one set.
#[derive(Clone)]
pub struct Tasks {
    shared: Arc<Shared>,
}

struct Shared {
    handle: Handle,
    work: TaskTracker,
    last: TaskTracker,
    running: Mutex<Running>,
    /// Cancelled once tasks may end: an end is then no failure.
    ending: CancellationToken,
    failure: OnceLock<Failure>,
    failed: CancellationToken,
}

#[derive(Default)]
struct Running {
    next: u64,
    tasks: BTreeMap<u64, (&'static str, Group, AbortHandle)>,
}

impl Tasks {
    /// An empty set whose tasks run on `handle`.
    pub fn new(handle: Handle) -> Self {
        Self {
            shared: Arc::new(Shared {
                handle,
                work: TaskTracker::new(),
                last: TaskTracker::new(),
                running: Mutex::default(),
                ending: CancellationToken::new(),
                failure: OnceLock::new(),
                failed: CancellationToken::new(),
            }),
        }
    }

    /// Runs `future` until the process ends. It has to end when `Shutdown::draining` says so, and
    /// not before: an earlier end, an error or a panic ends the process with the reason.
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output: TaskOutput> + Send + 'static,
    {
        self.spawn_in(Group::Work, name, future);
    }

    /// As [`Tasks::spawn`], for what the others still need while they finish (the relay of the
    /// outbox, a committer): it has to end when `Shutdown::flushing` says so, which is after all
    /// tasks of [`Tasks::spawn`] have ended.
    pub fn spawn_last<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output: TaskOutput> + Send + 'static,
    {
        self.spawn_in(Group::Last, name, future);
    }

    fn spawn_in<F>(&self, group: Group, name: &'static str, future: F)
    where
        F: Future<Output: TaskOutput> + Send + 'static,
    {
        // The lock is held while spawning: the task's own removal then comes after the insertion.
        let mut running = lock(&self.shared.running);
        let id = running.next;
        running.next += 1;
        let shared = Arc::clone(&self.shared);
        let watched = async move {
            let ended = AssertUnwindSafe(future).catch_unwind().await;
            shared.ended(id, name, ended);
        };
        let watched = watched.instrument(tracing::info_span!("task", name));
        let task = self.tracker(group).spawn_on(watched, &self.shared.handle);
        running.tasks.insert(id, (name, group, task.abort_handle()));
    }

    fn tracker(&self, group: Group) -> &TaskTracker {
        match group {
            Group::Work => &self.shared.work,
            Group::Last => &self.shared.last,
        }
    }

    /// From now on tasks may end.
    pub(crate) fn let_end(&self) {
        self.shared.ending.cancel();
    }

    /// Resolves when a task has failed.
    pub(crate) async fn failed(&self) {
        self.shared.failed.cancelled().await;
    }

    /// The first failure.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.shared.failure.get().cloned()
    }

    /// Resolves when no task of `group` is running.
    pub(crate) async fn joined(&self, group: Group) {
        let tracker = self.tracker(group);
        tracker.close();
        tracker.wait().await;
    }

    /// Names of the tasks of `group` that are still running.
    pub(crate) fn unfinished(&self, group: Group) -> Vec<&'static str> {
        let running = lock(&self.shared.running);
        running.tasks.values().filter(|task| task.1 == group).map(|task| task.0).collect()
    }

    /// Aborts what is still running.
    pub(crate) fn abort(&self) {
        for (_, _, task) in lock(&self.shared.running).tasks.values() {
            task.abort();
        }
    }
}

impl Shared {
    fn ended<T: TaskOutput>(&self, id: u64, task: &'static str, ended: Result<T, Box<dyn Any + Send>>) {
        lock(&self.running).tasks.remove(&id);
        let failure = match ended.map(TaskOutput::error) {
            Err(panic) => Failure::Panicked { task, reason: panic_text(panic.as_ref()) },
            Ok(Some(reason)) => Failure::Failed { task, reason },
            Ok(None) if !self.ending.is_cancelled() => Failure::Ended { task },
            Ok(None) => return,
        };
        tracing::error!(%failure, "a task failed");
        // Only the first one counts; later ones are mostly its consequences.
        let _ = self.failure.set(failure);
        self.failed.cancel();
    }
}

fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The message of a panic, when it has one.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
