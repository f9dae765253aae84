//! Locks that are no row: the fence of a workflow, shared by whoever judges or starts an action, exclusive to whoever
//! changes the workflow. Always in a statement of their own, before the rows that they protect are read.

use domain::ids::{TenantId, WorkflowId};
use domain::workflow::lock_key;
use pg::{Error, Tx};
use std::collections::BTreeSet;

/// See [`share_workflows`].
pub const SHARE_WORKFLOWS: &str = "SELECT pg_advisory_xact_lock_shared(k) FROM unnest($1::bigint[]) AS k";

/// Holds the fences of these workflows, shared, to the end of the transaction. Taken in ascending order.
pub async fn share_workflows(
    tx: &Tx,
    tenant: &TenantId,
    workflows: impl IntoIterator<Item = WorkflowId>,
) -> Result<(), Error> {
    let keys: BTreeSet<i64> = workflows.into_iter().map(|workflow| lock_key(tenant, workflow)).collect();
    let keys: Vec<i64> = keys.into_iter().collect();
    tx.query(SHARE_WORKFLOWS, &[&keys]).await.map(drop)
}

/// Every statement here, for the test that prepares them all.
pub const STATEMENTS: [&str; 1] = [SHARE_WORKFLOWS];
