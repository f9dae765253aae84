//! What the OpenAPI document says of the door for events.

use ::web::openapi::{About, Demands, Operation, schema};
use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder};
use utoipa::openapi::{ContentBuilder, Ref, Required, Schema};

use super::answer::Answer;
use super::{MAX_EVENTS, cors, events};

pub(super) const ABOUT: About = About {
    title: "Goalpost: ingest",
    description: "The door for events: each is checked, stored once, and handed on. The credential decides the tenant. A batch \
        is answered 200 whatever the verdicts, one for each event; nothing is answered `accepted` before it was stored. \
        Bodies may be compressed: gzip, deflate, br, zstd. Pages of the origins of a browser token may send and read the answer (CORS). \
        `X-Request-Id` comes back.",
    tags: &[
        ("events", "Events of contacts, users and sessions."),
        ("people", "Which user is which contact; and people who are to be forgotten."),
    ],
};

/// The schema of one event, by which each is judged by itself.
const EVENT: &str = include_str!("../../../../proto-schemas/event/v1.json");

/// What a body as a whole can be refused for.
const UNUSABLE: [&str; 13] = [
    "all_rejected",
    "body_incomplete",
    "duplicate_key",
    "invalid_body",
    "invalid_query",
    "invalid_sent_at",
    "invalid_value",
    "malformed_encoding",
    "malformed_json",
    "no_events",
    "placeholder_id",
    "too_long",
    "too_many_events",
];

pub(super) fn operations() -> Vec<Operation> {
    let description = "1 to 500 events. The optional ids beside them are defaults for events that lack them. The same event_id \
        with the same content is a duplicate, with other content a conflict. When every event was rejected the answer is 400, \
        with `results`.";
    let prefixed =
        Operation::post("/api/v1/events", events::post).named("postEvents", "events").does("Send events", description);
    let bare = Operation::post("/events", events::post)
        .named("postEventsUnprefixed", "events")
        .does("Send events, without the prefix", "As `POST /api/v1/events`, for emitters that post here.");
    [prefixed, bare].map(described).into()
}

fn described(operation: Operation) -> Operation {
    let answer = json!({"accepted": 1, "duplicates": 0, "rejected": 1, "limited": 0, "retry": 0, "results": [
        {"index": 0, "event_id": "0199ab3f-0c55-7b0d-9a7e-d1c2b3a49586", "status": "accepted"},
        {"index": 1, "status": "rejected", "code": "missing_field", "pointer": "/event_id", "message": "event_id is required"}]});
    operation
        .demands(Demands::WriteToken)
        .from_pages(cors::preflight)
        .asks("results", schema::one_of(["all", "errors"]), "Whether `results` lists the accepted ones too.")
        .reads(body())
        .refers_to("Event", EVENT)
        .answers::<Answer>(200, "What became of each event.", answer)
        .refuses(400, &UNUSABLE)
        .refuses(403, &["origin_not_allowed"])
        .refuses(408, &["body_too_slow"])
        .refuses(413, &["body_too_large"])
        .refuses(415, &["unsupported_content_encoding", "unsupported_content_type"])
        .refuses(429, &["rate_limited"])
        .refuses(503, &["overloaded", "storage_unavailable"])
}

/// The same as JSON and as plain text, which is what `sendBeacon` may send without asking first.
fn body() -> RequestBody {
    let purchase = event("payment.completed", json!({"amount": 150.00}));
    let batch = json!({"sent_at": "2026-01-03T10:00:01Z", "events": [purchase]});
    let bare = json!([event("contact.tag.added", json!({"tag_name": "Customer"}))]);
    let examples = || {
        [("a_batch", batch.clone()), ("a_bare_array", bare.clone())].map(|(name, value)| {
            (name, ExampleBuilder::new().summary(name.replace('_', " ")).value(Some(value)).build())
        })
    };
    let content = || ContentBuilder::new().schema(Some(submission())).examples_from_iter(examples()).build();
    RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/json", content())
        .content("text/plain", content())
        .build()
}

fn event(name: &str, properties: Value) -> Value {
    json!({"event_id": "0199ab3f-0c55-7b0d-9a7e-d1c2b3a49586", "event_name": name, "occurred_at": "2026-01-03T10:00:00Z",
        "contact_id": "c-1", "properties": properties})
}

fn submission() -> Schema {
    let events = || {
        let events = ArrayBuilder::new().items(Ref::from_schema_name("Event"));
        events.min_items(Some(1)).max_items(Some(MAX_EVENTS)).build()
    };
    let batch = ObjectBuilder::new()
        .property("sent_at", schema::moment())
        .property("project_id", schema::text_id())
        .property("user_id", schema::text_id())
        .property("session_id", schema::text_id())
        .property("events", events())
        .required("events");
    OneOfBuilder::new().item(batch).item(events()).build().into()
}
