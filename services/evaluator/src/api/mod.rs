//! The HTTP side: the route table, and how failures are answered.

mod achievements;
mod actions;
mod author;
mod batch;
mod enrollments;
mod recheck;

use crate::error::Error;
use actix_web::http::StatusCode;
use actix_web::web::{ServiceConfig, get, post};
use domain::fault::Fault;
use serde::Serialize;
use serde_json::value::RawValue;
use std::error::Error as _;
use time::OffsetDateTime;
use uuid::Uuid;
use web::{Page, Problem};

/// Every route; the role that each demands is the extractor of its handler.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/api/v1/workflows/{workflow_id}/enrollments", post().to(enrollments::create))
        .route("/api/v1/workflows/{workflow_id}/enrollments", get().to(enrollments::list))
        .route("/api/v1/workflows/{workflow_id}/enrollments/batch", post().to(batch::create))
        .route("/api/v1/workflows/{workflow_id}/achievements", get().to(achievements::list))
        .route("/api/v1/workflows/{workflow_id}/recheck", post().to(recheck::request))
        .route("/api/v1/enrollments/{enrollment_id}", get().to(enrollments::get))
        .route("/api/v1/enrollments/{enrollment_id}/end", post().to(enrollments::end))
        .route("/api/v1/enrollments/{enrollment_id}/actions", post().to(actions::create))
        .route("/api/v1/enrollments/{enrollment_id}/actions", get().to(actions::list))
        .route("/api/v1/actions/{action_id}/start", post().to(actions::start))
        .route("/api/v1/actions/{action_id}/finish", post().to(actions::finish));
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (code, message) = (error.code(), error.to_string());
        match error {
            Error::WorkflowNotFound | Error::EnrollmentNotFound | Error::ActionNotFound => {
                Self::new(StatusCode::NOT_FOUND, code, message)
            }
            Error::AlreadyEnrolled(id) => {
                Self::conflict(code, message).with_extra("enrollment_id", id.to_string().into())
            }
            Error::ReentryNotAllowed
            | Error::EnrollmentExited
            | Error::WorkflowNotActive
            | Error::ActionNotPending
            | Error::ActionNotRunning => Self::conflict(code, message),
            Error::Overtaken => Self::unavailable(code, message),
            Error::Database(error) => {
                let unavailable = error.is_unavailable();
                tracing::error!(
                    code,
                    error = &error as &dyn std::error::Error,
                    source = error.source(),
                    "a request failed"
                );
                if unavailable { Self::unavailable(code, "the database is away or too slow") } else { Self::internal() }
            }
        }
    }
}

/// Where a page of a list begins, as the stores take it.
fn before(page: &Page) -> Result<Option<(OffsetDateTime, Uuid)>, Problem> {
    page.cursor.as_ref().map(|cursor| Ok((cursor.at, cursor.id()?))).transpose()
}

/// Stored JSON, answered as it is stored.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Stored(Option<Box<RawValue>>);

impl From<Option<String>> for Stored {
    fn from(text: Option<String>) -> Self {
        // What PostgreSQL prints of a jsonb is JSON.
        Self(text.and_then(|text| RawValue::from_string(text).ok()))
    }
}

impl From<String> for Stored {
    fn from(text: String) -> Self {
        Some(text).into()
    }
}

/// A text of the caller: not empty, not too long.
fn text(key: &str, text: String, max_chars: usize) -> Result<String, Fault> {
    if text.is_empty() || text.chars().count() > max_chars {
        return Err(Fault::at(key, "invalid_value", format!("must have 1 to {max_chars} characters")));
    }
    Ok(text)
}
