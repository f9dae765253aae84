//! `/api/v1/workflows/{id}/enrollments`, `/api/v1/enrollments/{id}`.

use super::achievements::AchievementBody;
use super::author::Author;
use super::{Stored, before, text};
use crate::end::{self, End};
use crate::enroll::{self, Outcome, Request, Step};
use crate::error::Error;
use crate::lists;
use crate::store::enrollments::{Enrollment, Listing};
use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use domain::enrollment::{EnrollmentStatus, ExitReason};
use domain::fault::Fault;
use domain::ids::{ContactId, EnrollmentId, GoalId, WorkflowId};
use pg::Db;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use time::OffsetDateTime;
use web::{By, Cursor, Listed, Page, Problem, Strict, Viewer};

const MAX_STEP_CHARS: usize = 128;
const MAX_REASON_CHARS: usize = 500;

/// A contact to be enrolled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnrollBody {
    contact_id: ContactId,
    #[serde(default, with = "domain::time_format::option")]
    enrolled_at: Option<OffsetDateTime>,
    #[serde(default)]
    current_step: Option<StepBody>,
}

impl From<EnrollBody> for Request {
    fn from(body: EnrollBody) -> Self {
        Self {
            contact_id: body.contact_id,
            enrolled_at: body.enrolled_at,
            current_step: body.current_step.map(|step| step.0),
        }
    }
}

#[derive(Debug)]
struct StepBody(Step);

impl<'de> Deserialize<'de> for StepBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfStep;

        impl Visitor<'_> for OfStep {
            type Value = StepBody;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer or a string")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<StepBody, E> {
                Ok(StepBody(Step::Number(number)))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<StepBody, E> {
                i64::try_from(number).map_err(E::custom).and_then(|number| self.visit_i64(number))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<StepBody, E> {
                let name =
                    text("current_step", name.to_owned(), MAX_STEP_CHARS).map_err(|fault| E::custom(fault.message))?;
                Ok(StepBody(Step::Name(name)))
            }
        }

        deserializer.deserialize_any(OfStep)
    }
}

/// An enrollment as it is answered.
#[derive(Debug, Serialize)]
pub(super) struct EnrollmentBody {
    id: EnrollmentId,
    workflow_id: WorkflowId,
    contact_id: ContactId,
    status: EnrollmentStatus,
    version: i32,
    #[serde(with = "domain::time_format")]
    enrolled_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    created_at: OffsetDateTime,
    #[serde(with = "domain::time_format::option")]
    exited_at: Option<OffsetDateTime>,
    #[serde(with = "domain::time_format::option")]
    goal_reached_at: Option<OffsetDateTime>,
    exit_reason: Option<ExitReason>,
    reason: Option<String>,
    current_step: Stored,
}

impl From<Enrollment> for EnrollmentBody {
    fn from(enrollment: Enrollment) -> Self {
        Self {
            id: enrollment.id,
            workflow_id: enrollment.workflow_id,
            contact_id: enrollment.contact_id,
            status: enrollment.status,
            version: enrollment.version,
            enrolled_at: enrollment.enrolled_at,
            created_at: enrollment.created_at,
            exited_at: enrollment.exited_at,
            goal_reached_at: enrollment.goal_reached_at,
            exit_reason: enrollment.exit_reason,
            reason: enrollment.reason,
            current_step: enrollment.current_step.into(),
        }
    }
}

/// What is answered where a goal holds already and says `skip_enrollment`.
#[derive(Debug, Serialize)]
struct SkippedBody {
    status: &'static str,
    code: &'static str,
    workflow_id: WorkflowId,
    contact_id: ContactId,
    goal_id: GoalId,
}

pub(super) async fn create(
    By(Author(origin), (path, Strict(body))): By<Author, (Path<WorkflowId>, Strict<EnrollBody>)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let workflow_id = path.into_inner();
    let contact_id = body.contact_id.clone();
    let outcome = enroll::enroll(&db, &origin, workflow_id, vec![body.into()]).await?.pop();
    match outcome.ok_or(Error::Overtaken)? {
        Outcome::Created(enrollment) => Ok(HttpResponse::Created().json(EnrollmentBody::from(*enrollment))),
        Outcome::Existing(id) => Err(Error::AlreadyEnrolled(id).into()),
        Outcome::ReentryNotAllowed => Err(Error::ReentryNotAllowed.into()),
        Outcome::InFuture => Err(in_future().into()),
        Outcome::Skipped(goal_id) => {
            let code = ExitReason::AlreadySatisfied.as_str();
            Ok(HttpResponse::Ok().json(SkippedBody { status: "skipped", code, workflow_id, contact_id, goal_id }))
        }
    }
}

pub(super) fn in_future() -> Fault {
    Fault::at("enrolled_at", "enrolled_at_in_future", "must not lie in the future")
}

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    status: Option<EnrollmentStatus>,
    contact_id: Option<ContactId>,
}

pub(super) async fn list(
    By(caller, (path, query, page)): By<Viewer, (Path<WorkflowId>, Query<ListQuery>, Page)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let listing = Listing {
        workflow_id: path.into_inner(),
        status: query.status,
        contact_id: query.contact_id,
        before: before(&page)?,
        limit: page.fetch(),
    };
    let found = lists::enrollments(&db, caller.tenant, listing).await?;
    let place = |e: &Enrollment| Cursor::new(e.created_at, e.id);
    Ok(HttpResponse::Ok().json(Listed::of(&page, found, place, EnrollmentBody::from)))
}

/// An enrollment with what it reached.
#[derive(Debug, Serialize)]
struct WholeBody {
    #[serde(flatten)]
    enrollment: EnrollmentBody,
    achievements: Vec<AchievementBody>,
}

pub(super) async fn get(
    By(caller, path): By<Viewer, Path<EnrollmentId>>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let (enrollment, achievements) = lists::enrollment(&db, caller.tenant, path.into_inner()).await?;
    let achievements = achievements.into_iter().map(AchievementBody::from).collect();
    Ok(HttpResponse::Ok().json(WholeBody { enrollment: enrollment.into(), achievements }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndBody {
    status: EndStatus,
    #[serde(default)]
    reason: Option<String>,
}

/// How the engine may end an enrollment.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EndStatus {
    Completed,
    Removed,
    Failed,
}

impl From<EndStatus> for ExitReason {
    fn from(status: EndStatus) -> Self {
        match status {
            EndStatus::Completed => Self::Completed,
            EndStatus::Removed => Self::Removed,
            EndStatus::Failed => Self::Failed,
        }
    }
}

pub(super) async fn end(
    By(Author(origin), (path, Strict(body))): By<Author, (Path<EnrollmentId>, Strict<EndBody>)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let reason = body.reason.map(|reason| text("reason", reason, MAX_REASON_CHARS)).transpose()?;
    let end = End { exit_reason: body.status.into(), reason };
    let ended = end::end(&db, origin, path.into_inner(), end).await?;
    Ok(HttpResponse::Ok().json(EnrollmentBody::from(ended)))
}
