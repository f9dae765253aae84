//! `evaluator.enrollments` as the judge needs it: many at once, locked, with what came before them, and their ends.

use super::{Pair, Pairs, id, parsed};
use domain::ids::{ContactId, EnrollmentId, TenantId, WorkflowId};
use pg::{Error, Tx};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// An active enrollment, locked by this transaction.
#[derive(Clone, Debug)]
pub struct Locked {
    pub id: EnrollmentId,
    pub workflow_id: WorkflowId,
    pub contact_id: ContactId,
    pub version: i32,
    pub enrolled_at: OffsetDateTime,
    pub created_at: OffsetDateTime,
    /// Where the row stands (`ctid`), for as long as it is locked.
    pub place: String,
}

/// See [`lock_active`].
pub const LOCK_ACTIVE: &str = "SELECT l.id, l.workflow_id, l.contact_id, l.version, l.enrolled_at, l.created_at, l.place \
     FROM unnest($2::uuid[], $3::text[]) AS n (workflow_id, contact_id) CROSS JOIN LATERAL ( \
       SELECT e.id, e.workflow_id, e.contact_id, e.version, e.enrolled_at, e.created_at, e.ctid::text AS place \
       FROM evaluator.enrollments e WHERE e.tenant_id = $1 AND e.contact_id >= n.contact_id AND e.contact_id <= n.contact_id \
       AND e.workflow_id = n.workflow_id AND e.exited_at IS NULL ORDER BY e.contact_id FOR UPDATE) AS l";

/// Locks the active enrollments of these pairs, one after the other as they are given, which is ascending for everybody. One that
/// ended while this waited is not among them.
pub async fn lock_active(tx: &Tx, tenant: &TenantId, pairs: &Pairs<'_>) -> Result<Vec<Locked>, Error> {
    let rows = tx.query(LOCK_ACTIVE, &[&tenant.as_str(), &pairs.workflows, &pairs.contacts]).await?;
    rows.iter()
        .map(|row| {
            Ok(Locked {
                id: id(row, "id")?,
                workflow_id: id(row, "workflow_id")?,
                contact_id: parsed(row, "contact_id")?,
                version: row.try_get("version")?,
                enrolled_at: row.try_get("enrolled_at")?,
                created_at: row.try_get("created_at")?,
                place: row.try_get("place")?,
            })
        })
        .collect()
}

const ENDS: &str = "SELECT n.workflow_id, n.contact_id, x.ended_at \
     FROM unnest($2::uuid[], $3::text[]) AS n (workflow_id, contact_id) CROSS JOIN LATERAL ( \
       SELECT max(w.exited_at) AS ended_at FROM ( \
         SELECT e.exited_at FROM evaluator.enrollments e WHERE e.tenant_id = $1 AND e.contact_id >= n.contact_id \
         AND e.contact_id <= n.contact_id AND e.workflow_id = n.workflow_id AND e.exited_at IS NOT NULL \
         ORDER BY e.contact_id OFFSET 0) AS w) AS x \
     WHERE x.ended_at IS NOT NULL";

/// When the last of the earlier enrollments of each pair ended, where there was one.
pub async fn ends(tx: &Tx, tenant: &TenantId, pairs: &Pairs<'_>) -> Result<HashMap<Pair, OffsetDateTime>, Error> {
    let rows = tx.query(ENDS, &[&tenant.as_str(), &pairs.workflows, &pairs.contacts]).await?;
    rows.iter()
        .map(|row| Ok(((id(row, "workflow_id")?, parsed(row, "contact_id")?), row.try_get("ended_at")?)))
        .collect()
}

const CLOCK: &str = "SELECT clock_timestamp()";

/// The database clock now, which is after every lock that the transaction took before.
pub async fn clock(tx: &Tx) -> Result<OffsetDateTime, Error> {
    Ok(tx.query_one(CLOCK, &[]).await?.try_get(0)?)
}

/// See [`exit`]. By place: see `planning::placed`.
pub const EXIT: &str = "UPDATE evaluator.enrollments e SET status = 'completed_goal', exit_reason = 'goal_achieved', \
     exited_at = $2, goal_reached_at = x.goal_reached_at, version = e.version + 1 \
     FROM unnest($3::uuid[], $4::text[]::tid[], $5::timestamptz[]) AS x (id, place, goal_reached_at) \
     WHERE e.tenant_id = $1 AND e.ctid = x.place AND e.id = x.id AND e.exited_at IS NULL";

/// Ends enrollments, locked by this transaction, that reached their goal: each with the time at which it did.
pub async fn exit(
    tx: &Tx,
    tenant: &TenantId,
    exited_at: OffsetDateTime,
    exits: &[(&Locked, OffsetDateTime)],
) -> Result<u64, Error> {
    let ids: Vec<Uuid> = exits.iter().map(|(locked, _)| locked.id.as_uuid()).collect();
    let places: Vec<&str> = exits.iter().map(|(locked, _)| locked.place.as_str()).collect();
    let reached: Vec<OffsetDateTime> = exits.iter().map(|(_, reached_at)| *reached_at).collect();
    tx.execute(EXIT, &[&tenant.as_str(), &exited_at, &ids, &places, &reached]).await
}

/// Every statement here, for the test that prepares them all.
pub const STATEMENTS: [&str; 4] = [LOCK_ACTIVE, ENDS, CLOCK, EXIT];
