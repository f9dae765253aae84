//! `/api/v1/enrollments/{id}/actions`, `/api/v1/actions/{id}`.

use super::{Stored, before};
use crate::actions::{self, Outcome};
use crate::lists;
use crate::store::actions::{Action, New};
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::action::ActionStatus;
use domain::fault::Fault;
use domain::ids::{ActionId, EnrollmentId};
use domain::json::{Json, Limits};
use pg::Db;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;
use web::{By, Cursor, Editor, Listed, Page, Problem, Strict, Viewer};

const MAX_TYPE_CHARS: usize = 64;
const PAYLOAD: Limits = Limits { max_bytes: 16_384, max_depth: 16, max_keys: 256, max_string_bytes: 8_192 };

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActionRequest {
    action_type: String,
    #[serde(with = "domain::time_format")]
    scheduled_at: OffsetDateTime,
    #[serde(default)]
    payload: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ActionBody {
    id: ActionId,
    enrollment_id: EnrollmentId,
    action_type: String,
    status: ActionStatus,
    #[serde(with = "domain::time_format")]
    scheduled_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    created_at: OffsetDateTime,
    #[serde(with = "domain::time_format::option")]
    started_at: Option<OffsetDateTime>,
    #[serde(with = "domain::time_format::option")]
    finished_at: Option<OffsetDateTime>,
    #[serde(with = "domain::time_format::option")]
    cancelled_at: Option<OffsetDateTime>,
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
            started_at: action.started_at,
            finished_at: action.finished_at,
            cancelled_at: action.cancelled_at,
            payload: action.payload.into(),
        }
    }
}

pub(super) async fn create(
    By(caller, (path, Strict(body))): By<Editor, (Path<EnrollmentId>, Strict<ActionRequest>)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let new = New {
        id: Uuid::now_v7().into(),
        enrollment_id: path.into_inner(),
        action_type: action_type(body.action_type)?,
        scheduled_at: body.scheduled_at,
        payload: body.payload.map(|payload| payload_text(&payload)).transpose()?,
    };
    let created = actions::create(&db, caller.tenant, new).await?;
    Ok(HttpResponse::Created().json(ActionBody::from(created)))
}

fn action_type(text: String) -> Result<String, Fault> {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let sound =
        text.len() <= MAX_TYPE_CHARS && text.bytes().all(word) && text.starts_with(|c: char| c.is_ascii_lowercase());
    if sound {
        return Ok(text);
    }
    let message = format!("must be lower-case letters, digits and `_`, at most {MAX_TYPE_CHARS}, as `send_email`");
    Err(Fault::at("action_type", "invalid_value", message))
}

fn payload_text(payload: &RawValue) -> Result<String, Fault> {
    let payload = Json::parse(payload.get(), &PAYLOAD).map_err(|fault| fault.within("payload"))?;
    match payload {
        Json::Object(_) => Ok(payload.to_text()),
        _ => Err(Fault::at("payload", "invalid_type", "must be an object")),
    }
}

pub(super) async fn list(
    By(caller, (path, page)): By<Viewer, (Path<EnrollmentId>, Page)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let found = lists::actions(&db, caller.tenant, path.into_inner(), before(&page)?, page.fetch()).await?;
    let place = |action: &Action| Cursor::new(action.created_at, action.id);
    Ok(HttpResponse::Ok().json(Listed::of(&page, found, place, ActionBody::from)))
}

pub(super) async fn start(By(caller, path): By<Editor, Path<ActionId>>, db: Data<Db>) -> Result<HttpResponse, Problem> {
    let started = actions::start(&db, caller.tenant, path.into_inner()).await?;
    Ok(HttpResponse::Ok().json(ActionBody::from(started)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FinishBody {
    status: FinishStatus,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FinishStatus {
    Done,
    Failed,
}

pub(super) async fn finish(
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
