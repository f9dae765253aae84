//! Listeners: which workflow waits for which event type. Derived from the configuration, so none can be orphaned.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::{TenantId, WorkflowId};
use pg::{Db, Scope};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::Error;
use crate::metrics::Metrics;
use crate::store::listeners::{self, Listener};
use crate::store::workflows;

/// A page of the tenant's listeners: newest workflow first, then by event type.
pub async fn list(
    db: &Db,
    tenant: &TenantId,
    after: Option<(Uuid, String)>,
    limit: i64,
) -> Result<Vec<Listener>, Error> {
    let shared = Arc::new((tenant.clone(), after));
    db.run_tx("list_listeners", Scope::Tenant(tenant.clone()), move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move { Ok(listeners::list(tx, &shared.0, shared.1.clone(), limit).await?) })
    })
    .await
}

/// The listeners of one workflow, by event type.
pub async fn list_of_workflow(db: &Db, tenant: &TenantId, id: WorkflowId) -> Result<Vec<Listener>, Error> {
    let tenant = tenant.clone();
    db.run_tx("list_workflow_listeners", Scope::Tenant(tenant.clone()), move |tx| {
        let tenant = tenant.clone();
        Box::pin(async move {
            workflows::find(tx, &tenant, id).await?.ok_or(Error::NotFound)?;
            Ok(listeners::list_of_workflow(tx, &tenant, id).await?)
        })
    })
    .await
}

/// Counts the listeners of all tenants for the gauge, again and again until `stop`.
pub async fn count_until(db: Db, metrics: Metrics, every: Duration, stop: CancellationToken) {
    let counting = async {
        loop {
            let counted: Result<i64, Error> = db
                .run_tx("count_listeners", Scope::System("count listeners for the gauge"), |tx| {
                    Box::pin(async move { Ok(listeners::count(tx).await?) })
                })
                .await;
            match counted {
                Ok(count) => metrics.set_active_listeners(count),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "listeners could not be counted");
                }
            }
            tokio::time::sleep(every).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = counting => {}
    }
}
