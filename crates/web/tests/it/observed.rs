//! What the log and the metrics say about requests, and what they keep to themselves.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;
use uuid::Uuid;

use crate::support::{Service, raw, send, start};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The access log's line with this request id; waits for it.
    async fn line(&self, id: &str) -> Value {
        for _ in 0..400 {
            let lines = self.text();
            let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let found = lines.find(|line| line["target"] == "access" && line["request_id"] == id);
            if let Some(line) = found {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no line for {id} in {}", self.text());
    }
}

async fn get(service: &Service, path: &str, id: &str) {
    send(service.get(path).header("x-request-id", id)).await;
}

/// One test, because subscriber and meter provider are the process's.
#[actix_web::test]
async fn requests_are_logged_and_measured_by_their_pattern() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let registry = prometheus::Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone());
    let provider = SdkMeterProvider::builder().with_reader(exporter.build().unwrap()).build();
    opentelemetry::global::set_meter_provider(provider);

    let service = start().await;
    let id = Uuid::now_v7();
    get(&service, &format!("/things/{id}?token=canary"), "one").await;
    let line = log.line("one").await;
    assert_eq!(line["method"], "GET");
    assert_eq!(line["route"], "/things/{id}");
    assert_eq!(line["status"], 404);
    assert_eq!(line["code"], "not_found");
    assert_eq!(line["notes"], "things=3");
    assert!(line["ms"].as_f64().unwrap() > 0.0);

    get(&service, "/nowhere/canary", "two").await;
    assert_eq!(log.line("two").await["route"], "unmatched");
    get(&service, "/panic", "three").await;
    assert_eq!(log.line("three").await["code"], "internal");
    let body = service.post("/strict").header("content-type", "application/json");
    send(body.header("x-request-id", "four").body(r#"{"canary":1}"#)).await;
    assert_eq!(log.line("four").await["code"], "unknown_field");
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = service.get("/fail/conflict").header("traceparent", parent);
    send(traced.header("x-request-id", "five")).await;
    assert_eq!(log.line("five").await["traceparent"], parent);
    let gone = "GET /slow HTTP/1.1\nHost: x\nX-Request-Id: six\n\n";
    let stream = raw(&service, gone).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(stream);
    let status = log.line("six").await["status"].as_u64();
    assert!(matches!(status, Some(200 | 499)), "{status:?}");
    let text = log.text();
    assert!(!text.contains("canary") && !text.contains(&id.to_string()), "{text}");

    assert_measured(&registry);
}

fn assert_measured(registry: &prometheus::Registry) {
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let has = |name: &str, labels: &[&str], value: &str| {
        text.lines().any(|line| {
            line.starts_with(name) && labels.iter().all(|label| line.contains(label)) && line.ends_with(value)
        })
    };
    let things = ["http_route=\"/things/{id}\"", "http_response_status_code=\"404\""];
    assert!(has("http_server_request_duration_seconds_count", &things, " 1"), "{text}");
    assert!(has("http_server_problems_total", &["code=\"not_found\""], " 1"), "{text}");
    assert!(has("http_server_panics_total", &[], " 1"), "{text}");
}
