//! `/listeners` and `/workflows/{id}/listeners`: which workflow waits for which event type, since when, for how many.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::ids::WorkflowId;
use serde_json::json;
use uuid::Uuid;
use web::openapi::{Demands, Operation, schema};
use web::{Cursor, Listed, Page, Problem, Viewer};

use super::App;
use super::callers::By;
use crate::listeners;
use crate::store::listeners::Listener;

pub(super) fn operations() -> Vec<Operation> {
    let listener = || {
        json!({"workflow_id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1", "event_type": "payment.completed",
            "registered_at": "2026-01-03T10:00:00Z", "active_enrollments": 12, "last_matched_at": "2026-01-05T08:30:00Z"})
    };
    vec![
        Operation::get("/api/v1/listeners", list)
            .named("listListeners", "listeners")
            .does("List all listeners", "Newest workflow first, then by type of event.")
            .demands(Demands::Viewer)
            .paged()
            .lists::<Listener>("Listeners.", listener()),
        Operation::get("/api/v1/workflows/{id}/listeners", list_of_workflow)
            .named("listWorkflowListeners", "listeners")
            .does("List a workflow's listeners", "All of them, by type of event; none while the workflow is not live.")
            .demands(Demands::Viewer)
            .at("id", schema::uuid(), "The workflow.")
            .lists::<Listener>("Listeners.", listener()),
    ]
}

async fn list(app: Data<App>, By(viewer, page): By<Viewer, Page>) -> Result<HttpResponse, Problem> {
    let after = page.cursor.as_ref().map(after).transpose()?;
    let fetched = listeners::list(&app.db, &viewer.tenant, after, page.fetch()).await?;
    let place = |l: &Listener| Cursor::new(l.registered_at, format!("{}/{}", l.workflow_id, l.event_type));
    Ok(HttpResponse::Ok().json(Listed::of(&page, fetched, place, |listener| listener)))
}

fn after(cursor: &Cursor) -> Result<(Uuid, String), Problem> {
    let parts = cursor.id.split_once('/');
    let after = parts.and_then(|(workflow, event_type)| Some((workflow.parse().ok()?, event_type.to_owned())));
    after.ok_or_else(|| Problem::bad_request("invalid_cursor", "`cursor` is not one that this list gave"))
}

async fn list_of_workflow(
    app: Data<App>,
    By(viewer, id): By<Viewer, Path<WorkflowId>>,
) -> Result<HttpResponse, Problem> {
    let listeners = listeners::list_of_workflow(&app.db, &viewer.tenant, *id).await?;
    Ok(HttpResponse::Ok().json(Listed::whole(listeners)))
}
