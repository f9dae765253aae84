//! How a consumer waits while something its messages need is away: longer each time, never past
//! its limit, and not one moment after a stop or the end of the connection.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::link::Live;

/// Why a consumer stops taking messages from its channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A stop was asked for.
    Cancelled,
    /// Messages were held for as long as they may be.
    Held,
    /// A message came that may have ended processes: messages are to be fetched one by one.
    Suspect,
    /// All is well: messages are to be taken as they come.
    Fresh,
    /// The connection, or the channel on it, is of no use any more.
    Broken(String),
}

impl Stop {
    pub(crate) fn broken(error: Error) -> Self {
        Self::Broken(error.to_string())
    }
}

pub(crate) struct Patience<'a> {
    live: &'a Live,
    cancel: &'a CancellationToken,
    limit: Duration,
    since: Option<Instant>,
    waits: ExponentialBackoff,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(live: &'a Live, cancel: &'a CancellationToken, limit: Duration) -> Self {
        Self { live, cancel, limit, since: None, waits: waits() }
    }

    /// Waits a little. The time runs from the first wait after a success.
    pub(crate) async fn wait(&mut self, queue: &str, away: &str) -> Result<(), Stop> {
        let since = *self.since.get_or_insert_with(|| {
            tracing::warn!(queue, away, "the consumer pauses");
            Instant::now()
        });
        let left = self.limit.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Err(Stop::Held);
        }
        let wait = self.waits.next().unwrap_or(self.limit).min(left);
        tokio::select! {
            () = self.cancel.cancelled() => Err(Stop::Cancelled),
            () = self.live.broken() => Err(Stop::Broken("the connection ended".to_owned())),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// Something went well: start over.
    pub(crate) fn renew(&mut self, queue: &str) {
        if self.since.take().is_some() {
            tracing::info!(queue, "the consumer goes on");
            self.waits = waits();
        }
    }
}

/// 100 ms, doubled up to 2.5 s, each with up to as much again at random.
fn waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_millis(2_500))
        .with_jitter()
        .without_max_times()
        .build()
}
