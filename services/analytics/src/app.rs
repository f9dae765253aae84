//! Puts the service together.

use crate::api::{self, Api};
use crate::limit::Limit;
use crate::settings::Settings;
use crate::statistics::Answers;
use crate::store::keys::PgKeys;
use actix_web::web::Data;
use pg::Db;
use runtime::Context;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use web::{AdminPort, Keys};

/// The wait before an unreachable database is asked again whether it is as it must be.
const CHECK_AGAIN: Duration = Duration::from_millis(500);

/// Starts the service: spawns its tasks and returns. The ports are open when it does.
pub async fn start(context: Context<Settings>) -> anyhow::Result<()> {
    let Context {
        settings,
        tasks,
        shutdown,
        handle,
        metrics,
        ..
    } = context;
    let db = Db::connect(&settings.database, "analytics", handle)?;
    let keys = Keys::new(PgKeys(db.clone()));
    let kept = Duration::from_secs(settings.statistics.cache_seconds);
    let api = Data::new(Api {
        answers: Answers::new(db.clone(), settings.statistics.cache_entries, kept),
        limit: Limit::new(settings.statistics.requests_per_minute),
    });

    let checked = CancellationToken::new();
    let (stage, passed, pinged) = (shutdown.clone(), checked.clone(), db.clone());
    let admin = AdminPort::new(metrics.registry)
        .check("serving", move || !stage.is_stopping())
        .check("database_as_it_must_be", move || passed.is_cancelled())
        .probe("database", move || {
            let db = pinged.clone();
            Box::pin(async move { db.ping().await.is_ok() })
        });
    let bound = web::bind(&settings.http, admin, move |config| {
        api::routes(config, &api, &keys)
    })?;
    tasks.spawn("http", bound.run(shutdown.draining().cancelled_owned()));
    tasks.spawn("self_check", self_check(db, checked, shutdown.draining()));
    Ok(())
}

/// Asks until the database answers; a database that is not as it must be ends the service.
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
