//! `/api/v1/workflows/{id}/enrollments/batch`: many at once, each with its own outcome.

use super::author::Author;
use super::enrollments::EnrollBody;
use crate::asked;
use crate::enroll::{self, Outcome, Request};
use crate::error::Error;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::enrollment::ExitReason;
use domain::fault::Fault;
use domain::ids::{EnrollmentId, WorkflowId};
use domain::once::{Answer, Asked};
use pg::Db;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use std::borrow::Cow;
use utoipa::ToSchema;
use web::once::answered;
use web::openapi::{Demands, Operation, schema};
use web::{By, Keyed, Problem};

const MAX_ITEMS: usize = 500;

/// The items are read one by one: a bad one spoils no other.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEnrollments)]
pub(super) struct BatchBody {
    /// Each a `NewEnrollment`; one that is none is rejected by itself.
    #[schema(value_type = Vec<EnrollBody>, min_items = 1, max_items = 500)]
    enrollments: Vec<Box<RawValue>>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = BatchOutcome)]
struct BatchAnswer {
    created: usize,
    existing: usize,
    skipped: usize,
    rejected: usize,
    results: Vec<ItemResult>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ItemStatus {
    Created,
    Existing,
    Skipped,
    Rejected,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct ItemResult {
    /// Which of the given ones.
    index: usize,
    status: ItemStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    enrollment_id: Option<EnrollmentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    message: Option<Cow<'static, str>>,
}

impl ItemResult {
    fn rejected(index: usize, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            index,
            status: ItemStatus::Rejected,
            enrollment_id: None,
            code: Some(code),
            message: Some(message.into()),
        }
    }

    fn of(index: usize, outcome: &Outcome) -> Self {
        let (status, enrollment_id, code) = match outcome {
            Outcome::Created(enrollment) => (ItemStatus::Created, Some(enrollment.id), None),
            Outcome::Existing(id) => (ItemStatus::Existing, Some(*id), Some("already_enrolled")),
            Outcome::Skipped(..) => (ItemStatus::Skipped, None, Some(ExitReason::AlreadySatisfied.as_str())),
            Outcome::ReentryNotAllowed => {
                let error = Error::ReentryNotAllowed;
                return Self::rejected(index, error.code(), error.to_string());
            }
            Outcome::InFuture => {
                let fault = asked::in_future();
                return Self::rejected(index, fault.code, fault.to_string());
            }
        };
        Self { index, status, enrollment_id, code, message: None }
    }
}

pub(super) fn operation() -> Operation {
    let two =
        json!({"enrollments": [{"contact_id": "c-1"}, {"contact_id": "c-2", "enrolled_at": "2026-01-01T00:00:00Z"}]});
    let outcome = json!({"created": 1, "existing": 1, "skipped": 0, "rejected": 0, "results": [
        {"index": 0, "status": "created", "enrollment_id": "0199ab3d-20b7-7f6e-a1d2-5b9f0c7e4a11"},
        {"index": 1, "status": "existing", "enrollment_id": "0199ab3d-20b8-7a01-8c4f-2f6d9e1b7c33", "code": "already_enrolled"}]});
    Operation::post("/api/v1/workflows/{workflow_id}/enrollments/batch", create)
        .named("enrollContacts", "enrollments")
        .does("Enroll many contacts", "500 at most. Each has its own outcome: a bad one spoils no other.")
        .demands(Demands::Editor)
        .once()
        .at("workflow_id", schema::uuid(), "The workflow.")
        .takes::<BatchBody>(true, &[("two", two)])
        .answers::<BatchAnswer>(200, "What became of each.", outcome)
        .refuses(400, &["invalid_length"])
        .refuses(404, &["workflow_not_found"])
        .refuses(503, &["overtaken"])
}

async fn create(
    By(Author(origin), (path, Keyed { body, key })): By<Author, (Path<WorkflowId>, Keyed<BatchBody>)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    if !(1..=MAX_ITEMS).contains(&body.enrollments.len()) {
        let message = format!("must have 1 to {MAX_ITEMS} items");
        return Err(Fault::at("enrollments", "invalid_length", message).into());
    }
    let mut rejected = Vec::new();
    let (mut indexes, mut requests): (Vec<usize>, Vec<Request>) = (Vec::new(), Vec::new());
    for (index, item) in body.enrollments.iter().enumerate() {
        match web::body::json::<EnrollBody>(item.get().as_bytes()) {
            Ok(item) => {
                indexes.push(index);
                requests.push(item.into());
            }
            Err(problem) => rejected.push(ItemResult::rejected(index, problem.code, problem.message)),
        }
    }
    let answer = move |outcomes: &Vec<Outcome>| {
        let outcomes = indexes.iter().zip(outcomes).map(|(index, outcome)| ItemResult::of(*index, outcome));
        let mut results: Vec<ItemResult> = rejected.iter().cloned().chain(outcomes).collect();
        results.sort_unstable_by_key(|result| result.index);
        Answer::json(200, &counted(results))
    };
    let once = Asked::over_http(Some(&origin.tenant), key).answering(answer.clone());
    let outcome = enroll::many(&db, &origin, path.into_inner(), requests, once).await?;
    Ok(answered(&outcome, answer))
}

fn counted(results: Vec<ItemResult>) -> BatchAnswer {
    let mut answer = BatchAnswer::default();
    for result in &results {
        match result.status {
            ItemStatus::Created => answer.created += 1,
            ItemStatus::Existing => answer.existing += 1,
            ItemStatus::Skipped => answer.skipped += 1,
            ItemStatus::Rejected => answer.rejected += 1,
        }
    }
    BatchAnswer { results, ..answer }
}
