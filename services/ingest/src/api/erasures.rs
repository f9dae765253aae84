//! `/api/v1/users/{user_id}/erase` and `/api/v1/erasures/{request_id}`: somebody is to be forgotten, and what was done about it.

use std::collections::BTreeMap;

use ::web::once::IDEMPOTENCY_REPLAYED;
use ::web::openapi::{Demands, Operation, schema};
use ::web::{By, Keyed, Problem};
use actix_web::HttpResponse;
use actix_web::http::header::HeaderValue;
use actix_web::web::{Data, Path};
use domain::ids::parse_uuid;
use domain::once::{Answered, Key};
use pg::Db;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::identify::NO_ID;
use crate::asked::Ids;
use crate::author::Author;
use crate::erasure;
use crate::store::erasures::Receipt;

/// The scope of a key: its route, but for the id in it, which must not be kept.
const ROUTE: &str = "POST /api/v1/users/{user_id}/erase";

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What is known of an erasure. Names nobody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErasureReceipt)]
struct ReceiptBody {
    request_id: Uuid,
    #[schema(schema_with = status)]
    status: &'static str,
    #[serde(with = "domain::time_format")]
    requested_at: OffsetDateTime,
    /// When the last service had reported.
    #[serde(with = "domain::time_format::option")]
    done_at: Option<OffsetDateTime>,
    /// By name, those that have reported.
    services: BTreeMap<String, ReportBody>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErasureReport)]
struct ReportBody {
    #[serde(with = "domain::time_format")]
    erased_at: OffsetDateTime,
    /// Rows removed or made anonymous, by table.
    counts: BTreeMap<String, u64>,
}

fn status() -> utoipa::openapi::schema::Object {
    schema::one_of(["running", "done"])
}

impl From<Receipt> for ReceiptBody {
    fn from(receipt: Receipt) -> Self {
        let report = |(service, (erased_at, counts))| (service, ReportBody { erased_at, counts });
        Self {
            request_id: receipt.request_id,
            status: if receipt.done_at.is_some() { "done" } else { "running" },
            requested_at: receipt.requested_at,
            done_at: receipt.done_at,
            services: receipt.services.into_iter().map(report).collect(),
        }
    }
}

fn example(done: bool) -> Value {
    let mut services = json!({
        "goals": {"erased_at": "2026-01-03T10:00:00.1Z", "counts": {"goals.dead_letters": 0}},
        "ingest": {"erased_at": "2026-01-03T10:00:00.1Z",
            "counts": {"ingest.dead_letters": 0, "ingest.events_raw": 3, "ingest.identity_links": 1}}});
    if done {
        services["evaluator"] = json!({"erased_at": "2026-01-03T10:00:00.1Z", "counts": {"evaluator.answers": 0,
            "evaluator.dead_letters": 0, "evaluator.enrollments": 1, "evaluator.scheduled_actions": 0,
            "evaluator.workflow_goal_achievements": 1}});
    }
    json!({"request_id": "0199ab3f-0c55-7b0d-9a7e-d1c2b3a49586", "status": if done { "done" } else { "running" },
        "requested_at": "2026-01-03T10:00:00Z", "done_at": if done { json!("2026-01-03T10:00:00.2Z") } else { Value::Null },
        "services": services})
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/api/v1/users/{user_id}/erase", erase)
            .named("erasePerson", "people")
            .does(
                "Forget a person",
                "The id is that of a user, of a contact, or of both; with a contact go the users who were ever linked to it. Events and \
                 links are deleted; what is active ends as `contact_erased`; what counts stays, and is nobody's. The answer waits a few \
                 seconds for all services. Under the same `Idempotency-Key` it is the receipt of the same erasure as it is by then.",
            )
            .demands(Demands::Editor)
            .at("user_id", schema::text_id(), "The user or contact.")
            .once()
            .takes::<Nothing>(false, &[("nothing", json!({}))])
            .answers::<ReceiptBody>(200, "All services have done it.", example(true))
            .answers::<ReceiptBody>(202, "It is asked of all services, and some have not reported yet.", example(false))
            .refuses(400, &NO_ID),
        Operation::get("/api/v1/erasures/{request_id}", show)
            .named("showErasure", "people")
            .does("Show what was done to forget somebody", "Who it was is not kept.")
            .demands(Demands::Editor)
            .at("request_id", schema::uuid(), "The request.")
            .answers::<ReceiptBody>(200, "The receipt.", example(true)),
    ]
}

async fn erase(
    By(author, (path, Keyed { body: Nothing {}, key })): By<Author, (Path<String>, Keyed<Nothing>)>,
    api: Data<Api>,
) -> Result<HttpResponse, Problem> {
    let db = &api.db;
    let ids = Ids::of(db, &author.tenant).await?;
    let (tenant, person) = (author.tenant.clone(), ids.person(&path)?);
    let stored = person.first().map_or("", |contact| contact.as_str());
    let key = key.map(|Key { key, fingerprint, .. }| Key {
        scope: ROUTE.to_owned(),
        key,
        fingerprint: ids.hash(&[b"erase", stored.as_bytes(), &fingerprint]),
    });
    let asked = erasure::ask(db, author, (ids, person), key).await?;
    let receipt = erasure::settled(db, &tenant, erasure::request_of(&asked)?, api.erase_wait).await?;
    let mut response = if receipt.done_at.is_some() { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    if matches!(asked, Answered::Before(_)) {
        response.insert_header((IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true")));
    }
    Ok(response.json(ReceiptBody::from(receipt)))
}

async fn show(By(author, path): By<Author, Path<String>>, db: Data<Db>) -> Result<HttpResponse, Problem> {
    let request = parse_uuid(&path).map_err(|_| Problem::not_found())?;
    let receipt = erasure::receipt(&db, &author.tenant, request).await?;
    Ok(HttpResponse::Ok().json(ReceiptBody::from(receipt)))
}
