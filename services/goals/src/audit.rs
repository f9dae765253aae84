//! Reading the audit log. (It is written by every change, in the change's own transaction.)

use std::sync::Arc;

use domain::ids::TenantId;
use pg::{Db, Scope};

use crate::error::Error;
use crate::store::audit::{self, Entry, Filter};

/// Entries older than `below`, newest first; those that a filter takes.
pub async fn list(db: &Db, tenant: &TenantId, filter: Filter, below: i64, limit: i64) -> Result<Vec<Entry>, Error> {
    let shared = Arc::new((tenant.clone(), filter));
    db.run_tx("list_audit", Scope::Tenant(tenant.clone()), move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move { Ok(audit::list(tx, &shared.0, &shared.1, below, limit).await?) })
    })
    .await
}
