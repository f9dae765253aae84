//! `/references`: the directory of what goals may point at.

use std::collections::HashSet;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use domain::fault::Fault;
use domain::goal::ReferenceKind;
use domain::once::{Answer, Asked};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::once::answered;
use web::openapi::{Demands, Operation, schema};
use web::{Cursor, Listed, Page, Problem, Strict, Viewer};

use super::App;
use super::callers::{By, Edit, EditedBy};
use crate::asked::{self, Content};
use crate::references;
use crate::store::directory::{NewReference, Reference};

/// Most references in one request.
const MOST_ITEMS: usize = 500;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReferenceContent)]
pub(super) struct ReferenceBody {
    #[schema(min_length = 1, max_length = 256)]
    name: Option<String>,
    /// Of a stage: the pipeline it belongs to.
    #[schema(min_length = 1, max_length = 128)]
    pipeline_id: Option<String>,
    /// Of a stage: its place in the pipeline.
    position: Option<i32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewReference)]
pub(super) struct ItemBody {
    #[schema(schema_with = schema::reference_kind)]
    kind: String,
    #[schema(schema_with = schema::text_id)]
    id: String,
    #[schema(min_length = 1, max_length = 256)]
    name: Option<String>,
    #[schema(min_length = 1, max_length = 128)]
    pipeline_id: Option<String>,
    position: Option<i32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewReferences)]
pub(super) struct ItemsBody {
    #[schema(max_items = 500)]
    items: Vec<ItemBody>,
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    kind: Option<String>,
}

pub(super) fn operations() -> Vec<Operation> {
    let stage = || {
        json!({"kind": "stage", "id": "won", "name": "Won", "pipeline_id": "sales", "position": 4,
            "updated_at": "2026-01-03T10:00:00Z"})
    };
    let of_key = |operation: Operation| {
        operation
            .at("kind", schema::reference_kind(), "What it is.")
            .at("ref_id", schema::text_id(), "Its id.")
            .refuses(400, &["unknown_reference_kind"])
    };
    let form = ("a_form", json!({"name": "Sign-up"}));
    let many =
        json!({"items": [{"kind": "tag", "id": "t-1", "name": "Customer"}, {"kind": "pipeline", "id": "sales"}]});
    vec![
        Operation::put("/api/v1/references", put_all)
            .named("putReferences", "references")
            .does("Add or replace many references", "500 at most, all or none. Answered in the given order.")
            .demands(Demands::Editor)
            .takes::<ItemsBody>(true, &[("two", many)])
            .lists::<Reference>("What was put.", stage())
            .refuses(400, &["duplicate_item", "too_long", "too_many_items", "unknown_reference_kind"]),
        Operation::get("/api/v1/references", list)
            .named("listReferences", "references")
            .does("List references", "By kind and id.")
            .demands(Demands::Viewer)
            .asks("kind", schema::reference_kind(), "Only of this kind.")
            .paged()
            .lists::<Reference>("References.", stage())
            .refuses(400, &["unknown_reference_kind"]),
        of_key(Operation::put("/api/v1/references/{kind}/{ref_id}", put))
            .named("putReference", "references")
            .does("Add or replace a reference", "What is the same already is left alone.")
            .demands(Demands::Editor)
            .takes::<ReferenceBody>(
                false,
                &[form, ("a_stage", json!({"name": "Won", "pipeline_id": "sales", "position": 4}))],
            )
            .answers::<Reference>(200, "The reference.", stage())
            .refuses(400, &["too_long"]),
        of_key(Operation::get("/api/v1/references/{kind}/{ref_id}", show))
            .named("getReference", "references")
            .does("Show a reference", "As its owner put it.")
            .demands(Demands::Viewer)
            .answers::<Reference>(200, "The reference.", stage()),
        of_key(Operation::delete("/api/v1/references/{kind}/{ref_id}", delete))
            .named("deleteReference", "references")
            .does("Delete a reference", "Goals that point at it stay, and their workflow's next activation is refused.")
            .demands(Demands::Editor)
            .answers_nothing("It is gone."),
    ]
}

fn kind_of(word: &str) -> Result<ReferenceKind, Fault> {
    word.parse().map_err(|why: domain::words::UnknownWord| Fault::at("kind", "unknown_reference_kind", why.to_string()))
}

impl From<ReferenceBody> for Content {
    fn from(body: ReferenceBody) -> Self {
        Self { name: body.name, pipeline_id: body.pipeline_id, position: body.position }
    }
}

impl ItemBody {
    fn check(self) -> Result<NewReference, Fault> {
        let content = Content { name: self.name, pipeline_id: self.pipeline_id, position: self.position };
        asked::reference(kind_of(&self.kind)?, self.id, content)
    }
}

/// How a reference that was put is answered, over HTTP and over the bus.
pub(crate) fn put_so(reference: &Reference) -> Answer {
    Answer::json(200, reference)
}

async fn put(
    app: Data<App>,
    By(EditedBy(author), (path, Strict(body))): Edit<(String, String), ReferenceBody>,
) -> Result<HttpResponse, Problem> {
    let (kind, ref_id) = path.into_inner();
    let reference = asked::reference(kind_of(&kind)?, ref_id, body.into())?;
    let once = Asked::unnamed(Some(&author.tenant)).answering(put_so);
    let outcome = references::put_one(&app.db, &author, reference, once).await?;
    Ok(answered(&outcome, put_so))
}

async fn put_all(
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

async fn list(
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
    if asked::is_id(&ref_id) { Ok((kind, ref_id)) } else { Err(Problem::not_found()) }
}

async fn show(app: Data<App>, By(viewer, path): By<Viewer, Path<(String, String)>>) -> Result<HttpResponse, Problem> {
    let reference = references::find(&app.db, &viewer.tenant, key(path.into_inner())?).await?;
    Ok(HttpResponse::Ok().json(reference))
}

/// How a reference that was deleted is answered over the bus: HTTP says nothing.
pub(crate) fn gone((): &()) -> Answer {
    Answer::json(200, &serde_json::Map::new())
}

async fn delete(
    app: Data<App>,
    By(EditedBy(author), path): By<EditedBy, Path<(String, String)>>,
) -> Result<HttpResponse, Problem> {
    let once = Asked::unnamed(Some(&author.tenant)).answering(gone);
    references::delete(&app.db, &author, key(path.into_inner())?, once).await?;
    Ok(HttpResponse::NoContent().finish())
}
