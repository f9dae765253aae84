//! Looks at what waits: the outbox, the dead letters, the pools. For the gauges that alerts are made of.

use crate::metrics::Metrics;
use crate::outbox::Statements;
use crate::{Db, Error, Scope};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// The messages that a look counts. Where there are more, what it says of all is reckoned by their ids: it must be known how much waits
/// above all when there is so much that nobody could look at each.
const COUNTED: i64 = 100_000;

/// What waits in a service's schema.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Waiting {
    pub messages: i64,
    /// Stored events that those messages speak of.
    pub events: i64,
    /// Of the oldest message; 0 when there is none.
    pub age_seconds: f64,
    /// Counted up to `COUNTED`.
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
                let (counted, uncounted): (i64, i64) = (row.try_get(0)?, row.try_get(5)?);
                let of_all = |part: i64| reckoned(part, counted, uncounted);
                Ok(Waiting {
                    messages: counted.saturating_add(uncounted),
                    events: of_all(row.try_get(1)?),
                    age_seconds: row.try_get(2)?,
                    dead_letters: row.try_get(3)?,
                    bytes: u64::try_from(of_all(row.try_get(4)?)).unwrap_or_default(),
                })
            })
        })
        .await
    }
}

/// What all come to, if those that were not counted are as those that were.
fn reckoned(part: i64, counted: i64, uncounted: i64) -> i64 {
    let all = i128::from(part) * (i128::from(counted) + i128::from(uncounted)) / i128::from(counted.max(1));
    i64::try_from(all).unwrap_or(i64::MAX)
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
