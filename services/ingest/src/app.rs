//! Puts the service together: doors, queue, committers, relay, and the order in which they end.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Consume, Queue, Relay};
use futures_util::future::join_all;
use pg::Db;
use runtime::{Context, Shutdown};
use tokio_util::sync::CancellationToken;
use web::AdminPort;
use web::body::Limits;

use crate::api::{self, Api};
use crate::committer::Committer;
use crate::consume::domain_events::DomainEvents;
use crate::door::Door;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::schemas::Schemas;
use crate::senders::Senders;
use crate::settings::Settings;

/// The wait before a database that did not answer is asked again whether it is as it must be.
const CHECK_AGAIN: Duration = Duration::from_millis(500);

/// Starts the service: opens its ports, spawns its tasks and returns. Nothing is stored before the
/// database was found to be as it must be.
pub async fn start(context: Context<Settings>) -> anyhow::Result<()> {
    let Context {
        settings,
        tasks,
        shutdown,
        handle,
        metrics: exposed,
        ..
    } = context;
    let db = Db::connect(&settings.database, "ingest", handle.clone())?;
    let bus = Bus::connect(
        settings.bus.clone(),
        &[Queue::IngestDomain],
        shutdown.draining(),
        handle,
    );
    let metrics = Arc::new(Metrics::new());
    // However small the queue is made, one request always fits.
    let queue_bytes = settings
        .intake
        .queue_max_bytes
        .max(settings.intake.max_body_bytes);
    let (intake, jobs) = Intake::new(
        queue_bytes,
        settings.intake.queue_max_events.max(api::MAX_EVENTS),
    );
    let answer_timeout = Duration::from_millis(settings.intake.answer_timeout_ms);
    let door = Arc::new(Door::new(
        intake,
        Schemas::compile()?,
        Arc::clone(&metrics),
        answer_timeout,
    ));
    let senders = Arc::new(Senders::new(&db, settings.lookup));
    let (max_bytes, deadline_ms) = (
        settings.intake.max_body_bytes,
        settings.intake.body_deadline_ms,
    );
    let checked = CancellationToken::new();
    let stages = Stages {
        checked: checked.clone(),
        shutdown: shutdown.clone(),
    };

    let api = Api {
        door: Arc::clone(&door),
        senders: Arc::clone(&senders),
        body: Limits {
            max_bytes,
            deadline_ms,
        },
    };
    let api = Arc::new(api);
    let admin = stages.clone().admin(AdminPort::new(exposed.registry), &db);
    let bound = web::bind(&settings.http, admin, move |config| {
        api::routes(config, &api)
    })?;
    tasks.spawn("http", bound.run(shutdown.draining().cancelled_owned()));
    tasks.spawn("self_check", stages.clone().self_check(db.clone()));

    let handler = Arc::new(DomainEvents {
        door,
        senders,
        max_bytes,
    });
    let consume = Consume {
        queue: Queue::IngestDomain,
        max_messages: settings.domain_events.max_messages,
        prefetch: settings.domain_events.prefetch,
    };
    let consumed = bus.consume(consume, handler, db.dead_letters());
    tasks.spawn("domain_events", stages.clone().once_checked(consumed));
    let drained = bus.drain_dead(Queue::IngestDomain, db.dead_letters());
    tasks.spawn("dead_domain_events", stages.clone().once_checked(drained));

    let committer = Committer::new(db.clone(), jobs, settings.commit, metrics);
    let stored = CancellationToken::new();
    let (flushing, all_stored) = (shutdown.flushing(), stored.clone());
    tasks.spawn_last("committers", async move {
        let committers =
            (0..settings.commit.committers.max(1)).map(|_| committer.clone().run(flushing.clone()));
        stages.once_checked(join_all(committers)).await;
        // Only now the outbox has all that it will have.
        all_stored.cancel();
    });
    tasks.spawn_last("relay", Relay::run(db.outbox(), bus.publisher(), stored));
    Ok(())
}

/// From when on the service serves, and until when.
#[derive(Clone)]
struct Stages {
    checked: CancellationToken,
    shutdown: Shutdown,
}

impl Stages {
    /// Runs `work` once the database was checked; not at all if the end comes first.
    async fn once_checked<T>(self, work: impl Future<Output = T>) {
        let draining = self.shutdown.draining();
        tokio::select! {
            biased;
            () = self.checked.cancelled() => drop(work.await),
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

    /// Ready while events can be stored. The broker is no part of it: while it is away the outbox
    /// keeps what it has to be told.
    fn admin(self, admin: AdminPort, db: &Db) -> AdminPort {
        let (db, Self { checked, shutdown }) = (db.clone(), self);
        admin
            .check("serving", move || !shutdown.is_stopping())
            .check("self_check", move || checked.is_cancelled())
            .probe("database", move || {
                let db = db.clone();
                Box::pin(async move { db.ping().await.is_ok() })
            })
    }
}
