//! Error answers as the document describes them: for each status the codes that can come with it.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::schema::{AllOfBuilder, ArrayBuilder, Object, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};

use super::schema;
use crate::problem::CONTENT_TYPE;

/// Every code that an operation may answer, by status.
#[derive(Clone, Default)]
pub(super) struct Problems(BTreeMap<u16, BTreeSet<&'static str>>);

/// What any JSON body of a configuration request can be refused for (`Strict`).
pub(super) const STRICT_BODY: [(u16, &[&str]); 5] = [
    (
        400,
        &[
            "body_incomplete",
            "byte_order_mark",
            "duplicate_key",
            "invalid_type",
            "invalid_utf8",
            "invalid_value",
            "malformed_json",
            "missing_field",
            "nul_character",
            "too_deep",
            "unknown_field",
        ],
    ),
    (408, &["body_too_slow"]),
    (413, &["body_too_large"]),
    (415, &["unsupported_content_encoding", "unsupported_content_type"]),
    (503, &["overloaded"]),
];

/// What JSON of which every digit is kept can be refused for (`domain::json`): criteria, payloads.
pub const EXACT_JSON: [&str; 10] = [
    "duplicate_key",
    "integer_out_of_range",
    "invalid_json",
    "lone_surrogate",
    "nul_character",
    "number_out_of_range",
    "too_deep",
    "too_large",
    "too_long",
    "too_many_keys",
];

/// What the criteria of a goal can be refused for, beside what any JSON can.
pub const CRITERIA: [&str; 9] = [
    "conflicting_criteria",
    "criteria_empty",
    "invalid_event_name",
    "invalid_pattern",
    "invalid_type",
    "invalid_value",
    "missing_field",
    "too_many",
    "unknown_field",
];

impl Problems {
    pub(super) fn add(&mut self, status: u16, codes: &[&'static str]) {
        self.0.entry(status).or_default().extend(codes);
    }

    /// The responses, by status.
    pub(super) fn responses(&self) -> impl Iterator<Item = (u16, Response)> {
        self.0.iter().map(|(&status, codes)| (status, response(status, codes)))
    }
}

fn response(status: u16, codes: &BTreeSet<&'static str>) -> Response {
    let title = title(status);
    let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let codes: Vec<Value> = codes.iter().map(|&code| code.into()).collect();
    let code = codes.first().cloned().unwrap_or_default();
    let narrowed = ObjectBuilder::new()
        .property("status", ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([status])))
        .property("code", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes)));
    let schema = AllOfBuilder::new().item(Ref::from_schema_name("Problem")).item(narrowed);
    let example = json!({
        "type": format!("urn:goalpost:problem:{}", code.as_str().unwrap_or_default()), "title": title, "status": status,
        "detail": "A sentence for people.", "message": "A sentence for people.", "code": code,
        "instance": "urn:goalpost:request:0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1",
    });
    let content = ContentBuilder::new().schema(Some(Schema::from(schema.build()))).example(Some(example)).build();
    let mut response = ResponseBuilder::new()
        .description(format!("{title}: {}.", listed.join(", ")))
        .content(CONTENT_TYPE, content)
        .header("X-Request-Id", request_id());
    if status == 401 {
        let challenge = HeaderBuilder::new().schema(Some(schema::text())).description(Some("The scheme to use."));
        response = response.header("WWW-Authenticate", challenge.build());
    }
    if status == 412 {
        response = response.header("ETag", entity_tag());
    }
    if matches!(status, 429 | 503) {
        let seconds = HeaderBuilder::new().schema(Some(schema::count())).description(Some("Seconds to wait."));
        response = response.header("Retry-After", seconds.build());
    }
    response.build()
}

/// The header of every answer that names the request.
pub(super) fn request_id() -> utoipa::openapi::Header {
    let what = "Names the request: the client's own, if it sent a decent one. It is in the log too.";
    HeaderBuilder::new().schema(Some(schema::text())).description(Some(what)).build()
}

/// The header of an answer that was given before.
pub(super) fn replayed() -> utoipa::openapi::Header {
    let what = "`true` if this is the answer of then to the same request.";
    HeaderBuilder::new().schema(Some(schema::text())).description(Some(what)).build()
}

/// The header with the version of an object.
pub(super) fn entity_tag() -> utoipa::openapi::Header {
    HeaderBuilder::new().schema(Some(schema::text())).description(Some("The object's version, in quotes.")).build()
}

fn title(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}

/// RFC 9457, with the members that are ours.
pub(super) fn problem() -> RefOr<Schema> {
    let fault = ObjectBuilder::new()
        .property("pointer", described("Where: a JSON pointer into the body."))
        .property("code", described("Stable."))
        .property("message", described("For people."))
        .required("pointer")
        .required("code")
        .required("message");
    let uri = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .description(Some("Names the kind of problem: `urn:goalpost:problem:` and the code."));
    let problem = ObjectBuilder::new()
        .description(Some("An error answer (RFC 9457)."))
        .property("type", uri)
        .property("title", described("The status in words."))
        .property("status", ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(400)).maximum(Some(599)))
        .property("detail", described("What is wrong, for people."))
        .property("instance", described("`urn:goalpost:request:` and the request's id."))
        .property("code", described("Stable, snake_case; the same in the log and in the metric."))
        .property("message", described("The same as `detail`."))
        .property("errors", ArrayBuilder::new().items(fault).description(Some("Faults of fields of the request.")));
    let members = ["type", "title", "status", "detail", "code", "message"];
    members.into_iter().fold(problem, ObjectBuilder::required).build().into()
}

fn described(what: &str) -> Object {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).description(Some(what)).build()
}
