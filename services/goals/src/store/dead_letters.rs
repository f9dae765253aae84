//! The dead letters of all services, as operators see and settle them: `platform.v_dead_letters`, and the tables beneath it. Across
//! tenants: a letter may belong to none.

use domain::dead_letter::{LetterId, Schema};
use domain::ids::TenantId;
use pg::{Error, Row, ToSql, Tx};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use web::openapi::schema;

pub(super) fn system_statements() -> impl Iterator<Item = &'static str> {
    let settling = Schema::ALL.iter().flat_map(|schema| [requeue(*schema), discard(*schema)]);
    [FIND, FIND_NAMED, CONTENT].into_iter().chain(settling)
}

/// Which letters. What is not given does not matter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub schema: Option<Schema>,
    pub queue: Option<String>,
    pub code: Option<String>,
    pub tenant: Option<TenantId>,
    /// Seen last at this time or later.
    pub from: Option<OffsetDateTime>,
    /// Seen last before this time.
    pub to: Option<OffsetDateTime>,
}

/// A message that was given up, without what it says and without the cause, which may quote it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub struct Letter {
    /// The schema that keeps it.
    #[schema(schema_with = schema::dead_letter_schema)]
    pub schema: Schema,
    /// Its number there.
    pub id: i64,
    /// Null when the message could not be read that far.
    pub tenant_id: Option<String>,
    /// The queue it died in.
    pub queue: String,
    /// What it came by.
    pub routing_key: String,
    pub message_id: Option<Uuid>,
    /// Why it was given up.
    pub code: String,
    /// How often it was tried.
    pub attempts: i32,
    #[serde(with = "domain::time_format")]
    pub first_seen_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    pub last_seen_at: OffsetDateTime,
    pub payload_bytes: i64,
}

impl Letter {
    pub fn letter_id(&self) -> LetterId {
        LetterId { schema: self.schema, number: self.id }
    }
}

macro_rules! letters {
    ($from:literal) => {
        concat!(
            "SELECT d.service, d.id, d.tenant_id, d.queue, d.routing_key, d.message_id, d.code, d.attempts, d.first_seen_at, ",
            "d.last_seen_at, octet_length(d.payload)::bigint FROM ",
            $from
        )
    };
}

const FIND: &str = letters!(
    "platform.v_dead_letters d WHERE ($1::text IS NULL OR d.service = $1) AND ($2::text IS NULL OR d.queue = $2) \
     AND ($3::text IS NULL OR d.code = $3) AND ($4::text IS NULL OR d.tenant_id = $4) \
     AND ($5::timestamptz IS NULL OR d.last_seen_at >= $5) AND ($6::timestamptz IS NULL OR d.last_seen_at < $6) \
     AND ($7::timestamptz IS NULL OR (d.last_seen_at, d.service, d.id) < ($7, $8::text, $9::bigint)) \
     ORDER BY d.last_seen_at DESC, d.service DESC, d.id DESC LIMIT $10"
);

/// The place of a letter in the list.
pub type Place = (OffsetDateTime, LetterId);

/// Those that the filter takes, seen last first; at most `limit`, behind the place `after`.
pub async fn find(tx: &Tx, filter: &Filter, after: Option<Place>, limit: i64) -> Result<Vec<Letter>, Error> {
    let schema = filter.schema.map(Schema::as_str);
    let tenant = filter.tenant.as_ref().map(TenantId::as_str);
    let (at, id) = after.unzip();
    let (after_schema, after_number) = (id.map(|id| id.schema.as_str()), id.map(|id| id.number));
    let binds: [&(dyn ToSql + Sync); 10] = [
        &schema,
        &filter.queue,
        &filter.code,
        &tenant,
        &filter.from,
        &filter.to,
        &at,
        &after_schema,
        &after_number,
        &limit,
    ];
    tx.query(FIND, &binds).await?.iter().map(letter).collect()
}

const FIND_NAMED: &str = letters!(
    "unnest($1::text[], $2::bigint[]) AS n (service, id) JOIN platform.v_dead_letters d ON d.service = n.service AND d.id = n.id \
     ORDER BY d.last_seen_at DESC, d.service DESC, d.id DESC"
);

/// Those of these that are there, seen last first.
pub async fn find_named(tx: &Tx, ids: &[LetterId]) -> Result<Vec<Letter>, Error> {
    let schemas: Vec<&str> = ids.iter().map(|id| id.schema.as_str()).collect();
    let numbers: Vec<i64> = ids.iter().map(|id| id.number).collect();
    tx.query(FIND_NAMED, &[&schemas, &numbers]).await?.iter().map(letter).collect()
}

fn letter(row: &Row) -> Result<Letter, Error> {
    Ok(Letter {
        schema: super::word(row.try_get(0)?)?,
        id: row.try_get(1)?,
        tenant_id: row.try_get(2)?,
        queue: row.try_get(3)?,
        routing_key: row.try_get(4)?,
        message_id: row.try_get(5)?,
        code: row.try_get(6)?,
        attempts: row.try_get(7)?,
        first_seen_at: row.try_get(8)?,
        last_seen_at: row.try_get(9)?,
        payload_bytes: row.try_get(10)?,
    })
}

/// What a letter says, and why it was given up: the cause may quote it.
pub struct Content {
    pub cause: String,
    pub payload: Vec<u8>,
}

const CONTENT: &str = "SELECT d.cause, d.payload FROM platform.v_dead_letters d WHERE d.service = $1 AND d.id = $2";

/// What a letter says; none if it is not there.
pub async fn content(tx: &Tx, id: LetterId) -> Result<Option<Content>, Error> {
    let row = tx.query_opt(CONTENT, &[&id.schema.as_str(), &id.number]).await?;
    row.map(|row| Ok(Content { cause: row.try_get(0)?, payload: row.try_get(1)? })).transpose()
}

/// Letters of one schema go into its outbox, for the queue they died in and with the key they came by, and leave the dead
/// letters: one statement, so both or neither.
macro_rules! requeue {
    ($schema:literal) => {
        concat!(
            "WITH taken AS (DELETE FROM ",
            $schema,
            ".dead_letters d WHERE d.id = ANY($1) RETURNING d.id, d.tenant_id, d.queue, d.routing_key, d.message_id, d.payload, ",
            "d.reply_to, d.correlation_id), ",
            "put AS (INSERT INTO ",
            $schema,
            ".outbox (message_id, mandatory, tenant_id, exchange, routing_key, content_type, payload, reply_to, correlation_id) ",
            "SELECT coalesce(t.message_id, gen_random_uuid()), true, coalesce(t.tenant_id, ''), '', t.queue || ' ' || t.routing_key, ",
            "'application/json', t.payload, t.reply_to, t.correlation_id FROM taken t ORDER BY t.id) SELECT t.id FROM taken t"
        )
    };
}

macro_rules! discard {
    ($schema:literal) => {
        concat!("DELETE FROM ", $schema, ".dead_letters d WHERE d.id = ANY($1) RETURNING d.id")
    };
}

fn requeue(schema: Schema) -> &'static str {
    match schema {
        Schema::Ingest => requeue!("ingest"),
        Schema::Goals => requeue!("goals"),
        Schema::Evaluator => requeue!("evaluator"),
    }
}

fn discard(schema: Schema) -> &'static str {
    match schema {
        Schema::Ingest => discard!("ingest"),
        Schema::Goals => discard!("goals"),
        Schema::Evaluator => discard!("evaluator"),
    }
}

/// What becomes of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// They are given to the queue they died in, as a fresh delivery.
    Requeue,
    /// They are deleted; what they said is lost.
    Discard,
}

/// Settles letters of one schema; the numbers of those that were there. A letter is settled once, whoever asks at the same time.
pub async fn settle(tx: &Tx, how: Settle, schema: Schema, numbers: &[i64]) -> Result<Vec<i64>, Error> {
    let statement = match how {
        Settle::Requeue => requeue(schema),
        Settle::Discard => discard(schema),
    };
    let settled = tx.query(statement, &[&numbers]).await?;
    settled.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
