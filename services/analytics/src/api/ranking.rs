//! `GET /api/v1/analytics/workflows`.

use crate::api::statistics::{Times, span, times};
use crate::kept::Kept;
use crate::ranking::{OfTenant, Place};
use crate::store::ranking::{Ranked, Ranking};
use actix_web::web::{Data, Json, Query};
use domain::ids::WorkflowId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::str::FromStr;
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::openapi::{Demands, Operation, schema};
use web::{By, Cursor, Listed, Page, Problem, Viewer};

/// The query string; [`Page`] reads the last two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    fresh: bool,
    #[serde(rename = "limit")]
    _limit: Option<String>,
    #[serde(rename = "cursor")]
    _cursor: Option<String>,
}

/// One workflow.
#[derive(Serialize, ToSchema)]
#[schema(as = RankedWorkflow)]
struct Of {
    #[schema(value_type = Uuid)]
    workflow_id: WorkflowId,
    name: String,
    #[schema(schema_with = schema::workflow_status)]
    status: String,
    total_enrolled: i64,
    /// Enrollments that ended because goals were met.
    goals_achieved: i64,
    /// Achieved in a hundred enrolled.
    conversion_rate: f64,
    #[serde(flatten)]
    times: Times,
}

/// A page of the ranking.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkflowRanking)]
struct Answer {
    items: Vec<Of>,
    /// Where to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    next_cursor: Option<String>,
    /// When it was counted.
    #[serde(with = "domain::time_format")]
    as_of: OffsetDateTime,
}

fn example() -> Value {
    json!({"items": [{"workflow_id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1", "name": "Onboarding", "status": "active",
        "total_enrolled": 120, "goals_achieved": 30, "conversion_rate": 25.0, "average_time_to_goal_hours": 41.3,
        "median_time_to_goal_hours": 26.0, "p90_time_to_goal_hours": 96.5, "p95_time_to_goal_hours": 120.0}],
        "as_of": "2026-02-01T00:00:00Z"})
}

/// What the document says of it.
pub fn operation() -> Operation {
    Operation::get("/api/v1/analytics/workflows", read)
        .named("rankWorkflows", "statistics")
        .does(
            "Rank all workflows",
            "By conversion rate, then by goals achieved, then the newest first; of the enrollments that began within a span of \
             time. An answer may be five minutes old; a page goes on after the place where the page before ended.",
        )
        .demands(Demands::Viewer)
        .asks("from", schema::moment(), "Enrolled at or after.")
        .asks("to", schema::moment(), "Enrolled before.")
        .asks("fresh", schema::flag(), "Count anew.")
        .paged()
        .answers::<Answer>(200, "The workflows, the best first.", example())
        .refuses(400, &["invalid_timestamp", "invalid_value"])
        .refuses(503, &["database_unavailable"])
}

/// Answers from memory, or counts.
async fn read(
    By(viewer, (asked, page)): By<Viewer, (Query<Asked>, Page)>,
    rankings: Data<Kept<OfTenant>>,
) -> Result<Json<Answer>, Problem> {
    let span = span(asked.from.as_deref(), asked.to.as_deref())?;
    let after = page.cursor.as_ref().map(place).transpose()?;
    let question = OfTenant { tenant: viewer.tenant, span };
    let ranking = rankings.to(question, asked.fresh).await.map_err(|error| error.problem())?;
    Ok(Json(answer(&ranking, &page, after)))
}

/// What a cursor says beside the time at which the workflow was made.
struct Rank {
    rate: i64,
    achieved: i64,
    id: WorkflowId,
}

impl FromStr for Rank {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(());
        let (rate, achieved, id) = (part()?, part()?, part()?);
        let number = |text: &str| text.parse().map_err(drop);
        Ok(Self { rate: number(rate)?, achieved: number(achieved)?, id: id.parse().map_err(drop)? })
    }
}

fn place(cursor: &Cursor) -> Result<Place, Problem> {
    let Rank { rate, achieved, id } = cursor.id()?;
    Ok(Place { rate, achieved, created_at: cursor.at, id })
}

fn cursor(place: Place) -> Cursor {
    Cursor::new(place.created_at, format_args!("{}.{}.{}", place.rate, place.achieved, place.id))
}

fn answer(ranking: &Ranking, page: &Page, after: Option<Place>) -> Answer {
    let first = after.map_or(0, |after| ranking.workflows.partition_point(|ranked| Place::of(ranked) >= after));
    let rest = ranking.workflows.iter().skip(first).take(usize::from(page.limit) + 1).collect();
    let Listed { items, next_cursor } = Listed::of(page, rest, |ranked| cursor(Place::of(ranked)), item);
    Answer { items, next_cursor, as_of: ranking.as_of }
}

fn item(ranked: &Ranked) -> Of {
    Of {
        workflow_id: ranked.workflow_id,
        name: ranked.name.clone(),
        status: ranked.status.clone(),
        total_enrolled: ranked.total_enrolled,
        goals_achieved: ranked.reached.achieved,
        conversion_rate: ranked.reached.conversion_rate,
        times: times(&ranked.reached.time_to_goal),
    }
}
