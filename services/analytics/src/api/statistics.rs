//! `GET /api/v1/workflows/{id}/goals/stats`.

use crate::kept::{Kept, Span};
use crate::statistics::OfWorkflow;
use crate::store::reached::{Reached, TimeToGoal};
use crate::store::statistics::Statistics;
use actix_web::web::{Data, Json, Path, Query};
use domain::ids::{GoalId, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::openapi::{Demands, Operation, schema};
use web::{By, Problem, Viewer};

/// The query string.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    fresh: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TimesToGoal)]
pub(super) struct Times {
    /// From enrollment to goal; these four are null where nothing was achieved.
    average_time_to_goal_hours: Option<f64>,
    median_time_to_goal_hours: Option<f64>,
    p90_time_to_goal_hours: Option<f64>,
    p95_time_to_goal_hours: Option<f64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = GoalStatistics)]
struct OfGoal {
    #[schema(value_type = Uuid)]
    goal_id: GoalId,
    #[schema(schema_with = schema::goal_type)]
    goal_type: String,
    achieved: i64,
    conversion_rate: f64,
    #[serde(flatten)]
    times: Times,
}

#[derive(Serialize, ToSchema)]
#[schema(as = GoalTypeStatistics)]
struct OfGoalType {
    #[schema(schema_with = schema::goal_type)]
    goal_type: String,
    achieved: i64,
    conversion_rate: f64,
    #[serde(flatten)]
    times: Times,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DayStatistics)]
struct OfDay {
    /// In the time zone of the tenant, as `2026-01-03`.
    #[schema(format = Date)]
    date: String,
    enrolled: i64,
    goals_achieved: i64,
}

/// The answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Statistics)]
pub struct Answer {
    #[schema(value_type = Uuid)]
    workflow_id: WorkflowId,
    total_enrolled: i64,
    /// Enrollments that ended because goals were met.
    goals_achieved: i64,
    /// Achieved in a hundred enrolled.
    conversion_rate: f64,
    #[serde(flatten)]
    times: Times,
    /// Enrollments by status.
    by_status: BTreeMap<String, i64>,
    by_goal: Vec<OfGoal>,
    by_goal_type: Vec<OfGoalType>,
    by_day: Vec<OfDay>,
    /// When it was counted.
    #[serde(with = "domain::time_format")]
    as_of: OffsetDateTime,
}

fn example() -> Value {
    let times = json!({"average_time_to_goal_hours": 41.3, "median_time_to_goal_hours": 26.0,
        "p90_time_to_goal_hours": 96.5, "p95_time_to_goal_hours": 120.0});
    let with_times = |mut object: Value| {
        for (name, hours) in times.as_object().into_iter().flatten() {
            object[name] = hours.clone();
        }
        object
    };
    let of_type = with_times(json!({"goal_type": "purchase_made", "achieved": 30, "conversion_rate": 25.0}));
    let mut of_goal = of_type.clone();
    of_goal["goal_id"] = "0199ab3c-8a10-7d44-9c1b-0c8e3bfa6f21".into();
    with_times(
        json!({"workflow_id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1", "total_enrolled": 120, "goals_achieved": 30,
        "conversion_rate": 25.0, "by_status": {"active": 80, "completed_goal": 30, "removed": 10},
        "by_goal": [of_goal], "by_goal_type": [of_type],
        "by_day": [{"date": "2026-01-03", "enrolled": 12, "goals_achieved": 3}], "as_of": "2026-02-01T00:00:00Z"}),
    )
}

/// What the document says of it.
pub fn operation() -> Operation {
    Operation::get("/api/v1/workflows/{workflow_id}/goals/stats", read)
        .named("getGoalStatistics", "statistics")
        .does(
            "Count a workflow's goals",
            "Of the enrollments that began within a span of time: how many reached their goals, how fast, by goal, by type \
             of goal and by day. An answer may be five minutes old.",
        )
        .demands(Demands::Viewer)
        .at("workflow_id", schema::uuid(), "The workflow.")
        .asks("from", schema::moment(), "Enrolled at or after.")
        .asks("to", schema::moment(), "Enrolled before.")
        .asks("fresh", schema::flag(), "Count anew.")
        .answers::<Answer>(200, "The statistics.", example())
        .refuses(400, &["invalid_timestamp", "invalid_value"])
        .refuses(503, &["database_unavailable"])
}

/// Answers from the cache, or counts.
async fn read(
    By(viewer, (workflow, asked)): By<Viewer, (Path<WorkflowId>, Query<Asked>)>,
    answers: Data<Kept<OfWorkflow>>,
) -> Result<Json<Answer>, Problem> {
    let question = OfWorkflow {
        tenant: viewer.tenant,
        workflow: *workflow,
        span: span(asked.from.as_deref(), asked.to.as_deref())?,
    };
    let statistics = answers.to(question, asked.fresh).await.map_err(|error| error.problem())?;
    Ok(Json(answer(*workflow, &statistics)))
}

/// The span of a query, which has a beginning before its end.
pub(super) fn span(from: Option<&str>, to: Option<&str>) -> Result<Span, Problem> {
    let span = Span { from: moment("from", from)?, to: moment("to", to)? };
    if span.from.zip(span.to).is_some_and(|(from, to)| from > to) {
        return Err(Problem::bad_request("invalid_value", "from lies after to"));
    }
    Ok(span)
}

fn moment(name: &str, text: Option<&str>) -> Result<Option<OffsetDateTime>, Problem> {
    text.map(domain::time_format::parse)
        .transpose()
        .map_err(|fault| Problem::bad_request("invalid_timestamp", format!("{name} {}", fault.message)))
}

fn answer(workflow_id: WorkflowId, counted: &Statistics) -> Answer {
    Answer {
        workflow_id,
        total_enrolled: counted.total_enrolled,
        goals_achieved: counted.reached.achieved,
        conversion_rate: counted.reached.conversion_rate,
        times: times(&counted.reached.time_to_goal),
        by_status: counted.by_status.iter().cloned().collect(),
        by_goal: counted.by_goal.iter().map(|(id, goal_type, reached)| of_goal(*id, goal_type, reached)).collect(),
        by_goal_type: counted
            .by_goal_type
            .iter()
            .map(|(goal_type, reached)| of_goal_type(goal_type, reached))
            .collect(),
        by_day: counted
            .by_day
            .iter()
            .map(|day| OfDay { date: day.date.to_string(), enrolled: day.enrolled, goals_achieved: day.goals_achieved })
            .collect(),
        as_of: counted.as_of,
    }
}

fn of_goal(goal_id: GoalId, goal_type: &str, reached: &Reached) -> OfGoal {
    OfGoal {
        goal_id,
        goal_type: goal_type.to_owned(),
        achieved: reached.achieved,
        conversion_rate: reached.conversion_rate,
        times: times(&reached.time_to_goal),
    }
}

fn of_goal_type(goal_type: &str, reached: &Reached) -> OfGoalType {
    OfGoalType {
        goal_type: goal_type.to_owned(),
        achieved: reached.achieved,
        conversion_rate: reached.conversion_rate,
        times: times(&reached.time_to_goal),
    }
}

pub(super) fn times(time: &TimeToGoal) -> Times {
    Times {
        average_time_to_goal_hours: time.average_hours,
        median_time_to_goal_hours: time.median_hours,
        p90_time_to_goal_hours: time.p90_hours,
        p95_time_to_goal_hours: time.p95_hours,
    }
}
