//! Where a service keeps the messages it has given up.

use crate::{Db, Error, Scope, Tx};
use domain::dead_letter::{DeadLetter, DeadLetters, names};
use domain::ids::TenantId;
use domain::json::Json;
use domain::outbox::{BoxError, BoxFuture};
use std::sync::Arc;
use tokio_postgres::types::ToSql;

macro_rules! store {
    ($schema:literal) => {
        concat!(
            "INSERT INTO ",
            $schema,
            ".dead_letters (tenant_id, queue, routing_key, message_id, code, cause, attempts, payload, ",
            "reply_to, correlation_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        )
    };
}

/// The statements that forget one schema's letters: those in which one of the texts $2 stands, of the tenant $1; and the end of
/// those that are meant.
#[derive(Clone, Copy)]
struct Forgetting {
    find: &'static str,
    delete: &'static str,
}

macro_rules! forget {
    ($schema:literal) => {
        Forgetting {
            find: concat!(
                "SELECT d.id, d.payload FROM ",
                $schema,
                ".dead_letters d WHERE d.tenant_id = $1 ",
                "AND EXISTS (SELECT FROM unnest($2::bytea[]) AS n (named) WHERE position(n.named IN d.payload) > 0)"
            ),
            delete: concat!("DELETE FROM ", $schema, ".dead_letters d WHERE d.tenant_id = $1 AND d.id = ANY($2)"),
        }
    };
}

const FORGET: [(&str, Forgetting); 3] =
    [("ingest", forget!("ingest")), ("goals", forget!("goals")), ("evaluator", forget!("evaluator"))];

/// Every statement by which letters are forgotten, with its schema, for the test that prepares them all.
pub fn forgetting() -> impl Iterator<Item = (&'static str, &'static str)> {
    FORGET.into_iter().flat_map(|(schema, sql)| [(schema, sql.find), (schema, sql.delete)])
}

/// How a text may stand in JSON: as it is, and with everything escaped that is not ASCII.
fn spellings(text: &str) -> [Vec<u8>; 2] {
    let plain = Json::from(text).to_text();
    let mut escaped = String::with_capacity(plain.len());
    for character in plain.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    [plain.into_bytes(), escaped.into_bytes()]
}

impl Db {
    /// Deletes the tenant's letters that name somebody who has one of these ids; how many there were.
    pub(crate) async fn forget_letters(&self, tenant: &TenantId, ids: Vec<String>) -> Result<u64, Error> {
        let schema = self.0.schema;
        let sql = FORGET.into_iter().find(|(of, _)| *of == schema).map(|(_, sql)| sql);
        let sql = sql.ok_or_else(|| Error::Decode(format!("schema {schema} has no dead letters")))?;
        let shared = Arc::new((tenant.clone(), ids));
        self.run_tx("forget_dead_letters", Scope::System("forget the dead letters of a person"), move |tx| {
            let shared = Arc::clone(&shared);
            Box::pin(async move { forget(tx, sql, &shared.0, &shared.1).await })
        })
        .await
    }

    /// This service's dead letters.
    pub fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        Arc::new(PgDeadLetters(self.clone()))
    }
}

struct PgDeadLetters(Db);

impl DeadLetters for PgDeadLetters {
    fn store(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), BoxError>> {
        let letter = Arc::new(letter);
        Box::pin(async move {
            let sql = match self.0.0.schema {
                "ingest" => store!("ingest"),
                "goals" => store!("goals"),
                "evaluator" => store!("evaluator"),
                other => {
                    return Err(Error::Decode(format!("schema {other} has no dead letters")).into());
                }
            };
            let stored: Result<(), Error> = self
                .0
                .run_tx("store_dead_letter", Scope::System("keep a dead letter"), move |tx| {
                    let letter = Arc::clone(&letter);
                    Box::pin(async move { store(tx, sql, &letter).await })
                })
                .await;
            stored.map_err(Into::into)
        })
    }
}

/// Found by their bytes, and then read: a short id stands in many a letter that is about something else.
async fn forget(tx: &Tx, sql: Forgetting, tenant: &TenantId, ids: &[String]) -> Result<u64, Error> {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let named: Vec<Vec<u8>> = ids.iter().flat_map(|id| spellings(id)).collect();
    let found = tx.query(sql.find, &[&tenant.as_str(), &named]).await?;
    let mut letters: Vec<i64> = Vec::new();
    for row in &found {
        if names(row.try_get(1)?, &ids) {
            letters.push(row.try_get(0)?);
        }
    }
    if letters.is_empty() {
        return Ok(0);
    }
    tx.execute(sql.delete, &[&tenant.as_str(), &letters]).await
}

async fn store(tx: &Tx, sql: &'static str, letter: &DeadLetter) -> Result<(), Error> {
    let tenant = letter.tenant_id.as_ref().map(|tenant| tenant.as_str());
    // PostgreSQL's text takes no NUL; a hostile routing key or cause must not keep the letter from being kept.
    let (queue, routing_key) = (clean(&letter.queue), clean(&letter.routing_key));
    let (code, cause) = (clean(&letter.code), clean(&letter.cause));
    let (reply_to, correlation_id) =
        (letter.reply_to.as_deref().map(clean), letter.correlation_id.as_deref().map(clean));
    let binds: [&(dyn ToSql + Sync); 10] = [
        &tenant,
        &queue,
        &routing_key,
        &letter.message_id,
        &code,
        &cause,
        &letter.attempts,
        &letter.payload,
        &reply_to,
        &correlation_id,
    ];
    tx.execute(sql, &binds).await.map(drop)
}

fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_however_it_is_escaped() {
        let text = |id: &str| spellings(id).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(text("c-1"), [r#""c-1""#, r#""c-1""#]);
        assert_eq!(text("ü\"😀"), ["\"ü\\\"😀\"", r#""\u00fc\"\ud83d\ude00""#]);
    }
}
