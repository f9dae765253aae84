//! The body reader. actix bounds the time of a connection's first head and nothing else, so a slow
//! client is told off here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::{StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use crate::Problem;

/// Bytes that all bodies being read in this process may hold together. Over it, new ones are shed.
const READING_MAX_BYTES: usize = 128 * 1024 * 1024;
/// What is reserved at first for a body that announces its length.
const FIRST_RESERVE_BYTES: usize = 64 * 1024;

static READING_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Bounds of one body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest body.
    pub max_bytes: usize,
    /// From the first look to the last byte.
    pub deadline_ms: u64,
}

impl Limits {
    /// A batch of events: 1 MiB in 10 s.
    pub const EVENTS: Self = Self { max_bytes: 1024 * 1024, deadline_ms: 10_000 };
    /// A configuration request: 256 KiB in 10 s.
    pub const CONFIGURATION: Self = Self { max_bytes: 256 * 1024, deadline_ms: 10_000 };
}

/// Reads the whole body of `request`.
///
/// # Errors
/// 415 `unsupported_content_encoding` for compressed bodies, and those of [`read_encoded`].
pub async fn read<S>(payload: S, request: &HttpRequest, limits: Limits) -> Result<Bytes, Problem>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    refuse_encoding(request)?;
    read_encoded(payload, request, limits).await
}

/// Reads the whole body of `request` as it is sent, compressed or not.
///
/// # Errors
/// 413 `body_too_large` as soon as that is known, 408 `body_too_slow`, 400 `body_incomplete`, 503 `overloaded` when
/// bodies being read hold too much memory already.
pub async fn read_encoded<S>(payload: S, request: &HttpRequest, limits: Limits) -> Result<Bytes, Problem>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let announced = announced_bytes(request);
    if announced.is_some_and(|bytes| bytes > limits.max_bytes) {
        return Err(too_large(limits));
    }
    let deadline = Duration::from_millis(limits.deadline_ms);
    match tokio::time::timeout(deadline, collect(payload, announced, limits)).await {
        Ok(body) => body,
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            format!("the body did not arrive within {} ms", limits.deadline_ms),
        )),
    }
}

async fn collect<S>(mut payload: S, announced: Option<usize>, limits: Limits) -> Result<Bytes, Problem>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let mut held = Held(0);
    let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(FIRST_RESERVE_BYTES));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| incomplete(&error))?;
        if body.len() + chunk.len() > limits.max_bytes {
            return Err(too_large(limits));
        }
        held.take(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Bytes held by one body that is being read.
struct Held(usize);

impl Held {
    fn take(&mut self, bytes: usize) -> Result<(), Problem> {
        let before = READING_BYTES.fetch_add(bytes, Ordering::Relaxed);
        self.0 += bytes;
        if before + bytes > READING_MAX_BYTES {
            return Err(Problem::unavailable("overloaded", "too many bodies are being read"));
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        READING_BYTES.fetch_sub(self.0, Ordering::Relaxed);
    }
}

fn refuse_encoding(request: &HttpRequest) -> Result<(), Problem> {
    let encodings = request.headers().get_all(header::CONTENT_ENCODING);
    for encoding in encodings {
        let identity = encoding.to_str().is_ok_and(|text| {
            let text = text.trim();
            text.is_empty() || text.eq_ignore_ascii_case("identity")
        });
        if !identity {
            return Err(Problem::unsupported_type(
                "unsupported_content_encoding",
                "bodies are taken uncompressed only",
            ));
        }
    }
    Ok(())
}

fn announced_bytes(request: &HttpRequest) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limits: Limits) -> Problem {
    let message = format!("the body is larger than {} bytes", limits.max_bytes);
    Problem::too_large("body_too_large", message)
}

fn incomplete(error: &PayloadError) -> Problem {
    tracing::debug!(%error, "a body broke off");
    Problem::bad_request("body_incomplete", "the body broke off")
}
