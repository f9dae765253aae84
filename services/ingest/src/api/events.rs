//! `POST /api/v1/events`: a batch of events, one verdict for each.

use std::num::NonZeroU32;

use ::web::Problem;
use ::web::access::{note, traceparent};
use actix_web::http::header;
use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::answer::Answer;
use super::cors::Page;
use super::expand::expanded;
use super::{Api, body, credential};
use crate::browser;
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
    parameters: Result<Query<Parameters>, actix_web::Error>,
    payload: Payload,
    api: Data<Api>,
) -> HttpResponse {
    let mut page = Page::of(&request);
    let answer = match parameters {
        Ok(parameters) => take(&request, &parameters, payload, (api.get_ref(), &mut page)).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    page.may_read(answer.unwrap_or_else(HttpResponse::from_error))
}

async fn take(
    request: &HttpRequest,
    parameters: &Parameters,
    payload: Payload,
    (api, page): (&Api, &mut Page),
) -> Result<HttpResponse, Problem> {
    let token = credential::presented(request, parameters.write_key.as_deref())?;
    let (token_id, token) = api.senders.authenticate(&token).await?;
    let tenant = &token.tenant;
    note(request, "tenant", &tenant.tenant_id);
    let limit = match &token.origins {
        None => {
            page.forget();
            &api.limit
        }
        Some(origins) if browser::is_admitted(origins, page.origin()) => &api.browser_limit,
        Some(_) => {
            page.forget();
            return Err(Error::OriginNotAllowed.into());
        }
    };
    check_content_type(request)?;
    if !api.door.intake.has_room() {
        return Err(Error::Busy.into());
    }
    let body = ::web::body::read_encoded(payload, request, api.body).await?;
    note(request, "bytes", body.len());
    let body = expanded(body, request, api.max_expanded_bytes)?;
    let room = api.door.intake.reserve(body.len()).map_err(|_| Error::Busy)?;
    let submission = body::split(&body).map_err(Error::UnusableBody)?;
    let count = u32::try_from(submission.events.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    limit.take(&token_id, count).await?;
    let raw_events = submission.events.iter().map(|raw| raw.get());
    let admitted = api.door.admit(tenant, submission.sent_at, &submission.defaults, raw_events);
    let admitted = admitted.in_trace(traceparent(request).as_deref());
    note(request, "redacted", admitted.redacted.total());
    let told = api.door.store(admitted, room).await?;
    answer(request, told, parameters.results)
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
