//! `/audit`: who changed what and when.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use domain::fault::Fault;
use serde::Deserialize;
use serde_json::json;
use web::openapi::{Demands, Operation, schema};
use web::{Cursor, Listed, Page, Problem, Viewer};

use super::App;
use super::callers::By;
use crate::audit;
use crate::store::audit::Entry;

pub(super) fn operations() -> Vec<Operation> {
    let entry = json!({"seq": 17, "at": "2026-01-03T10:00:00Z", "actor": "key:4XG9TE3ZQ7", "action": "workflow.created",
        "object_type": "workflow", "object_id": "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1", "before": null,
        "after": {"name": "Onboarding"}, "hash": "9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a"});
    vec![
        Operation::get("/api/v1/audit", list)
            .named("listAuditEntries", "audit")
            .does("List what was changed", "Newest first. A reference's object id is `kind/id`. `seq` has no gap, and `hash` covers the hash of the entry before.")
            .demands(Demands::Viewer)
            .asks("object_id", schema::text(), "Only of this object.")
            .paged()
            .lists::<Entry>("Entries.", entry)
            .refuses(400, &["nul_character"]),
    ]
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    object_id: Option<String>,
}

async fn list(
    app: Data<App>,
    By(viewer, (query, page)): By<Viewer, (Query<ListQuery>, Page)>,
) -> Result<HttpResponse, Problem> {
    let object_id = query.into_inner().object_id;
    if object_id.as_ref().is_some_and(|id| id.contains('\0')) {
        return Err(Fault::at("object_id", "nul_character", "must not contain a NUL character").into());
    }
    let below: i64 = page.cursor.as_ref().map(Cursor::id).transpose()?.unwrap_or(i64::MAX);
    let fetched = audit::list(&app.db, &viewer.tenant, object_id, below, page.fetch()).await?;
    let listed = Listed::of(&page, fetched, |entry| Cursor::new(entry.at, entry.seq), |entry| entry);
    Ok(HttpResponse::Ok().json(listed))
}
