//! `/audit`: who changed what and when.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use domain::fault::Fault;
use serde::Deserialize;
use web::{Cursor, Listed, Page, Problem, Viewer};

use super::App;
use super::callers::By;
use crate::audit;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    object_id: Option<String>,
}

pub(super) async fn list(
    app: Data<App>,
    By(viewer, (query, page)): By<Viewer, (Query<ListQuery>, Page)>,
) -> Result<HttpResponse, Problem> {
    let object_id = query.into_inner().object_id;
    if object_id.as_ref().is_some_and(|id| id.contains('\0')) {
        return Err(Fault::at("object_id", "nul_character", "must not contain a NUL character").into());
    }
    let below: i64 = page.cursor.as_ref().map(Cursor::id).transpose()?.unwrap_or(i64::MAX);
    let fetched = audit::list(&app.db, &viewer.tenant, object_id, below, page.fetch()).await?;
    let listed = Listed::of(&page, fetched, |entry| Cursor::new(entry.at, entry.id), |entry| entry);
    Ok(HttpResponse::Ok().json(listed))
}
