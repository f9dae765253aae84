//! Where a service keeps the messages it has given up.

use crate::{Db, Error, Scope, Tx};
use domain::dead_letter::{DeadLetter, DeadLetters};
use domain::outbox::{BoxError, BoxFuture};
use std::sync::Arc;

macro_rules! store {
    ($schema:literal) => {
        concat!(
            "INSERT INTO ",
            $schema,
            ".dead_letters (tenant_id, queue, routing_key, message_id, code, cause, attempts, payload) ",
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        )
    };
}

impl Db {
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

async fn store(tx: &Tx, sql: &'static str, letter: &DeadLetter) -> Result<(), Error> {
    let tenant = letter.tenant_id.as_ref().map(|tenant| tenant.as_str());
    // PostgreSQL's text takes no NUL; a hostile routing key or cause must not keep the letter from being kept.
    let (queue, routing_key) = (clean(&letter.queue), clean(&letter.routing_key));
    let (code, cause) = (clean(&letter.code), clean(&letter.cause));
    tx.execute(
        sql,
        &[&tenant, &queue, &routing_key, &letter.message_id, &code, &cause, &letter.attempts, &letter.payload],
    )
    .await
    .map(drop)
}

fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
