//! What the service counts. For every tenant and in sum: received = stored + duplicate + rejected + limited + retry.

use std::collections::HashMap;
use std::time::Duration;

use domain::privacy::{Kind, Redacted};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

use crate::batch::Verdict;
use crate::store::partitions::Coverage;

/// The instruments of the service.
pub struct Metrics {
    received: Counter<u64>,
    stored: Counter<u64>,
    duplicate: Counter<u64>,
    rejected: Counter<u64>,
    limited: Counter<u64>,
    retry: Counter<u64>,
    redactions: Counter<u64>,
    batch_events: Histogram<u64>,
    commit_duration: Histogram<f64>,
}

impl Metrics {
    /// The instruments, from the process's meter provider.
    pub fn new() -> Self {
        let meter = meter();
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        let metrics = Self {
            received: counter("ingest.events.received", "Events taken from a door"),
            stored: counter("ingest.events.stored", "Events stored"),
            duplicate: counter("ingest.events.duplicate", "Events that were stored already"),
            rejected: counter("ingest.events.rejected", "Events rejected for good, by code"),
            limited: counter("ingest.events.limited", "Events sampled out"),
            retry: counter("ingest.events.retry", "Events whose sender has to send them again"),
            redactions: counter("ingest.redactions", "Personal data taken out of events, by kind"),
            batch_events: meter.u64_histogram("ingest.batch.events").with_description("Events of one batch").build(),
            commit_duration: meter
                .f64_histogram("ingest.commit.duration")
                .with_unit("s")
                .with_description("From taking a batch to its last commit")
                .build(),
        };
        // There from the start: what has not happened is 0.
        for counter in [&metrics.received, &metrics.stored, &metrics.duplicate, &metrics.limited, &metrics.retry] {
            counter.add(0, &[]);
        }
        for kind in Kind::ALL {
            metrics.redactions.add(0, &[KeyValue::new("kind", kind.as_str())]);
        }
        metrics
    }

    /// Events have come in.
    pub fn received(&self, events: usize) {
        self.received.add(count(events), &[]);
    }

    /// An event was rejected at the door.
    pub fn rejected(&self, code: &'static str, events: usize) {
        self.rejected.add(count(events), &[KeyValue::new("code", code)]);
    }

    /// Events were sampled out at the door.
    pub fn limited(&self, events: usize) {
        self.limited.add(count(events), &[]);
    }

    /// So much was taken out of events at the door, duplicates included.
    pub fn redacted(&self, redacted: &Redacted) {
        for kind in Kind::ALL.iter().filter(|kind| redacted.of(**kind) > 0) {
            self.redactions.add(u64::from(redacted.of(*kind)), &[KeyValue::new("kind", kind.as_str())]);
        }
    }

    /// Events were turned away unstored.
    pub fn turned_away(&self, events: usize) {
        self.retry.add(count(events), &[]);
    }

    /// What became of the events of a batch.
    pub fn verdicts<'a>(&self, verdicts: impl Iterator<Item = &'a Verdict>) {
        let (mut stored, mut duplicate, mut limited, mut retry) = (0, 0, 0, 0);
        let mut rejected: HashMap<&'static str, usize> = HashMap::new();
        for verdict in verdicts {
            match verdict {
                Verdict::Accepted => stored += 1,
                Verdict::Duplicate => duplicate += 1,
                Verdict::Limited => limited += 1,
                Verdict::Rejected(fault) => *rejected.entry(fault.code).or_default() += 1,
                Verdict::Retry | Verdict::Unavailable => retry += 1,
            }
        }
        self.stored.add(stored, &[]);
        self.duplicate.add(duplicate, &[]);
        self.limited.add(limited, &[]);
        self.retry.add(retry, &[]);
        for (code, events) in rejected {
            self.rejected(code, events);
        }
    }

    /// A batch was committed, or given up.
    pub fn committed(&self, events: usize, took: Duration) {
        self.batch_events.record(count(events), &[]);
        self.commit_duration.record(took.as_secs_f64(), &[]);
    }
}

/// How far the partitions reach.
pub struct Partitions {
    months: Gauge<i64>,
    default_rows: Gauge<i64>,
    maintained: Gauge<i64>,
}

impl Partitions {
    /// The gauges, from the process's meter provider.
    pub fn new() -> Self {
        let meter = meter();
        let gauge = |name, description| meter.i64_gauge(name).with_description(description).build();
        Self {
            months: gauge("ingest.partitions.months", "Months from this one on, without a gap, that have a partition"),
            default_rows: gauge("ingest.partitions.default_rows", "Rows that no month's partition has taken"),
            maintained: gauge("ingest.maintenance.age.seconds", "Since maintenance was last done with everything"),
        }
    }

    /// What was seen.
    pub fn record(&self, coverage: &Coverage) {
        self.months.record(coverage.months, &[]);
        self.default_rows.record(coverage.default_rows, &[]);
        self.maintained.record(coverage.maintained_seconds, &[]);
    }
}

/// Shows how many bytes of bodies wait to be stored.
pub fn observe_queue(bytes: impl Fn() -> usize + Send + Sync + 'static) {
    meter()
        .u64_observable_gauge("ingest.queue.bytes")
        .with_description("Bytes of requests that are being stored")
        .with_callback(move |observer| observer.observe(count(bytes()), &[]))
        .build();
}

fn meter() -> Meter {
    opentelemetry::global::meter("goalpost")
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
