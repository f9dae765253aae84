//! Moves messages from an outbox to the broker: claim, publish, await confirms, delete, commit.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use domain::outbox::{Outbox, Publish};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Rows in one round.
const CLAIM: usize = 512;

/// The waits of an idle relay: doubled from the first to the second while nothing comes.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(250);

/// From the begin of a round to the next, unless there is more than a round can take. What is written meanwhile goes together:
/// a round costs the database and the broker a sync each, however little it carries. The more of its messages had room, the longer
/// is waited: they become fewer.
const PACE: RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(60);
const PACE_OF_UNFILLED: Duration = Duration::from_micros(500);

/// How long the outbox is emptied after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(5);

/// The relay of one service's outbox. Any number may run side by side: rounds claim with
/// `SKIP LOCKED`, and messages have no order.
pub struct Relay;

impl Relay {
    /// Runs until cancelled, then empties the outbox for at most 5 s. Claims nothing while the
    /// publisher is not ready.
    pub async fn run(outbox: Arc<dyn Outbox>, publisher: Arc<dyn Publish>, cancel: CancellationToken) {
        let relay = Running { outbox, publisher };
        relay.work(&cancel).await;
        if tokio::time::timeout(DRAIN, relay.drain()).await.is_err() {
            tracing::info!("the outbox was not emptied in time; the next start goes on with it");
        }
    }
}

struct Running {
    outbox: Arc<dyn Outbox>,
    publisher: Arc<dyn Publish>,
}

impl Running {
    async fn work(&self, cancel: &CancellationToken) {
        let mut idle = SHORTEST;
        let mut failures: Option<ExponentialBackoff> = None;
        while !cancel.is_cancelled() {
            let begun = Instant::now();
            let mut pace = Duration::ZERO;
            let wait = if self.publisher.ready() {
                match self.outbox.relay_round(CLAIM, Arc::clone(&self.publisher)).await {
                    Ok(round) => {
                        if failures.take().is_some() {
                            tracing::info!("the relay goes on");
                        }
                        if round.confirmed > 0 {
                            idle = SHORTEST;
                            pace = paced(round.unfilled);
                        }
                        // A full round that got rid of something: there is more.
                        if round.more && round.confirmed > 0 {
                            continue;
                        }
                        idle
                    }
                    Err(error) => after(&mut failures, error.as_ref()),
                }
            } else {
                LONGEST
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep_until(begun + pace) => {}
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                // Not after a failure: the messages that woke it may be what fails.
                () = self.outbox.woken(), if failures.is_none() && self.publisher.ready() => {
                    idle = SHORTEST;
                }
                () = tokio::time::sleep(wait) => idle = (idle * 2).min(LONGEST),
            }
        }
    }

    /// Rounds until nothing is left that could be sent.
    async fn drain(&self) {
        while self.publisher.ready() {
            match self.outbox.relay_round(CLAIM, Arc::clone(&self.publisher)).await {
                Ok(round) if round.confirmed > 0 => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::info!(error = %error, "the outbox was not emptied");
                    return;
                }
            }
        }
    }
}

fn paced(unfilled: usize) -> Duration {
    let unfilled = u32::try_from(unfilled).unwrap_or(u32::MAX);
    PACE_OF_UNFILLED.saturating_mul(unfilled).clamp(*PACE.start(), *PACE.end())
}

/// The wait after a failed round; the first failure of a row is logged.
fn after(failures: &mut Option<ExponentialBackoff>, error: &(dyn std::error::Error + Send + Sync)) -> Duration {
    let waits = failures.get_or_insert_with(|| {
        tracing::warn!(%error, "a round of the relay failed");
        ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_millis(2_500))
            .with_jitter()
            .without_max_times()
            .build()
    });
    waits.next().unwrap_or(LONGEST)
}
