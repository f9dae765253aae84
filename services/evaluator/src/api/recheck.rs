//! `/api/v1/workflows/{id}/recheck`.

use crate::recheck;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::ids::WorkflowId;
use pg::Db;
use serde::{Deserialize, Serialize};
use web::{By, Editor, Problem, Strict};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Debug, Serialize)]
struct Accepted {
    workflow_id: WorkflowId,
    status: &'static str,
}

pub(super) async fn request(
    By(caller, (path, Strict(Nothing {}))): By<Editor, (Path<WorkflowId>, Strict<Nothing>)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let workflow_id = path.into_inner();
    recheck::request(&db, caller.tenant, workflow_id).await?;
    Ok(HttpResponse::Accepted().json(Accepted { workflow_id, status: "accepted" }))
}
