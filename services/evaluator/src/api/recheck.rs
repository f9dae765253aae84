//! `/api/v1/workflows/{id}/recheck`.

use super::author::Author;
use crate::recheck;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::ids::WorkflowId;
use pg::Db;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use web::openapi::{Demands, Operation, schema};
use web::{By, Problem, Strict};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecheckAccepted)]
struct Accepted {
    #[schema(value_type = Uuid)]
    workflow_id: WorkflowId,
    /// `accepted`.
    status: &'static str,
}

pub(super) fn operation() -> Operation {
    let accepted = json!({"workflow_id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1", "status": "accepted"});
    Operation::post("/api/v1/workflows/{workflow_id}/recheck", request)
        .named("recheckWorkflow", "enrollments")
        .does("Judge stored events again", "By the goals as they are now; it happens after the answer.")
        .demands(Demands::Editor)
        .at("workflow_id", schema::uuid(), "The workflow.")
        .takes::<Nothing>(false, &[("nothing", json!({}))])
        .answers::<Accepted>(202, "It will be done.", accepted)
        .refuses(404, &["workflow_not_found"])
}

async fn request(
    By(Author(origin), (path, Strict(Nothing {}))): By<Author, (Path<WorkflowId>, Strict<Nothing>)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let workflow_id = path.into_inner();
    recheck::request(&db, origin, workflow_id).await?;
    Ok(HttpResponse::Accepted().json(Accepted { workflow_id, status: "accepted" }))
}
