//! What surrounds every request: its id, the one log line, the metrics, and the answer where a
//! handler panicked or actix itself answered.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError};
use futures_util::FutureExt;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use tracing::field::Empty;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::problem::{Code, Problem};
use crate::unread::Unread;

/// The header that names a request, in and out.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The target of the access log: `RUST_LOG=info,access=warn` leaves it out.
const TARGET: &str = "access";
/// The status in the log of a request whose client went away (as nginx has it).
const CLIENT_CLOSED: u16 = 499;

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of the request that is being answered by this task.
pub fn current_request_id() -> Option<String> {
    REQUEST_ID.try_with(Clone::clone).ok()
}

/// Adds `name=value` to the request's one log line, for counts and ids. Never a payload.
pub fn note(request: &HttpRequest, name: &'static str, value: impl ToString) {
    let mut extensions = request.extensions_mut();
    if extensions.get::<Notes>().is_none() {
        extensions.insert(Notes::default());
    }
    if let Some(Notes(notes)) = extensions.get_mut::<Notes>() {
        notes.push((name, value.to_string()));
    }
}

/// The trace context that what this request causes goes on with; none when it came without one and is not recorded.
pub fn traceparent(request: &HttpRequest) -> Option<String> {
    request.extensions().get::<Traceparent>().map(|Traceparent(text)| text.clone())
}

struct Traceparent(String);

#[derive(Default)]
struct Notes(Vec<(&'static str, String)>);

/// The instruments of the HTTP side.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    duration: Histogram<f64>,
    problems: Counter<u64>,
    panics: Counter<u64>,
}

impl HttpMetrics {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("goalpost.web");
        let duration = meter.f64_histogram("http.server.request.duration").with_unit("s");
        let problems = meter.u64_counter("http.server.problems");
        let panics = meter.u64_counter("http.server.panics");
        Self {
            duration: duration.with_description("Time to the head of the answer.").build(),
            problems: problems.with_description("Error answers by code.").build(),
            panics: panics.with_description("Handlers that panicked.").build(),
        }
    }
}

/// The middleware around everything.
pub(crate) async fn surround(
    metrics: HttpMetrics,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request_id(request.request());
    let mut line = Line::open(&request, id.clone(), metrics);
    let traced = line.traced(request.request());
    if let Some(traceparent) = line.trace.clone() {
        request.extensions_mut().insert(Traceparent(traceparent));
    }
    let unread = Unread::hold(&mut request);
    let span = tracing::info_span!("request", request_id = id, traceparent = line.trace);
    let answer = async { next.call(request).await.map(as_problem) };
    let answer = AssertUnwindSafe(answer).catch_unwind().instrument(traced).instrument(span);
    match REQUEST_ID.scope(id.clone(), answer).await {
        Ok(Ok(mut response)) => {
            if let Ok(value) = HeaderValue::from_str(&id) {
                response.headers_mut().insert(REQUEST_ID_HEADER, value);
            }
            let code = response.response().extensions().get::<Code>().map(|code| code.0);
            let notes = notes(response.request());
            line.close(response.status().as_u16(), code, notes);
            Ok(response.map_body(|_, body| Unread::tie(unread, body)))
        }
        Ok(Err(error)) => Err(Unread::tie_error(unread, line.close_with(problem_of(&error)))),
        Err(_panic) => {
            line.metrics.panics.add(1, &[]);
            Err(Unread::tie_error(unread, line.close_with(Problem::internal())))
        }
    }
}

/// The id that the client gave, if it is a decent one, else a new one.
fn request_id(request: &HttpRequest) -> String {
    let decent = |id: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        (1..=64).contains(&id.len()) && id.bytes().all(allowed)
    };
    let given = request.headers().get(REQUEST_ID_HEADER).and_then(|id| id.to_str().ok());
    given.filter(decent).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Answers that actix made itself become problem documents.
fn as_problem(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let ours = response.response().extensions().get::<Code>().is_some();
    let by_actix = response.response().error().is_some() || response.status() == StatusCode::METHOD_NOT_ALLOWED;
    if ours || !by_actix {
        return response;
    }
    let problem = match response.response().error() {
        Some(error) => problem_of(error),
        None => of_status(response.status()),
    };
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut answer = problem.error_response();
    if let Some(allow) = allow {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    response.into_response(answer)
}

fn problem_of(error: &Error) -> Problem {
    match error.as_error::<Problem>() {
        Some(problem) => problem.clone(),
        None => of_status(error.as_response_error().status_code()),
    }
}

/// The problem for a status that actix chose. Its texts are not repeated: they may quote the request.
pub(crate) fn of_status(status: StatusCode) -> Problem {
    let (code, message) = match status {
        StatusCode::NOT_FOUND => return Problem::not_found(),
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "the path has no such method"),
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_content_type", "not a type taken here"),
        StatusCode::REQUEST_TIMEOUT => ("body_too_slow", "the request took too long to arrive"),
        status if status.is_client_error() => ("bad_request", "the request is not valid"),
        _ => return Problem::internal(),
    };
    Problem::new(status, code, message)
}

fn notes(request: &HttpRequest) -> String {
    let extensions = request.extensions();
    let Some(Notes(notes)) = extensions.get::<Notes>() else {
        return String::new();
    };
    notes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// The log line of one request; one that is dropped unfinished says that its client went away.
struct Line {
    id: String,
    method: &'static str,
    route: String,
    trace: Option<String>,
    span: Span,
    started: Instant,
    metrics: HttpMetrics,
    closed: bool,
}

impl Line {
    fn open(request: &ServiceRequest, id: String, metrics: HttpMetrics) -> Self {
        Self {
            id,
            method: method(request.method()),
            route: request.match_pattern().unwrap_or_else(|| "unmatched".to_owned()),
            trace: None,
            span: Span::none(),
            started: Instant::now(),
            metrics,
            closed: false,
        }
    }

    /// The span of the request: it continues the trace that the client names, or begins one.
    fn traced(&mut self, request: &HttpRequest) -> Span {
        let came = request.headers().get("traceparent").and_then(|header| header.to_str().ok());
        let came = trace::valid(came);
        let span = tracing::debug_span!(
            target: trace::TARGET,
            "request",
            otel.name = format!("{} {}", self.method, self.route),
            otel.kind = "server",
            http.request.method = self.method,
            http.route = self.route,
            http.response.status_code = Empty,
        );
        self.span = trace::continued(span, came.as_deref());
        self.trace = trace::passed_on(&self.span, came.as_deref());
        self.span.clone()
    }

    fn close_with(self, problem: Problem) -> Problem {
        let id = self.id.clone();
        self.close(problem.status.as_u16(), Some(problem.code), String::new());
        problem.in_request(&id)
    }

    fn close(mut self, status: u16, code: Option<&'static str>, notes: String) {
        self.closed = true;
        self.record(status, code, &notes);
    }

    fn record(&self, status: u16, code: Option<&'static str>, notes: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.span.record("http.response.status_code", status);
        if status >= 500 {
            trace::failed(&self.span, code.unwrap_or("failed"));
        }
        self.metrics.duration.record(
            seconds,
            &[
                KeyValue::new("http.request.method", self.method),
                KeyValue::new("http.route", self.route.clone()),
                KeyValue::new("http.response.status_code", i64::from(status)),
            ],
        );
        if let Some(code) = code {
            self.metrics.problems.add(1, &[KeyValue::new("code", code)]);
        }
        tracing::info!(
            target: TARGET,
            method = self.method,
            route = self.route,
            status,
            ms = (seconds * 1e6).round() / 1e3,
            code,
            request_id = self.id,
            traceparent = self.trace,
            notes,
            "request"
        );
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.closed {
            self.record(CLIENT_CLOSED, Some("client_closed"), "");
        }
    }
}

/// The method as a label: only those of the standard, anybody can send others.
fn method(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}
