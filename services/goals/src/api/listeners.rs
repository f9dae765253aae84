//! `/listeners` and `/workflows/{id}/listeners`: which workflow waits for which event type, since when, for how many.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::ids::WorkflowId;
use uuid::Uuid;
use web::{Cursor, Listed, Page, Problem, Viewer};

use super::App;
use super::callers::By;
use crate::listeners;

pub(super) async fn list(app: Data<App>, By(viewer, page): By<Viewer, Page>) -> Result<HttpResponse, Problem> {
    let after = page.cursor.as_ref().map(after).transpose()?;
    let fetched = listeners::list(&app.db, &viewer.tenant, after, page.fetch()).await?;
    let place = |l: &crate::store::listeners::Listener| {
        Cursor::new(l.registered_at, format!("{}/{}", l.workflow_id, l.event_type))
    };
    Ok(HttpResponse::Ok().json(Listed::of(&page, fetched, place, |listener| listener)))
}

fn after(cursor: &Cursor) -> Result<(Uuid, String), Problem> {
    let parts = cursor.id.split_once('/');
    let after = parts.and_then(|(workflow, event_type)| Some((workflow.parse().ok()?, event_type.to_owned())));
    after.ok_or_else(|| Problem::bad_request("invalid_cursor", "`cursor` is not one that this list gave"))
}

pub(super) async fn list_of_workflow(
    app: Data<App>,
    By(viewer, id): By<Viewer, Path<WorkflowId>>,
) -> Result<HttpResponse, Problem> {
    let listeners = listeners::list_of_workflow(&app.db, &viewer.tenant, *id).await?;
    Ok(HttpResponse::Ok().json(Listed::whole(listeners)))
}
