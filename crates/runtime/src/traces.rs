//! Spans on their way to a collector, over OTLP: in batches, from a queue that drops what does not fit, on a thread of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData};
use serde::{Deserialize, Deserializer};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Spans that wait for the collector; what comes while it is full is dropped.
const QUEUE: usize = 8_192;
/// Spans of one export.
const BATCH: usize = 512;
/// Longest wait of a span for company.
const DELAY: Duration = Duration::from_secs(1);
/// Bound of one export.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);
/// Bound of the last export, at the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

static INSTALLED: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Section `telemetry` of every service's settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Where a collector takes OTLP over HTTP, as `http://collector:4318`. Empty: nothing is traced.
    #[serde(deserialize_with = "endpoint")]
    pub otlp_endpoint: String,
    /// Share of the traces begun here that are recorded. For one that came with a request, its sender has decided.
    #[serde(deserialize_with = "ratio")]
    pub sample_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), sample_ratio: 1.0 }
    }
}

fn endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let endpoint = String::deserialize(deserializer)?;
    if endpoint.is_empty() || endpoint.starts_with("http://") {
        return Ok(endpoint);
    }
    Err(serde::de::Error::custom("must begin with http://"))
}

fn ratio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let ratio = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&ratio) {
        return Ok(ratio);
    }
    Err(serde::de::Error::custom("must be from 0 to 1"))
}

/// The layer that turns spans of the target `trace` into exported ones; none where no collector is named.
pub(crate) fn layer<S>(service: &'static str, telemetry: &Telemetry) -> Option<impl Layer<S> + use<S>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if telemetry.otlp_endpoint.is_empty() {
        return None;
    }
    let provider = match provider(service, telemetry) {
        Ok(provider) => INSTALLED.get_or_init(|| provider),
        Err(error) => {
            eprintln!("{service}: traces are not exported: {error}");
            return None;
        }
    };
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("goalpost"));
    let layer = layer.with_location(false).with_threads(false).with_target(false).with_level(false);
    let layer = layer.with_tracked_inactivity(false);
    Some(layer.with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == trace::TARGET)))
}

/// Sends what waits, within a bound. Not from within an async runtime.
pub(crate) fn flush() {
    if let Some(provider) = INSTALLED.get()
        && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
    {
        tracing::info!(%error, "the last spans were not exported");
    }
}

fn provider(service: &'static str, telemetry: &Telemetry) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", telemetry.otlp_endpoint.trim_end_matches('/')))
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(DELAY)
        .build();
    let processor = BatchSpanProcessor::builder(Noisy { exporter, failing: AtomicBool::new(false) });
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(telemetry.sample_ratio)));
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor.with_batch_config(batches).build())
        .with_sampler(sampler)
        .with_resource(resource(service))
        .build())
}

/// What every span and every metric is of.
pub(crate) fn resource(service: &'static str) -> Resource {
    Resource::builder_empty()
        .with_service_name(service)
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// An exporter that says once when it begins to fail, and once when it goes on.
#[derive(Debug)]
struct Noisy {
    exporter: SpanExporter,
    failing: AtomicBool,
}

impl opentelemetry_sdk::trace::SpanExporter for Noisy {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.exporter.export(batch).await;
        match &exported {
            Ok(()) if self.failing.swap(false, Relaxed) => tracing::info!("spans are exported again"),
            Err(error) if !self.failing.swap(true, Relaxed) => {
                tracing::warn!(%error, spans, "spans are lost: the collector does not take them");
            }
            _ => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_collector_without_tls_and_a_share_are_taken() {
        let read = |text: &str| toml::from_str::<Telemetry>(text);
        assert!(read("").unwrap().otlp_endpoint.is_empty(), "off unless a collector is named");
        let named = read("otlp_endpoint = \"http://collector:4318\"\nsample_ratio = 0.1").unwrap();
        assert_eq!((named.otlp_endpoint.as_str(), named.sample_ratio), ("http://collector:4318", 0.1));
        for bad in ["otlp_endpoint = \"collector:4318\"", "sample_ratio = 1.5", "sample_ratio = -1.0", "other = 1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn without_a_collector_there_is_no_layer() {
        assert!(layer::<tracing_subscriber::Registry>("test", &Telemetry::default()).is_none());
    }
}
