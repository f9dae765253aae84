//! Puts the service together.

use crate::api::{self, Answers};
use crate::kept::Kept;
use crate::settings::Settings;
use actix_web::web::Data;
use pg::Db;
use runtime::{Context, Gate};
use std::time::Duration;
use web::{AdminPort, Identity};

/// Starts the service: spawns its tasks and returns. The ports are open when it does.
pub async fn start(context: Context<Settings>) -> anyhow::Result<()> {
    let Context { settings, tasks, shutdown, handle, metrics, .. } = context;
    let db = Db::connect(&settings.database, "analytics", handle)?;
    let (identity, keeper) = Identity::open(db.clone(), &settings.identity, settings.http.rate_limit)?;
    let (entries, kept) = (settings.statistics.cache_entries, Duration::from_secs(settings.statistics.cache_seconds));
    let answers = Answers {
        statistics: Data::new(Kept::new(db.clone(), entries, kept)),
        rankings: Data::new(Kept::new(db.clone(), entries, kept)),
        db: Data::new(db.clone()),
    };

    let gate = Gate::new(&shutdown);
    let (stage, passed, pinged) = (shutdown.clone(), gate.clone(), db.clone());
    let admin = AdminPort::new(metrics.registry)
        .check("serving", move || !stage.is_stopping())
        .check("self_check", move || passed.is_open())
        .probe("database", move || {
            let db = pinged.clone();
            Box::pin(async move { db.ping().await.is_ok() })
        });
    let operations = api::operations();
    let bound = web::bind(&settings.http, admin, move |config| api::routes(config, &operations, &answers, &identity))?;
    tasks.spawn("http", bound.run(shutdown.draining().cancelled_owned()));
    tasks.spawn("jwks", keeper.run(shutdown.draining().cancelled_owned()));
    tasks.spawn("watch", db.clone().watch(shutdown.draining().cancelled_owned()));
    let ask = move || {
        let db = db.clone();
        async move { db.self_check().await }
    };
    tasks.spawn("self_check", gate.keep(ask));
    Ok(())
}
