//! Puts the service together: ports, consumers, relay, and the order in which they end.

use crate::announce::Announcer;
use crate::api;
use crate::backlog::Backlog;
use crate::configuration::Configurations;
use crate::consume::commands::Commands;
use crate::consume::erasure::Erasure;
use crate::consume::events_stored::EventsStored;
use crate::evaluate::{Bounds, Evaluator};
use crate::metrics::Metrics;
use crate::settings::{EvaluationSettings, Settings};
use crate::simulate::Simulations;
use actix_web::web::Data;
use bus::{Bus, Consume, Handler, Queue, Relay};
use pg::Db;
use runtime::{Context, Gate, Shutdown, Tasks};
use std::sync::Arc;
use web::{AdminPort, Identity};

const QUEUES: &[Queue] = &[Queue::EvaluatorEvents, Queue::EvaluatorCommands, Queue::EvaluatorErasure];
/// Erasures that are taken at once; they are carried out one after the other.
const MAX_ERASURES: usize = 4;

/// Starts the service: opens its ports, spawns its tasks and returns. Nothing is consumed before the database was found to be as
/// it must be.
pub async fn start(context: Context<Settings>) -> anyhow::Result<()> {
    let Context { settings, tasks, shutdown, handle, metrics: exposed, .. } = context;
    let db = Db::connect(&settings.database, "evaluator", handle.clone())?;
    let bus = Bus::connect(settings.bus, QUEUES, shutdown.draining(), handle);
    let gate = Gate::new(&shutdown);

    let operations = api::operations();
    let (identity, keeper) = Identity::open(db.clone(), &settings.identity, settings.http.rate_limit)?;
    let (data, identity) = (Data::new(db.clone()), Data::new(identity));
    let simulations = Data::new(Simulations::new(db.clone(), settings.simulation));
    let admin = admin(AdminPort::new(exposed.registry), &db, &bus, (&gate, &shutdown));
    let bound = web::bind(&settings.http, admin, move |config| {
        config.app_data(data.clone()).app_data(identity.clone()).app_data(simulations.clone());
        operations.register(config);
    })?;
    tasks.spawn("http", bound.run(shutdown.draining().cancelled_owned()));
    tasks.spawn("jwks", keeper.run(shutdown.draining().cancelled_owned()));
    let checked = db.clone();
    let ask = move || {
        let db = checked.clone();
        async move { db.self_check().await }
    };
    tasks.spawn("self_check", gate.clone().keep(ask));
    let metrics = Metrics::new();
    let announcing = Announcer::new(db.clone(), metrics.clone(), settings.announcing).run(shutdown.draining());
    tasks.spawn("announcing", gate.clone().once_open(announcing));
    consume((&db, &metrics), &bus, settings.evaluation, &tasks, (&gate, &shutdown));
    tasks.spawn("watch", db.clone().watch(shutdown.draining().cancelled_owned()));
    tasks.spawn_last("relay", Relay::run(db.outbox(), bus.publisher(), shutdown.flushing()));
    Ok(())
}

fn consume(
    (db, metrics): (&Db, &Metrics),
    bus: &Bus,
    settings: EvaluationSettings,
    tasks: &Tasks,
    (gate, shutdown): (&Gate, &Shutdown),
) {
    let (metrics, backlog) = (metrics.clone(), Backlog::default());
    let window = u64::from(settings.prefetch) * u64::try_from(settings.consumers).unwrap_or(u64::MAX);
    let watched = backlog.clone().watch(bus.clone(), metrics.clone(), window, shutdown.draining());
    tasks.spawn("backlog", gate.clone().once_open(watched));
    let bounds =
        Bounds { transaction_pairs: settings.transaction_pairs, transactions_at_once: settings.transactions_at_once };
    let configurations = Arc::new(Configurations::new(db.clone(), metrics.clone(), settings.max_tenants));
    let evaluator = Evaluator::new(db.clone(), metrics.clone(), bounds);
    let spawn = |name, handler: Arc<dyn Handler>, consume: Consume| {
        let consumed = bus.consume(consume, handler, db.dead_letters());
        tasks.spawn(name, gate.clone().once_open(consumed));
    };
    let commands = Commands {
        db: db.clone(),
        configurations: Arc::clone(&configurations),
        evaluator: evaluator.clone(),
        metrics: metrics.clone(),
    };
    let rechecks =
        Consume { queue: Queue::EvaluatorCommands, max_messages: settings.max_rechecks, prefetch: settings.prefetch };
    spawn("commands", Arc::new(commands), rechecks);
    let erasure = Erasure { db: db.clone(), metrics: metrics.clone() };
    let erasures = Consume { queue: Queue::EvaluatorErasure, max_messages: MAX_ERASURES, prefetch: 0 };
    spawn("erasure", Arc::new(erasure), erasures);
    let max_events = settings.max_events;
    let events = Arc::new(EventsStored { configurations, evaluator, metrics, max_events, backlog });
    let chunks =
        Consume { queue: Queue::EvaluatorEvents, max_messages: settings.max_messages, prefetch: settings.prefetch };
    for _ in 0..settings.consumers {
        spawn("events", Arc::clone(&events) as Arc<dyn Handler>, chunks);
    }
    for queue in QUEUES {
        let drained = bus.drain_dead(*queue, db.dead_letters());
        tasks.spawn("dead_letters", gate.clone().once_open(drained));
    }
}

/// Ready while enrollments can be served and events arrive.
fn admin(admin: AdminPort, db: &Db, bus: &Bus, (gate, shutdown): (&Gate, &Shutdown)) -> AdminPort {
    let (db, bus, gate, shutdown) = (db.clone(), bus.clone(), gate.clone(), shutdown.clone());
    admin
        .check("serving", move || !shutdown.is_stopping())
        .check("self_check", move || gate.is_open())
        .check("bus", move || bus.ready())
        .probe("database", move || {
            let db = db.clone();
            Box::pin(async move { db.ping().await.is_ok() })
        })
}
