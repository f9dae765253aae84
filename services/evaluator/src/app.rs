//! Puts the service together: ports, consumers, relay, and the order in which they end.

use crate::api;
use crate::configuration::Configurations;
use crate::consume::commands::Commands;
use crate::consume::events_stored::EventsStored;
use crate::evaluate::{Bounds, Evaluator};
use crate::metrics::Metrics;
use crate::settings::{EvaluationSettings, Settings};
use actix_web::web::Data;
use bus::{Bus, Consume, Handler, Queue, Relay};
use domain::outbox::{BoxError, BoxFuture};
use pg::Db;
use runtime::{Context, Shutdown, Tasks};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use web::{AdminPort, KeyStore, Keys, StoredKey};

const QUEUES: &[Queue] = &[Queue::EvaluatorEvents, Queue::EvaluatorCommands];

/// The wait before a database that did not answer is asked again whether it is as it must be.
const CHECK_AGAIN: Duration = Duration::from_millis(500);

/// Starts the service: opens its ports, spawns its tasks and returns. Nothing is consumed before the database was found to be as
/// it must be.
pub async fn start(context: Context<Settings>) -> anyhow::Result<()> {
    let Context {
        settings,
        tasks,
        shutdown,
        handle,
        metrics: exposed,
        ..
    } = context;
    let db = Db::connect(&settings.database, "evaluator", handle.clone())?;
    let bus = Bus::connect(settings.bus, QUEUES, shutdown.draining(), handle);
    let stages = Stages {
        checked: CancellationToken::new(),
        shutdown: shutdown.clone(),
    };

    let (data, keys) = (
        Data::new(db.clone()),
        Data::new(Keys::new(PgKeys(db.clone()))),
    );
    let admin = stages
        .clone()
        .admin(AdminPort::new(exposed.registry), &db, &bus);
    let bound = web::bind(&settings.http, admin, move |config| {
        config.app_data(data.clone()).app_data(keys.clone());
        api::routes(config);
    })?;
    tasks.spawn("http", bound.run(shutdown.draining().cancelled_owned()));
    tasks.spawn("self_check", stages.clone().self_check(db.clone()));
    consume(&db, &bus, settings.evaluation, &tasks, &stages);
    tasks.spawn_last(
        "relay",
        Relay::run(db.outbox(), bus.publisher(), shutdown.flushing()),
    );
    Ok(())
}

fn consume(db: &Db, bus: &Bus, settings: EvaluationSettings, tasks: &Tasks, stages: &Stages) {
    let metrics = Metrics::new();
    let bounds = Bounds {
        transaction_pairs: settings.transaction_pairs,
        transactions_at_once: settings.transactions_at_once,
    };
    let configurations = Arc::new(Configurations::new(
        db.clone(),
        metrics.clone(),
        settings.max_tenants,
    ));
    let evaluator = Evaluator::new(db.clone(), metrics.clone(), bounds);
    let spawn = |name, handler: Arc<dyn Handler>, consume: Consume| {
        let consumed = bus.consume(consume, handler, db.dead_letters());
        tasks.spawn(name, stages.clone().once_checked(consumed));
    };
    let commands = Commands {
        db: db.clone(),
        configurations: Arc::clone(&configurations),
        evaluator: evaluator.clone(),
    };
    let rechecks = Consume {
        queue: Queue::EvaluatorCommands,
        max_messages: settings.max_rechecks,
        prefetch: settings.prefetch,
    };
    spawn("commands", Arc::new(commands), rechecks);
    let events = Arc::new(EventsStored {
        configurations,
        evaluator,
        metrics,
        max_events: settings.max_events,
    });
    let chunks = Consume {
        queue: Queue::EvaluatorEvents,
        max_messages: settings.max_messages,
        prefetch: settings.prefetch,
    };
    for _ in 0..settings.consumers {
        spawn("events", Arc::clone(&events) as Arc<dyn Handler>, chunks);
    }
    for queue in QUEUES {
        let drained = bus.drain_dead(*queue, db.dead_letters());
        tasks.spawn("dead_letters", stages.clone().once_checked(drained));
    }
}

/// From when on the service works, and until when.
#[derive(Clone)]
struct Stages {
    checked: CancellationToken,
    shutdown: Shutdown,
}

impl Stages {
    /// Runs `work` once the database was checked; not at all if the end comes first.
    async fn once_checked(self, work: impl Future<Output = ()>) {
        let draining = self.shutdown.draining();
        tokio::select! {
            biased;
            () = self.checked.cancelled() => work.await,
            () = draining.cancelled() => {}
        }
    }

    /// Asks until the database answers; ends the service if it is not as it must be.
    async fn self_check(self, db: Db) -> anyhow::Result<()> {
        let draining = self.shutdown.draining();
        while !draining.is_cancelled() {
            match db.self_check().await {
                Ok(Ok(())) => {
                    self.checked.cancel();
                    break;
                }
                Ok(Err(sentence)) => anyhow::bail!(sentence),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the database does not answer yet"
                    );
                    tokio::time::sleep(CHECK_AGAIN).await;
                }
            }
        }
        draining.cancelled().await;
        Ok(())
    }

    /// Ready while enrollments can be served and events arrive.
    fn admin(self, admin: AdminPort, db: &Db, bus: &Bus) -> AdminPort {
        let (db, bus, Self { checked, shutdown }) = (db.clone(), bus.clone(), self);
        admin
            .check("serving", move || !shutdown.is_stopping())
            .check("self_check", move || checked.is_cancelled())
            .check("bus", move || bus.ready())
            .probe("database", move || {
                let db = db.clone();
                Box::pin(async move { db.ping().await.is_ok() })
            })
    }
}

/// API keys as this service's system login sees them.
struct PgKeys(Db);

impl KeyStore for PgKeys {
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<StoredKey>, BoxError>> {
        Box::pin(async move {
            let Some(key) = pg::credentials::find_api_key(&self.0, id).await? else {
                return Ok(None);
            };
            let hash = key
                .secret_hash
                .try_into()
                .map_err(|_| "a stored hash is not 32 bytes long")?;
            Ok(Some(StoredKey {
                hash,
                tenant: key.tenant,
                role: key.role.parse()?,
            }))
        })
    }
}
