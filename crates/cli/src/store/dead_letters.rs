//! `dead_letters` of every schema, as the operator sees and settles them.

use domain::ids::TenantId;
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;

/// A service that keeps dead letters, each in its own schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Service {
    Ingest,
    Goals,
    Evaluator,
}

impl Service {
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Goals, Self::Evaluator];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Goals => "goals",
            Self::Evaluator => "evaluator",
        }
    }
}

/// Which of them. What is not given does not matter.
#[derive(Default)]
pub struct Filter {
    /// As `service/number`.
    pub ids: Option<Vec<String>>,
    pub service: Option<Service>,
    pub queue: Option<String>,
    pub tenant: Option<TenantId>,
    pub code: Option<String>,
    /// Seen last at this time or later.
    pub since: Option<OffsetDateTime>,
    /// Seen last before this time.
    pub until: Option<OffsetDateTime>,
}

/// A message that was given up, without what it says.
#[derive(Serialize)]
pub struct Letter {
    /// `service/number`.
    pub id: String,
    pub service: String,
    #[serde(skip)]
    pub number: i64,
    pub tenant_id: Option<String>,
    pub queue: String,
    pub routing_key: String,
    pub message_id: Option<Uuid>,
    pub code: String,
    pub attempts: i32,
    #[serde(with = "domain::time_format")]
    pub first_seen_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    pub last_seen_at: OffsetDateTime,
    pub payload_bytes: i64,
}

/// What it says, and why it was given up: the cause may quote it.
pub struct Content {
    pub cause: String,
    pub payload: Vec<u8>,
}

const FIND: &str = "SELECT d.service, d.id, d.tenant_id, d.queue, d.routing_key, d.message_id, d.code, d.attempts, d.first_seen_at, \
     d.last_seen_at, octet_length(d.payload)::bigint FROM platform.v_dead_letters d \
     WHERE ($1::text[] IS NULL OR d.service || '/' || d.id = ANY($1)) AND ($2::text IS NULL OR d.service = $2) \
     AND ($3::text IS NULL OR d.queue = $3) AND ($4::text IS NULL OR d.tenant_id = $4) AND ($5::text IS NULL OR d.code = $5) \
     AND ($6::timestamptz IS NULL OR d.last_seen_at >= $6) AND ($7::timestamptz IS NULL OR d.last_seen_at < $7) \
     ORDER BY d.last_seen_at DESC, d.service, d.id DESC LIMIT $8";

/// Those that the filter takes, seen last first; at most `limit`, or all.
pub async fn find(client: &Client, filter: &Filter, limit: Option<i64>) -> Result<Vec<Letter>, Error> {
    let service = filter.service.map(Service::name);
    let tenant = filter.tenant.as_ref().map(TenantId::as_str);
    let binds: [&(dyn ToSql + Sync); 8] =
        [&filter.ids, &service, &filter.queue, &tenant, &filter.code, &filter.since, &filter.until, &limit];
    Ok(client.query(FIND, &binds).await?.iter().map(letter).collect())
}

fn letter(row: &Row) -> Letter {
    let (service, number): (String, i64) = (row.get(0), row.get(1));
    Letter {
        id: format!("{service}/{number}"),
        service,
        number,
        tenant_id: row.get(2),
        queue: row.get(3),
        routing_key: row.get(4),
        message_id: row.get(5),
        code: row.get(6),
        attempts: row.get(7),
        first_seen_at: row.get(8),
        last_seen_at: row.get(9),
        payload_bytes: row.get(10),
    }
}

const CONTENT: &str = "SELECT d.cause, d.payload FROM platform.v_dead_letters d WHERE d.service || '/' || d.id = $1";

/// What a letter says; none if it is not there.
pub async fn content(client: &Client, id: &str) -> Result<Option<Content>, Error> {
    let row = client.query_opt(CONTENT, &[&id]).await?;
    Ok(row.map(|row| Content { cause: row.get(0), payload: row.get(1) }))
}

/// Puts letters of one service into the outbox of its schema, for the queue they died in and with the key they came by, and
/// takes them out of the dead letters: one statement, so both or neither. Those that were there; a letter is moved once.
pub async fn requeue(client: &Client, service: Service, numbers: &[i64]) -> Result<Vec<i64>, Error> {
    let schema = service.name();
    let statement = format!(
        "WITH taken AS (DELETE FROM {schema}.dead_letters d WHERE d.id = ANY($1) \
         RETURNING d.id, d.tenant_id, d.queue, d.routing_key, d.message_id, d.payload), \
         put AS (INSERT INTO {schema}.outbox (message_id, mandatory, tenant_id, exchange, routing_key, content_type, payload) \
         SELECT coalesce(t.message_id, gen_random_uuid()), true, coalesce(t.tenant_id, ''), '', t.queue || ' ' || t.routing_key, \
         'application/json', t.payload FROM taken t ORDER BY t.id) SELECT t.id FROM taken t"
    );
    settled(client, &statement, numbers).await
}

/// Deletes letters of one service; those that were there.
pub async fn discard(client: &Client, service: Service, numbers: &[i64]) -> Result<Vec<i64>, Error> {
    let statement = format!("DELETE FROM {}.dead_letters d WHERE d.id = ANY($1) RETURNING d.id", service.name());
    settled(client, &statement, numbers).await
}

async fn settled(client: &Client, statement: &str, numbers: &[i64]) -> Result<Vec<i64>, Error> {
    Ok(client.query(statement, &[&numbers]).await?.iter().map(|row| row.get(0)).collect())
}
