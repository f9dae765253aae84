//! A collector in place of somebody else's: takes OTLP over HTTP and keeps the spans.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What is kept of a span.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub trace_id: String,
    pub id: String,
    pub parent: String,
    /// Read by its `Debug` text only.
    #[expect(dead_code, reason = "is looked through as text")]
    attributes: String,
}

/// Listens until the test ends.
pub struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
    stop: CancellationToken,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let kept = Arc::clone(&spans);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        #[expect(clippy::disallowed_methods, reason = "a test's own server")]
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (kept, stopped) = (Arc::clone(&kept), stopped.clone());
                #[expect(clippy::disallowed_methods, reason = "a test's own server")]
                tokio::spawn(async move { stopped.run_until_cancelled(serve(stream, &kept)).await });
            }
        }));
        Self { url, spans, stop }
    }

    /// From now on nobody listens.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The spans of a trace, once those named have come.
    pub async fn until(&self, trace_id: &str, expected: &[(&str, &str)], limit: Duration) -> Vec<Span> {
        let limit = Instant::now() + limit;
        loop {
            let all = self.spans.lock().unwrap().clone();
            let spans: Vec<Span> = all.into_iter().filter(|span| span.trace_id == trace_id).collect();
            let came = |(service, name): &&(&str, &str)| {
                spans.iter().any(|span| span.service == *service && span.name == *name)
            };
            let missing: Vec<_> = expected.iter().filter(|path| !came(path)).collect();
            if missing.is_empty() {
                return spans;
            }
            assert!(Instant::now() < limit, "no span {missing:?} among {spans:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Answers requests on one connection until it ends.
async fn serve(mut stream: TcpStream, kept: &Mutex<Vec<Span>>) {
    let mut arrived = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = arrived.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut arrived).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let text = String::from_utf8_lossy(&arrived[..head]).to_lowercase();
        assert!(text.starts_with("post /v1/traces "), "{text}");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
        let end = head + length.trim().parse::<usize>().unwrap();
        while arrived.len() < end {
            if stream.read_buf(&mut arrived).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let request = ExportTraceServiceRequest::decode(&arrived[head..end]).unwrap();
        kept.lock().unwrap().extend(spans_of(request));
        arrived.drain(..end);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

fn spans_of(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in request.resource_spans {
        let attributes = resource.resource.unwrap_or_default().attributes;
        let name = attributes.into_iter().find(|attribute| attribute.key == "service.name");
        let service = match name.and_then(|attribute| attribute.value?.value) {
            Some(Value::StringValue(service)) => service,
            other => panic!("no service name: {other:?}"),
        };
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                service: service.clone(),
                name: span.name,
                trace_id: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                attributes: format!("{:?}", span.attributes),
            });
        }
    }
    spans
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
