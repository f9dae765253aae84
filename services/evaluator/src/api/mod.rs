//! The HTTP side: the route table, and how failures are answered.

mod achievements;
mod actions;
mod author;
mod batch;
mod enrollments;
mod explain;
mod recheck;
mod simulate;

pub(crate) use actions::scheduled;
pub(crate) use enrollments::{ended, entered};

use crate::error::Error;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use std::error::Error as _;
use time::OffsetDateTime;
use uuid::Uuid;
use web::openapi::{About, Api, Operation};
use web::{Page, Problem};

const ABOUT: About = About {
    title: "Goalpost: evaluator",
    description: "Enrollments of contacts in workflows, what they reached, and the actions that are scheduled for them. A caller \
        is judged before anything else of a request is looked at; another tenant's object answers as one that is not there. A \
        `traceparent` is taken in and passed on; `X-Request-Id` comes back.",
    tags: &[
        ("enrollments", "Contacts in workflows: from enrollment to exit."),
        ("achievements", "Goals that were met."),
        ("goals", "What a goal would have done."),
        ("actions", "What is scheduled for an enrollment, and cancelled when it ends."),
    ],
};

/// Every operation of this service.
pub fn operations() -> Api {
    let operations = [
        enrollments::operations(),
        vec![batch::operation()],
        achievements::operations(),
        vec![explain::operation(), recheck::operation(), simulate::operation()],
        actions::operations(),
    ];
    let stored = |operation: Operation| operation.refuses(503, &["database_unavailable"]);
    Api::new(ABOUT, operations.into_iter().flatten().map(stored).collect())
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
            | Error::ActionIdTaken
            | Error::ActionNotRunning
            | Error::GoalsUnreadable
            | Error::KeyReused => Self::conflict(code, message),
            Error::ReferenceNotFound { fault, .. } | Error::Invalid(fault) => {
                Self::bad_request(code, message).with_errors(vec![fault])
            }
            Error::TooManySimulations => Self::too_many(code, message),
            Error::SimulationTooLarge => Self::bad_request(code, message),
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
