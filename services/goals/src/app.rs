//! Puts the service together: ports, relay, gauge, and what it waits for before it counts as ready.

use std::time::Duration;

use bus::{Bus, Relay};
use domain::outbox::{BoxError, BoxFuture};
use pg::Db;
use runtime::{Context, Shutdown};
use tokio_util::sync::CancellationToken;
use web::{AdminPort, KeyStore, Keys, StoredKey};

use crate::api::{self, App};
use crate::listeners;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// The wait before a database that did not answer is asked again whether it is as it must be.
const CHECK_AGAIN: Duration = Duration::from_millis(500);

/// Starts the service: opens its ports, spawns its tasks and returns.
pub async fn start(context: Context<Settings>) -> anyhow::Result<()> {
    let Context {
        settings,
        tasks,
        shutdown,
        handle,
        metrics: exposed,
        ..
    } = context;
    let db = Db::connect(&settings.database, "goals", handle.clone())?;
    let bus = Bus::connect(settings.bus, &[], shutdown.flushing(), handle);
    let metrics = Metrics::new();
    let (app, keys) = (
        App {
            db: db.clone(),
            metrics: metrics.clone(),
        },
        Keys::new(PgKeys(db.clone())),
    );

    let checked = CancellationToken::new();
    let admin = admin(AdminPort::new(exposed.registry), &db, &checked, &shutdown);
    let bound = web::bind(&settings.http, admin, move |config| {
        api::routes(config, &app, &keys)
    })?;
    tasks.spawn("http", bound.run(shutdown.draining().cancelled_owned()));
    tasks.spawn(
        "self_check",
        self_check(db.clone(), checked, shutdown.draining()),
    );
    let every = Duration::from_secs(settings.listeners.count_every_seconds.get());
    tasks.spawn(
        "count_listeners",
        listeners::count_until(db.clone(), metrics, every, shutdown.draining()),
    );
    tasks.spawn_last(
        "relay",
        Relay::run(db.outbox(), bus.publisher(), shutdown.flushing()),
    );
    Ok(())
}

/// Ready while configuration can be read and changed. The broker is no part of it: while it is away the outbox keeps what it
/// has to be told.
fn admin(admin: AdminPort, db: &Db, checked: &CancellationToken, shutdown: &Shutdown) -> AdminPort {
    let (db, checked, shutdown) = (db.clone(), checked.clone(), shutdown.clone());
    admin
        .check("serving", move || !shutdown.is_stopping())
        .check("self_check", move || checked.is_cancelled())
        .probe("database", move || {
            let db = db.clone();
            Box::pin(async move { db.ping().await.is_ok() })
        })
}

/// Asks until the database answers; ends the service if it is not as it must be.
async fn self_check(
    db: Db,
    checked: CancellationToken,
    end: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        match db.self_check().await {
            Ok(Ok(())) => break,
            Ok(Err(sentence)) => anyhow::bail!(sentence),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the database does not answer yet"
            ),
        }
        tokio::select! {
            () = end.cancelled() => return Ok(()),
            () = tokio::time::sleep(CHECK_AGAIN) => {}
        }
    }
    checked.cancel();
    end.cancelled().await;
    Ok(())
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
