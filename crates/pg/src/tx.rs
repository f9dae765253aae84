//! A transaction: its statements, and how few flights to the server they take. BEGIN goes out with the first statement, and
//! what nobody waits for goes out with COMMIT.

use crate::commit::{Identity, WHO, is_lost};
use crate::metrics::Metrics;
use crate::{Db, Error};
use deadpool_postgres::Object;
use domain::ids::TenantId;
use futures_util::future::try_join_all;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use tokio_postgres::{NoTls, Row, Statement, types::ToSql};

/// Whose rows a transaction sees.
#[derive(Clone, Debug)]
pub enum Scope {
    /// The rows of one tenant, on the service's tenant login.
    Tenant(TenantId),
    /// What the service's narrower system login may reach across tenants; the text says what for.
    System(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Snapshot,
    /// One statement that reads, in the system scope: the server makes it a transaction.
    Single,
}

impl Mode {
    fn begin(self) -> Option<&'static str> {
        match self {
            Self::Write => Some("BEGIN ISOLATION LEVEL READ COMMITTED"),
            Self::Snapshot => Some("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            Self::Single => None,
        }
    }
}

/// A parameter of a statement that waits for COMMIT.
pub type Owned = Box<dyn ToSql + Send + Sync>;

/// A statement that waits for COMMIT.
struct Last {
    sql: &'static str,
    params: Vec<Owned>,
}

/// An open transaction. Statements given together (by joining their futures) share one round trip once they are prepared.
pub struct Tx {
    client: Option<Object>,
    name: &'static str,
    mode: Mode,
    metrics: Arc<Metrics>,
    tenant: Option<TenantId>,
    /// BEGIN was sent.
    begun: AtomicBool,
    /// The database clock at the start, once BEGIN was answered.
    opened: OnceCell<OffsetDateTime>,
    failed: AtomicBool,
    pub(crate) outbox_written: AtomicBool,
    last: Mutex<Vec<Last>>,
    /// Known once something was written: what the server is asked about if the answer to COMMIT is lost.
    identity: OnceLock<Identity>,
    identifying: AtomicBool,
}

/// How a transaction ended that did not fail.
pub(crate) enum Ended {
    Committed,
    /// COMMIT was sent and not answered.
    Lost(Identity),
}

/// For ROLLBACK, which has nothing to do but to be heard.
const ROLLBACK_WAIT: Duration = Duration::from_secs(2);

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

    /// Runs a statement at the end, in one flight with COMMIT; if it fails, so does the transaction. At once where nothing was
    /// written before: it must be known which transaction it is when COMMIT is sent.
    pub async fn execute_last(&self, sql: &'static str, params: Vec<Owned>) -> Result<(), Error> {
        let last = Last { sql, params };
        if self.identity.get().is_none() {
            return self.execute(sql, &last.params()).await.map(drop);
        }
        self.last.lock().unwrap_or_else(PoisonError::into_inner).push(last);
        Ok(())
    }

    /// Prepares statements ahead, so that what is then given together really goes out together and in order.
    pub async fn prepare(&self, statements: &[&'static str]) -> Result<(), Error> {
        for sql in statements {
            self.prepared(sql).await?;
        }
        if statements.iter().any(|sql| is_write(sql)) {
            self.open().await?;
        }
        Ok(())
    }

    /// The database clock at the start of the transaction. `run_select` has none: an error.
    pub async fn now(&self) -> Result<OffsetDateTime, Error> {
        if self.mode == Mode::Single {
            return Err(Error::Decode("the clock of a transaction that is not begun".to_owned()));
        }
        self.open().await
    }

    /// Wakes the relay once this transaction has committed. `add_to_outbox` does it by itself.
    pub fn note_outbox_written(&self) {
        self.outbox_written.store(true, Relaxed);
    }

    async fn prepared(&self, sql: &'static str) -> Result<Statement, Error> {
        self.noted(self.client().prepare_cached(sql).await)
    }

    /// The answer to a statement. In one flight with the first goes BEGIN, before it; and behind the first that writes or locks,
    /// the question which transaction this is.
    async fn answered<T>(
        &self,
        sql: &'static str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        // Not with BEGIN: if that is refused, the server goes on with what is behind it.
        if is_write(sql) {
            self.open().await?;
        }
        let asked = Instant::now();
        let answer = async {
            let (opened, answer) = futures_util::join!(self.open(), answer);
            self.metrics.answered(self.name, sql, asked.elapsed());
            opened?;
            self.noted(answer)
        };
        let names = is_write(sql) || sql.contains("FOR UPDATE");
        if !names || self.identity.get().is_some() || self.identifying.swap(true, Relaxed) {
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

    /// A transaction that is about to begin.
    pub(crate) async fn new(
        client: Object,
        db: &Db,
        (name, mode): (&'static str, Mode),
        scope: &Scope,
    ) -> Result<Self, Error> {
        let tx = Self {
            client: Some(client),
            name,
            mode,
            metrics: Arc::clone(&db.0.metrics),
            tenant: match scope {
                Scope::Tenant(tenant) => Some(tenant.clone()),
                Scope::System(_) => None,
            },
            begun: AtomicBool::new(false),
            opened: OnceCell::new(),
            failed: AtomicBool::new(false),
            outbox_written: AtomicBool::new(false),
            last: Mutex::default(),
            identity: OnceLock::new(),
            identifying: AtomicBool::new(false),
        };
        // Or else the first statement, which is sent behind BEGIN, would be before it.
        tx.prepared(tx.first()).await?;
        Ok(tx)
    }

    fn first(&self) -> &'static str {
        if self.tenant.is_some() { ENTER } else { NOW }
    }

    /// Sends BEGIN, and enters the scope, unless somebody has; the database clock then.
    async fn open(&self) -> Result<OffsetDateTime, Error> {
        if let Some(now) = self.opened.get() {
            return Ok(*now);
        }
        Box::pin(self.opened.get_or_try_init(|| async { self.noted(self.begin().await) })).await.copied()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that opens transactions")]
    async fn begin(&self) -> Result<OffsetDateTime, tokio_postgres::Error> {
        let Some(begin) = self.mode.begin() else {
            return Ok(OffsetDateTime::UNIX_EPOCH);
        };
        let (client, tenant) = (self.client(), self.tenant.as_ref().map(TenantId::as_str));
        let first = client.prepare_cached(self.first()).await?;
        self.begun.store(true, Relaxed);
        let params: &[&(dyn ToSql + Sync)] = if let Some(tenant) = &tenant { &[tenant] } else { &[] };
        let ((), row) = futures_util::try_join!(client.batch_execute(begin), client.query_one(&first, params))?;
        row.try_get(0)
    }

    /// COMMIT, and before it, in the same flight, what was to come last. If it is not known yet which transaction this is, that is
    /// asked too: nothing may have been written, or by a statement that does not look like it.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that ends transactions")]
    pub(crate) async fn commit(mut self, name: &'static str, limit: Duration) -> Result<Ended, Error> {
        if self.failed.load(Relaxed) {
            return Err(Error::Poisoned(name));
        }
        if !self.begun.load(Relaxed) {
            self.client = self.client.take().and_then(returned);
            return Ok(Ended::Committed);
        }
        let last = std::mem::take(self.last.get_mut().unwrap_or_else(PoisonError::into_inner));
        let ask = self.mode == Mode::Write && self.identity.get().is_none();
        let preparing =
            try_join_all(last.iter().map(|last| last.sql).chain(ask.then_some(WHO)).map(|sql| self.prepared(sql)));
        tokio::time::timeout(limit, preparing).await.map_err(|_| Error::Timeout(name))??;
        let written = try_join_all(last.iter().map(|last| async { self.execute(last.sql, &last.params()).await }));
        let identified = async { if ask { self.identify().await } else { Ok(()) } };
        let committed = async {
            // What could not even be sent has failed by now: whatever it was, it is not left out.
            if self.failed.load(Relaxed) { Ok(()) } else { self.client().batch_execute("COMMIT").await }
        };
        let flight = async { futures_util::join!(written, identified, committed) };
        let Ok((written, identified, committed)) = tokio::time::timeout(limit, flight).await else {
            // Its connection is dropped with `self`: the server finds out, and can be asked.
            return self.identity.take().map(Ended::Lost).ok_or(Error::CommitUnknown(name));
        };
        match (committed, self.identity.take()) {
            // COMMIT was not sent, or answered by rolling back.
            (Ok(()), _) if written.is_err() => Err(written.err().unwrap_or(Error::Poisoned(name))),
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

    /// ROLLBACK, so that the connection can be used again; one that does not answer is dropped with `self`.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that ends transactions")]
    pub(crate) async fn rollback(mut self) {
        let is_clean = !self.begun.load(Relaxed) || {
            let rolled_back = tokio::time::timeout(ROLLBACK_WAIT, self.client().batch_execute("ROLLBACK")).await;
            matches!(rolled_back, Ok(Ok(())))
        };
        if is_clean {
            self.client = self.client.take().and_then(returned);
        }
    }

    /// Stops what the server is doing for this transaction; its connection is dropped with `self`.
    pub(crate) async fn cancel(self) {
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

impl Last {
    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect()
    }
}

/// Statements that read begin with SELECT; those that lock rows do too.
fn is_write(sql: &str) -> bool {
    !sql.starts_with("SELECT")
}
