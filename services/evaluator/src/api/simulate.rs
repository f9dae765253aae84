//! `/api/v1/workflows/{id}/goals/simulate`.

use crate::error::Error;
use crate::simulate::{Draft, Simulations, Whom, WouldExit};
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::fault::Fault;
use domain::goal::{Criteria, GoalType, Within};
use domain::ids::{ContactId, EnrollmentId, EventId, WorkflowId};
use domain::words::UnknownWord;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::openapi::{CRITERIA, Demands, EXACT_JSON, Operation, schema};
use web::{By, Problem, Strict, Viewer};

/// Most of those who would have exited that are named.
const MAX_ITEMS: u16 = 1_000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Simulation)]
pub(super) struct SimulationBody {
    #[schema(schema_with = schema::goal_type)]
    goal_type: String,
    /// What an event has to be, as for a goal that is made.
    #[schema(schema_with = schema::object)]
    criteria: Option<Box<RawValue>>,
    /// How long after enrollment the goal may be met: `90s`, `30m`, `12h`, `7d` or `2w`, ten years at most.
    #[schema(schema_with = schema::within, required = false)]
    within: Option<String>,
    /// Only enrollments whose `enrolled_at` is this or later.
    #[serde(default, with = "domain::time_format::option")]
    #[schema(schema_with = schema::moment, required = false)]
    from: Option<OffsetDateTime>,
    /// Only enrollments whose `enrolled_at` is before this.
    #[serde(default, with = "domain::time_format::option")]
    #[schema(schema_with = schema::moment, required = false)]
    to: Option<OffsetDateTime>,
    /// How many are named; 1,000 unless given.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
}

/// What the goal would have done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Simulated)]
struct SimulatedBody {
    #[schema(value_type = Uuid)]
    workflow_id: WorkflowId,
    /// How many would have exited, named or not.
    would_exit: u64,
    enrollments_considered: u64,
    /// What was stored by then is looked at.
    #[serde(with = "domain::time_format")]
    as_of: OffsetDateTime,
    /// The earliest, by `at`.
    items: Vec<WouldExitBody>,
}

/// An enrollment that the goal would have ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WouldExit)]
struct WouldExitBody {
    #[schema(schema_with = schema::text_id)]
    contact_id: ContactId,
    #[schema(value_type = Uuid)]
    enrollment_id: EnrollmentId,
    /// The time of the event.
    #[serde(with = "domain::time_format")]
    at: OffsetDateTime,
    #[schema(value_type = Uuid)]
    event_id: EventId,
}

impl From<WouldExit> for WouldExitBody {
    fn from(exit: WouldExit) -> Self {
        let WouldExit { at, enrollment_id, contact_id, event_id } = exit;
        Self { contact_id, enrollment_id, at, event_id }
    }
}

pub(super) fn operation() -> Operation {
    let item = json!({"contact_id": "c-1", "enrollment_id": "0199ab3d-20b7-7f6e-a1d2-5b9f0c7e4a11",
        "at": "2026-01-05T08:30:00Z", "event_id": "0199ab3f-0c55-7b0d-9a7e-d1c2b3a49586"});
    let example = json!({"workflow_id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1", "would_exit": 1, "enrollments_considered": 12,
        "as_of": "2026-01-06T09:00:00Z", "items": [item]});
    let draft = json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100.00}, "within": "30d",
        "from": "2026-01-01T00:00:00Z"});
    Operation::post("/api/v1/workflows/{workflow_id}/goals/simulate", answer)
        .named("simulateGoal", "goals")
        .does(
            "Try a goal on what is stored",
            "Nothing is made and nothing changes. The goal is taken to be the workflow's only one, and to count every stored event. All \
             enrollments are considered, ended ones too: one that a goal ended as if it had gone on, until the contact came again; one \
             that ended otherwise up to its end.",
        )
        .demands(Demands::Viewer)
        .at("workflow_id", schema::uuid(), "The workflow.")
        .takes::<SimulationBody>(true, &[("purchase_made", draft)])
        .answers::<SimulatedBody>(200, "What it would have done.", example)
        .refuses(400, &CRITERIA)
        .refuses(400, &EXACT_JSON)
        .refuses(400, &["reference_not_found", "simulation_too_large", "unknown_goal_type"])
        .refuses(404, &["workflow_not_found"])
        .refuses(429, &["too_many_simulations"])
}

async fn answer(
    By(caller, (path, Strict(body))): By<Viewer, (Path<WorkflowId>, Strict<SimulationBody>)>,
    simulations: Data<Simulations>,
) -> Result<HttpResponse, Problem> {
    let workflow_id = path.into_inner();
    let goal_type: GoalType = body
        .goal_type
        .parse()
        .map_err(|why: UnknownWord| Fault::at("goal_type", "unknown_goal_type", why.to_string()))?;
    // Criteria that are absent or `null` say as little as `{}`.
    let criteria = body.criteria.as_ref().map_or("{}", |criteria| criteria.get());
    let criteria = Criteria::read(goal_type, criteria).map_err(Error::Invalid)?;
    let within = body.within.map(|text| Within::parse(&text)).transpose().map_err(|fault| fault.within("within"))?;
    let whom = Whom { workflow_id, from: body.from, to: body.to, limit: usize::from(limit(body.limit)?) };
    let simulated = simulations.run(caller.tenant, Draft { criteria, within }, whom).await?;
    Ok(HttpResponse::Ok().json(SimulatedBody {
        workflow_id,
        would_exit: simulated.would_exit,
        enrollments_considered: simulated.considered,
        as_of: simulated.as_of,
        items: simulated.exits.into_iter().map(WouldExitBody::from).collect(),
    }))
}

fn limit(given: Option<u16>) -> Result<u16, Fault> {
    match given.unwrap_or(MAX_ITEMS) {
        limit @ 1..=MAX_ITEMS => Ok(limit),
        _ => Err(Fault::at("limit", "invalid_value", format!("must be 1 to {MAX_ITEMS}"))),
    }
}
