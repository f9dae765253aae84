//! The extractor for configuration requests.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use domain::fault::Fault;
use serde::de::DeserializeOwned;

use super::{Limits, json, read, text};
use crate::Problem;

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

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

/// The body, and the bytes that it was.
pub(crate) async fn take<T: DeserializeOwned>(request: &HttpRequest, payload: Payload) -> Result<(T, Bytes), Problem> {
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
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let mut parts = given.unwrap_or_default().split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let known = ["application/json", "application/merge-patch+json"];
    let utf8 = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if utf8 && known.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    let message = "the body has to be application/json in UTF-8";
    Err(Problem::unsupported_type("unsupported_content_type", message))
}
