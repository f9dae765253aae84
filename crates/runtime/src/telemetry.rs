//! Logs and metrics of a process: set up once, shared by every service in it.

use std::io::IsTerminal;
use std::sync::OnceLock;

use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::process;
use crate::traces::{self, Telemetry, resource};

/// Upper bounds of the buckets of histograms with unit `s`: 0.5 ms to 30 s, close together where
/// the promises are (15, 20, 50, 100 and 500 ms).
const SECONDS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.035, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// Upper bounds of the buckets of histograms that count things (events of a batch, rows).
const COUNTS: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0];
/// Upper bounds of the buckets of histograms with unit `By`.
const BYTES: [f64; 9] = [256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

static INSTALLED: OnceLock<Metrics> = OnceLock::new();

/// The process's metrics. Instruments are made from `opentelemetry::global::meter`, and are read
/// through this registry.
#[derive(Clone)]
pub struct Metrics {
    /// What `/metrics` prints.
    pub registry: prometheus::Registry,
}

impl Metrics {
    /// Installs the process's meter provider, unless that was done before.
    pub(crate) fn installed(service: &'static str) -> Self {
        INSTALLED.get_or_init(|| Self::install(service)).clone()
    }

    fn install(service: &'static str) -> Self {
        let registry = prometheus::Registry::new();
        let builder = SdkMeterProvider::builder().with_resource(resource(service)).with_view(buckets);
        let exporter =
            opentelemetry_prometheus::exporter().with_registry(registry.clone()).without_scope_info().build();
        match exporter {
            Ok(exporter) => {
                opentelemetry::global::set_meter_provider(builder.with_reader(exporter).build());
                process::observe(&opentelemetry::global::meter("goalpost"));
            }
            Err(error) => tracing::error!(%error, "no metrics"),
        }
        Self { registry }
    }
}

/// The view that gives every histogram explicit buckets by its unit.
fn buckets(instrument: &Instrument) -> Option<Stream> {
    if instrument.kind() != InstrumentKind::Histogram {
        return None;
    }
    let boundaries = match instrument.unit() {
        "s" => SECONDS.to_vec(),
        "ms" => SECONDS.iter().map(|seconds| seconds * 1000.0).collect(),
        "By" => BYTES.to_vec(),
        _ => COUNTS.to_vec(),
    };
    let aggregation = Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false };
    Stream::builder().with_aggregation(aggregation).build().ok()
}

/// Logs to standard output: JSON, or readable lines when that is a terminal. `RUST_LOG` filters
/// (default `info`). Panics are logged as well. Spans go to the collector that is named. Does nothing
/// when logs are set up already.
pub(crate) fn init(service: &'static str, telemetry: &Telemetry) {
    let filter =
        EnvFilter::builder().with_default_directive(tracing::level_filters::LevelFilter::INFO.into()).from_env_lossy();
    // lapin quotes a returned message with its payload; what else it has to say, bus says once.
    let quiet = match filter.to_string().contains("lapin") {
        true => "lapin::returned_messages=off",
        false => "lapin=off",
    };
    let filter = match quiet.parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_never) => filter,
    };
    let lines = tracing_subscriber::fmt::layer();
    let lines = match std::io::stdout().is_terminal() {
        true => lines.compact().boxed(),
        false => lines.json().flatten_event(true).with_current_span(false).boxed(),
    };
    // Each by its own filter: what is traced does not hang on what is logged.
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
    let installed = registry.with(traces::layer(service, telemetry)).try_init();
    if installed.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            tracing::error!(panic = %panic, "panicked");
        }));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use opentelemetry::KeyValue;

    use super::*;

    #[test]
    fn histograms_have_explicit_buckets_and_the_registry_prints_them() {
        let metrics = Metrics::installed("test");
        assert!(!Metrics::installed("other").registry.gather().is_empty(), "one for the process");
        let meter = opentelemetry::global::meter("test");
        meter.f64_histogram("some.latency").with_unit("s").build().record(0.012, &[]);
        meter.u64_histogram("some.size").build().record(30, &[]);
        meter.u64_counter("some.things").build().add(3, &[KeyValue::new("kind", "a")]);
        let text = prometheus::TextEncoder::new().encode_to_string(&metrics.registry.gather());
        let text = text.unwrap();
        assert!(text.contains("some_latency_seconds_bucket{le=\"0.01\"} 0"), "{text}");
        assert!(text.contains("some_latency_seconds_bucket{le=\"0.015\"} 1"), "{text}");
        assert!(text.contains("some_size_bucket{le=\"25\"} 0"), "{text}");
        assert!(text.contains("some_size_bucket{le=\"50\"} 1"), "{text}");
        assert!(text.contains("some_things_total{kind=\"a\"} 3"), "{text}");
        assert!(text.contains("service_name=\"test\""), "{text}");
    }
}
