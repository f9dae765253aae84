//! `POST /api/v1/events`: a batch of events, one verdict for each.

use std::num::NonZeroU32;

use ::web::Problem;
use ::web::access::{note, traceparent};
use actix_web::http::header;
use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::answer::Answer;
use super::{Api, body, credential};
use crate::door::Told;
use crate::error::Error;

/// The parameters that mean something; others are passed over, as beacons add their own.
#[derive(Deserialize)]
pub struct Parameters {
    write_key: Option<String>,
    #[serde(default)]
    results: Results,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Results {
    #[default]
    All,
    Errors,
}

pub async fn post(
    request: HttpRequest,
    parameters: Query<Parameters>,
    payload: Payload,
    api: Data<Api>,
) -> Result<HttpResponse, Problem> {
    let token = credential::presented(&request, parameters.write_key.as_deref())?;
    let (token_id, tenant) = api.senders.authenticate(&token).await?;
    note(&request, "tenant", &tenant.tenant_id);
    check_content_type(&request)?;
    if !api.door.intake.has_room() {
        return Err(Error::Busy.into());
    }
    let body = ::web::body::read(payload, &request, api.body).await?;
    note(&request, "bytes", body.len());
    let room = api.door.intake.reserve(body.len()).map_err(|_| Error::Busy)?;
    let submission = body::split(&body).map_err(Error::UnusableBody)?;
    let count = u32::try_from(submission.events.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    api.limit.take(&token_id, count).await?;
    let raw_events = submission.events.iter().map(|raw| raw.get());
    let admitted = api.door.admit(&tenant, submission.sent_at, &submission.defaults, raw_events);
    let admitted = admitted.in_trace(traceparent(&request).as_deref());
    note(&request, "redacted", admitted.redacted.total());
    let told = api.door.store(admitted, room).await?;
    answer(&request, told, parameters.results)
}

/// JSON, also as plain text: what `sendBeacon` may send without asking first.
fn check_content_type(request: &HttpRequest) -> Result<(), Error> {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let taken = ["application/json", "text/plain"].iter().any(|taken| essence.eq_ignore_ascii_case(taken));
    if taken { Ok(()) } else { Err(Error::UnsupportedContentType) }
}

fn answer(request: &HttpRequest, told: Vec<Told>, results: Results) -> Result<HttpResponse, Problem> {
    let answer = Answer::of(told, results == Results::Errors);
    note(request, "accepted", answer.accepted);
    note(request, "duplicates", answer.duplicates);
    note(request, "rejected", answer.rejected);
    note(request, "limited", answer.limited);
    note(request, "retry", answer.retry);
    for (code, events) in &answer.codes {
        note(request, code, events);
    }
    if answer.is_all_rejected() {
        let results = serde_json::to_value(&answer.results).unwrap_or_default();
        return Err(Problem::from(Error::AllRejected).with_extra("results", results));
    }
    Ok(HttpResponse::Ok().json(answer))
}
