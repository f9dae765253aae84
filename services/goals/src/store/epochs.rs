//! `goals.epochs`: the number an evaluator compares before it judges; raised by every configuration change of a tenant.

use domain::ids::TenantId;
use pg::{Error, Tx};

pub(super) const STATEMENTS: &[&str] = &[LOCK, RAISE];
pub(super) const SYSTEM_STATEMENTS: &[&str] = &[INSERT];

const INSERT: &str = "INSERT INTO goals.epochs (tenant_id) VALUES ($1)";

/// The row of a new tenant.
pub async fn insert(tx: &Tx, tenant: &TenantId) -> Result<(), Error> {
    tx.execute(INSERT, &[&tenant.as_str()]).await.map(drop)
}

const LOCK: &str = "SELECT epoch FROM goals.epochs WHERE tenant_id = $1 FOR UPDATE";

/// Holds the tenant's epoch to the end of the transaction. Whoever takes it first, as writers of the directory do, reads what was
/// there before the write.
pub async fn lock(tx: &Tx, tenant: &TenantId) -> Result<(), Error> {
    tx.query(LOCK, &[&tenant.as_str()]).await.map(drop)
}

const RAISE: &str = "UPDATE goals.epochs SET epoch = epoch + 1 WHERE tenant_id = $1";

/// The last statement of a change, which holds the row: every change of the tenant waits for it.
pub async fn raise(tx: &Tx, tenant: &TenantId) -> Result<(), Error> {
    tx.execute(RAISE, &[&tenant.as_str()]).await.map(drop)
}
