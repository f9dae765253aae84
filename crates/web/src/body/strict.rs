//! Extractors for configuration requests.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use domain::fault::Fault;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{Limits, json, read, text};
use crate::Problem;

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

/// Longest `Idempotency-Key`.
const IDEMPOTENCY_KEY_MAX_BYTES: usize = 255;

/// The JSON body of a configuration request: `application/json`, at most 256 KiB within 10 s, with no
/// unknown field (`T` says `deny_unknown_fields`) and no key twice. No body at all is read as `{}`.
#[derive(Debug)]
pub struct Strict<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Strict<T> {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { take(&request, payload).await.map(|(body, _)| Self(body)) })
    }
}

/// As [`Strict`], for a POST that creates: with its `Idempotency-Key`, if it has one.
#[derive(Debug)]
pub struct Idempotent<T> {
    /// The body.
    pub body: T,
    /// The client's key, 1–255 printable ASCII characters.
    pub key: Option<String>,
    /// SHA-256 of method, path and body: the same key with another fingerprint is a conflict.
    pub fingerprint: [u8; 32],
}

impl<T: DeserializeOwned + 'static> FromRequest for Idempotent<T> {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let key = idempotency_key(&request)?;
            let (body, bytes) = take(&request, payload).await?;
            Ok(Self {
                body,
                key,
                fingerprint: fingerprint(&request, &bytes),
            })
        })
    }
}

impl<T> Idempotent<T> {
    /// 409: the key was used before with another request.
    pub fn reused(&self) -> Problem {
        let message = "this Idempotency-Key was used with another request";
        Problem::conflict("idempotency_key_reused", message)
    }
}

async fn take<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<(T, Bytes), Problem> {
    let body = read(payload, request, Limits::CONFIGURATION).await?;
    if body.is_empty() {
        return Ok((json(b"{}")?, body));
    }
    json_content(request)?;
    // A derived struct takes an array as well, its fields by position: not over HTTP.
    if text(&body)?.trim_ascii_start().starts_with('[') {
        let fault = Fault::new("invalid_type", "the body has to be a JSON object");
        return Err(fault.into());
    }
    Ok((json(&body)?, body))
}

fn json_content(request: &HttpRequest) -> Result<(), Problem> {
    let given = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let mut parts = given.unwrap_or_default().split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let known = ["application/json", "application/merge-patch+json"];
    let utf8 = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.eq_ignore_ascii_case("charset")
            || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if utf8 && known.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    let message = "the body has to be application/json in UTF-8";
    Err(Problem::unsupported_type(
        "unsupported_content_type",
        message,
    ))
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(key) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = key.to_str().ok().filter(|key| {
        (1..=IDEMPOTENCY_KEY_MAX_BYTES).contains(&key.len())
            && key
                .bytes()
                .all(|byte| byte.is_ascii_graphic() || byte == b' ')
    });
    let message = "Idempotency-Key has to be 1 to 255 printable ASCII characters";
    let key = key.ok_or_else(|| Problem::bad_request("invalid_idempotency_key", message))?;
    Ok(Some(key.to_owned()))
}

fn fingerprint(request: &HttpRequest, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(request.method().as_str());
    hash.update([0]);
    hash.update(request.path());
    hash.update([0]);
    hash.update(body);
    hash.finalize().into()
}
