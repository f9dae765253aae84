//! Keeps one connection standing. On any error, close or timeout the whole connection is dropped
//! and built again with its topology, for ever; whoever uses it sees a new one arrive.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::{FutureExt, StreamExt};
use lapin::{Channel, Event};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::dial::{Dialled, dial};
use crate::error::{Error, within};
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::topology::{Queue, Wanted};

/// A connection that lived this long starts the waits between attempts from the shortest again.
const STEADY: Duration = Duration::from_secs(10);

/// How long users of a connection may finish after a stop was asked for: longer than a service
/// takes to drain its consumers and then its outbox.
const LINGER: Duration = Duration::from_secs(30);

/// Longest wait for a good-bye.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// A connection that is up, shared by those who opened channels on it.
pub(crate) struct Live {
    dialled: Dialled,
    broken: CancellationToken,
    spoiled: AtomicBool,
    reason: OnceLock<String>,
    call_timeout: Duration,
}

impl Live {
    /// Says that this connection is of no use any more. The supervisor drops it and builds
    /// another. Only the first reason is kept.
    pub(crate) fn fail(&self, reason: impl Into<String>) {
        // A later reason is a consequence of the first.
        let _ = self.reason.set(reason.into());
        self.broken.cancel();
    }

    /// Says the same, but lets a blocked connection stand until the block goes: a new one would
    /// only learn of the block by sending everything once more.
    pub(crate) fn spoil(&self, reason: impl Into<String>) {
        self.spoiled.store(true, Ordering::SeqCst);
        if !self.blocked() {
            self.fail(reason);
        }
    }

    fn usable(&self) -> bool {
        !self.broken.is_cancelled() && !self.spoiled.load(Ordering::SeqCst)
    }

    /// What ended it, if anything has.
    fn end(&self) -> Option<&'static str> {
        if !self.dialled.connection.status().connected() {
            return Some("the connection was closed");
        }
        let late = self.spoiled.load(Ordering::SeqCst) && !self.blocked();
        late.then_some("messages were on their way when the broker blocked the connection")
    }

    /// Returns when the connection is given up.
    pub(crate) async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Whether the broker has stopped reading what is sent on this connection.
    pub(crate) fn blocked(&self) -> bool {
        self.dialled.connection.status().blocked()
    }

    /// Opens a channel.
    pub(crate) async fn channel(&self) -> Result<Channel, Error> {
        let opening = self.dialled.connection.create_channel();
        within(self.call_timeout, "channel.open", opening).await
    }
}

/// The connection of the moment, if there is one.
pub(crate) type Current = watch::Receiver<Option<Arc<Live>>>;

/// The connection that can be used now.
pub(crate) fn current(link: &Current) -> Option<Arc<Live>> {
    link.borrow().clone().filter(|live| live.usable())
}

/// Waits for a connection that can be used. `None`: there will be none any more.
pub(crate) async fn next(link: &mut Current) -> Option<Arc<Live>> {
    let usable = |live: &Option<Arc<Live>>| live.as_ref().is_some_and(|live| live.usable());
    link.wait_for(usable).await.ok().and_then(|live| live.clone())
}

/// One connection's supervisor.
pub(crate) struct Supervisor {
    pub(crate) role: &'static str,
    pub(crate) settings: Arc<Settings>,
    pub(crate) queues: &'static [Queue],
    pub(crate) handle: Handle,
    pub(crate) cancel: CancellationToken,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) live: watch::Sender<Option<Arc<Live>>>,
}

/// Why a connection ended.
enum End {
    Asked,
    Lost(String),
}

impl Supervisor {
    /// Runs until cancelled; a panic inside is one more reason to build the connection again.
    pub(crate) async fn run(self) {
        let mut outage = Outage::new(self.role);
        while !self.cancel.is_cancelled() {
            let round = AssertUnwindSafe(self.round(&mut outage)).catch_unwind().await;
            self.live.send_replace(None);
            self.metrics.up(self.role, false);
            self.metrics.blocked(self.role, false);
            match round {
                Ok(End::Asked) => return,
                Ok(End::Lost(reason)) => outage.lost(&reason),
                Err(_panic) => outage.lost("the supervisor panicked"),
            }
            tokio::select! {
                () = self.cancel.cancelled() => return,
                () = tokio::time::sleep(outage.wait()) => {}
            }
        }
    }

    /// Builds a connection and stays with it to its end.
    async fn round(&self, outage: &mut Outage) -> End {
        let built = tokio::select! {
            () = self.cancel.cancelled() => return End::Asked,
            built = self.build() => built,
        };
        let (live, events) = match built {
            Ok(built) => built,
            Err(error) => return End::Lost(error.to_string()),
        };
        outage.over();
        self.metrics.up(self.role, true);
        self.live.send_replace(Some(Arc::clone(&live)));
        let end = self.stay(&live, events).await;
        if let End::Lost(reason) = &end {
            live.fail(reason.as_str());
            self.metrics.lost(self.role);
        }
        live.dialled.close(GOOD_BYE).await;
        live.fail("the connection was closed");
        end
    }

    async fn build(&self) -> Result<(Arc<Live>, Events), Error> {
        let dialled = dial(&self.settings, self.role, self.handle.clone()).await?;
        // Before anything can happen on the connection: lapin drops events nobody listens for.
        let events = dialled.connection.events_listener().boxed();
        let live = Arc::new(Live {
            dialled,
            broken: CancellationToken::new(),
            spoiled: AtomicBool::new(false),
            reason: OnceLock::new(),
            call_timeout: self.settings.call_timeout(),
        });
        let wanted = Wanted {
            queues: self.queues,
            domain_event_names: &self.settings.domain_event_names,
            limit: self.settings.call_timeout(),
        };
        let channel = live.channel().await?;
        wanted.declare(&channel).await?;
        let closing = channel.close(200, "OK".into());
        within(self.settings.call_timeout(), "channel.close", closing).await?;
        Ok((live, events))
    }

    /// Watches a connection until it ends, or until a stop was asked for and its users are done.
    async fn stay(&self, live: &Live, mut events: Events) -> End {
        let mut look = tokio::time::interval(Duration::from_secs(1));
        let stop = async {
            self.cancel.cancelled().await;
            // Consumers finish and acknowledge, the relay drains; each lets go when it is done.
            let _ = tokio::time::timeout(LINGER, self.live.closed()).await;
        };
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = live.broken() => {
                    return End::Lost(live.reason.get().cloned().unwrap_or_default());
                }
                event = events.next() => match event {
                    Some(Event::Error(error)) => return End::Lost(error.to_string()),
                    Some(Event::ConnectionBlocked(reason)) => self.blocked(Some(&reason)),
                    Some(Event::ConnectionUnblocked) => self.blocked(None),
                    Some(_) => {}
                    None => return End::Lost("the connection ended".to_owned()),
                },
                _ = look.tick() => {}
                () = &mut stop => return End::Asked,
            }
            if let Some(reason) = live.end() {
                return End::Lost(reason.to_owned());
            }
        }
    }

    fn blocked(&self, reason: Option<&str>) {
        self.metrics.blocked(self.role, reason.is_some());
        match reason {
            Some(reason) => {
                tracing::warn!(connection = self.role, reason, "the broker blocks this connection");
            }
            None => tracing::info!(connection = self.role, "the broker took the block away"),
        }
    }
}

type Events = futures_util::stream::BoxStream<'static, Event>;

/// The waits between attempts, and one log line per change of state.
struct Outage {
    role: &'static str,
    waits: ExponentialBackoff,
    up_since: Option<Instant>,
    last: Option<String>,
}

impl Outage {
    fn new(role: &'static str) -> Self {
        Self { role, waits: waits(), up_since: None, last: None }
    }

    fn over(&mut self) {
        self.up_since = Some(Instant::now());
        self.last = None;
        tracing::info!(connection = self.role, "connected to the broker");
    }

    fn lost(&mut self, reason: &str) {
        if self.up_since.take().is_some_and(|since| since.elapsed() > STEADY) {
            self.waits = waits();
        }
        if self.last.as_deref() == Some(reason) {
            tracing::debug!(connection = self.role, reason, "still no connection to the broker");
        } else {
            tracing::warn!(connection = self.role, reason, "no connection to the broker");
            self.last = Some(reason.to_owned());
        }
    }

    fn wait(&mut self) -> Duration {
        self.waits.next().unwrap_or(Duration::from_secs(2))
    }
}

/// 100 ms, doubled up to 2 s, each with up to as much again at random.
fn waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
        .build()
}
