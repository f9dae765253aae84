//! `/workflows`: configuration of workflows, and what makes them live.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::ids::WorkflowId;
use domain::workflow::GoalLogic;
use serde::Deserialize;
use web::{Cursor, Listed, Page, Problem, Strict, Viewer};

use super::callers::{By, Edit, EditedBy};
use super::{App, name, place};
use crate::activation;
use crate::store::workflows::Content;
use crate::workflows::{self, WorkflowPatch};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateBody {
    name: String,
    goal_logic: Option<GoalLogic>,
    allow_reentry: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditBody {
    name: Option<String>,
    goal_logic: Option<GoalLogic>,
    allow_reentry: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActivateBody {
    catch_up: Option<bool>,
}

/// A body that says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

pub(super) async fn create(
    app: Data<App>,
    By(EditedBy(author), Strict(body)): By<EditedBy, Strict<CreateBody>>,
) -> Result<HttpResponse, Problem> {
    let content = Content {
        name: name("name", body.name)?,
        goal_logic: body.goal_logic.unwrap_or_default(),
        allow_reentry: body.allow_reentry.unwrap_or_default(),
    };
    let workflow = workflows::create(&app.db, &author, content).await?;
    Ok(HttpResponse::Created().json(workflow))
}

pub(super) async fn list(app: Data<App>, By(viewer, page): By<Viewer, Page>) -> Result<HttpResponse, Problem> {
    let before = match (place(&page)?, &page.cursor) {
        (Some((at, _)), Some(cursor)) => Some((at, cursor.id()?)),
        _ => None,
    };
    let fetched = workflows::list(&app.db, &viewer.tenant, before, page.fetch()).await?;
    let listed = Listed::of(&page, fetched, |w| Cursor::new(w.created_at, w.id), |w| w);
    Ok(HttpResponse::Ok().json(listed))
}

pub(super) async fn show(
    app: Data<App>,
    By(viewer, id): By<Viewer, Path<WorkflowId>>,
) -> Result<HttpResponse, Problem> {
    let workflow = workflows::find(&app.db, &viewer.tenant, *id).await?;
    Ok(HttpResponse::Ok().json(workflow))
}

pub(super) async fn edit(
    app: Data<App>,
    By(EditedBy(author), (id, Strict(body))): Edit<WorkflowId, EditBody>,
) -> Result<HttpResponse, Problem> {
    let patch = WorkflowPatch {
        name: body.name.map(|text| name("name", text)).transpose()?,
        goal_logic: body.goal_logic,
        allow_reentry: body.allow_reentry,
    };
    let workflow = workflows::edit(&app.db, &author, *id, patch).await?;
    Ok(HttpResponse::Ok().json(workflow))
}

pub(super) async fn activate(
    app: Data<App>,
    By(EditedBy(author), (id, Strict(body))): Edit<WorkflowId, ActivateBody>,
) -> Result<HttpResponse, Problem> {
    let catch_up = body.catch_up.unwrap_or_default();
    let workflow = activation::activate(&app.db, &app.metrics, &author, *id, catch_up).await?;
    Ok(HttpResponse::Ok().json(workflow))
}

pub(super) async fn pause(
    app: Data<App>,
    By(EditedBy(author), (id, _)): Edit<WorkflowId, Empty>,
) -> Result<HttpResponse, Problem> {
    let workflow = activation::pause(&app.db, &author, *id).await?;
    Ok(HttpResponse::Ok().json(workflow))
}

pub(super) async fn deactivate(
    app: Data<App>,
    By(EditedBy(author), (id, _)): Edit<WorkflowId, Empty>,
) -> Result<HttpResponse, Problem> {
    let workflow = activation::deactivate(&app.db, &author, *id).await?;
    Ok(HttpResponse::Ok().json(workflow))
}
