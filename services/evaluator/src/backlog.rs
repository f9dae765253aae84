//! How many stored events wait to be judged behind the bus, for a gauge. (Those still in ingest's outbox are counted there.)
//!
//! The broker counts messages, and only those that no consumer has. So the events of a message are taken from what has lately
//! been consumed, and what the consumers hold is counted as full while messages wait behind it: the broker would else have
//! handed those over.

use crate::metrics::Metrics;
use bus::{Bus, Queue};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks at the queue.
const EVERY: Duration = Duration::from_secs(5);
/// Weight of what came last in the average.
const WEIGHT: f64 = 0.2;

/// What the consumers of this process have seen lately. Clones share it.
#[derive(Clone, Default)]
pub struct Backlog(Arc<Seen>);

#[derive(Default)]
struct Seen {
    /// Messages being handled.
    held: AtomicU64,
    /// Events per message, as bits; 0 before the first.
    events_per_message: AtomicU64,
}

/// Messages that are being handled, until it is dropped.
pub struct Held(Arc<Seen>, u64);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(self.1, Relaxed);
    }
}

impl Backlog {
    /// Messages with so many events were taken.
    pub fn hold(&self, messages: usize, events: usize) -> Held {
        let count = u64::try_from(messages).unwrap_or(u64::MAX);
        self.0.held.fetch_add(count, Relaxed);
        if messages > 0 {
            let next = mean(self.average(), number(events) / number(messages));
            self.0.events_per_message.store(next.to_bits(), Relaxed);
        }
        Held(Arc::clone(&self.0), count)
    }

    fn average(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.events_per_message.load(Relaxed))).filter(|average| *average > 0.0)
    }

    /// Events in the queue, and with the consumers of this process, which hold at most `window` messages.
    fn events(&self, ready: u32, window: u64) -> (f64, f64) {
        let each = self.average().unwrap_or(1.0);
        let held = self.0.held.load(Relaxed);
        let held = if ready > 0 { held.max(window) } else { held };
        (f64::from(ready) * each, number(usize::try_from(held).unwrap_or(usize::MAX)) * each)
    }

    /// Fills the gauges again and again until `stop`. While the broker is away they stay as they are.
    pub async fn watch(self, bus: Bus, metrics: Metrics, window: u64, stop: CancellationToken) {
        let looking = async {
            loop {
                self.look(&bus, &metrics, window).await;
                tokio::time::sleep(EVERY).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = looking => {}
        }
    }

    async fn look(&self, bus: &Bus, metrics: &Metrics, window: u64) {
        match bus.ready_messages(Queue::EvaluatorEvents).await {
            Ok(ready) => {
                let (queued, held) = self.events(ready, window);
                metrics.backlog(queued, held);
            }
            Err(error) => tracing::debug!(%error, "the queue could not be looked at"),
        }
    }
}

fn mean(before: Option<f64>, last: f64) -> f64 {
    before.map_or(last, |before| before + WEIGHT * (last - before))
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_in_events() {
        let backlog = Backlog::default();
        assert_eq!(backlog.events(7, 256), (7.0, 256.0), "nothing was seen yet: a message is an event at least");
        let held = backlog.hold(2, 300);
        assert_eq!(backlog.events(0, 256), (0.0, 300.0));
        assert_eq!(backlog.events(10, 256), (1_500.0, 38_400.0), "messages wait, so the consumers have all they may");
        drop(held);
        assert_eq!(backlog.events(0, 256), (0.0, 0.0));
        drop(backlog.hold(1, 100));
        assert_eq!(backlog.events(1, 0), (140.0, 0.0), "the average follows");
    }
}
