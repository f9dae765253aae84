//! Puts the service together: doors, queue, committers, relay, and the order in which they end.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Consume, Queue, Relay};
use futures_util::future::join_all;
use pg::Db;
use runtime::{Context, Gate, Metrics as Exposed, Shutdown, Tasks};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use web::body::Limits;
use web::{AdminPort, Identity, RateLimit};

use crate::api::{self, Api};
use crate::committer::Committer;
use crate::consume::domain_events::DomainEvents;
use crate::consume::erasure::Erasure;
use crate::door::Door;
use crate::intake::{Intake, Job, Spool};
use crate::metrics::Metrics;
use crate::partitions;
use crate::schemas::Schemas;
use crate::senders::Senders;
use crate::settings::Settings;

const QUEUES: &[Queue] = &[Queue::IngestDomain, Queue::IngestErasure];
/// Erasures, and reports of them, that are taken at once; they are carried out one after the other.
const MAX_ERASURES: usize = 16;

/// Starts the service: opens its ports, spawns its tasks and returns. Nothing is stored before the
/// database was found to be as it must be.
pub async fn start(context: Context<Settings>) -> anyhow::Result<()> {
    let Context { settings, tasks, shutdown, handle, metrics: exposed, .. } = context;
    let db = Db::connect(&settings.database, "ingest", handle.clone())?;
    let bus = Bus::connect(settings.bus.clone(), QUEUES, shutdown.draining(), handle);
    let metrics = Arc::new(Metrics::new());
    // However small the queue is made, one request always fits.
    let request_bytes = settings.intake.max_body_bytes.max(settings.intake.max_expanded_bytes);
    let queue_bytes = settings.intake.queue_max_bytes.max(request_bytes);
    let queue_events = settings.intake.queue_max_events.max(api::MAX_EVENTS);
    let (intake, jobs) =
        Intake::new(queue_bytes, queue_events, Spool::new(db.clone(), settings.intake.spool_max_bytes));
    let answer_timeout = Duration::from_millis(settings.intake.answer_timeout_ms);
    let door = Door::new(intake, Schemas::compile()?, Arc::clone(&metrics), answer_timeout);
    let senders = Arc::new(Senders::new(&db, settings.lookup));
    let gate = Gate::new(&shutdown);
    let app = App { settings, tasks, gate, shutdown, db, bus, door: Arc::new(door), senders };
    app.open_http(exposed)?;
    app.open_bus();
    app.store(jobs, metrics);
    Ok(())
}

/// The parts that are put together.
struct App {
    settings: Settings,
    tasks: Tasks,
    gate: Gate,
    shutdown: Shutdown,
    db: Db,
    bus: Bus,
    door: Arc<Door>,
    senders: Arc<Senders>,
}

impl App {
    fn open_http(&self, exposed: Exposed) -> anyhow::Result<()> {
        let settings = &self.settings;
        let (identity, keeper) = Identity::open(self.db.clone(), &settings.identity, settings.http.rate_limit)?;
        self.tasks.spawn("jwks", keeper.run(self.shutdown.draining().cancelled_owned()));
        let api = Arc::new(Api {
            door: Arc::clone(&self.door),
            senders: Arc::clone(&self.senders),
            body: Limits {
                max_bytes: self.settings.intake.max_body_bytes,
                deadline_ms: self.settings.intake.body_deadline_ms,
            },
            max_expanded_bytes: self.settings.intake.max_expanded_bytes,
            limit: RateLimit::new(self.settings.http.rate_limit),
            browser_limit: RateLimit::new(self.settings.browser.rate_limit),
            identity,
            db: self.db.clone(),
            erase_wait: Duration::from_millis(settings.people.erase_wait_ms),
        });
        let admin = self.admin(AdminPort::new(exposed.registry));
        let operations = api::operations();
        let routes = move |config: &mut _| api::routes(config, &operations, &api);
        let bound = web::bind(&self.settings.http, admin, routes)?;
        let draining = self.shutdown.draining();
        self.tasks.spawn("http", bound.run(draining.cancelled_owned()));
        let db = self.db.clone();
        let ask = move || {
            let db = db.clone();
            async move { db.self_check().await }
        };
        self.tasks.spawn("self_check", self.gate.clone().keep(ask));
        self.tasks.spawn("watch", self.db.clone().watch(self.shutdown.draining().cancelled_owned()));
        self.tasks.spawn("watch_partitions", partitions::watch(self.db.clone(), self.shutdown.draining()));
        Ok(())
    }

    fn open_bus(&self) {
        let handler = Arc::new(DomainEvents {
            door: Arc::clone(&self.door),
            senders: Arc::clone(&self.senders),
            max_bytes: self.settings.intake.max_body_bytes,
        });
        let consume = Consume {
            queue: Queue::IngestDomain,
            max_messages: self.settings.domain_events.max_messages,
            prefetch: self.settings.domain_events.prefetch,
        };
        let consumed = self.bus.consume(consume, handler, self.db.dead_letters());
        self.tasks.spawn("domain_events", self.gate.clone().once_open(consumed));
        let erasure = Arc::new(Erasure { db: self.db.clone() });
        let consume = Consume { queue: Queue::IngestErasure, max_messages: MAX_ERASURES, prefetch: 0 };
        let consumed = self.bus.consume(consume, erasure, self.db.dead_letters());
        self.tasks.spawn("erasure", self.gate.clone().once_open(consumed));
        for &queue in QUEUES {
            let drained = self.bus.drain_dead(queue, self.db.dead_letters());
            self.tasks.spawn("dead_letters", self.gate.clone().once_open(drained));
        }
    }

    fn store(self, jobs: UnboundedReceiver<Job>, metrics: Arc<Metrics>) {
        let limits = self.settings.commit;
        let committer = Committer::new(self.db.clone(), jobs, limits, metrics);
        let flushing = self.shutdown.flushing();
        let all_stored = CancellationToken::new();
        let relay = Relay::run(self.db.outbox(), self.bus.publisher(), all_stored.clone());
        self.tasks.spawn_last("committers", async move {
            // However they end, by a panic too: the relay waits for nobody who is gone.
            let _all_stored = all_stored.drop_guard();
            let run = |_| committer.clone().run(flushing.clone());
            let committers = join_all((0..limits.committers.max(1)).map(run));
            self.gate.once_open(committers).await;
        });
        self.tasks.spawn_last("relay", relay);
    }

    /// Ready while events can be stored. The broker is no part of it: while it is away the outbox
    /// keeps what it has to be told.
    fn admin(&self, admin: AdminPort) -> AdminPort {
        let (db, gate, shutdown) = (self.db.clone(), self.gate.clone(), self.shutdown.clone());
        admin.check("serving", move || !shutdown.is_stopping()).check("self_check", move || gate.is_open()).probe(
            "database",
            move || {
                let db = db.clone();
                Box::pin(async move { db.ping().await.is_ok() })
            },
        )
    }
}
