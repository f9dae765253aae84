//! `/workflows/{id}/goals`: the conditions that end an enrollment.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use domain::fault::Fault;
use domain::goal::{Criteria, GoalStatus, GoalType, OnEnroll, Within};
use domain::ids::{GoalId, WorkflowId};
use domain::once::Asked;
use domain::words::UnknownWord;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use web::openapi::{CRITERIA, Demands, EXACT_JSON, Operation, schema};
use web::{IfNoneMatch, Keyed, Listed, Problem, Strict, Viewer, version};

use super::callers::{Aimed, By, EditVersion, EditedBy, Make};
use super::{App, given, made};
use crate::goals::{self, Draft, GoalPatch};
use crate::store::goals::Goal;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewGoal)]
pub(super) struct CreateBody {
    #[schema(schema_with = schema::goal_type)]
    goal_type: String,
    /// What an event has to be. Which members there are depends on the goal's type; the examples have them.
    #[schema(schema_with = schema::object)]
    criteria: Option<Box<RawValue>>,
    /// How long after enrollment the goal may be met: `90s`, `30m`, `12h`, `7d` or `2w`, ten years at most.
    #[schema(schema_with = schema::within, required = false)]
    within: Option<String>,
    /// What happens at enrollment where the goal holds already; other than `ignore` for tags and stages only.
    #[schema(schema_with = schema::on_enroll, required = false)]
    on_enroll: Option<OnEnroll>,
    /// Of several goals that an event meets, the one of the lowest position is credited. By default after the others.
    #[schema(minimum = 1)]
    position: Option<i16>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GoalPatch)]
pub(super) struct EditBody {
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schema::object, required = false)]
    criteria: Option<Option<Box<RawValue>>>,
    /// `null` takes the window away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,9}[smhdw]$")]
    within: Option<Option<String>>,
    #[schema(schema_with = schema::on_enroll, required = false)]
    on_enroll: Option<OnEnroll>,
    #[schema(minimum = 1)]
    position: Option<i16>,
    #[schema(schema_with = schema::goal_status, required = false)]
    status: Option<GoalStatus>,
}

pub(super) fn operations() -> Vec<Operation> {
    let goal = || {
        json!({"id": "0199ab3c-8a10-7d44-9c1b-0c8e3bfa6f21", "workflow_id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1",
            "goal_type": "purchase_made", "criteria": {"min_amount": 100.00}, "within": "30d", "on_enroll": "ignore",
            "position": 1, "status": "active", "version": 1, "effective_from": null, "created_by": "key:4XG9TE3ZQ7",
            "created_at": "2026-01-03T10:00:00Z", "updated_at": "2026-01-03T10:00:00Z"})
    };
    let of_workflow = |operation: Operation| operation.at("id", schema::uuid(), "The workflow.");
    let of_goal = |operation| of_workflow(operation).at("goal_id", schema::uuid(), "The goal.");
    let condition = json!([{"property": "grade", "op": "gte", "value": 2}]);
    let examples = [
        ("tag_added", json!({"goal_type": "tag_added", "criteria": {"tag_name": "Customer"}})),
        ("purchase_made", json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100.00}, "within": "30d"})),
        ("appointment_booked", json!({"goal_type": "appointment_booked", "criteria": {"any_appointment": true}})),
        ("form_submitted", json!({"goal_type": "form_submitted", "criteria": {"form_ids": ["form-1", "form-2"]}})),
        ("pipeline_stage_reached", json!({"goal_type": "pipeline_stage_reached", "criteria": {"stage_id": "won"}})),
        (
            "custom_event",
            json!({"goal_type": "custom_event", "criteria": {"event_name": "course.finished", "where": condition}}),
        ),
    ];
    vec![
        of_workflow(Operation::post("/api/v1/workflows/{id}/goals", create))
            .named("createGoal", "goals")
            .does(
                "Add a goal to a workflow",
                "Three at most, no two that mean the same. In a live workflow it counts from now on.",
            )
            .demands(Demands::Editor)
            .once()
            .takes::<CreateBody>(true, &examples)
            .answers::<Goal>(201, "The goal.", goal())
            .tagged()
            .refuses(400, &CRITERIA)
            .refuses(400, &EXACT_JSON)
            .refuses(400, &["max_goals_exceeded", "reference_not_found", "unknown_goal_type"])
            .refuses(409, &["duplicate_goal"]),
        of_workflow(Operation::get("/api/v1/workflows/{id}/goals", list))
            .named("listGoals", "goals")
            .does("List a workflow's goals", "All of them, in the order in which they win.")
            .demands(Demands::Viewer)
            .lists::<Goal>("Goals.", goal()),
        of_goal(Operation::get("/api/v1/workflows/{id}/goals/{goal_id}", show))
            .named("getGoal", "goals")
            .does("Show a goal", "As it is now. An activation moves `effective_from` without making a version.")
            .demands(Demands::Viewer)
            .answers::<Goal>(200, "The goal.", goal())
            .unless_known(),
        of_goal(Operation::patch("/api/v1/workflows/{id}/goals/{goal_id}", edit))
            .named("updateGoal", "goals")
            .does("Change a goal", "As its next version, by which events count from now on. Its type stays.")
            .demands(Demands::Editor)
            .takes::<EditBody>(
                true,
                &[("switched_off", json!({"status": "inactive"})), ("no_window", json!({"within": null}))],
            )
            .answers::<Goal>(200, "The goal.", goal())
            .if_match()
            .refuses(400, &CRITERIA)
            .refuses(400, &EXACT_JSON)
            .refuses(400, &["reference_not_found"])
            .refuses(409, &["duplicate_goal"]),
        of_goal(Operation::delete("/api/v1/workflows/{id}/goals/{goal_id}", delete))
            .named("deleteGoal", "goals")
            .does("Delete a goal", "It counts no longer. Its achievements stay.")
            .demands(Demands::Editor)
            .answers_nothing("It is gone.")
            .if_match(),
    ]
}

/// Criteria that are absent or `null` say as little as `{}`.
fn text(criteria: Option<Box<RawValue>>) -> String {
    criteria.map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned())
}

fn within(text: Option<String>) -> Result<Option<Within>, Fault> {
    text.map(|text| Within::parse(&text)).transpose().map_err(|fault| fault.within("within"))
}

fn position(given: Option<i16>) -> Result<Option<i16>, Fault> {
    match given {
        Some(position) if position < 1 => Err(Fault::at("position", "invalid_value", "must be at least 1")),
        other => Ok(other),
    }
}

async fn create(
    app: Data<App>,
    By(EditedBy(author), (id, Keyed { body, key })): Make<WorkflowId, CreateBody>,
) -> Result<HttpResponse, Problem> {
    let goal_type: GoalType = body
        .goal_type
        .parse()
        .map_err(|why: UnknownWord| Fault::at("goal_type", "unknown_goal_type", why.to_string()))?;
    let draft = Draft {
        goal_type,
        criteria: Criteria::read(goal_type, &text(body.criteria)).map_err(crate::error::Error::from)?,
        within: within(body.within)?,
        on_enroll: body.on_enroll.unwrap_or(OnEnroll::Ignore),
        position: position(body.position)?,
    };
    let once = Asked::over_http(Some(&author.tenant), key).answering(made);
    let outcome = goals::create(&app.db, &author, *id, draft, once).await?;
    Ok(version::answered(&outcome, made))
}

async fn list(app: Data<App>, By(viewer, id): By<Viewer, Path<WorkflowId>>) -> Result<HttpResponse, Problem> {
    let goals = goals::list(&app.db, &viewer.tenant, *id).await?;
    Ok(HttpResponse::Ok().json(Listed::whole(goals)))
}

async fn show(
    app: Data<App>,
    By(viewer, (path, known)): By<Viewer, (Path<(WorkflowId, GoalId)>, IfNoneMatch)>,
) -> Result<HttpResponse, Problem> {
    let goal = goals::find(&app.db, &viewer.tenant, path.0, path.1).await?;
    Ok(known.answer(&goal))
}

async fn edit(
    app: Data<App>,
    By(EditedBy(author), (Aimed(target), Strict(body))): EditVersion<(WorkflowId, GoalId), EditBody>,
) -> Result<HttpResponse, Problem> {
    let patch = GoalPatch {
        criteria: body.criteria.map(text),
        within: body.within.map(within).transpose()?,
        on_enroll: body.on_enroll,
        position: position(body.position)?,
        status: body.status,
    };
    let goal = goals::edit(&app.db, &author, target, patch).await?;
    Ok(version::answer(StatusCode::OK, &goal))
}

async fn delete(
    app: Data<App>,
    By(EditedBy(author), Aimed(target)): By<EditedBy, Aimed<(WorkflowId, GoalId)>>,
) -> Result<HttpResponse, Problem> {
    goals::delete(&app.db, &author, target).await?;
    Ok(HttpResponse::NoContent().finish())
}
