//! `GET /api/v1/analytics/feed`.

use crate::api::statistics::span;
use crate::feed;
use crate::kept::Span;
use crate::store::feed::{Listing, Seen};
use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use domain::event::is_event_name;
use domain::ids::{ContactId, EventId};
use pg::Db;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::openapi::{Demands, Operation, schema};
use web::{By, Cursor, Listed, Page, Problem, Viewer};

/// The query string; [`Page`] reads the last two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    event_name: Option<String>,
    contact_id: Option<ContactId>,
    from: Option<String>,
    to: Option<String>,
    #[serde(rename = "limit")]
    _limit: Option<String>,
    #[serde(rename = "cursor")]
    _cursor: Option<String>,
}

/// An event as it is stored: without what is personal in it.
#[derive(Serialize, ToSchema)]
#[schema(as = StoredEvent)]
struct EventBody {
    #[schema(value_type = Uuid)]
    event_id: EventId,
    event_name: String,
    event_category: Option<String>,
    /// `occurred_at`, put right by what the sender's clock was off.
    #[serde(with = "domain::time_format")]
    event_time: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    occurred_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    received_at: OffsetDateTime,
    project_id: Option<String>,
    user_id: Option<String>,
    contact_id: Option<String>,
    session_id: Option<String>,
    #[schema(schema_with = schema::object)]
    properties: Box<RawValue>,
    #[schema(schema_with = schema::object_or_null)]
    context: Option<Box<RawValue>>,
}

impl From<Seen> for EventBody {
    fn from(seen: Seen) -> Self {
        Self {
            event_id: seen.event_id,
            event_name: seen.event_name,
            event_category: seen.event_category,
            event_time: seen.event_time,
            occurred_at: seen.occurred_at,
            received_at: seen.received_at,
            project_id: seen.project_id,
            user_id: seen.user_id,
            contact_id: seen.contact_id,
            session_id: seen.session_id,
            // What PostgreSQL prints of a jsonb is JSON.
            properties: RawValue::from_string(seen.properties).unwrap_or_default(),
            context: seen.context.and_then(|text| RawValue::from_string(text).ok()),
        }
    }
}

fn example() -> Value {
    json!({"event_id": "0199ab3f-0c55-7b0d-9a7e-d1c2b3a49586", "event_name": "payment.completed", "event_category": "goal",
        "event_time": "2026-01-05T08:30:00Z", "occurred_at": "2026-01-05T08:30:00Z", "received_at": "2026-01-05T08:30:00.194Z",
        "project_id": "shop", "user_id": null, "contact_id": "c-1", "session_id": null,
        "properties": {"amount": 150.00}, "context": null})
}

/// What the document says of it.
pub fn operation() -> Operation {
    Operation::get("/api/v1/analytics/feed", read)
        .named("listEvents", "events")
        .does("List the newest events", "By the time at which they happened, the latest first; as they are stored.")
        .demands(Demands::Viewer)
        .asks("event_name", schema::text_of(128), "Only of this name.")
        .asks("contact_id", schema::text_id(), "Only of this contact.")
        .asks("from", schema::moment(), "Happened at or after.")
        .asks("to", schema::moment(), "Happened before.")
        .paged()
        .lists::<EventBody>("Events.", example())
        .refuses(400, &["invalid_event_name", "invalid_timestamp", "invalid_value"])
        .refuses(503, &["database_unavailable"])
}

async fn read(
    By(viewer, (asked, page)): By<Viewer, (Query<Asked>, Page)>,
    db: Data<Db>,
) -> Result<HttpResponse, Problem> {
    let asked = asked.into_inner();
    if asked.event_name.as_deref().is_some_and(|name| !is_event_name(name)) {
        return Err(Problem::bad_request("invalid_event_name", "event_name is not the name of an event"));
    }
    let Span { from, to } = span(asked.from.as_deref(), asked.to.as_deref())?;
    let before = page.cursor.as_ref().map(|cursor| Ok::<_, Problem>((cursor.at, cursor.id()?))).transpose()?;
    let (event_name, contact_id, limit) = (asked.event_name, asked.contact_id, page.fetch());
    let listing = Listing { event_name, contact_id, from, to, before, limit };
    let found = feed::page(&db, viewer.tenant, listing).await.map_err(|error| error.problem())?;
    let place = |event: &Seen| Cursor::new(event.event_time, event.event_id);
    Ok(HttpResponse::Ok().json(Listed::of(&page, found, place, EventBody::from)))
}
