//! What the transaction runner measures, and what is seen of the tables it writes to.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use std::time::Duration;

/// A statement that takes longer is logged.
const SLOW: Duration = Duration::from_millis(50);
/// So much of a statement's text is its name in the log; the text holds no values.
const NAME_CHARS: usize = 100;

/// The instruments of one `Db`.
pub(crate) struct Metrics {
    transactions: Histogram<f64>,
    retries: Counter<u64>,
    lost_commits: Counter<u64>,
    statements: Histogram<f64>,
    slow: Counter<u64>,
    pool_wait: Histogram<f64>,
    pub(crate) pool_in_use: Gauge<u64>,
    pub(crate) pool_waiting: Gauge<u64>,
    pub(crate) outbox_messages: Gauge<i64>,
    pub(crate) outbox_events: Gauge<i64>,
    pub(crate) outbox_bytes: Gauge<u64>,
    pub(crate) outbox_age: Gauge<f64>,
    pub(crate) dead_letters: Gauge<i64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("goalpost");
        let seconds = |name: &'static str, what: &'static str| {
            meter.f64_histogram(name).with_unit("s").with_description(what).build()
        };
        let counter = |name: &'static str, what: &'static str| meter.u64_counter(name).with_description(what).build();
        let gauge = |name: &'static str, what: &'static str| meter.u64_gauge(name).with_description(what).build();
        let rows = |name: &'static str, what: &'static str| meter.i64_gauge(name).with_description(what).build();
        let age = meter.f64_gauge("outbox.age").with_unit("s");
        Self {
            transactions: seconds(
                "db.transaction.duration",
                "Time from asking for a connection to the commit, by name and outcome",
            ),
            retries: counter(
                "db.transaction.retries",
                "Transactions run again after a serialization failure or deadlock",
            ),
            lost_commits: counter(
                "db.transaction.lost_commits",
                "COMMITs whose answer was lost, and what the server said of them afterwards",
            ),
            statements: seconds(
                "db.statement.duration",
                "Time from sending a statement to its answer, by the name of its transaction",
            ),
            slow: counter("db.statements.slow", "Statements that took over 50 ms, by transaction"),
            pool_wait: seconds("db.pool.wait", "Time until a connection was there, by pool"),
            pool_in_use: gauge("db.pool.in_use", "Connections that are borrowed, by pool"),
            pool_waiting: gauge("db.pool.waiting", "Transactions that wait for a connection, by pool"),
            outbox_messages: rows("outbox.messages", "Messages that wait in the outbox"),
            outbox_events: rows("outbox.events", "Stored events that the messages in the outbox speak of"),
            outbox_bytes: meter
                .u64_gauge("outbox.size")
                .with_unit("By")
                .with_description("Bytes of the messages in the outbox, as they are stored")
                .build(),
            outbox_age: age.with_description("Age of the oldest message in the outbox; 0 when there is none").build(),
            dead_letters: rows("dead_letters.stored", "Dead letters that are kept"),
        }
    }

    pub(crate) fn ended(&self, name: &'static str, outcome: &'static str, took: Duration) {
        self.transactions.record(took.as_secs_f64(), &[KeyValue::new("name", name), KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn lost_commit(&self, name: &'static str, outcome: &'static str) {
        self.lost_commits.add(1, &[KeyValue::new("name", name), KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn retried(&self, name: &'static str) {
        self.retries.add(1, &[KeyValue::new("name", name)]);
    }

    pub(crate) fn waited(&self, system: bool, took: Duration) {
        let pool = if system { "system" } else { "tenant" };
        self.pool_wait.record(took.as_secs_f64(), &[KeyValue::new("pool", pool)]);
    }

    /// A statement of the transaction `name` was answered.
    pub(crate) fn answered(&self, name: &'static str, sql: &'static str, took: Duration) {
        self.statements.record(took.as_secs_f64(), &[KeyValue::new("name", name)]);
        if took < SLOW {
            return;
        }
        self.slow.add(1, &[KeyValue::new("name", name)]);
        let statement: String = sql.chars().take(NAME_CHARS).collect();
        let ms = took.as_millis();
        tracing::warn!(transaction = name, statement, ms, "a slow statement");
    }
}
