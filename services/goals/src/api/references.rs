//! `/references`: the directory of what goals may point at.

use std::collections::HashSet;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use domain::fault::Fault;
use domain::goal::{ReferenceKind, fold_name};
use domain::ids::MAX_ID_CHARS;
use serde::Deserialize;
use time::OffsetDateTime;
use web::{Cursor, Listed, Page, Problem, Strict, Viewer};

use super::callers::{By, Edit, EditedBy};
use super::{App, name};
use crate::references;
use crate::store::directory::NewReference;

/// Most references in one request.
const MOST_ITEMS: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReferenceBody {
    name: Option<String>,
    pipeline_id: Option<String>,
    position: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemBody {
    kind: String,
    id: String,
    name: Option<String>,
    pipeline_id: Option<String>,
    position: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemsBody {
    items: Vec<ItemBody>,
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    kind: Option<String>,
}

fn kind_of(word: &str) -> Result<ReferenceKind, Fault> {
    word.parse().map_err(|why: domain::words::UnknownWord| Fault::at("kind", "unknown_reference_kind", why.to_string()))
}

fn is_id(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= MAX_ID_CHARS && !text.chars().any(char::is_control)
}

fn id(key: &str, text: String) -> Result<String, Fault> {
    if is_id(&text) {
        return Ok(text);
    }
    let message = format!("must be 1 to {MAX_ID_CHARS} characters without control characters");
    Err(Fault::at(key, "invalid_value", message))
}

impl ReferenceBody {
    fn check(self, kind: ReferenceKind, ref_id: String) -> Result<NewReference, Fault> {
        if kind != ReferenceKind::Stage {
            let given = [("pipeline_id", self.pipeline_id.is_some()), ("position", self.position.is_some())];
            if let Some((key, _)) = given.into_iter().find(|(_, given)| *given) {
                return Err(Fault::at(key, "invalid_value", "is for stages only"));
            }
        }
        let name = self.name.map(|text| name("name", text)).transpose()?;
        Ok(NewReference {
            kind,
            id: id("id", ref_id)?,
            name_folded: name.as_deref().map(fold_name),
            name,
            pipeline_id: self.pipeline_id.map(|text| id("pipeline_id", text)).transpose()?,
            position: self.position,
        })
    }
}

impl ItemBody {
    fn check(self) -> Result<NewReference, Fault> {
        let kind = kind_of(&self.kind)?;
        let body = ReferenceBody { name: self.name, pipeline_id: self.pipeline_id, position: self.position };
        body.check(kind, self.id)
    }
}

pub(super) async fn put(
    app: Data<App>,
    By(EditedBy(author), (path, Strict(body))): Edit<(String, String), ReferenceBody>,
) -> Result<HttpResponse, Problem> {
    let (kind, ref_id) = path.into_inner();
    let reference = body.check(kind_of(&kind)?, ref_id)?;
    let put = references::put(&app.db, &author, vec![reference]).await?;
    Ok(HttpResponse::Ok().json(put.first()))
}

pub(super) async fn put_all(
    app: Data<App>,
    By(EditedBy(author), Strict(body)): By<EditedBy, Strict<ItemsBody>>,
) -> Result<HttpResponse, Problem> {
    if body.items.len() > MOST_ITEMS {
        let message = format!("at most {MOST_ITEMS} references at once");
        return Err(Fault::at("items", "too_many_items", message).into());
    }
    let mut seen = HashSet::new();
    let mut references = Vec::with_capacity(body.items.len());
    for (index, item) in body.items.into_iter().enumerate() {
        let at = |fault: Fault| fault.within(&index.to_string()).within("items");
        let reference = item.check().map_err(at)?;
        if !seen.insert(reference.key()) {
            return Err(at(Fault::new("duplicate_item", "the same reference is given twice")).into());
        }
        references.push(reference);
    }
    let put = references::put(&app.db, &author, references).await?;
    Ok(HttpResponse::Ok().json(Listed::whole(put)))
}

pub(super) async fn list(
    app: Data<App>,
    By(viewer, (query, page)): By<Viewer, (Query<ListQuery>, Page)>,
) -> Result<HttpResponse, Problem> {
    let kind = query.kind.as_deref().map(kind_of).transpose()?;
    let after = page.cursor.as_ref().and_then(|cursor| cursor.id.split_once('/'));
    let after = after.map_or_else(Default::default, |(kind, id)| (kind.to_owned(), id.to_owned()));
    let fetched = references::list(&app.db, &viewer.tenant, kind, after, page.fetch()).await?;
    let place = |r: &crate::store::directory::Reference| {
        Cursor::new(OffsetDateTime::UNIX_EPOCH, format!("{}/{}", r.kind, r.id))
    };
    Ok(HttpResponse::Ok().json(Listed::of(&page, fetched, place, |reference| reference)))
}

/// A reference that can be there.
fn key((kind, ref_id): (String, String)) -> Result<(ReferenceKind, String), Problem> {
    let kind = kind_of(&kind)?;
    if is_id(&ref_id) { Ok((kind, ref_id)) } else { Err(Problem::not_found()) }
}

pub(super) async fn show(
    app: Data<App>,
    By(viewer, path): By<Viewer, Path<(String, String)>>,
) -> Result<HttpResponse, Problem> {
    let reference = references::find(&app.db, &viewer.tenant, key(path.into_inner())?).await?;
    Ok(HttpResponse::Ok().json(reference))
}

pub(super) async fn delete(
    app: Data<App>,
    By(EditedBy(author), path): By<EditedBy, Path<(String, String)>>,
) -> Result<HttpResponse, Problem> {
    references::delete(&app.db, &author, key(path.into_inner())?).await?;
    Ok(HttpResponse::NoContent().finish())
}
