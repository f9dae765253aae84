//! `/api/v1/workflows/{id}/achievements`.

use super::{Stored, before};
use crate::lists;
use crate::store::achievements::{Achievement, Listing};
use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use domain::goal::GoalType;
use domain::ids::{AchievementId, ContactId, EnrollmentId, EventId, GoalId, WorkflowId};
use pg::Db;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::openapi::{Demands, Operation, schema};
use web::{By, Cursor, Listed, Page, Problem, Viewer};

/// An achievement as it is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Achievement)]
pub(super) struct AchievementBody {
    #[schema(value_type = Uuid)]
    id: AchievementId,
    #[schema(value_type = Uuid)]
    workflow_id: WorkflowId,
    #[schema(value_type = Uuid)]
    enrollment_id: EnrollmentId,
    #[schema(schema_with = schema::text_id)]
    contact_id: ContactId,
    #[schema(value_type = Uuid)]
    goal_id: GoalId,
    #[schema(schema_with = schema::goal_type)]
    goal_type: GoalType,
    goal_version: i32,
    /// The event that met the goal.
    #[schema(value_type = Uuid)]
    event_id: EventId,
    event_name: String,
    /// The time of that event.
    #[serde(with = "domain::time_format")]
    achieved_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    recorded_at: OffsetDateTime,
    /// By which it was judged.
    #[schema(schema_with = schema::object_or_null)]
    criteria: Stored,
    /// Those properties of the event that its type names.
    #[schema(schema_with = schema::object_or_null)]
    trigger_event: Stored,
    #[schema(schema_with = schema::object_or_null)]
    metadata: Stored,
}

impl From<Achievement> for AchievementBody {
    fn from(achievement: Achievement) -> Self {
        Self {
            id: achievement.id,
            workflow_id: achievement.workflow_id,
            enrollment_id: achievement.enrollment_id,
            contact_id: achievement.contact_id,
            goal_id: achievement.goal_id,
            goal_type: achievement.goal_type,
            goal_version: achievement.goal_version,
            event_id: achievement.event_id,
            event_name: achievement.event_name,
            achieved_at: achievement.achieved_at,
            recorded_at: achievement.recorded_at,
            criteria: achievement.criteria.into(),
            trigger_event: achievement.trigger_event.into(),
            metadata: achievement.metadata.into(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    contact_id: Option<ContactId>,
    /// Achieved at or after.
    #[serde(default, with = "domain::time_format::option")]
    from: Option<OffsetDateTime>,
    /// Achieved before.
    #[serde(default, with = "domain::time_format::option")]
    to: Option<OffsetDateTime>,
}

pub(super) fn example() -> Value {
    json!({"id": "0199ab40-11aa-7a0e-b2a4-97f0a4cbd0ee", "workflow_id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1",
        "enrollment_id": "0199ab3d-20b7-7f6e-a1d2-5b9f0c7e4a11", "contact_id": "c-1",
        "goal_id": "0199ab3c-8a10-7d44-9c1b-0c8e3bfa6f21", "goal_type": "purchase_made", "goal_version": 1,
        "event_id": "0199ab3f-0c55-7b0d-9a7e-d1c2b3a49586", "event_name": "payment.completed",
        "achieved_at": "2026-01-05T08:30:00Z", "recorded_at": "2026-01-05T08:30:00.251Z",
        "criteria": {"min_amount": 100.00}, "trigger_event": {"amount": 150.00}, "metadata": null})
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/workflows/{workflow_id}/achievements", list)
            .named("listAchievements", "achievements")
            .does("List a workflow's achievements", "Latest first.")
            .demands(Demands::Viewer)
            .at("workflow_id", schema::uuid(), "The workflow.")
            .asks("contact_id", schema::text_id(), "Only of this contact.")
            .asks("from", schema::moment(), "Achieved at or after.")
            .asks("to", schema::moment(), "Achieved before.")
            .paged()
            .lists::<AchievementBody>("Achievements.", example())
            .refuses(404, &["workflow_not_found"]),
    ]
}

async fn list(
    By(caller, (path, query, page)): By<Viewer, (Path<WorkflowId>, Query<ListQuery>, Page)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let listing = Listing {
        workflow_id: path.into_inner(),
        contact_id: query.contact_id,
        from: query.from,
        to: query.to,
        before: before(&page)?,
        limit: page.fetch(),
    };
    let found = lists::achievements(&db, caller.tenant, listing).await?;
    let place = |a: &Achievement| Cursor::new(a.achieved_at, a.id);
    Ok(HttpResponse::Ok().json(Listed::of(&page, found, place, AchievementBody::from)))
}
