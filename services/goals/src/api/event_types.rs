//! `/event-types`: what events may be, and what their properties have to be.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use domain::catalogue::Subject;
use domain::fault::Fault;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::openapi::{Demands, EXACT_JSON, Operation, schema};
use web::{Cursor, IfNoneMatch, Listed, Page, Problem, Strict, Viewer, version};

use super::App;
use super::callers::{Aimed, By, EditVersion, EditedBy};
use crate::event_types::{self, EventType};
use crate::schema::checked;
use crate::store::event_types::Content;

/// Longest description, in characters.
const MAX_DESCRIPTION_CHARS: usize = 1_000;
/// Longest category, in characters: that of an event.
const MAX_CATEGORY_CHARS: usize = 64;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventTypeContent)]
pub(super) struct PutBody {
    /// JSON Schema (draft 2020-12) of the properties: at most 16 KiB, complete in itself, not recursive.
    #[schema(schema_with = schema::object)]
    schema: Box<RawValue>,
    #[schema(min_length = 1, max_length = 1000)]
    description: Option<String>,
    #[schema(min_length = 1, max_length = 64)]
    category: Option<String>,
    /// The share of sessions whose events of the type are stored; by default all.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    sampling_rate: Option<f32>,
    /// Whom an event is about: a `contact` or a `user` has to be named by it. By default a user.
    #[schema(schema_with = schema::subject, required = false)]
    subject: Option<Subject>,
    /// Whether it may come from a browser; by default it may not.
    browser: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    builtin: Option<bool>,
}

pub(super) fn operations() -> Vec<Operation> {
    let schema_of = json!({"type": "object", "required": ["course_id"],
        "properties": {"course_id": {"type": "string", "maxLength": 64}, "grade": {"type": "integer"}}});
    let finished = || {
        json!({"name": "course.finished", "builtin": false, "schema": schema_of, "description": "A course was finished.",
            "category": "learning", "subject": "contact", "browser": false, "sampling_rate": 1.0, "version": 1,
            "created_by": "key:4XG9TE3ZQ7", "created_at": "2026-01-03T10:00:00Z", "updated_at": "2026-01-03T10:00:00Z"})
    };
    let put_as = [
        ("a_schema", json!({"schema": schema_of, "subject": "contact", "category": "learning"})),
        ("a_tenth_of_the_sessions", json!({"schema": {"type": "object"}, "sampling_rate": 0.1, "browser": true})),
    ];
    let named = |operation: Operation| operation.at("name", schema::text_of(128), "The name of the event.");
    let change = |operation| named(operation).demands(Demands::Editor).refuses(409, &["builtin_event_type"]);
    vec![
        Operation::get("/api/v1/event-types", list)
            .named("listEventTypes", "event types")
            .does("List event types", "The built-in ones and the tenant's own, by name.")
            .demands(Demands::Viewer)
            .asks("builtin", schema::flag(), "Only those that are built in, or only those that are not.")
            .paged()
            .lists::<EventType>("Event types.", finished()),
        change(Operation::put("/api/v1/event-types/{name}", put))
            .named("putEventType", "event types")
            .does(
                "Add or replace an event type",
                "As a whole: what is not given is as by default. Ingest checks by it within 5 s.",
            )
            .takes::<PutBody>(true, &put_as)
            .answers::<EventType>(200, "The type, which was there.", finished())
            .answers::<EventType>(201, "The type, which is new.", finished())
            .if_match()
            .refuses(400, &EXACT_JSON)
            .refuses(400, &["invalid_event_name", "invalid_schema", "unsupported_schema"])
            .refuses(409, &["too_many_event_types"]),
        named(Operation::get("/api/v1/event-types/{name}", show))
            .named("getEventType", "event types")
            .does("Show an event type", "Built in, or the tenant's own.")
            .demands(Demands::Viewer)
            .answers::<EventType>(200, "The type.", finished())
            .unless_known(),
        change(Operation::delete("/api/v1/event-types/{name}", delete))
            .named("deleteEventType", "event types")
            .does(
                "Delete an event type",
                "Its events are then as those of any name that is not known. What is stored stays.",
            )
            .answers_nothing("It is gone.")
            .if_match(),
    ]
}

impl PutBody {
    fn check(self) -> Result<Content, Fault> {
        let text = |key, text: Option<String>, most| match text {
            Some(text) if text.trim().is_empty() => Err(Fault::at(key, "invalid_value", "must not be empty")),
            Some(text) if text.chars().count() > most => {
                Err(Fault::at(key, "too_long", format!("must be at most {most} characters")))
            }
            Some(text) if text.chars().any(char::is_control) => {
                Err(Fault::at(key, "invalid_value", "must not contain control characters"))
            }
            text => Ok(text),
        };
        let sampling_rate = self.sampling_rate.unwrap_or(1.0);
        if !(sampling_rate > 0.0 && sampling_rate <= 1.0) {
            return Err(Fault::at("sampling_rate", "invalid_value", "must be more than 0 and at most 1"));
        }
        Ok(Content {
            description: text("description", self.description, MAX_DESCRIPTION_CHARS)?,
            category: text("category", self.category, MAX_CATEGORY_CHARS)?,
            subject: self.subject.unwrap_or(Subject::User),
            browser: self.browser.unwrap_or_default(),
            sampling_rate,
            schema: checked(self.schema.get()).map_err(|fault| fault.within("schema"))?,
        })
    }
}

async fn put(
    app: Data<App>,
    By(EditedBy(author), (Aimed(target), Strict(body))): EditVersion<String, PutBody>,
) -> Result<HttpResponse, Problem> {
    let (put, is_new) = event_types::put(&app.db, &author, target, body.check()?).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(version::answer(status, &put))
}

async fn list(
    app: Data<App>,
    By(viewer, (query, page)): By<Viewer, (Query<ListQuery>, Page)>,
) -> Result<HttpResponse, Problem> {
    let after = page.cursor.as_ref().map(|cursor| cursor.id.clone()).unwrap_or_default();
    let fetched = event_types::list(&app.db, &viewer.tenant, query.builtin, after, page.fetch()).await?;
    let place = |of: &EventType| Cursor::new(OffsetDateTime::UNIX_EPOCH, &of.name);
    Ok(HttpResponse::Ok().json(Listed::of(&page, fetched, place, |of| of)))
}

async fn show(
    app: Data<App>,
    By(viewer, (name, known)): By<Viewer, (Path<String>, IfNoneMatch)>,
) -> Result<HttpResponse, Problem> {
    let found = event_types::find(&app.db, &viewer.tenant, &name).await?;
    Ok(known.answer(&found))
}

async fn delete(
    app: Data<App>,
    By(EditedBy(author), Aimed(target)): By<EditedBy, Aimed<String>>,
) -> Result<HttpResponse, Problem> {
    event_types::delete(&app.db, &author, target).await?;
    Ok(HttpResponse::NoContent().finish())
}
