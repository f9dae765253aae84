//! `Idempotency-Key`: a request that makes something, made once however often it is sent.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use domain::once::{Answer, Answered, Key};
use serde::de::DeserializeOwned;

use crate::Problem;
use crate::body::strict;

/// The header that names a request, so that it can be repeated.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of an answer that was given before.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const MAX_KEY_BYTES: usize = 255;

/// As [`crate::Strict`], for a request that may be named by `Idempotency-Key`: with the key, within its route, and what it was
/// given for.
#[derive(Debug)]
pub struct Keyed<T> {
    /// The body.
    pub body: T,
    /// None: the request is not named.
    pub key: Option<Key>,
}

impl<T: DeserializeOwned + 'static> FromRequest for Keyed<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let key = given(&request)?;
            let (body, bytes) = strict::take(&request, payload).await?;
            let route = format!("{} {}", request.method(), request.path());
            Ok(Self { body, key: key.map(|key| Key::of_request(route, key, &bytes)) })
        })
    }
}

fn given(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut all = request.headers().get_all(IDEMPOTENCY_KEY);
    let (first, more) = (all.next(), all.next());
    let Some(key) = first else { return Ok(None) };
    let printable = |key: &&str| {
        let bytes = key.as_bytes();
        (1..=MAX_KEY_BYTES).contains(&bytes.len()) && bytes.iter().all(|byte| (b' '..=b'~').contains(byte))
    };
    match key.to_str().ok().filter(printable).filter(|_| more.is_none()) {
        Some(key) => Ok(Some(key.to_owned())),
        None => {
            let message = format!("`Idempotency-Key` has to be one of 1 to {MAX_KEY_BYTES} printable ASCII characters");
            Err(Problem::bad_request("invalid_idempotency_key", message))
        }
    }
}

/// What was made now as `answer` says it; what was made before as it was answered then.
pub fn answered<T>(outcome: &Answered<T>, answer: impl FnOnce(&T) -> Answer) -> HttpResponse {
    match outcome {
        Answered::Now(value) => respond(answer(value), false),
        Answered::Before(then) => respond(then.clone(), true),
    }
}

fn respond(answer: Answer, replayed: bool) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    response.insert_header(ContentType::json());
    if replayed {
        response.insert_header((IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true")));
    }
    response.body(answer.body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use actix_web::test::TestRequest;

    use super::*;

    fn of(keys: &[&[u8]]) -> Result<Option<String>, &'static str> {
        let request = keys.iter().fold(TestRequest::default(), |request, key| {
            request.append_header((IDEMPOTENCY_KEY, HeaderValue::from_bytes(key).unwrap()))
        });
        given(&request.to_http_request()).map_err(|problem| problem.code)
    }

    #[test]
    fn a_key_is_printable_and_one() {
        assert_eq!(of(&[]), Ok(None));
        let longest = [b'k'; 255];
        for key in ["a", "order 7/~", std::str::from_utf8(&longest).unwrap()] {
            assert_eq!(of(&[key.as_bytes()]), Ok(Some(key.to_owned())));
        }
        for keys in [&[b"".as_slice()][..], &[&[b'k'; 256]], &["\u{e9}".as_bytes()], &[b"a\tb"], &[b"a", b"a"]] {
            assert_eq!(of(keys), Err("invalid_idempotency_key"), "{keys:?}");
        }
    }
}
