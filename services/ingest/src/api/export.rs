//! `/api/v1/users/{user_id}/export`: all that is kept of a person.

use std::collections::HashMap;

use ::web::openapi::{Demands, Operation, schema};
use ::web::{By, Cursor, Listed, Page, Problem};
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use pg::Db;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::identify::NO_ID;
use crate::asked::Ids;
use crate::author::Author;
use crate::export;
use crate::store::people::Record;

/// Something that is kept: beside these, the fields of its kind. What is in a store is answered as it is stored.
#[derive(Serialize, ToSchema)]
#[schema(as = PersonalRecord)]
struct RecordBody {
    #[schema(schema_with = kind)]
    kind: String,
    /// When it happened, or was made.
    #[schema(schema_with = schema::moment)]
    at: String,
    #[serde(flatten)]
    fields: HashMap<String, Value>,
}

fn kind() -> utoipa::openapi::schema::Object {
    schema::one_of(["event", "identity_link", "enrollment", "achievement", "action"])
}

pub(super) fn operation() -> Operation {
    let event = json!({"kind": "event", "at": "2026-01-03T10:00:00.000000Z", "id": "0199ab3f-0c55-7b0d-9a7e-d1c2b3a49586",
        "event_name": "page_viewed", "user_id": "visitor-1", "properties": {"path": "/prices"}});
    Operation::post("/api/v1/users/{user_id}/export", page)
        .named("exportPerson", "people")
        .does(
            "Show what is kept of a person",
            "Of exactly those whom an erasure of this id would forget: their events and links, enrollments, achievements and actions, \
             the latest first.",
        )
        .demands(Demands::Editor)
        .at("user_id", schema::text_id(), "The user or contact.")
        .paged()
        .lists::<RecordBody>("What is kept.", event)
        .refuses(400, &NO_ID)
}

async fn page(
    By(author, (path, page)): By<Author, (Path<String>, Page)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let person = Ids::of(&db, &author.tenant).await?.person(&path)?;
    let found = export::page(&db, author.tenant, person, behind(&page)?, page.fetch()).await?;
    let place = |record: &Record| Cursor::new(record.at, &record.place);
    // What PostgreSQL prints of a jsonb is JSON.
    let item = |record: Record| RawValue::from_string(record.text).ok();
    Ok(HttpResponse::Ok().json(Listed::of(&page, found, place, item)))
}

/// Where the page before ended: a time that the database knows, and a place.
fn behind(page: &Page) -> Result<Option<(OffsetDateTime, String)>, Problem> {
    let Some(cursor) = &page.cursor else {
        return Ok(None);
    };
    if !(1970..=9999).contains(&cursor.at.year()) {
        return Err(Problem::bad_request("invalid_cursor", "`cursor` is not one that this list gave"));
    }
    Ok(Some((cursor.at, cursor.id.clone())))
}
