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
use time::OffsetDateTime;
use web::{By, Cursor, Listed, Page, Problem, Viewer};

/// An achievement as it is answered.
#[derive(Debug, Serialize)]
pub(super) struct AchievementBody {
    id: AchievementId,
    workflow_id: WorkflowId,
    enrollment_id: EnrollmentId,
    contact_id: ContactId,
    goal_id: GoalId,
    goal_type: GoalType,
    goal_version: i32,
    event_id: EventId,
    event_name: String,
    #[serde(with = "domain::time_format")]
    achieved_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    recorded_at: OffsetDateTime,
    criteria: Stored,
    trigger_event: Stored,
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

pub(super) async fn list(
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
