//! The provider's keys as this process has them. One task on the main runtime fetches them; handlers only look, and may ask it
//! to look again: for a key that is not there, and no more often than every few seconds, so that forged names cost nothing.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::JwtSettings;
use super::key_set::{Key, KeySet};
use super::source::Source;

/// How long a request waits for keys that are being fetched.
const WAIT: Duration = Duration::from_secs(2);

/// Handlers' side. Clones share the keys.
#[derive(Clone)]
pub struct Ring {
    seen: watch::Receiver<Arc<Seen>>,
    wanted: Arc<Notify>,
    times: Times,
}

#[derive(Clone, Copy)]
struct Times {
    cache: Duration,
    stale: Duration,
    ask_again: Duration,
}

/// What was fetched last, and when.
#[derive(Default)]
struct Seen {
    keys: Arc<KeySet>,
    fetched: Option<Instant>,
    asked: Option<Instant>,
    failed: bool,
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The provider has none of that name.
    Unknown,
    /// The provider cannot be asked.
    Away,
}

/// The task's side: it has to run on the main runtime, as what it opens lives on.
#[must_use = "without it no key is ever fetched"]
pub struct Keeper(Option<Fetching>);

struct Fetching {
    source: Source,
    seen: watch::Sender<Arc<Seen>>,
    wanted: Arc<Notify>,
    times: Times,
}

impl Ring {
    /// Both sides, with nothing fetched yet.
    pub fn open(settings: &JwtSettings) -> io::Result<(Self, Keeper)> {
        let times = Times {
            cache: Duration::from_secs(settings.cache_seconds),
            stale: Duration::from_secs(settings.stale_seconds),
            ask_again: Duration::from_secs(settings.ask_again_seconds),
        };
        let (sender, seen) = watch::channel(Arc::default());
        let wanted = Arc::new(Notify::new());
        let fetching = Fetching { source: Source::new(settings)?, seen: sender, wanted: Arc::clone(&wanted), times };
        Ok((Self { seen, wanted, times }, Keeper(Some(fetching))))
    }

    /// The key of this name.
    pub async fn find(&self, kid: &str) -> Result<Arc<Key>, Missing> {
        let seen = Arc::clone(&self.seen.borrow());
        let missing = match seen.find(kid, self.times.stale) {
            Ok(key) => return Ok(key),
            Err(missing) => missing,
        };
        if seen.asked.is_some_and(|asked| asked.elapsed() < self.times.ask_again) {
            return Err(missing);
        }
        self.wanted.notify_one();
        let mut newer = self.seen.clone();
        let newer = timeout(WAIT, newer.wait_for(|now| !Arc::ptr_eq(now, &seen))).await;
        match newer {
            Ok(Ok(now)) => now.find(kid, self.times.stale),
            _ => Err(Missing::Away),
        }
    }
}

impl Seen {
    fn find(&self, kid: &str, stale: Duration) -> Result<Arc<Key>, Missing> {
        let is_usable = self.fetched.is_some_and(|fetched| fetched.elapsed() <= stale);
        match self.keys.get(kid).filter(|_| is_usable) {
            Some(key) => Ok(key),
            None if self.failed || !is_usable => Err(Missing::Away),
            None => Err(Missing::Unknown),
        }
    }
}

impl Keeper {
    /// For services that take no tokens: does nothing.
    pub(super) fn idle() -> Self {
        Self(None)
    }

    /// Keeps the keys until `stop`.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        match self.0 {
            None => stop.await,
            Some(fetching) => tokio::select! {
                () = stop => {}
                () = fetching.forever() => {}
            },
        }
    }
}

impl Fetching {
    async fn forever(&self) {
        loop {
            let failed = self.once().await;
            sleep(self.times.ask_again).await;
            if !failed {
                let rest = self.times.cache.saturating_sub(self.times.ask_again);
                let _either = timeout(rest, self.wanted.notified()).await;
            }
        }
    }

    /// Asks once; whether that failed.
    async fn once(&self) -> bool {
        let fetched = self.source.fetch().await;
        let (now, before) = (Some(Instant::now()), Arc::clone(&self.seen.borrow()));
        let after = match fetched {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "the identity provider's keys were read");
                Seen { keys: Arc::new(keys), fetched: now, asked: now, failed: false }
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the identity provider's keys cannot be read");
                Seen { keys: Arc::clone(&before.keys), fetched: before.fetched, asked: now, failed: true }
            }
        };
        let failed = after.failed;
        self.seen.send_replace(Arc::new(after));
        failed
    }
}
