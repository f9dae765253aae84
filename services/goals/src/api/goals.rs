//! `/workflows/{id}/goals`: the conditions that end an enrollment.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::fault::Fault;
use domain::goal::{GoalStatus, GoalType, OnEnroll, Within};
use domain::ids::{GoalId, WorkflowId};
use domain::words::UnknownWord;
use serde::Deserialize;
use serde_json::value::RawValue;
use web::{Listed, Problem, Strict, Viewer};

use super::callers::{By, Edit, EditedBy};
use super::{App, given};
use crate::goals::{self, Draft, GoalPatch, read_criteria};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateBody {
    goal_type: String,
    criteria: Option<Box<RawValue>>,
    within: Option<String>,
    on_enroll: Option<OnEnroll>,
    position: Option<i16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditBody {
    #[serde(default, deserialize_with = "given")]
    criteria: Option<Option<Box<RawValue>>>,
    #[serde(default, deserialize_with = "given")]
    within: Option<Option<String>>,
    on_enroll: Option<OnEnroll>,
    position: Option<i16>,
    status: Option<GoalStatus>,
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

pub(super) async fn create(
    app: Data<App>,
    By(EditedBy(author), (id, Strict(body))): Edit<WorkflowId, CreateBody>,
) -> Result<HttpResponse, Problem> {
    let goal_type: GoalType = body
        .goal_type
        .parse()
        .map_err(|why: UnknownWord| Fault::at("goal_type", "unknown_goal_type", why.to_string()))?;
    let draft = Draft {
        goal_type,
        criteria: read_criteria(goal_type, &text(body.criteria)).map_err(crate::error::Error::from)?,
        within: within(body.within)?,
        on_enroll: body.on_enroll.unwrap_or(OnEnroll::Ignore),
        position: position(body.position)?,
    };
    let goal = goals::create(&app.db, &author, *id, draft).await?;
    Ok(HttpResponse::Created().json(goal))
}

pub(super) async fn list(
    app: Data<App>,
    By(viewer, id): By<Viewer, Path<WorkflowId>>,
) -> Result<HttpResponse, Problem> {
    let goals = goals::list(&app.db, &viewer.tenant, *id).await?;
    Ok(HttpResponse::Ok().json(Listed::whole(goals)))
}

pub(super) async fn show(
    app: Data<App>,
    By(viewer, path): By<Viewer, Path<(WorkflowId, GoalId)>>,
) -> Result<HttpResponse, Problem> {
    let goal = goals::find(&app.db, &viewer.tenant, path.0, path.1).await?;
    Ok(HttpResponse::Ok().json(goal))
}

pub(super) async fn edit(
    app: Data<App>,
    By(EditedBy(author), (path, Strict(body))): Edit<(WorkflowId, GoalId), EditBody>,
) -> Result<HttpResponse, Problem> {
    let patch = GoalPatch {
        criteria: body.criteria.map(text),
        within: body.within.map(within).transpose()?,
        on_enroll: body.on_enroll,
        position: position(body.position)?,
        status: body.status,
    };
    let goal = goals::edit(&app.db, &author, path.0, path.1, patch).await?;
    Ok(HttpResponse::Ok().json(goal))
}

pub(super) async fn delete(
    app: Data<App>,
    By(EditedBy(author), path): By<EditedBy, Path<(WorkflowId, GoalId)>>,
) -> Result<HttpResponse, Problem> {
    goals::delete(&app.db, &author, path.0, path.1).await?;
    Ok(HttpResponse::NoContent().finish())
}
