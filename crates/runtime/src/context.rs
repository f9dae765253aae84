//! What a service is given to start with.

use std::time::Duration;

use tokio::runtime::Handle;

use crate::{Life, Metrics, Running, Shutdown, Tasks};

/// Everything that a service's `start` needs from its surroundings.
pub struct Context<S> {
    /// Name of the service, as in its binary and its logs.
    pub service: &'static str,
    /// The settings, complete and checked.
    pub settings: S,
    /// Where every long-running task is spawned.
    pub tasks: Tasks,
    /// The stages of the end.
    pub shutdown: Shutdown,
    /// The main runtime: pools and connections are created on it, never on an actix worker.
    pub handle: Handle,
    /// The registry behind `/metrics`.
    pub metrics: Metrics,
}

impl<S> Context<S> {
    /// A context on `handle`, whose end follows `life` and is begun by [`Shutdown::begin`]
    /// (signals are the business of [`crate::main`]).
    pub fn new(service: &'static str, settings: S, handle: Handle, life: &Life) -> Self {
        let tasks = Tasks::new(handle.clone());
        let shutdown = Shutdown::start(life, &tasks, &handle);
        Self { service, settings, tasks, shutdown, handle, metrics: Metrics::installed(service) }
    }

    /// A context on the current runtime, without grace and with short bounds. Keep
    /// [`Context::running`] to end it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn for_test(settings: S) -> Self {
        let life = Life { grace_seconds: 0, drain_seconds: 5, flush_seconds: 5, ..Life::default() };
        Self::new("test", settings, Handle::current(), &life)
    }

    /// The handle by which whoever started the service ends it, or learns that it ended.
    pub fn running(&self) -> Running {
        self.shutdown.running()
    }
}

impl Life {
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    pub(crate) fn flush(&self) -> Duration {
        Duration::from_secs(self.flush_seconds)
    }
}
