//! Watches whether the months to come have a partition, for a gauge. (`goalpost maintain` makes them.)

use std::time::Duration;

use pg::{Db, Error, Scope};
use tokio_util::sync::CancellationToken;

use crate::metrics::Partitions;
use crate::store::partitions::{self, Coverage};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(60);

/// Fills the gauges again and again until `stop`. A look that fails leaves them as they are.
pub async fn watch(db: Db, stop: CancellationToken) {
    let gauges = Partitions::new();
    let looking = async {
        loop {
            match look(&db).await {
                Ok(coverage) => gauges.record(&coverage),
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "partitions were not counted"),
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = looking => {}
    }
}

async fn look(db: &Db) -> Result<Coverage, Error> {
    db.run_tx("watch_partitions", Scope::System("count partitions"), |tx| Box::pin(partitions::coverage(tx))).await
}
