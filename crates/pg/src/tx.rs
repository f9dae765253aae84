//! The one way to open a transaction: named, in a scope, detached from its caller, retried where that can help, measured.

use crate::commit::{Identity, WHO, is_lost};
use crate::metrics::Metrics;
use crate::{Db, Error, Failure};
use deadpool_postgres::Object;
use domain::ids::TenantId;
use domain::outbox::BoxFuture;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio_postgres::{NoTls, Row, Statement, types::ToSql};
use tracing::Instrument;

const MOST_ATTEMPTS: u32 = 6;

/// Whose rows a transaction sees.
#[derive(Clone, Debug)]
pub enum Scope {
    /// The rows of one tenant, on the service's tenant login.
    Tenant(TenantId),
    /// What the service's narrower system login may reach across tenants; the text says what for.
    System(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Write,
    Snapshot,
}

impl Mode {
    fn begin(self) -> &'static str {
        match self {
            Self::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Self::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// An open transaction. Statements given together (by joining their futures) share one round trip once they are prepared.
pub struct Tx {
    client: Option<Object>,
    name: &'static str,
    mode: Mode,
    metrics: Arc<Metrics>,
    failed: AtomicBool,
    outbox_written: AtomicBool,
    /// The database clock at the start.
    now: OffsetDateTime,
    /// Known once something was written: what the server is asked about if the answer to COMMIT is lost.
    identity: OnceLock<Identity>,
    identifying: AtomicBool,
}

/// How a transaction ended that did not fail.
enum Ended {
    Committed,
    /// COMMIT was sent and not answered.
    Lost(Identity),
}

/// Opens the rows of a tenant.
const ENTER: &str = "SELECT now(), set_config('app.tenant_id', $1, true)";
const NOW: &str = "SELECT now()";

impl Tx {
    /// All rows of a statement. Statements are fixed texts: the cache that prepares them has no bound.
    pub async fn query(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let statement = self.prepared(sql).await?;
        self.answered(sql, self.client().query(&statement, params)).await
    }

    /// The only row of a statement, or none. More than one is an error.
    pub async fn query_opt(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Error> {
        let statement = self.prepared(sql).await?;
        self.answered(sql, self.client().query_opt(&statement, params)).await
    }

    /// The only row of a statement.
    pub async fn query_one(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        let statement = self.prepared(sql).await?;
        self.answered(sql, self.client().query_one(&statement, params)).await
    }

    /// Runs a statement; how many rows it touched.
    pub async fn execute(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        let statement = self.prepared(sql).await?;
        self.answered(sql, self.client().execute(&statement, params)).await
    }

    /// Prepares statements ahead, so that what is then given together really goes out together and in order.
    pub async fn prepare(&self, statements: &[&'static str]) -> Result<(), Error> {
        for sql in statements {
            self.prepared(sql).await?;
        }
        Ok(())
    }

    /// The database clock at the start of the transaction.
    pub fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// Wakes the relay once this transaction has committed. `add_to_outbox` does it by itself.
    pub fn note_outbox_written(&self) {
        self.outbox_written.store(true, Relaxed);
    }

    async fn prepared(&self, sql: &'static str) -> Result<Statement, Error> {
        self.noted(self.client().prepare_cached(sql).await)
    }

    /// The answer to a statement. Behind the first that writes goes, in the same flight, the question which transaction this is.
    async fn answered<T>(
        &self,
        sql: &'static str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let asked = Instant::now();
        let answer = async {
            let answer = answer.await;
            self.metrics.answered(self.name, sql, asked.elapsed());
            self.noted(answer)
        };
        if sql.starts_with("SELECT") || self.identity.get().is_some() || self.identifying.swap(true, Relaxed) {
            return answer.await;
        }
        let (answer, identified) = futures_util::join!(answer, self.identify());
        self.identifying.store(false, Relaxed);
        let answer = answer?;
        self.noted(identified)?;
        Ok(answer)
    }

    async fn identify(&self) -> Result<(), tokio_postgres::Error> {
        let client = self.client();
        let row = client.query_one(&client.prepare_cached(WHO).await?, &[]).await?;
        if let Some(identity) = Identity::of(&row)? {
            // Of two that ask, both get the same answer.
            let _ = self.identity.set(identity);
        }
        Ok(())
    }

    fn noted<T>(&self, answer: Result<T, tokio_postgres::Error>) -> Result<T, Error> {
        answer.map_err(|error| {
            self.failed.store(true, Relaxed);
            Error::from(error)
        })
    }

    #[expect(
        clippy::expect_used,
        reason = "the connection is given up in `end` and `drop` only, which nothing follows"
    )]
    fn client(&self) -> &Object {
        self.client.as_ref().expect("an open transaction has its connection")
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that opens transactions")]
    async fn begin(client: Object, db: &Db, name: &'static str, scope: &Scope, mode: Mode) -> Result<Self, Error> {
        let mut tx = Self {
            client: Some(client),
            name,
            mode,
            metrics: Arc::clone(&db.0.metrics),
            failed: AtomicBool::new(false),
            outbox_written: AtomicBool::new(false),
            now: OffsetDateTime::UNIX_EPOCH,
            identity: OnceLock::new(),
            identifying: AtomicBool::new(false),
        };
        let tenant = match scope {
            Scope::Tenant(tenant) => Some(tenant.as_str()),
            Scope::System(_) => None,
        };
        let first = if tenant.is_some() { ENTER } else { NOW };
        tx.prepared(first).await?;
        let begun = async { tx.noted(tx.client().batch_execute(mode.begin()).await) };
        let parameters: &[&(dyn ToSql + Sync)] = if let Some(tenant) = &tenant { &[tenant] } else { &[] };
        let ((), row) = futures_util::try_join!(begun, tx.query_one(first, parameters))?;
        tx.now = row.try_get(0)?;
        Ok(tx)
    }

    /// COMMIT. If it is not known yet which transaction this is, that is asked in the same flight: nothing may have been written,
    /// or by a statement that does not look like it.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that ends transactions")]
    async fn commit(mut self, name: &'static str, limit: Duration) -> Result<Ended, Error> {
        if self.failed.load(Relaxed) {
            return Err(Error::Poisoned(name));
        }
        let ask = self.mode == Mode::Write && self.identity.get().is_none();
        if ask {
            self.prepared(WHO).await?;
        }
        let identified = async { if ask { self.identify().await } else { Ok(()) } };
        let committed = async { futures_util::join!(identified, self.client().batch_execute("COMMIT")) };
        let Ok((identified, committed)) = tokio::time::timeout(limit, committed).await else {
            // Its connection is dropped with `self`: the server finds out, and can be asked.
            return self.identity.take().map(Ended::Lost).ok_or(Error::CommitUnknown(name));
        };
        match (committed, self.identity.take()) {
            (Ok(()), _) => {
                self.client = self.client.take().and_then(returned);
                Ok(Ended::Committed)
            }
            (Err(error), Some(identity)) if is_lost(&error) => Ok(Ended::Lost(identity)),
            // Nothing was written, so there is nothing that could be half done.
            (Err(error), None) if is_lost(&error) && identified.is_ok() => Ok(Ended::Committed),
            (Err(error), None) if is_lost(&error) => Err(Error::CommitUnknown(name)),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// ROLLBACK, so that the connection can be used again.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that ends transactions")]
    async fn rollback(mut self) {
        if self.client().batch_execute("ROLLBACK").await.is_ok() {
            self.client = self.client.take().and_then(returned);
        }
    }

    /// Stops what the server is doing for this transaction; its connection is dropped with `self`.
    async fn cancel(self) {
        let token = self.client().cancel_token();
        if let Err(error) = token.cancel_query(NoTls).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a statement could not be cancelled");
        }
    }
}

/// Gives a clean connection back to its pool.
fn returned(client: Object) -> Option<Object> {
    drop(client);
    None
}

impl Drop for Tx {
    /// A transaction that was neither committed nor rolled back (a panic, a timeout, a broken connection) takes its
    /// connection with it: the server rolls back, and no later borrower waits behind it.
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

impl Db {
    /// Runs `work` in a READ COMMITTED transaction and commits it. Detached: a caller that goes away changes nothing. Run again,
    /// whole, after a serialization failure, a deadlock, a lock timeout or a COMMIT that was lost on its way; so `work` has no effect but through `Tx`.
    pub async fn run_tx<T, E, F>(&self, name: &'static str, scope: Scope, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: Failure,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        self.run(name, scope, Mode::Write, work).await
    }

    /// As `run_tx`, in one REPEATABLE READ READ ONLY snapshot.
    pub async fn run_snapshot<T, E, F>(&self, name: &'static str, scope: Scope, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: Failure,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        self.run(name, scope, Mode::Snapshot, work).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "detached on purpose: no request that goes away leaves a transaction half done"
    )]
    async fn run<T, E, F>(&self, name: &'static str, scope: Scope, mode: Mode, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: Failure,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        let db = self.clone();
        let detached = async move {
            let started = Instant::now();
            let mut attempt = 1;
            loop {
                let outcome = db.attempt(name, &scope, mode, &work).await;
                let again = matches!(&outcome, Err(error) if error.pg().is_some_and(Error::is_retryable));
                if again && attempt < MOST_ATTEMPTS {
                    drop(outcome);
                    db.0.metrics.retried(name);
                    tokio::time::sleep(backoff(attempt)).await;
                    attempt += 1;
                    continue;
                }
                db.0.metrics.ended(name, if outcome.is_ok() { "committed" } else { "failed" }, started.elapsed());
                return outcome;
            }
        };
        let detached = self.0.handle.spawn(detached.in_current_span());
        match detached.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Panicked(name).into()),
        }
    }

    async fn attempt<T, E, F>(&self, name: &'static str, scope: &Scope, mode: Mode, work: &F) -> Result<T, E>
    where
        E: Failure,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>>,
    {
        let pool = match scope {
            Scope::Tenant(_) => &self.0.tenant,
            Scope::System(_) => &self.0.system,
        };
        let asked = Instant::now();
        let client = pool.get().await.map_err(|error| Error::Pool(error.to_string()));
        self.0.metrics.waited(matches!(scope, Scope::System(_)), asked.elapsed());
        let begun = tokio::time::timeout(self.0.tx_timeout, Tx::begin(client?, self, name, scope, mode)).await;
        let tx = begun.map_err(|_| Error::Timeout(name))??;
        let worked = tokio::time::timeout(self.0.tx_timeout, work(&tx)).await;
        match worked {
            Ok(Ok(value)) => {
                let outbox_written = tx.outbox_written.load(Relaxed);
                crash::point!("commit.before", name);
                if let Ended::Lost(identity) = tx.commit(name, self.0.tx_timeout).await? {
                    self.resolve(pool, name, &identity).await?;
                }
                crash::point!("commit.after", name);
                if outbox_written {
                    self.0.outbox_written.notify_one();
                }
                Ok(value)
            }
            Ok(Err(error)) => {
                if error.pg().is_some_and(Error::is_stale_plan) {
                    pool.manager().statement_caches.clear();
                }
                tx.rollback().await;
                Err(error)
            }
            Err(_) => {
                tx.cancel().await;
                Err(Error::Timeout(name).into())
            }
        }
    }
}

/// 2, 4, 8 … ms with as much again at random, so that two that collided do not collide again.
fn backoff(attempt: u32) -> Duration {
    let base_us = 2_000_u64 << attempt.min(8);
    Duration::from_micros(base_us + rand::random_range(0..base_us))
}
