//! Puts the service together: ports, relay, gauge, and what it waits for before it counts as ready.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Consume, Handler, Queue, Relay};
use pg::Db;
use runtime::{Context, Gate, Shutdown, Tasks};
use web::{AdminPort, Identity};

use crate::api::{self, App};
use crate::consume::commands::Commands;
use crate::consume::erasure::Erasure;
use crate::listeners;
use crate::metrics::Metrics;
use crate::settings::Settings;

const QUEUES: &[Queue] = &[Queue::GoalsCommands, Queue::GoalsErasure];
/// Commands that are taken at once; they are carried out one after the other.
const MAX_COMMANDS: usize = 16;

/// Starts the service: opens its ports, spawns its tasks and returns.
pub async fn start(context: Context<Settings>) -> anyhow::Result<()> {
    let Context { settings, tasks, shutdown, handle, metrics: exposed, .. } = context;
    let db = Db::connect(&settings.database, "goals", handle.clone())?;
    let bus = Bus::connect(settings.bus, QUEUES, shutdown.draining(), handle);
    let metrics = Metrics::new();
    let app = App { db: db.clone(), metrics: metrics.clone() };
    let (identity, keeper) = Identity::open(db.clone(), &settings.identity, settings.http.rate_limit)?;

    let (gate, operations) = (Gate::new(&shutdown), api::operations());
    let admin = admin(AdminPort::new(exposed.registry), &db, &gate, &shutdown);
    let bound = web::bind(&settings.http, admin, move |config| api::routes(config, &operations, &app, &identity))?;
    tasks.spawn("http", bound.run(shutdown.draining().cancelled_owned()));
    tasks.spawn("jwks", keeper.run(shutdown.draining().cancelled_owned()));
    let checked = db.clone();
    let ask = move || {
        let db = checked.clone();
        async move { db.self_check().await }
    };
    tasks.spawn("self_check", gate.clone().keep(ask));
    consume(&bus, &db, &metrics, &tasks, &gate);
    let every = Duration::from_secs(settings.listeners.count_every_seconds.get());
    tasks.spawn("count_listeners", listeners::count_until(db.clone(), metrics, every, shutdown.draining()));
    tasks.spawn("watch", db.clone().watch(shutdown.draining().cancelled_owned()));
    tasks.spawn_last("relay", Relay::run(db.outbox(), bus.publisher(), shutdown.flushing()));
    Ok(())
}

fn consume(bus: &Bus, db: &Db, metrics: &Metrics, tasks: &Tasks, gate: &Gate) {
    let commands = Arc::new(Commands { db: db.clone(), metrics: metrics.clone() });
    let erasure = Arc::new(Erasure { db: db.clone(), metrics: metrics.clone() });
    let handlers: [(&str, Queue, Arc<dyn Handler>); 2] =
        [("commands", Queue::GoalsCommands, commands), ("erasure", Queue::GoalsErasure, erasure)];
    for (name, queue, handler) in handlers {
        let consumed =
            bus.consume(Consume { queue, max_messages: MAX_COMMANDS, prefetch: 0 }, handler, db.dead_letters());
        tasks.spawn(name, gate.clone().once_open(consumed));
        let drained = bus.drain_dead(queue, db.dead_letters());
        tasks.spawn("dead_letters", gate.clone().once_open(drained));
    }
}

/// Ready while configuration can be read and changed. The broker is no part of it: while it is away the outbox keeps what it
/// has to be told.
fn admin(admin: AdminPort, db: &Db, gate: &Gate, shutdown: &Shutdown) -> AdminPort {
    let (db, gate, shutdown) = (db.clone(), gate.clone(), shutdown.clone());
    admin.check("serving", move || !shutdown.is_stopping()).check("self_check", move || gate.is_open()).probe(
        "database",
        move || {
            let db = db.clone();
            Box::pin(async move { db.ping().await.is_ok() })
        },
    )
}
