//! `/workflows`: configuration of workflows, and what makes them live.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use domain::ids::WorkflowId;
use domain::once::Asked;
use domain::workflow::{GoalLogic, WorkflowStatus};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use web::openapi::{Demands, Operation, schema};
use web::{Cursor, IfNoneMatch, Keyed, Listed, Page, Problem, Strict, Viewer, version};

use super::callers::{Aimed, By, EditVersion, EditedBy};
use super::{App, made, name, place, without_nul};
use crate::activation;
use crate::store::workflows::{Content, Filter, Workflow};
use crate::workflows::{self, WorkflowPatch};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWorkflow)]
pub(super) struct CreateBody {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(schema_with = schema::goal_logic, required = false)]
    goal_logic: Option<GoalLogic>,
    /// Whether a contact whose enrollment has ended may be enrolled again.
    allow_reentry: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkflowPatch)]
pub(super) struct EditBody {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(schema_with = schema::goal_logic, required = false)]
    goal_logic: Option<GoalLogic>,
    allow_reentry: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Activation)]
pub(super) struct ActivateBody {
    /// Whether events count that were stored before.
    catch_up: Option<bool>,
}

/// A body that says nothing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

pub(super) fn operations() -> Vec<Operation> {
    let workflow = |status: &str| {
        json!({"id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1", "name": "Onboarding", "status": status, "goal_logic": "any",
            "allow_reentry": false, "version": 1, "activated_at": null, "created_by": "key:4XG9TE3ZQ7",
            "created_at": "2026-01-03T10:00:00Z", "updated_at": "2026-01-03T10:00:00Z"})
    };
    let of_id = |operation: Operation| operation.at("id", schema::uuid(), "The workflow.");
    let change = |operation| of_id(operation).demands(Demands::Editor);
    let moved = |operation: Operation| change(operation).refuses(409, &["invalid_transition"]);
    let any = ("any_goal", json!({"name": "Onboarding"}));
    let two = ("two_of_three", json!({"name": "Onboarding", "goal_logic": {"at_least": 2}, "allow_reentry": true}));
    vec![
        Operation::post("/api/v1/workflows", create)
            .named("createWorkflow", "workflows")
            .does("Make a workflow", "It begins as a draft: nothing is judged before it is activated.")
            .demands(Demands::Editor)
            .once()
            .takes::<CreateBody>(true, &[any, two])
            .answers::<Workflow>(201, "The workflow.", workflow("draft"))
            .tagged()
            .refuses(400, &["too_long"]),
        Operation::get("/api/v1/workflows", list)
            .named("listWorkflows", "workflows")
            .does("List workflows", "Newest first.")
            .demands(Demands::Viewer)
            .asks("status", schema::workflow_status(), "Only those that stand so.")
            .asks("name", schema::text(), "Only those whose name has this in it, in whatever case.")
            .paged()
            .lists::<Workflow>("Workflows.", workflow("active"))
            .refuses(400, &["nul_character"]),
        of_id(Operation::get("/api/v1/workflows/{id}", show))
            .named("getWorkflow", "workflows")
            .does("Show a workflow", "Without its goals, which have a list of their own.")
            .demands(Demands::Viewer)
            .answers::<Workflow>(200, "The workflow.", workflow("active"))
            .unless_known(),
        change(Operation::patch("/api/v1/workflows/{id}", edit))
            .named("updateWorkflow", "workflows")
            .does("Change a workflow", "Live or not. What is not given stays as it is.")
            .takes::<EditBody>(true, &[("all_goals", json!({"goal_logic": "all"}))])
            .answers::<Workflow>(200, "The workflow.", workflow("active"))
            .if_match()
            .refuses(400, &["too_long"]),
        moved(Operation::post("/api/v1/workflows/{id}/activate", activate))
            .named("activateWorkflow", "workflows")
            .does(
                "Make a workflow's goals count",
                "All goals are valid, or nothing is activated. Repeating it changes nothing.",
            )
            .takes::<ActivateBody>(
                false,
                &[("from_now_on", json!({})), ("by_every_stored_event", json!({"catch_up": true}))],
            )
            .answers::<Workflow>(200, "The workflow.", workflow("active"))
            .if_match()
            .refuses(400, &["invalid_goal_configuration"]),
        moved(Operation::post("/api/v1/workflows/{id}/pause", pause))
            .named("pauseWorkflow", "workflows")
            .does("Hold a workflow's actions back", "Its goals go on counting.")
            .takes::<Empty>(false, &[("nothing", json!({}))])
            .answers::<Workflow>(200, "The workflow.", workflow("paused"))
            .if_match(),
        moved(Operation::post("/api/v1/workflows/{id}/deactivate", deactivate))
            .named("deactivateWorkflow", "workflows")
            .does("Stop a workflow", "No achievement is recorded after this was answered.")
            .takes::<Empty>(false, &[("nothing", json!({}))])
            .answers::<Workflow>(200, "The workflow.", workflow("inactive"))
            .if_match(),
    ]
}

async fn create(
    app: Data<App>,
    By(EditedBy(author), Keyed { body, key }): By<EditedBy, Keyed<CreateBody>>,
) -> Result<HttpResponse, Problem> {
    let content = Content {
        name: name("name", body.name)?,
        goal_logic: body.goal_logic.unwrap_or_default(),
        allow_reentry: body.allow_reentry.unwrap_or_default(),
    };
    let once = Asked::over_http(Some(&author.tenant), key).answering(made);
    let outcome = workflows::create(&app.db, &author, content, once).await?;
    Ok(version::answered(&outcome, made))
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    status: Option<WorkflowStatus>,
    name: Option<String>,
}

async fn list(
    app: Data<App>,
    By(viewer, (query, page)): By<Viewer, (Query<ListQuery>, Page)>,
) -> Result<HttpResponse, Problem> {
    let ListQuery { status, name } = query.into_inner();
    let filter = Filter { status, name: without_nul("name", name)? };
    let before = match (place(&page)?, &page.cursor) {
        (Some((at, _)), Some(cursor)) => Some((at, cursor.id()?)),
        _ => None,
    };
    let fetched = workflows::list(&app.db, &viewer.tenant, filter, before, page.fetch()).await?;
    let listed = Listed::of(&page, fetched, |w| Cursor::new(w.created_at, w.id), |w| w);
    Ok(HttpResponse::Ok().json(listed))
}

async fn show(
    app: Data<App>,
    By(viewer, (id, known)): By<Viewer, (Path<WorkflowId>, IfNoneMatch)>,
) -> Result<HttpResponse, Problem> {
    let workflow = workflows::find(&app.db, &viewer.tenant, *id).await?;
    Ok(known.answer(&workflow))
}

async fn edit(
    app: Data<App>,
    By(EditedBy(author), (Aimed(target), Strict(body))): EditVersion<WorkflowId, EditBody>,
) -> Result<HttpResponse, Problem> {
    let patch = WorkflowPatch {
        name: body.name.map(|text| name("name", text)).transpose()?,
        goal_logic: body.goal_logic,
        allow_reentry: body.allow_reentry,
    };
    let workflow = workflows::edit(&app.db, &author, target, patch).await?;
    Ok(version::answer(StatusCode::OK, &workflow))
}

async fn activate(
    app: Data<App>,
    By(EditedBy(author), (Aimed(target), Strict(body))): EditVersion<WorkflowId, ActivateBody>,
) -> Result<HttpResponse, Problem> {
    let catch_up = body.catch_up.unwrap_or_default();
    let workflow = activation::activate(&app.db, &app.metrics, &author, target, catch_up).await?;
    Ok(version::answer(StatusCode::OK, &workflow))
}

async fn pause(
    app: Data<App>,
    By(EditedBy(author), (Aimed(target), _)): EditVersion<WorkflowId, Empty>,
) -> Result<HttpResponse, Problem> {
    let workflow = activation::pause(&app.db, &author, target).await?;
    Ok(version::answer(StatusCode::OK, &workflow))
}

async fn deactivate(
    app: Data<App>,
    By(EditedBy(author), (Aimed(target), _)): EditVersion<WorkflowId, Empty>,
) -> Result<HttpResponse, Problem> {
    let workflow = activation::deactivate(&app.db, &author, target).await?;
    Ok(version::answer(StatusCode::OK, &workflow))
}
