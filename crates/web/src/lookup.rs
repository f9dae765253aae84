//! A short memory in front of a look-up of credentials: what was found and what was not are kept
//! apart and bounded, so that a flood of made-up ids neither drives out the good ones nor reaches
//! PostgreSQL each time.

use std::sync::Arc;
use std::time::Duration;

use domain::outbox::{BoxError, BoxFuture};
use moka::future::Cache;
use tokio::sync::Semaphore;

use crate::Problem;

/// Bounds of a [`Lookup`].
#[derive(Debug, Clone, Copy)]
pub struct LookupLimits {
    /// How long an answer is believed. A revocation has to hold within 5 s, so 4 at most.
    pub ttl_ms: u64,
    /// Credentials found that are kept.
    pub found: u64,
    /// Ids not found that are kept.
    pub missed: u64,
    /// Look-ups at once; more wait.
    pub at_once: usize,
    /// How long one may wait for its turn and its answer, together.
    pub wait_ms: u64,
}

impl Default for LookupLimits {
    fn default() -> Self {
        Self { ttl_ms: 4_000, found: 20_000, missed: 50_000, at_once: 8, wait_ms: 2_000 }
    }
}

type Load<V> = dyn Fn(String) -> BoxFuture<'static, Result<Option<V>, BoxError>> + Send + Sync;

/// A cached look-up by public id. Clones share the memory.
#[derive(Clone)]
pub struct Lookup<V> {
    found: Cache<String, V>,
    missed: Cache<String, ()>,
    turns: Arc<Semaphore>,
    wait: Duration,
    load: Arc<Load<V>>,
}

/// Why nothing came back.
enum Nothing {
    Missed,
    Away(String),
}

impl<V: Clone + Send + Sync + 'static> Lookup<V> {
    /// `load` asks the store; it is called once at a time per id.
    pub fn new<F>(limits: LookupLimits, load: F) -> Self
    where
        F: Fn(String) -> BoxFuture<'static, Result<Option<V>, BoxError>> + Send + Sync + 'static,
    {
        let ttl = Duration::from_millis(limits.ttl_ms);
        Self {
            found: Cache::builder().max_capacity(limits.found).time_to_live(ttl).build(),
            missed: Cache::builder().max_capacity(limits.missed).time_to_live(ttl).build(),
            turns: Arc::new(Semaphore::new(limits.at_once.max(1))),
            wait: Duration::from_millis(limits.wait_ms),
            load: Arc::new(load),
        }
    }

    /// What the store has for `id`, as of at most the TTL ago.
    ///
    /// # Errors
    /// 503 `credentials_unavailable` when the store cannot be asked: never a yes, never a no.
    pub async fn get(&self, id: &str) -> Result<Option<V>, Problem> {
        if self.missed.contains_key(id) {
            return Ok(None);
        }
        let asked = self.found.try_get_with_by_ref(id, self.ask(id)).await;
        match asked.as_ref().map_err(Arc::as_ref) {
            Ok(value) => Ok(Some(value.clone())),
            Err(Nothing::Missed) => {
                self.missed.insert(id.to_owned(), ()).await;
                Ok(None)
            }
            Err(Nothing::Away(reason)) => {
                tracing::warn!(reason, "credentials cannot be looked up");
                let message = "credentials cannot be checked at the moment";
                Err(Problem::unavailable("credentials_unavailable", message))
            }
        }
    }

    async fn ask(&self, id: &str) -> Result<V, Nothing> {
        let asked = async {
            let _turn = self.turns.acquire().await?;
            (self.load)(id.to_owned()).await
        };
        match tokio::time::timeout(self.wait, asked).await {
            Ok(Ok(Some(value))) => Ok(value),
            Ok(Ok(None)) => Err(Nothing::Missed),
            Ok(Err(error)) => Err(Nothing::Away(chain(error.as_ref()))),
            Err(_) => Err(Nothing::Away("no answer in time".to_owned())),
        }
    }
}

/// An error with its causes, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
