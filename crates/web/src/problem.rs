//! Error answers: RFC 9457 `application/problem+json`, with a stable `code` that is the same text in
//! the answer, in the log and in the metric.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use domain::fault::Fault;
use serde::Serialize;
use serde_json::Value;

use crate::access;

/// The content type of every error answer.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What [`Problem::unavailable`] tells clients to wait, unless told otherwise.
const UNAVAILABLE_RETRY_SECONDS: u32 = 2;
/// What [`Problem::too_many`] tells clients to wait, unless told otherwise.
const TOO_MANY_RETRY_SECONDS: u32 = 1;

/// An error answer. Every handler and extractor here fails with one.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable, `snake_case`.
    pub code: &'static str,
    /// For people; never a stack trace, an SQL text or another tenant's value.
    pub message: String,
    /// Faults of fields of the request.
    pub errors: Vec<Fault>,
    /// Seconds after which it makes sense to try again: the header `Retry-After`.
    pub retry_after: Option<u32>,
    /// Boxed, so that a `Result<_, Problem>` stays small.
    more: Option<Box<More>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct More {
    members: Vec<(&'static str, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    request_id: Option<String>,
}

/// The code of the problem that a response carries, for the log and the metric.
pub(crate) struct Code(pub(crate) &'static str);

impl Problem {
    /// A problem with any status.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let (errors, message) = (Vec::new(), message.into());
        Self { status, code, message, errors, retry_after: None, more: None }
    }

    /// 400: malformed or invalid.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 400 with faults of fields: code and message are those of the first.
    pub fn invalid(faults: Vec<Fault>) -> Self {
        let (code, message) = faults.first().map_or_else(
            || ("invalid_value", "the request is not valid".to_owned()),
            |fault| (fault.code, fault.to_string()),
        );
        Self { errors: faults, ..Self::bad_request(code, message) }
    }

    /// 401: no credential, or none that is known. Carries `WWW-Authenticate`.
    pub fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"goalpost\"");
        Self::new(StatusCode::UNAUTHORIZED, code, message).with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// 403: known, but not allowed.
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 404: there is no such object, or it is another tenant's, or its id is none. One text for all,
    /// so that nothing can be told from the answer.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such object")
    }

    /// 409: it contradicts what is there.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 413: the body, or something in it, is too large.
    pub fn too_large(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, message)
    }

    /// 415: a type or encoding of the body that is not taken.
    pub fn unsupported_type(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, message)
    }

    /// 429: too much; carries `Retry-After` (1 s unless set).
    pub fn too_many(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, message).retry_in(TOO_MANY_RETRY_SECONDS)
    }

    /// 503: a dependency is away, or the service is overloaded; carries `Retry-After` (2 s unless
    /// set).
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry_in(UNAVAILABLE_RETRY_SECONDS)
    }

    /// 500: our fault. What happened belongs in the log, not here.
    pub fn internal() -> Self {
        let message = "something went wrong on our side";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// With faults of fields.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<Fault>) -> Self {
        self.errors = errors;
        self
    }

    /// With `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_in(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// With one more member in the document (`results`, the id of what exists already). The standard
    /// members cannot be replaced.
    #[must_use]
    pub fn with_extra(mut self, name: &'static str, value: Value) -> Self {
        self.more_mut().members.push((name, value));
        self
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.more_mut().headers.push((name, value));
        self
    }

    /// With the id of the request it answers, where that cannot be known later.
    pub(crate) fn in_request(mut self, id: &str) -> Self {
        self.more_mut().request_id = Some(id.to_owned());
        self
    }

    fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    fn document(&self, request_id: Option<&str>) -> Value {
        let mut document = serde_json::Map::new();
        for (name, value) in self.more.iter().flat_map(|more| &more.members) {
            document.insert((*name).to_owned(), value.clone());
        }
        let errors: Vec<WireFault<'_>> = self.errors.iter().map(WireFault::from).collect();
        let standard = Document {
            kind: format!("urn:goalpost:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.message,
            instance: request_id.map(|id| format!("urn:goalpost:request:{id}")),
            code: self.code,
            message: &self.message,
            errors,
        };
        if let Ok(Value::Object(standard)) = serde_json::to_value(standard) {
            document.extend(standard);
        }
        Value::Object(document)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.message)
    }
}

impl std::error::Error for Problem {}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::invalid(vec![fault])
    }
}

impl From<Vec<Fault>> for Problem {
    fn from(faults: Vec<Fault>) -> Self {
        Self::invalid(faults)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let known = self.more.as_ref().and_then(|more| more.request_id.clone());
        let request_id = known.clone().or_else(access::current_request_id);
        let mut builder = HttpResponse::build(self.status);
        builder.content_type(CONTENT_TYPE);
        if let Some(seconds) = self.retry_after {
            builder.insert_header((header::RETRY_AFTER, seconds));
        }
        for (name, value) in self.more.iter().flat_map(|more| &more.headers) {
            builder.append_header((name.clone(), value.clone()));
        }
        if let Some(id) = known {
            builder.insert_header((access::REQUEST_ID_HEADER, id));
        }
        let mut response = builder.body(self.document(request_id.as_deref()).to_string());
        response.extensions_mut().insert(Code(self.code));
        response
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<WireFault<'a>>,
}

#[derive(Serialize)]
struct WireFault<'a> {
    pointer: &'a str,
    code: &'static str,
    message: &'a str,
}

impl<'a> From<&'a Fault> for WireFault<'a> {
    fn from(fault: &'a Fault) -> Self {
        Self { pointer: &fault.pointer, code: fault.code, message: &fault.message }
    }
}
