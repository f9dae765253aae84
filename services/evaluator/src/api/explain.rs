//! `/api/v1/enrollments/{id}/explain`.

use crate::explain::{self, Explanation, Item, Place};
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::enrollment::{EnrollmentStatus, ExitReason};
use domain::goal::Reason;
use domain::ids::{AchievementId, ContactId, EnrollmentId, EventId, GoalId, WorkflowId};
use domain::workflow::WorkflowStatus;
use pg::Db;
use serde::Serialize;
use serde_json::json;
use std::str::FromStr;
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::openapi::{Demands, Operation, schema};
use web::{By, Cursor, Listed, Page, Problem, Viewer};

/// An enrollment, and why its events counted or did not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
struct ExplanationBody {
    #[schema(value_type = Uuid)]
    enrollment_id: EnrollmentId,
    #[schema(value_type = Uuid)]
    workflow_id: WorkflowId,
    #[schema(schema_with = schema::workflow_status)]
    workflow_status: WorkflowStatus,
    #[schema(schema_with = schema::text_id)]
    contact_id: ContactId,
    #[schema(schema_with = schema::enrollment_status)]
    status: EnrollmentStatus,
    #[schema(schema_with = schema::exit_reason)]
    exit_reason: Option<ExitReason>,
    #[serde(with = "domain::time_format")]
    enrolled_at: OffsetDateTime,
    #[serde(with = "domain::time_format::option")]
    exited_at: Option<OffsetDateTime>,
    /// What was stored by then is explained.
    #[serde(with = "domain::time_format")]
    as_of: OffsetDateTime,
    items: Vec<ItemBody>,
    /// Where to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    next_cursor: Option<String>,
}

/// The verdict on one event and one goal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verdict)]
struct ItemBody {
    #[schema(value_type = Uuid)]
    event_id: EventId,
    event_name: String,
    #[serde(with = "domain::time_format")]
    event_time: OffsetDateTime,
    #[schema(value_type = Uuid)]
    goal_id: GoalId,
    #[schema(schema_with = verdict_words)]
    verdict: &'static str,
    #[schema(schema_with = schema::reason)]
    reason: Reason,
    /// Where it is recorded; `null` of a `matched` that is still to be.
    #[schema(value_type = Option<Uuid>)]
    achievement_id: Option<AchievementId>,
}

const MATCHED: &str = "matched";
const NOT_MATCHED: &str = "not_matched";

fn verdict_words() -> utoipa::openapi::schema::Object {
    schema::one_of([MATCHED, NOT_MATCHED])
}

impl From<Item> for ItemBody {
    fn from(item: Item) -> Self {
        Self {
            event_id: item.place.event,
            event_name: item.event_name,
            event_time: item.place.at,
            goal_id: item.place.goal,
            verdict: if item.reason == Reason::Matched { MATCHED } else { NOT_MATCHED },
            reason: item.reason,
            achievement_id: item.achievement_id,
        }
    }
}

pub(super) fn operation() -> Operation {
    let item = json!({"event_id": "0199ab3f-0c55-7b0d-9a7e-d1c2b3a49586", "event_name": "payment.completed",
        "event_time": "2026-01-05T08:30:00Z", "goal_id": "0199ab3c-8a10-7d44-9c1b-0c8e3bfa6f21", "verdict": "not_matched",
        "reason": "amount_below_min", "achievement_id": null});
    let example = json!({"enrollment_id": "0199ab3d-20b7-7f6e-a1d2-5b9f0c7e4a11",
        "workflow_id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1", "workflow_status": "active", "contact_id": "c-1", "status": "active",
        "exit_reason": null, "enrolled_at": "2026-01-03T10:00:00Z", "exited_at": null, "as_of": "2026-01-06T09:00:00Z",
        "items": [item]});
    Operation::get("/api/v1/enrollments/{enrollment_id}/explain", answer)
        .named("explainEnrollment", "enrollments")
        .does(
            "Say why events counted, or did not",
            "Every goal of the workflow with every event of the contact that any of its goals waits for, from 90 days before the \
             enrollment on; the latest event first. What is recorded shows `matched`, whatever became of its goal. Of an enrollment that \
             is active it is told what the next judgement will find.",
        )
        .demands(Demands::Viewer)
        .at("enrollment_id", schema::uuid(), "The enrollment.")
        .paged()
        .answers::<ExplanationBody>(200, "The enrollment, and a page of verdicts.", example)
        .refuses(404, &["enrollment_not_found"])
        .refuses(409, &["goals_unreadable"])
}

/// What a cursor names beside the time.
struct OfEvent(EventId, GoalId);

impl FromStr for OfEvent {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (event, goal) = text.split_once('.').ok_or(())?;
        Ok(Self(event.parse().map_err(drop)?, goal.parse().map_err(drop)?))
    }
}

fn after(page: &Page) -> Result<Option<Place>, Problem> {
    let place = |cursor: &Cursor| {
        let OfEvent(event, goal) = cursor.id()?;
        Ok(Place { at: cursor.at, event, goal })
    };
    page.cursor.as_ref().map(place).transpose()
}

async fn answer(
    By(caller, (path, page)): By<Viewer, (Path<EnrollmentId>, Page)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let limit = usize::from(page.limit) + 1;
    let explained = explain::explain(&db, caller.tenant, path.into_inner(), (after(&page)?, limit)).await?;
    let Explanation { enrollment, workflow_status, as_of, items } = explained;
    let place = |item: &Item| Cursor::new(item.place.at, format_args!("{}.{}", item.place.event, item.place.goal));
    let Listed { items, next_cursor } = Listed::of(&page, items, place, ItemBody::from);
    Ok(HttpResponse::Ok().json(ExplanationBody {
        enrollment_id: enrollment.id,
        workflow_id: enrollment.workflow_id,
        workflow_status,
        contact_id: enrollment.contact_id,
        status: enrollment.status,
        exit_reason: enrollment.exit_reason,
        enrolled_at: enrollment.enrolled_at,
        exited_at: enrollment.exited_at,
        as_of,
        items,
        next_cursor,
    }))
}
