//! What the transaction runner measures.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use std::time::Duration;

/// The instruments of one `Db`.
pub(crate) struct Metrics {
    transactions: Histogram<f64>,
    retries: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("goalpost");
        Self {
            transactions: meter
                .f64_histogram("db.transaction.duration")
                .with_unit("s")
                .with_description("Time from asking for a connection to the commit, by name and outcome")
                .build(),
            retries: meter
                .u64_counter("db.transaction.retries")
                .with_description("Transactions run again after a serialization failure or deadlock")
                .build(),
        }
    }

    pub(crate) fn ended(&self, name: &'static str, outcome: &'static str, took: Duration) {
        self.transactions.record(took.as_secs_f64(), &[KeyValue::new("name", name), KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn retried(&self, name: &'static str) {
        self.retries.add(1, &[KeyValue::new("name", name)]);
    }
}
