//! Looks at what waits: the outbox, the dead letters, the pools. For the gauges that alerts are made of.

use crate::metrics::Metrics;
use crate::outbox::Statements;
use crate::{Db, Error, Scope};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// The oldest messages that a look counts, and the newest. How many are between them is told by their ids, and what those come to is
/// reckoned: it must be known how much waits above all when there is so much that nobody could look at each.
const COUNTED: i64 = 100_000;

/// What waits in a service's schema.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Waiting {
    pub messages: i64,
    /// Stored events that those messages speak of.
    pub events: i64,
    /// Of the oldest message; 0 when there is none.
    pub age_seconds: f64,
    /// Beyond `COUNTED` by their ids.
    pub dead_letters: i64,
    /// Of the messages, as they are stored.
    pub bytes: u64,
}

impl Db {
    /// Fills the gauges again and again until `stop` resolves. A look that fails leaves them as they are.
    pub async fn watch(self, stop: impl Future<Output = ()> + Send) {
        let looking = async {
            loop {
                self.look().await;
                tokio::time::sleep(EVERY).await;
            }
        };
        futures_util::future::select(Box::pin(looking), Box::pin(stop)).await;
    }

    /// Bytes of the messages in the outbox at the last look of `watch`.
    pub fn outbox_bytes(&self) -> u64 {
        self.0.outbox_bytes.load(Relaxed)
    }

    async fn look(&self) {
        let metrics = &self.0.metrics;
        for (name, pool) in [("tenant", &self.0.tenant), ("system", &self.0.system)] {
            let status = pool.status();
            metrics.pool(name, status.size.saturating_sub(status.available), status.waiting);
        }
        // Not every service has an outbox.
        let Ok(statements) = Statements::of(self.0.schema) else {
            return;
        };
        match self.waiting(statements).await {
            Ok(waiting) => {
                self.0.outbox_bytes.store(waiting.bytes, Relaxed);
                metrics.waiting(self.0.schema, waiting);
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the outbox could not be looked at")
            }
        }
    }

    async fn waiting(&self, statements: &'static Statements) -> Result<Waiting, Error> {
        self.run_tx("watch", Scope::System("look at the outbox and the dead letters"), move |tx| {
            Box::pin(async move {
                let row = tx.query_one(statements.waiting, &[&COUNTED]).await?;
                let part = |first: usize| {
                    Ok::<_, Error>(Part {
                        messages: row.try_get(first)?,
                        events: row.try_get(first + 1)?,
                        bytes: row.try_get(first + 2)?,
                    })
                };
                let all = Part::of_all(part(1)?, part(4)?, row.try_get(7)?);
                Ok(Waiting {
                    messages: all.messages,
                    events: all.events,
                    age_seconds: row.try_get(0)?,
                    dead_letters: row.try_get(8)?,
                    bytes: u64::try_from(all.bytes).unwrap_or_default(),
                })
            })
        })
        .await
    }
}

/// Some of the messages that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    messages: i64,
    events: i64,
    bytes: i64,
}

impl Part {
    /// All of them: those between the oldest and the newest are taken to be as the larger of these.
    fn of_all(oldest: Self, newest: Self, between: i64) -> Self {
        let between = i128::from(between);
        let reckoned = |of: fn(Self) -> i64| {
            let mean = |part: Self| between * i128::from(of(part)) / i128::from(part.messages.max(1));
            let all = i128::from(of(oldest)) + i128::from(of(newest)) + mean(oldest).max(mean(newest));
            i64::try_from(all).unwrap_or(i64::MAX)
        };
        let messages = reckoned(|part| part.messages);
        Self { messages, events: reckoned(|part| part.events), bytes: reckoned(|part| part.bytes) }
    }
}

impl Metrics {
    fn waiting(&self, schema: &'static str, waiting: Waiting) {
        let labels = [opentelemetry::KeyValue::new("schema", schema)];
        self.outbox_messages.record(waiting.messages, &labels);
        self.outbox_events.record(waiting.events, &labels);
        self.outbox_bytes.record(waiting.bytes, &labels);
        self.outbox_age.record(waiting.age_seconds, &labels);
        self.dead_letters.record(waiting.dead_letters, &labels);
    }

    fn pool(&self, name: &'static str, in_use: usize, waiting: usize) {
        let labels = [opentelemetry::KeyValue::new("pool", name)];
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.pool_in_use.record(count(in_use), &labels);
        self.pool_waiting.record(count(waiting), &labels);
    }
}

#[cfg(test)]
mod tests {
    use super::Part;

    #[test]
    fn what_is_between_is_as_the_larger_of_the_ends() {
        let part = |messages, events, bytes| Part { messages, events, bytes };
        let of_all = |oldest, newest, between| Part::of_all(oldest, newest, between);
        assert_eq!(of_all(part(0, 0, 0), part(0, 0, 0), 0), part(0, 0, 0));
        assert_eq!(of_all(part(7, 9, 700), part(0, 0, 0), 0), part(7, 9, 700));
        assert_eq!(of_all(part(10, 10, 1_000), part(10, 2_000, 500_000), 5), part(25, 3_010, 751_000));
        assert_eq!(of_all(part(10, 2_000, 500_000), part(10, 10, 1_000), 5), part(25, 3_010, 751_000));
        assert_eq!(of_all(part(1, 1, i64::MAX), part(1, 1, i64::MAX), i64::MAX).bytes, i64::MAX);
    }
}
