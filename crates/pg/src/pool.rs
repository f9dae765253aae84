//! The pools of a service's two logins. actix workers each run a runtime of their own, and a connection that was opened on
//! one would die with it: so every connection is opened on, and driven by, the main runtime.

use crate::metrics::Metrics;
use crate::{Error, Settings};
use deadpool_postgres::{Connect, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use domain::outbox::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

const POOL_WAIT: Duration = Duration::from_secs(1);
const CONNECT_WAIT: Duration = Duration::from_secs(3);
const PING_WAIT: Duration = Duration::from_secs(2);

/// The database of one service. Cheap to clone.
#[derive(Clone)]
pub struct Db(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) tenant: Pool,
    pub(crate) system: Pool,
    pub(crate) schema: &'static str,
    pub(crate) handle: Handle,
    pub(crate) tx_timeout: Duration,
    pub(crate) outbox_written: Notify,
    pub(crate) outbox_bytes: AtomicU64,
    pub(crate) metrics: Arc<Metrics>,
}

impl Db {
    /// Prepares the pools; no connection is made before the first transaction. `schema` is the service's own. Fails only on
    /// a URL that cannot be read.
    pub fn connect(settings: &Settings, schema: &'static str, handle: Handle) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            tenant: pool(&settings.url, settings.pool_size, schema, &handle)?,
            system: pool(&settings.system_url, settings.system_pool_size, schema, &handle)?,
            schema,
            handle,
            tx_timeout: Duration::from_millis(settings.tx_timeout_ms),
            outbox_written: Notify::new(),
            outbox_bytes: AtomicU64::new(0),
            metrics: Arc::new(Metrics::new()),
        })))
    }

    /// Whether the database answers, on both logins. For readiness.
    #[expect(clippy::disallowed_methods, reason = "connections are used on the main runtime only")]
    pub async fn ping(&self) -> Result<(), Error> {
        let db = self.clone();
        let answer = self.0.handle.spawn(async move {
            for pool in [&db.0.tenant, &db.0.system] {
                let client = pool.get().await.map_err(|error| Error::Pool(error.to_string()))?;
                let Ok(answer) = tokio::time::timeout(PING_WAIT, client.simple_query("SELECT 1")).await else {
                    // It would be lent again, and keep the next one waiting.
                    drop(Object::take(client));
                    return Err(Error::Timeout("ping"));
                };
                answer?;
            }
            Ok(())
        });
        answer.await.unwrap_or(Err(Error::Panicked("ping")))
    }

    /// Closes the pools. What is borrowed is closed when it comes back.
    pub fn close(&self) {
        self.0.tenant.close();
        self.0.system.close();
    }
}

fn pool(url: &str, size: usize, application: &str, handle: &Handle) -> Result<Pool, Error> {
    let mut config: Config = url.parse().map_err(|_| Error::Pool("the database URL cannot be read".to_owned()))?;
    config.application_name(format!("goalpost-{application}"));
    config.connect_timeout(CONNECT_WAIT);
    config.keepalives_idle(Duration::from_secs(30));
    config.tcp_user_timeout(Duration::from_secs(30));
    let manager = Manager::from_connect(
        config,
        PinnedConnect(handle.clone()),
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    Pool::builder(manager)
        .max_size(size.max(1))
        .wait_timeout(Some(POOL_WAIT))
        .create_timeout(Some(CONNECT_WAIT))
        .recycle_timeout(Some(POOL_WAIT))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| Error::Pool(error.to_string()))
}

/// Opens connections on the main runtime, whoever asks for one.
struct PinnedConnect(Handle);

impl Connect for PinnedConnect {
    #[expect(
        clippy::disallowed_methods,
        reason = "the driver of a connection lives as long as the connection, on the main runtime"
    )]
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let (config, handle) = (config.clone(), self.0.clone());
        Box::pin(async move {
            let (client, connection) = config.connect(NoTls).await?;
            let driver = handle.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a database connection ended");
                }
            });
            Ok((client, driver))
        })
    }
}
