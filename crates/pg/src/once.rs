//! Requests that have one effect, however often they come (`domain::once`): a row per key in `answers` of the service's schema,
//! written in the very transaction of the work. Whoever comes second waits at the key for whoever came first.

use crate::{Db, Error, Failure, Scope, Tx};
use domain::ids::TenantId;
use domain::once::{Answer, Answered, Asked, Key, Once};
use domain::outbox::BoxFuture;
use std::sync::Arc;

/// The statements on one schema's answers.
pub struct Statements {
    begin: &'static str,
    keep: &'static str,
}

macro_rules! statements {
    ($schema:literal) => {
        Statements {
            // On a conflict the row as it is now, whatever the snapshot of the statement: it may have been waited for.
            begin: concat!(
                "INSERT INTO ",
                $schema,
                ".answers AS a (tenant_id, scope, key, fingerprint) VALUES ($1, $2, $3, $4) ",
                "ON CONFLICT (tenant_id, scope, key) DO UPDATE SET fingerprint = a.fingerprint ",
                "RETURNING a.fingerprint, a.status, a.body"
            ),
            keep: concat!(
                "UPDATE ",
                $schema,
                ".answers a SET status = $4, body = $5 ",
                "WHERE a.tenant_id = $1 AND a.scope = $2 AND a.key = $3"
            ),
        }
    };
}

static INGEST: Statements = statements!("ingest");
static GOALS: Statements = statements!("goals");
static EVALUATOR: Statements = statements!("evaluator");

impl Statements {
    fn of(schema: &str) -> Result<&'static Self, Error> {
        match schema {
            "ingest" => Ok(&INGEST),
            "goals" => Ok(&GOALS),
            "evaluator" => Ok(&EVALUATOR),
            other => Err(Error::Decode(format!("schema {other} keeps no answers"))),
        }
    }

    /// Every statement, for the test that prepares them all.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        [("ingest", &INGEST), ("goals", &GOALS), ("evaluator", &EVALUATOR)]
            .into_iter()
            .flat_map(|(schema, s)| [s.begin, s.keep].map(|sql| (schema, sql)))
    }
}

impl Db {
    /// Runs `work` as [`Db::run_tx`] does, unless it was carried out before under the key of the request: then nothing happens, and
    /// the answer is that of then. What `work` refuses is not kept. Whoever waits for a reply gets it either way, through the
    /// outbox of the same transaction.
    ///
    /// # Errors
    /// [`Error::KeyReused`] if something else was asked for under the key; and those of `work`.
    pub async fn run_once<T, E, F>(
        &self,
        name: &'static str,
        scope: Scope,
        once: Once<T>,
        work: F,
    ) -> Result<Answered<T>, E>
    where
        T: Send + 'static,
        E: Failure,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        let shared = Arc::new((self.clone(), once, work));
        self.run_tx(name, scope, move |tx| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (db, once, work) = &*shared;
                if let Some(answer) = db.answered_before(tx, &once.asked).await? {
                    return Ok(Answered::Before(answer));
                }
                let value = work(tx).await?;
                let answer = (once.answer)(&value);
                db.keep_answer(tx, &once.asked, &answer).await?;
                Ok(Answered::Now(value))
            })
        })
        .await
    }

    /// Answers a command that `run_once` refused with `error`: the refusal is kept under its key, and replied. If meanwhile the
    /// same command was carried out elsewhere, that is what is replied.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn refuse_once(&self, mut asked: Asked, code: &'static str, message: String) -> Result<(), Error> {
        let Some(tenant) = asked.owner.clone() else {
            return Ok(());
        };
        if code == KEY_REUSED {
            // The key is another command's.
            asked.key = None;
        }
        let refuse = |asked: Asked, refusal: Answer| {
            let once = asked.answering(Answer::clone);
            self.run_once("refuse_command", Scope::Tenant(tenant.clone()), once, move |_| {
                let refusal = refusal.clone();
                Box::pin(async move { Ok::<_, Error>(refusal) })
            })
        };
        match refuse(asked.clone(), Answer::refused(code, &message)).await {
            Err(Error::KeyReused) => {
                asked.key = None;
                refuse(asked, Answer::refused(KEY_REUSED, &Error::KeyReused.to_string())).await.map(drop)
            }
            outcome => outcome.map(drop),
        }
    }

    /// What `run_once` does before the work: takes the key, or gives what was answered under it, and replies it. From here to the
    /// commit whoever comes with the same key waits.
    ///
    /// # Errors
    /// As those of `run_once`.
    pub async fn answered_before(&self, tx: &Tx, asked: &Asked) -> Result<Option<Answer>, Error> {
        let Some(Key { scope, key, fingerprint }) = &asked.key else {
            return Ok(None);
        };
        let begin = Statements::of(self.0.schema)?.begin;
        let row = tx.query_one(begin, &[&owner(asked), scope, key, &fingerprint.as_slice()]).await?;
        let (kept, status, body): (&[u8], Option<i16>, Option<String>) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if kept != fingerprint {
            return Err(Error::KeyReused);
        }
        let status = status.and_then(|status| u16::try_from(status).ok());
        let Some(answer) = status.zip(body).map(|(status, body)| Answer { status, body }) else {
            return Ok(None);
        };
        self.reply(tx, asked, &answer).await?;
        Ok(Some(answer))
    }

    /// What `run_once` does after the work: keeps its answer under the key, and replies it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn keep_answer(&self, tx: &Tx, asked: &Asked, answer: &Answer) -> Result<(), Error> {
        if let Some(Key { scope, key, .. }) = &asked.key {
            let status = i16::try_from(answer.status).map_err(|error| Error::Decode(error.to_string()))?;
            let keep = Statements::of(self.0.schema)?.keep;
            tx.execute(keep, &[&owner(asked), scope, key, &status, &answer.body]).await?;
        }
        self.reply(tx, asked, answer).await
    }

    async fn reply(&self, tx: &Tx, asked: &Asked, answer: &Answer) -> Result<(), Error> {
        match asked.owner.as_ref().zip(asked.reply.as_ref()) {
            Some((tenant, to)) => self.add_reply_to_outbox(tx, &to.reply(tenant, answer)).await,
            None => Ok(()),
        }
    }
}

/// The code of [`Error::KeyReused`].
pub const KEY_REUSED: &str = "idempotency_key_reused";

/// The `tenant_id` of a row: that of no tenant is empty.
fn owner(asked: &Asked) -> &str {
    asked.owner.as_ref().map_or("", TenantId::as_str)
}
