//! The outbox of a service's schema: rows written with the transaction that makes them true, claimed by the relay under a
//! row lock that is held until the broker has confirmed, then deleted. Presence in the table is the to-do list.

use crate::floor::{Begin, Floor};
use crate::{Db, Error, Owned, Scope, Tx};
use domain::contract::JSON;
use domain::outbox::gather::{Gathered, Waiting, gather};
use domain::outbox::{BoxError, BoxFuture, Delivery, NewMessage, NewReply, Outbox, OutboxMessage, Publish, Round};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// The payloads of a round are begun below this, all together: at most this and one message more. Each is in memory several times.
const ROUND_BYTES: i64 = 16 * 1024 * 1024;

/// The statements on one schema's outbox. Fixed texts, so that they can be prepared once.
pub struct Statements {
    add: &'static str,
    add_reply: &'static str,
    claim: &'static str,
    delete: &'static str,
    postpone: &'static str,
    pub(crate) waiting: &'static str,
}

macro_rules! statements {
    ($schema:literal) => {
        Statements {
            add: concat!(
                "INSERT INTO ", $schema, ".outbox (tenant_id, exchange, routing_key, mandatory, message_id, content_type, payload, traceparent, events) ",
                "SELECT m.tenant_id, m.exchange, m.routing_key, m.mandatory, m.message_id, m.content_type, m.payload, m.traceparent, ",
                "m.events FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::uuid[], $6::text[], $7::bytea[], ",
                "$8::text[], $9::integer[]) ",
                "AS m (tenant_id, exchange, routing_key, mandatory, message_id, content_type, payload, traceparent, events)"
            ),
            add_reply: concat!(
                "INSERT INTO ", $schema, ".outbox (tenant_id, exchange, routing_key, mandatory, message_id, content_type, payload, ",
                "traceparent, correlation_id) VALUES ($1, '', $2, false, $3, $4, $5, $6, $7)"
            ),
            claim: concat!(
                "SELECT c.id, c.exchange, c.routing_key, c.mandatory, c.message_id, c.content_type, c.payload, c.traceparent, ",
                "c.correlation_id, c.tenant_id, c.events, c.reply_to, c.locked FROM (",
                "SELECT l.*, count(*) OVER () AS locked, ",
                "sum(octet_length(l.payload)) OVER (ORDER BY l.id) - octet_length(l.payload) AS bytes_before FROM (",
                "SELECT id, exchange, routing_key, mandatory, message_id, content_type, payload, traceparent, correlation_id, tenant_id, ",
                "events, reply_to FROM ", $schema, ".outbox ",
                "WHERE id >= $2 AND (not_before IS NULL OR not_before <= clock_timestamp()) ",
                "ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) l) c WHERE c.bytes_before < $3 ORDER BY c.id"
            ),
            delete: concat!("DELETE FROM ", $schema, ".outbox WHERE id = ANY($1)"),
            postpone: concat!(
                "UPDATE ", $schema, ".outbox o SET attempts = o.attempts + 1, last_error = f.cause, ",
                "not_before = clock_timestamp() + least(interval '30 s', interval '250 ms' * power(2, least(o.attempts, 10))) ",
                "FROM unnest($1::bigint[], $2::text[]) AS f (id, cause) WHERE o.id = f.id"
            ),
            waiting: concat!(
                "SELECT o.age_seconds, o.messages, o.events, o.bytes, n.messages, n.events, n.bytes, ",
                "CASE WHEN n.messages = $1 THEN n.first - o.last - 1 ELSE 0 END, ",
                "(SELECT count(*) + CASE WHEN count(*) = $1 THEN (SELECT max(m.id) FROM ", $schema, ".dead_letters m) - max(d.id) ELSE 0 END ",
                "FROM (SELECT id FROM ", $schema, ".dead_letters ORDER BY id LIMIT $1) d) ",
                "FROM (SELECT count(*) AS messages, coalesce(sum(events), 0)::bigint AS events, coalesce(sum(bytes), 0)::bigint AS bytes, ",
                "max(id) AS last, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS age_seconds FROM (",
                "SELECT id, events, created_at, pg_column_size(payload) AS bytes FROM ", $schema, ".outbox ORDER BY id LIMIT $1) l) o, ",
                "LATERAL (SELECT count(*) AS messages, coalesce(sum(events), 0)::bigint AS events, coalesce(sum(bytes), 0)::bigint AS bytes, ",
                "min(id) AS first FROM (SELECT id, events, pg_column_size(payload) AS bytes FROM ", $schema, ".outbox ",
                "WHERE o.messages = $1 AND id > o.last ORDER BY id DESC LIMIT $1) h) n"
            ),
        }
    };
}

static INGEST: Statements = statements!("ingest");
static GOALS: Statements = statements!("goals");
static EVALUATOR: Statements = statements!("evaluator");

impl Statements {
    pub(crate) fn of(schema: &str) -> Result<&'static Self, Error> {
        match schema {
            "ingest" => Ok(&INGEST),
            "goals" => Ok(&GOALS),
            "evaluator" => Ok(&EVALUATOR),
            other => Err(Error::Decode(format!("schema {other} has no outbox"))),
        }
    }

    /// Every statement, for the test that prepares them all.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        [("ingest", &INGEST), ("goals", &GOALS), ("evaluator", &EVALUATOR)].into_iter().flat_map(|(schema, s)| {
            [s.add, s.add_reply, s.claim, s.delete, s.postpone, s.waiting].map(|sql| (schema, sql))
        })
    }
}

impl Db {
    /// Adds messages to this service's outbox, in the transaction that makes them true, in one flight with its COMMIT. The tenant
    /// of each must be the transaction's.
    pub async fn add_to_outbox(&self, tx: &Tx, messages: Vec<NewMessage>) -> Result<(), Error> {
        if messages.is_empty() {
            return Ok(());
        }
        let statements = Statements::of(self.0.schema)?;
        tx.note_outbox_written();
        let tenants: Vec<String> = messages.iter().map(|m| m.tenant_id.to_string()).collect();
        let exchanges: Vec<&str> = messages.iter().map(|m| m.exchange).collect();
        let routing_keys: Vec<&str> = messages.iter().map(|m| m.routing_key).collect();
        let mandatory: Vec<bool> = messages.iter().map(|m| m.mandatory).collect();
        let ids: Vec<Uuid> = messages.iter().map(|m| m.message_id).collect();
        let content_types: Vec<&str> = messages.iter().map(|m| m.content_type).collect();
        let events: Vec<i32> = messages.iter().map(|m| i32::try_from(m.events).unwrap_or(i32::MAX)).collect();
        let (payloads, traceparents): (Vec<Vec<u8>>, Vec<Option<String>>) =
            messages.into_iter().map(|m| (m.payload, m.traceparent)).unzip();
        let binds: Vec<Owned> = vec![
            Box::new(tenants),
            Box::new(exchanges),
            Box::new(routing_keys),
            Box::new(mandatory),
            Box::new(ids),
            Box::new(content_types),
            Box::new(payloads),
            Box::new(traceparents),
            Box::new(events),
        ];
        tx.execute_last(statements.add, binds).await
    }

    /// Adds the reply to a command, in the transaction that carries it out.
    pub(crate) async fn add_reply_to_outbox(&self, tx: &Tx, reply: &NewReply) -> Result<(), Error> {
        tx.note_outbox_written();
        let binds: [&(dyn ToSql + Sync); 7] = [
            &reply.tenant_id.as_str(),
            &reply.queue,
            &reply.message_id,
            &JSON,
            &reply.payload,
            &reply.traceparent,
            &reply.correlation_id,
        ];
        tx.execute(Statements::of(self.0.schema)?.add_reply, &binds).await.map(drop)
    }

    /// This service's outbox, for its relay.
    pub fn outbox(&self) -> Arc<dyn Outbox> {
        Arc::new(PgOutbox { db: self.clone(), floor: Mutex::new(Floor::new(Instant::now())) })
    }
}

struct PgOutbox {
    db: Db,
    floor: Mutex<Floor>,
}

impl PgOutbox {
    fn floor(&self) -> MutexGuard<'_, Floor> {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox for PgOutbox {
    fn relay_round(&self, limit: usize, to: Arc<dyn Publish>) -> BoxFuture<'_, Result<Round, BoxError>> {
        Box::pin(async move {
            let statements = Statements::of(self.db.0.schema)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let begin = self.floor().begin(Instant::now());
            let round = self
                .db
                .run_tx("relay", Scope::System("relay the outbox"), move |tx| {
                    let to = Arc::clone(&to);
                    Box::pin(async move { relay_round(tx, statements, (limit, begin), to).await })
                })
                .await;
            match round {
                Ok((round, first, claimed_at)) => {
                    self.floor().claimed(begin, (first, round.more && round.confirmed > 0), claimed_at);
                    Ok(round)
                }
                Err(error) => {
                    self.floor().failed(begin, error.is_elsewhere(), Instant::now());
                    Err(error.into())
                }
            }
        })
    }

    fn woken(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.db.0.outbox_written.notified())
    }
}

/// The round, the first row of its claim, and when it had the claim.
async fn relay_round(
    tx: &Tx,
    statements: &Statements,
    (limit, begin): (i64, Begin),
    to: Arc<dyn Publish>,
) -> Result<(Round, Option<i64>, Instant), Error> {
    let rows = tx.query(statements.claim, &[&limit, &begin.id, &ROUND_BYTES]).await?;
    let claimed_at = Instant::now();
    let first = rows.first().map(|row| row.try_get(0)).transpose()?;
    Ok((publish_claimed(tx, statements, limit, rows, to).await?, first, claimed_at))
}

async fn publish_claimed(
    tx: &Tx,
    statements: &Statements,
    limit: i64,
    rows: Vec<Row>,
    to: Arc<dyn Publish>,
) -> Result<Round, Error> {
    let Some(row) = rows.first() else {
        return Ok(Round::default());
    };
    let locked: i64 = row.try_get(12)?;
    let count = rows.len();
    let more = locked >= limit || i64::try_from(count).unwrap_or(i64::MAX) < locked;
    let waiting: Vec<Waiting> = rows.iter().map(waiting).collect::<Result<_, Error>>()?;
    drop(rows);
    let gathered = gather(waiting);
    let unfilled = gathered.iter().filter(|one| one.unfilled).count();
    let claimed = Round { claimed: count, more, unfilled, confirmed: 0 };
    let parts = gathered.into_iter().map(|Gathered { message, rows, .. }| (message, rows));
    let (messages, parts): (Vec<OutboxMessage>, Vec<Vec<i64>>) = parts.unzip();
    let messages: Arc<[OutboxMessage]> = messages.into();
    crash::point!("relay.after_claim");
    let outcomes = match to.publish(Arc::clone(&messages)).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            // Nothing is known of any of them: they stay as they are, and the lock on them goes with the transaction.
            tracing::warn!(error = &*error as &dyn std::error::Error, "a round of the relay was not confirmed");
            return Ok(claimed);
        }
    };
    crash::point!("relay.after_confirm");
    let mut confirmed = Vec::with_capacity(count);
    let (mut postponed, mut causes) = (Vec::new(), Vec::new());
    for ((message, parts), outcome) in messages.iter().zip(parts).zip(outcomes) {
        let cause = match outcome {
            Delivery::Confirmed => {
                confirmed.extend(parts);
                continue;
            }
            Delivery::Returned => "no queue is bound for it".to_owned(),
            Delivery::Refused(cause) => cause,
        };
        tracing::warn!(message_id = %message.message_id, routing_key = message.routing_key, cause, "a message was not taken");
        causes.extend(vec![cause; parts.len()]);
        postponed.extend(parts);
    }
    let round = Round { confirmed: confirmed.len(), ..claimed };
    tx.execute_last(statements.delete, vec![Box::new(confirmed)]).await?;
    if !postponed.is_empty() {
        tx.execute_last(statements.postpone, vec![Box::new(postponed), Box::new(causes)]).await?;
    }
    Ok(round)
}

fn waiting(row: &Row) -> Result<Waiting, Error> {
    let message = OutboxMessage {
        id: row.try_get(0)?,
        exchange: row.try_get(1)?,
        routing_key: row.try_get(2)?,
        mandatory: row.try_get(3)?,
        message_id: row.try_get(4)?,
        content_type: row.try_get(5)?,
        payload: row.try_get(6)?,
        traceparent: row.try_get(7)?,
        correlation_id: row.try_get(8)?,
        reply_to: row.try_get(11)?,
    };
    let events: i32 = row.try_get(10)?;
    Ok(Waiting { message, tenant_id: row.try_get(9)?, events: usize::try_from(events).unwrap_or_default() })
}
