//! `GET /api/v1/workflows/{id}/goals/stats`.

use crate::api::Api;
use crate::statistics::Question;
use crate::store::statistics::{Reached, Statistics, TimeToGoal};
use actix_web::web::{Data, Json, Path, Query};
use domain::ids::{GoalId, WorkflowId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use web::{Problem, Viewer};

/// The query string.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    fresh: bool,
}

#[derive(Serialize)]
struct Times {
    average_time_to_goal_hours: Option<f64>,
    median_time_to_goal_hours: Option<f64>,
    p90_time_to_goal_hours: Option<f64>,
    p95_time_to_goal_hours: Option<f64>,
}

#[derive(Serialize)]
struct OfGoal {
    goal_id: GoalId,
    goal_type: String,
    achieved: i64,
    conversion_rate: f64,
    #[serde(flatten)]
    times: Times,
}

#[derive(Serialize)]
struct OfGoalType {
    goal_type: String,
    achieved: i64,
    conversion_rate: f64,
    #[serde(flatten)]
    times: Times,
}

#[derive(Serialize)]
struct OfDay {
    date: String,
    enrolled: i64,
    goals_achieved: i64,
}

/// The answer.
#[derive(Serialize)]
pub struct Answer {
    workflow_id: WorkflowId,
    total_enrolled: i64,
    goals_achieved: i64,
    conversion_rate: f64,
    #[serde(flatten)]
    times: Times,
    by_status: BTreeMap<String, i64>,
    by_goal: Vec<OfGoal>,
    by_goal_type: Vec<OfGoalType>,
    by_day: Vec<OfDay>,
    #[serde(with = "domain::time_format")]
    as_of: OffsetDateTime,
}

/// Answers from the cache, or counts.
pub async fn read(
    viewer: Viewer,
    workflow: Path<WorkflowId>,
    asked: Query<Asked>,
    api: Data<Api>,
) -> Result<Json<Answer>, Problem> {
    api.limit.take(&viewer.caller.key_id)?;
    let question = Question {
        tenant: viewer.tenant,
        workflow: *workflow,
        from: moment("from", asked.from.as_deref())?,
        to: moment("to", asked.to.as_deref())?,
    };
    if question.from.zip(question.to).is_some_and(|(from, to)| from > to) {
        return Err(Problem::bad_request("invalid_value", "from lies after to"));
    }
    let statistics = api.answers.to(question, asked.fresh).await.map_err(|error| error.problem())?;
    Ok(Json(answer(*workflow, &statistics)))
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

fn times(time: &TimeToGoal) -> Times {
    Times {
        average_time_to_goal_hours: time.average_hours,
        median_time_to_goal_hours: time.median_hours,
        p90_time_to_goal_hours: time.p90_hours,
        p95_time_to_goal_hours: time.p95_hours,
    }
}
