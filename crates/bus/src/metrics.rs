//! What the bus counts, through the process's meter.

use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};

/// All instruments of one bus. Messages are counted per exchange (out) or queue (in).
pub(crate) struct Metrics {
    published: Counter<u64>,
    confirmed: Counter<u64>,
    returned: Counter<u64>,
    refused: Counter<u64>,
    deliveries: Counter<u64>,
    redeliveries: Counter<u64>,
    acks: Counter<u64>,
    retries: Counter<u64>,
    panics: Counter<u64>,
    dead_letters: Counter<u64>,
    connections_lost: Counter<u64>,
    connection_up: Gauge<u64>,
    connection_blocked: Gauge<u64>,
}

/// What became of a message that was to be published.
#[derive(Clone, Copy)]
pub(crate) enum Out {
    Published,
    Confirmed,
    Returned,
    Refused,
}

/// What became of a message that was delivered.
#[derive(Clone, Copy)]
pub(crate) enum In {
    Delivered,
    Redelivered,
    Acked,
    Retried,
    Panicked,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = global::meter("goalpost");
        let counter =
            |name: &'static str, meaning: &'static str| meter.u64_counter(name).with_description(meaning).build();
        let gauge = |name: &'static str, meaning: &'static str| meter.u64_gauge(name).with_description(meaning).build();
        Self {
            published: counter("bus.published", "messages handed to the broker"),
            confirmed: counter("bus.confirmed", "messages the broker has taken"),
            returned: counter("bus.returned", "mandatory messages no queue was bound for"),
            refused: counter("bus.refused", "messages the broker or the publisher refused"),
            deliveries: counter("bus.deliveries", "messages delivered to a consumer"),
            redeliveries: counter("bus.redeliveries", "messages delivered more than once"),
            acks: counter("bus.acks", "messages acknowledged"),
            retries: counter("bus.retries", "times a message had to wait for something away"),
            panics: counter("bus.panics", "times a handler panicked"),
            dead_letters: counter("bus.dead_letters", "messages given up and stored"),
            connections_lost: counter("bus.connections_lost", "connections that ended unasked"),
            connection_up: gauge("bus.connection_up", "1 while the connection stands"),
            connection_blocked: gauge("bus.connection_blocked", "1 while the broker blocks it"),
        }
    }

    pub(crate) fn out(&self, what: Out, exchange: &str) {
        let counter = match what {
            Out::Published => &self.published,
            Out::Confirmed => &self.confirmed,
            Out::Returned => &self.returned,
            Out::Refused => &self.refused,
        };
        counter.add(1, &[KeyValue::new("exchange", exchange.to_owned())]);
    }

    pub(crate) fn took(&self, what: In, queue: &str) {
        let counter = match what {
            In::Delivered => &self.deliveries,
            In::Redelivered => &self.redeliveries,
            In::Acked => &self.acks,
            In::Retried => &self.retries,
            In::Panicked => &self.panics,
        };
        counter.add(1, &[KeyValue::new("queue", queue.to_owned())]);
    }

    pub(crate) fn dead_letter(&self, queue: &str, code: &str) {
        let labels = [KeyValue::new("queue", queue.to_owned()), KeyValue::new("code", code.to_owned())];
        self.dead_letters.add(1, &labels);
    }

    pub(crate) fn up(&self, connection: &'static str, up: bool) {
        self.connection_up.record(u64::from(up), &[KeyValue::new("connection", connection)]);
    }

    pub(crate) fn lost(&self, connection: &'static str) {
        self.connections_lost.add(1, &[KeyValue::new("connection", connection)]);
    }

    pub(crate) fn blocked(&self, connection: &'static str, blocked: bool) {
        self.connection_blocked.record(u64::from(blocked), &[KeyValue::new("connection", connection)]);
    }
}
