//! `/api/v1/workflows/{id}/enrollments`, `/api/v1/enrollments/{id}`.

use super::achievements::AchievementBody;
use super::author::Author;
use super::{Stored, before};
use crate::asked;
use crate::end::{self, End};
use crate::enroll::{self, Entered, Request, Step};
use crate::lists;
use crate::store::enrollments::{Enrollment, Listing};
use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use domain::enrollment::{EnrollmentStatus, ExitReason};
use domain::ids::{ContactId, EnrollmentId, GoalId, WorkflowId};
use domain::once::{Answer, Asked};
use pg::Db;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::Schema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, SchemaType, Type};
use web::once::answered;
use web::openapi::{Demands, Operation, schema};
use web::{By, Cursor, Keyed, Listed, Page, Problem, Strict, Viewer};

/// A contact to be enrolled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEnrollment)]
pub(super) struct EnrollBody {
    #[schema(schema_with = schema::text_id)]
    contact_id: ContactId,
    /// Not in the future; by default now.
    #[serde(default, with = "domain::time_format::option")]
    enrolled_at: Option<OffsetDateTime>,
    /// Where in the workflow the contact stands: a number or a name.
    #[serde(default)]
    #[schema(schema_with = given_step, required = false)]
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

fn given_step() -> Schema {
    let number = ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer));
    OneOfBuilder::new().item(number).item(schema::text_of(asked::MAX_STEP_CHARS)).build().into()
}

fn kept_step() -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Integer, Type::String, Type::Null])).build().into()
}

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
                asked::step(name.to_owned()).map(StepBody).map_err(|fault| E::custom(fault.message))
            }
        }

        deserializer.deserialize_any(OfStep)
    }
}

/// An enrollment as it is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Enrollment)]
pub(super) struct EnrollmentBody {
    #[schema(value_type = Uuid)]
    id: EnrollmentId,
    #[schema(value_type = Uuid)]
    workflow_id: WorkflowId,
    #[schema(schema_with = schema::text_id)]
    contact_id: ContactId,
    #[schema(schema_with = schema::enrollment_status)]
    status: EnrollmentStatus,
    /// Strictly increasing.
    version: i32,
    #[serde(with = "domain::time_format")]
    enrolled_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    created_at: OffsetDateTime,
    #[serde(with = "domain::time_format::option")]
    exited_at: Option<OffsetDateTime>,
    #[serde(with = "domain::time_format::option")]
    goal_reached_at: Option<OffsetDateTime>,
    #[schema(schema_with = schema::exit_reason)]
    exit_reason: Option<ExitReason>,
    /// As it was given when the enrollment was ended.
    reason: Option<String>,
    #[schema(schema_with = kept_step)]
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
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Skipped)]
struct SkippedBody {
    /// `skipped`.
    status: &'static str,
    /// `already_satisfied`.
    code: &'static str,
    #[schema(value_type = Uuid)]
    workflow_id: WorkflowId,
    #[schema(schema_with = schema::text_id)]
    contact_id: ContactId,
    /// The goal that holds already.
    #[schema(value_type = Uuid)]
    goal_id: GoalId,
}

fn example(status: &str, exited_at: Option<&str>, exit_reason: Option<&str>) -> Value {
    json!({"id": "0199ab3d-20b7-7f6e-a1d2-5b9f0c7e4a11", "workflow_id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1",
        "contact_id": "c-1", "status": status, "version": 1, "enrolled_at": "2026-01-03T10:00:00Z",
        "created_at": "2026-01-03T10:00:00Z", "exited_at": exited_at, "goal_reached_at": null, "exit_reason": exit_reason,
        "reason": null, "current_step": 1})
}

pub(super) fn operations() -> Vec<Operation> {
    let of_workflow = |operation: Operation| {
        operation.at("workflow_id", schema::uuid(), "The workflow.").refuses(404, &["workflow_not_found"])
    };
    let of_id = |operation: Operation| {
        operation.at("enrollment_id", schema::uuid(), "The enrollment.").refuses(404, &["enrollment_not_found"])
    };
    let active = || example("active", None, None);
    let skipped = json!({"status": "skipped", "code": "already_satisfied", "contact_id": "c-1",
        "workflow_id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1", "goal_id": "0199ab3c-8a10-7d44-9c1b-0c8e3bfa6f21"});
    let mut whole = active();
    whole["achievements"] = json!([super::achievements::example()]);
    vec![
        of_workflow(Operation::post("/api/v1/workflows/{workflow_id}/enrollments", create))
            .named("enrollContact", "enrollments")
            .does("Enroll a contact", "From `enrolled_at` on its events count, while the workflow is live.")
            .demands(Demands::Editor)
            .once()
            .takes::<EnrollBody>(true, &[("now", json!({"contact_id": "c-1", "current_step": 1}))])
            .answers::<EnrollmentBody>(201, "The enrollment.", active())
            .answers::<SkippedBody>(200, "The contact is not enrolled: a goal holds already and says so.", skipped)
            .refuses(400, &["enrolled_at_in_future"])
            .refuses(409, &["already_enrolled", "reentry_not_allowed"])
            .refuses(503, &["overtaken"]),
        of_workflow(Operation::get("/api/v1/workflows/{workflow_id}/enrollments", list))
            .named("listEnrollments", "enrollments")
            .does("List a workflow's enrollments", "Newest first.")
            .demands(Demands::Viewer)
            .asks("status", schema::enrollment_status(), "Only those that stand so.")
            .asks("contact_id", schema::text_id(), "Only of this contact.")
            .paged()
            .lists::<EnrollmentBody>("Enrollments.", active()),
        of_id(Operation::get("/api/v1/enrollments/{enrollment_id}", get))
            .named("getEnrollment", "enrollments")
            .does("Show an enrollment", "With what it achieved.")
            .demands(Demands::Viewer)
            .answers::<WholeBody>(200, "The enrollment.", whole),
        of_id(Operation::post("/api/v1/enrollments/{enrollment_id}/end", end))
            .named("endEnrollment", "enrollments")
            .does(
                "End an enrollment",
                "Its pending actions are cancelled. What ended in this way already stays as it is.",
            )
            .demands(Demands::Editor)
            .takes::<EndBody>(true, &[("completed", json!({"status": "completed"}))])
            .answers::<EnrollmentBody>(
                200,
                "The enrollment.",
                example("completed", Some("2026-01-06T09:00:00Z"), Some("completed")),
            )
            .refuses(409, &["enrollment_exited"])
            .refuses(503, &["overtaken"]),
    ]
}

/// How an enrollment that was asked for is answered, over HTTP and over the bus.
pub(crate) fn entered(entered: &Entered) -> Answer {
    match entered {
        Entered::Enrolled(enrollment) => Answer::json(201, &EnrollmentBody::from(Enrollment::clone(enrollment))),
        Entered::Skipped { workflow_id, contact_id, goal_id } => {
            let code = ExitReason::AlreadySatisfied.as_str();
            let (workflow_id, contact_id, goal_id) = (*workflow_id, contact_id.clone(), *goal_id);
            Answer::json(200, &SkippedBody { status: "skipped", code, workflow_id, contact_id, goal_id })
        }
    }
}

async fn create(
    By(Author(origin), (path, Keyed { body, key })): By<Author, (Path<WorkflowId>, Keyed<EnrollBody>)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let once = Asked::over_http(Some(&origin.tenant), key).answering(entered);
    let outcome = enroll::one(&db, &origin, path.into_inner(), body.into(), once).await?;
    Ok(answered(&outcome, entered))
}

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    status: Option<EnrollmentStatus>,
    contact_id: Option<ContactId>,
}

async fn list(
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
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EnrollmentWithAchievements)]
struct WholeBody {
    #[serde(flatten)]
    enrollment: EnrollmentBody,
    achievements: Vec<AchievementBody>,
}

async fn get(By(caller, path): By<Viewer, Path<EnrollmentId>>, db: Data<Db>) -> Result<HttpResponse, Problem> {
    let (enrollment, achievements) = lists::enrollment(&db, caller.tenant, path.into_inner()).await?;
    let achievements = achievements.into_iter().map(AchievementBody::from).collect();
    Ok(HttpResponse::Ok().json(WholeBody { enrollment: enrollment.into(), achievements }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = End)]
pub(super) struct EndBody {
    status: EndStatus,
    #[serde(default)]
    #[schema(min_length = 1, max_length = 500)]
    reason: Option<String>,
}

/// How the engine may end an enrollment.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
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

/// How the end of an enrollment is answered, over HTTP and over the bus.
pub(crate) fn ended(enrollment: &Enrollment) -> Answer {
    Answer::json(200, &EnrollmentBody::from(enrollment.clone()))
}

async fn end(
    By(Author(origin), (path, Strict(body))): By<Author, (Path<EnrollmentId>, Strict<EndBody>)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let reason = body.reason.map(asked::reason).transpose()?;
    let end = End { exit_reason: body.status.into(), reason };
    let once = Asked::unnamed(Some(&origin.tenant)).answering(ended);
    let outcome = end::end(&db, origin, path.into_inner(), end, once).await?;
    Ok(answered(&outcome, ended))
}
