//! `/dead-letters`: messages of all services that were given up, for operators.

use std::collections::HashSet;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::{Data, Path, Query};
use domain::dead_letter::{LetterId, Schema, kinds};
use domain::fault::Fault;
use domain::ids::TenantId;
use domain::time_format;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use web::openapi::{Demands, Operation, schema};
use web::{Cursor, Listed, Operator, Page, Problem, Strict};

use super::callers::By;
use super::{App, place, without_nul};
use crate::dead_letters::{self, Filter, Letter, MOST, Settle, Settled, Which};

/// Names a letter.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeadLetterId)]
pub(super) struct IdBody {
    #[schema(schema_with = schema::dead_letter_schema)]
    schema: Schema,
    /// Its number there.
    id: i64,
}

/// Which letters. What is not given does not matter, so an empty filter takes all.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeadLetterFilter)]
pub(super) struct FilterBody {
    /// The schema that keeps them.
    #[schema(schema_with = schema::dead_letter_schema, required = false)]
    schema: Option<String>,
    /// The queue they died in.
    queue: Option<String>,
    /// Why they were given up.
    code: Option<String>,
    #[schema(schema_with = schema::tenant_id, required = false)]
    tenant_id: Option<String>,
    /// Seen last at this time or later.
    #[schema(schema_with = schema::moment, required = false)]
    from: Option<String>,
    /// Seen last before this time.
    #[schema(schema_with = schema::moment, required = false)]
    to: Option<String>,
}

/// Either `ids` or `filter`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SettleDeadLetters)]
pub(super) struct SettleBody {
    #[schema(max_items = 500)]
    ids: Option<Vec<IdBody>>,
    filter: Option<FilterBody>,
    /// Only say which they would be.
    #[serde(default)]
    dry_run: bool,
}

/// What was settled; with `dry_run` what would be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettledDeadLetters)]
struct SettledBody {
    dry_run: bool,
    count: usize,
    items: Vec<IdBody>,
    /// Named, and not there.
    missing: Vec<IdBody>,
    /// Whether the filter takes others, too: ask again.
    more: bool,
}

/// A letter, with the kinds of the fields of what it says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterShown)]
struct ShownBody {
    #[serde(flatten)]
    letter: Letter,
    /// The fields of its payload and the kinds of their values; a text where it is no JSON object.
    #[schema(value_type = Value)]
    fields: Value,
    /// With `payload`: why it was given up. May quote the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// With `payload`: what it says, if that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    /// With `payload`: what it says, in hexadecimal, if that is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hex: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    schema: Option<String>,
    queue: Option<String>,
    code: Option<String>,
    tenant_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ShowQuery {
    #[serde(default)]
    payload: bool,
}

const BAD_FILTER: &[&str] = &["invalid_timestamp", "invalid_value", "nul_character", "placeholder_id", "too_long"];

pub(super) fn operations() -> Vec<Operation> {
    let letter = || {
        json!({"schema": "ingest", "id": 17, "tenant_id": "demo", "queue": "ingest.domain", "routing_key": "payment.completed",
            "message_id": null, "code": "unknown_tenant", "attempts": 1, "first_seen_at": "2026-01-03T10:00:00Z",
            "last_seen_at": "2026-01-03T10:00:00Z", "payload_bytes": 212})
    };
    let mut shown = letter();
    shown["fields"] = json!({"event_id": "string", "properties": "object of 2"});
    vec![
        Operation::get("/api/v1/dead-letters", list)
            .named("listDeadLetters", "dead letters")
            .does("List dead letters", "Of all services and tenants, the one seen last first; without what they say.")
            .demands(Demands::Operator)
            .asks("schema", schema::dead_letter_schema(), "Only those that this schema keeps.")
            .asks("queue", schema::text(), "Only those that died in this queue.")
            .asks("code", schema::text(), "Only those given up for this.")
            .asks("tenant_id", schema::tenant_id(), "Only this tenant's.")
            .asks("from", schema::moment(), "Seen last at this time or later.")
            .asks("to", schema::moment(), "Seen last before this time.")
            .paged()
            .lists::<Letter>("Letters.", letter())
            .refuses(400, BAD_FILTER),
        Operation::get("/api/v1/dead-letters/{schema}/{id}", show)
            .named("getDeadLetter", "dead letters")
            .does(
                "Show a dead letter",
                "Of what it says only the kinds of its fields, unless `payload` is asked for: that is a contact's data, and is \
                 audited.",
            )
            .demands(Demands::Operator)
            .at("schema", schema::dead_letter_schema(), "The schema that keeps it.")
            .at("id", schema::count(), "Its number there.")
            .asks("payload", schema::flag(), "Show what it says, too, and the cause.")
            .answers::<ShownBody>(200, "The letter.", shown),
        settling(Operation::post("/api/v1/dead-letters/requeue", requeue))
            .named("requeueDeadLetters", "dead letters")
            .does(
                "Give dead letters again",
                "Each to the queue it died in, as a fresh delivery; what made it die has to be gone. 500 at most, all of them or \
                 none, and each once. Audited.",
            ),
        settling(Operation::post("/api/v1/dead-letters/discard", discard))
            .named("discardDeadLetters", "dead letters")
            .does("Throw dead letters away", "What they said is lost. 500 at most, all of them or none. Audited."),
    ]
}

fn settling(operation: Operation) -> Operation {
    let id = json!({"schema": "ingest", "id": 17});
    let named = ("these", json!({"ids": [id]}));
    let taken =
        ("those_of_a_filter", json!({"filter": {"code": "unknown_tenant", "tenant_id": "demo"}, "dry_run": true}));
    let settled = json!({"dry_run": false, "count": 1, "items": [id], "missing": [], "more": false});
    operation
        .demands(Demands::Operator)
        .takes::<SettleBody>(true, &[named, taken])
        .answers::<SettledBody>(200, "Which, and how many.", settled)
        .refuses(400, BAD_FILTER)
        .refuses(400, &["duplicate_item", "too_many_items"])
}

impl From<LetterId> for IdBody {
    fn from(id: LetterId) -> Self {
        Self { schema: id.schema, id: id.number }
    }
}

impl From<ListQuery> for FilterBody {
    fn from(asked: ListQuery) -> Self {
        let ListQuery { schema, queue, code, tenant_id, from, to } = asked;
        Self { schema, queue, code, tenant_id, from, to }
    }
}

impl FilterBody {
    fn check(self) -> Result<Filter, Fault> {
        let schema = self.schema.map(|word| word.parse()).transpose();
        let tenant = self.tenant_id.map(|id| TenantId::parse(&id)).transpose();
        let moment = |key: &str, text: Option<String>| {
            let parsed = text.map(|text| time_format::parse(&text)).transpose();
            parsed.map_err(|fault| fault.within(key))
        };
        Ok(Filter {
            schema: schema
                .map_err(|why: domain::words::UnknownWord| Fault::at("schema", "invalid_value", why.to_string()))?,
            queue: without_nul("queue", self.queue)?,
            code: without_nul("code", self.code)?,
            tenant: tenant.map_err(|why| Fault::at("tenant_id", why.code(), why.to_string()))?,
            from: moment("from", self.from)?,
            to: moment("to", self.to)?,
        })
    }
}

impl SettleBody {
    fn check(self) -> Result<Which, Fault> {
        match (self.ids, self.filter) {
            (None, None) => Err(Fault::at("ids", "missing_field", "say which, by `ids` or by `filter`")),
            (Some(_), Some(_)) => Err(Fault::at("filter", "invalid_value", "is for requests without `ids`")),
            (Some(ids), None) => named(ids).map(Which::Named),
            (None, Some(filter)) => Ok(Which::Taken(filter.check().map_err(|fault| fault.within("filter"))?)),
        }
    }
}

fn named(ids: Vec<IdBody>) -> Result<Vec<LetterId>, Fault> {
    if ids.len() > MOST {
        return Err(Fault::at("ids", "too_many_items", format!("at most {MOST} letters at once")));
    }
    let ids: Vec<LetterId> = ids.into_iter().map(|id| LetterId { schema: id.schema, number: id.id }).collect();
    let mut seen = HashSet::new();
    if let Some(twice) = ids.iter().position(|id| !seen.insert(id)) {
        let fault = Fault::new("duplicate_item", "the same letter is named twice");
        return Err(fault.within(&twice.to_string()).within("ids"));
    }
    Ok(ids)
}

async fn list(
    app: Data<App>,
    By(_, (query, page)): By<Operator, (Query<ListQuery>, Page)>,
) -> Result<HttpResponse, Problem> {
    let filter = FilterBody::from(query.into_inner()).check()?;
    let id: Option<LetterId> = page.cursor.as_ref().map(Cursor::id).transpose()?;
    let after = place(&page)?.map(|(at, _)| at).zip(id);
    let fetched = dead_letters::list(&app.db, filter, after, page.fetch()).await?;
    let listed = Listed::of(&page, fetched, |it| Cursor::new(it.last_seen_at, it.letter_id()), |it| it);
    Ok(HttpResponse::Ok().json(listed))
}

/// The schema and the number of a letter, and whether what it says is to be shown.
type Shown = (Path<(String, String)>, Query<ShowQuery>);

async fn show(app: Data<App>, By(operator, (path, query)): By<Operator, Shown>) -> Result<HttpResponse, Problem> {
    let (schema, number) = path.into_inner();
    let id: LetterId = format!("{schema}/{number}").parse().map_err(|_| Problem::not_found())?;
    let (letter, content) = dead_letters::find(&app.db, &operator.actor(), id, query.payload).await?;
    let mut shown =
        ShownBody { letter, fields: kinds(&content.payload), cause: None, payload: None, payload_hex: None };
    if query.payload {
        shown.cause = Some(content.cause);
        match String::from_utf8(content.payload) {
            Ok(text) => shown.payload = Some(text),
            Err(bytes) => shown.payload_hex = Some(dead_letters::hex(bytes.as_bytes())),
        }
    }
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(shown))
}

async fn requeue(app: Data<App>, asked: By<Operator, Strict<SettleBody>>) -> Result<HttpResponse, Problem> {
    settle(&app, Settle::Requeue, asked).await
}

async fn discard(app: Data<App>, asked: By<Operator, Strict<SettleBody>>) -> Result<HttpResponse, Problem> {
    settle(&app, Settle::Discard, asked).await
}

async fn settle(
    app: &App,
    how: Settle,
    By(operator, Strict(body)): By<Operator, Strict<SettleBody>>,
) -> Result<HttpResponse, Problem> {
    let dry_run = body.dry_run;
    let settled = dead_letters::settle(&app.db, &operator.actor(), how, body.check()?, dry_run).await?;
    let Settled { letters, missing, more } = settled;
    let ids = |ids: Vec<LetterId>| ids.into_iter().map(IdBody::from).collect();
    let said = SettledBody { dry_run, count: letters.len(), items: ids(letters), missing: ids(missing), more };
    Ok(HttpResponse::Ok().json(said))
}
