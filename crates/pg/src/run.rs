//! The one way to run a transaction: named, in a scope, detached from its caller, retried where that can help, measured.

use crate::tx::{Ended, Mode, Scope, Tx};
use crate::{Db, Error, Failure};
use domain::outbox::BoxFuture;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tracing::Instrument;

const MOST_ATTEMPTS: u32 = 6;

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

    /// One statement that reads, across tenants: one flight to the server, which makes it a transaction. See `run_tx`.
    pub async fn run_select<T, E, F>(&self, name: &'static str, purpose: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: Failure,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        self.run(name, Scope::System(purpose), Mode::Single, work).await
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
        let begun = tokio::time::timeout(self.0.tx_timeout, Tx::new(client?, self, (name, mode), scope)).await;
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
                // A connection to a server that takes no writes is not kept: the next may be to one that does.
                if !error.pg().is_some_and(Error::is_read_only) {
                    tx.rollback().await;
                }
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
