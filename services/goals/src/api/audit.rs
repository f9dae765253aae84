//! `/audit`: who changed what and when.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use domain::fault::Fault;
use domain::time_format;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use web::openapi::{Demands, Operation, schema};
use web::{Cursor, Listed, Page, Problem, Viewer};

use super::callers::By;
use super::{App, without_nul};
use crate::audit;
use crate::store::audit::{Entry, Filter};

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
            .asks("actor", schema::text(), "Only what this actor did.")
            .asks("action", schema::text(), "Only what was done so, as `goal.updated`.")
            .asks("object_type", schema::text(), "Only of objects of this type, as `goal`.")
            .asks("from", schema::moment(), "Done at or after.")
            .asks("to", schema::moment(), "Done before.")
            .paged()
            .lists::<Entry>("Entries.", entry)
            .refuses(400, &["invalid_timestamp", "nul_character"]),
    ]
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    object_id: Option<String>,
    actor: Option<String>,
    action: Option<String>,
    object_type: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

fn moment(key: &str, text: Option<String>) -> Result<Option<OffsetDateTime>, Fault> {
    text.map(|text| time_format::parse(&text)).transpose().map_err(|fault| fault.within(key))
}

async fn list(
    app: Data<App>,
    By(viewer, (query, page)): By<Viewer, (Query<ListQuery>, Page)>,
) -> Result<HttpResponse, Problem> {
    let asked = query.into_inner();
    let filter = Filter {
        object_id: without_nul("object_id", asked.object_id)?,
        actor: without_nul("actor", asked.actor)?,
        action: without_nul("action", asked.action)?,
        object_type: without_nul("object_type", asked.object_type)?,
        from: moment("from", asked.from)?,
        to: moment("to", asked.to)?,
    };
    let below: i64 = page.cursor.as_ref().map(Cursor::id).transpose()?.unwrap_or(i64::MAX);
    let fetched = audit::list(&app.db, &viewer.tenant, filter, below, page.fetch()).await?;
    let listed = Listed::of(&page, fetched, |entry| Cursor::new(entry.at, entry.seq), |entry| entry);
    Ok(HttpResponse::Ok().json(listed))
}
