//! `/api/v1/enrollments/{id}/actions`, `/api/v1/actions/{id}`.

use super::{Stored, before};
use crate::actions::{self, Outcome};
use crate::asked;
use crate::lists;
use crate::store::actions::{Action, New};
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::action::ActionStatus;
use domain::ids::{ActionId, EnrollmentId};
use domain::once::{Answer, Asked};
use pg::Db;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use web::once::answered;
use web::openapi::{Demands, EXACT_JSON, Operation, schema};
use web::{By, Cursor, Editor, Keyed, Listed, Page, Problem, Strict, Viewer};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAction)]
pub(super) struct ActionRequest {
    /// As `send_email`.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,63}$")]
    action_type: String,
    #[serde(with = "domain::time_format")]
    scheduled_at: OffsetDateTime,
    /// For whoever carries it out; 16 KiB at most.
    #[serde(default)]
    #[schema(schema_with = schema::object, required = false)]
    payload: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Action)]
pub(super) struct ActionBody {
    #[schema(value_type = Uuid)]
    id: ActionId,
    #[schema(value_type = Uuid)]
    enrollment_id: EnrollmentId,
    action_type: String,
    #[schema(schema_with = schema::action_status)]
    status: ActionStatus,
    #[serde(with = "domain::time_format")]
    scheduled_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    created_at: OffsetDateTime,
    /// When `workflow.action.due` was told of it.
    #[serde(with = "domain::time_format::option")]
    announced_at: Option<OffsetDateTime>,
    #[serde(with = "domain::time_format::option")]
    started_at: Option<OffsetDateTime>,
    #[serde(with = "domain::time_format::option")]
    finished_at: Option<OffsetDateTime>,
    #[serde(with = "domain::time_format::option")]
    cancelled_at: Option<OffsetDateTime>,
    #[schema(schema_with = schema::object_or_null)]
    payload: Stored,
}

impl From<Action> for ActionBody {
    fn from(action: Action) -> Self {
        Self {
            id: action.id,
            enrollment_id: action.enrollment_id,
            action_type: action.action_type,
            status: action.status,
            scheduled_at: action.scheduled_at,
            created_at: action.created_at,
            announced_at: action.announced_at,
            started_at: action.started_at,
            finished_at: action.finished_at,
            cancelled_at: action.cancelled_at,
            payload: action.payload.into(),
        }
    }
}

pub(super) fn operations() -> Vec<Operation> {
    let action = |status: &str| {
        json!({"id": "0199ab3d-9be1-7c40-8d15-c0a4e9b7f3d2", "enrollment_id": "0199ab3d-20b7-7f6e-a1d2-5b9f0c7e4a11",
            "action_type": "send_email", "status": status, "scheduled_at": "2026-01-06T09:00:00Z",
            "created_at": "2026-01-03T10:00:00Z", "announced_at": null, "started_at": null, "finished_at": null,
            "cancelled_at": null, "payload": {"template": "welcome"}})
    };
    let of_enrollment = |operation: Operation| {
        operation.at("enrollment_id", schema::uuid(), "The enrollment.").refuses(404, &["enrollment_not_found"])
    };
    let of_action = |operation: Operation| {
        let operation = operation.demands(Demands::Editor).at("action_id", schema::uuid(), "The action.");
        operation.refuses(404, &["action_not_found"])
    };
    let new = json!({"action_type": "send_email", "scheduled_at": "2026-01-06T09:00:00Z", "payload": {"template": "welcome"}});
    vec![
        of_enrollment(Operation::post("/api/v1/enrollments/{enrollment_id}/actions", create))
            .named("scheduleAction", "actions")
            .does("Schedule an action", "When its time has come and the workflow is active, `workflow.action.due` tells so, once. It is cancelled when the enrollment ends before it was started.")
            .demands(Demands::Editor)
            .once()
            .takes::<ActionRequest>(true, &[("an_email", new)])
            .answers::<ActionBody>(201, "The action.", action("pending"))
            .refuses(400, &EXACT_JSON)
            .refuses(409, &["enrollment_exited"]),
        of_enrollment(Operation::get("/api/v1/enrollments/{enrollment_id}/actions", list))
            .named("listActions", "actions")
            .does("List an enrollment's actions", "Newest first.")
            .demands(Demands::Viewer)
            .paged()
            .lists::<ActionBody>("Actions.", action("pending")),
        of_action(Operation::post("/api/v1/actions/{action_id}/start", start))
            .named("startAction", "actions")
            .does("Begin an action", "From here on it may finish whatever happens to the enrollment. Takes no body.")
            .answers::<ActionBody>(200, "The action.", action("running"))
            .refuses(409, &["action_not_pending", "enrollment_exited", "workflow_not_active"]),
        of_action(Operation::post("/api/v1/actions/{action_id}/finish", finish))
            .named("finishAction", "actions")
            .does("End an action", "As done or as failed. What ended so already stays as it is.")
            .takes::<FinishBody>(true, &[("done", json!({"status": "done"}))])
            .answers::<ActionBody>(200, "The action.", action("done"))
            .refuses(409, &["action_not_running"]),
    ]
}

/// How a scheduled action is answered, over HTTP and over the bus.
pub(crate) fn scheduled(action: &Action) -> Answer {
    Answer::json(201, &ActionBody::from(action.clone()))
}

async fn create(
    By(caller, (path, Keyed { body, key })): By<Editor, (Path<EnrollmentId>, Keyed<ActionRequest>)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let new = New {
        id: Uuid::now_v7().into(),
        enrollment_id: path.into_inner(),
        action_type: asked::action_type(body.action_type)?,
        scheduled_at: body.scheduled_at,
        payload: body.payload.map(|payload| asked::payload(payload.get())).transpose()?,
    };
    let once = Asked::over_http(Some(&caller.tenant), key).answering(scheduled);
    let outcome = actions::create(&db, caller.tenant, new, once).await?;
    Ok(answered(&outcome, scheduled))
}

async fn list(
    By(caller, (path, page)): By<Viewer, (Path<EnrollmentId>, Page)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let found = lists::actions(&db, caller.tenant, path.into_inner(), before(&page)?, page.fetch()).await?;
    let place = |action: &Action| Cursor::new(action.created_at, action.id);
    Ok(HttpResponse::Ok().json(Listed::of(&page, found, place, ActionBody::from)))
}

async fn start(By(caller, path): By<Editor, Path<ActionId>>, db: Data<Db>) -> Result<HttpResponse, Problem> {
    let started = actions::start(&db, caller.tenant, path.into_inner()).await?;
    Ok(HttpResponse::Ok().json(ActionBody::from(started)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Finish)]
pub(super) struct FinishBody {
    status: FinishStatus,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FinishStatus {
    Done,
    Failed,
}

async fn finish(
    By(caller, (path, Strict(body))): By<Editor, (Path<ActionId>, Strict<FinishBody>)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let outcome = match body.status {
        FinishStatus::Done => Outcome::Done,
        FinishStatus::Failed => Outcome::Failed,
    };
    let finished = actions::finish(&db, caller.tenant, path.into_inner(), outcome).await?;
    Ok(HttpResponse::Ok().json(ActionBody::from(finished)))
}
