//! `evaluator.scheduled_actions` as announcing needs it: whose are due, a page of them, the claim, and what is written.
//!
//! A claim waits for nobody: a workflow that is being changed and an enrollment that is being judged are left to the next look.

use super::{id, parsed, uuids};
use domain::ids::{ActionId, ContactId, EnrollmentId, TenantId, WorkflowId};
use domain::workflow::lock_key;
use pg::{Error, Row, Tx};
use std::collections::{BTreeSet, HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

const SOURCES: &str = "SELECT d.tenant_id, d.workflow_id FROM evaluator.v_due_v1 d";

/// Where due actions are to be found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    pub tenant: TenantId,
    /// The workflow that held them back and is active again; none: whatever has come due.
    pub held_by: Option<WorkflowId>,
}

/// Every source of due actions. Across tenants: in the system scope.
pub async fn sources(tx: &Tx) -> Result<Vec<Source>, Error> {
    let rows = tx.query(SOURCES, &[]).await?;
    rows.iter()
        .map(|row| {
            let held_by: Option<Uuid> = row.try_get("workflow_id")?;
            Ok(Source { tenant: parsed(row, "tenant_id")?, held_by: held_by.map(Into::into) })
        })
        .collect()
}

/// A due action, seen without a lock.
#[derive(Clone, Debug)]
pub struct Seen {
    pub id: ActionId,
    pub enrollment_id: EnrollmentId,
    pub workflow_id: WorkflowId,
    pub scheduled_at: OffsetDateTime,
}

/// The last action of a page.
pub type Place = (OffsetDateTime, ActionId);

macro_rules! page {
    ($held_by:literal) => {
        concat!(
            "SELECT d.id, d.enrollment_id, d.scheduled_at, e.workflow_id FROM ( \
             SELECT a.id, a.enrollment_id, a.scheduled_at FROM evaluator.scheduled_actions a \
             WHERE a.tenant_id = $1 AND a.status = 'pending' AND a.announced_at IS NULL AND a.held_by ",
            $held_by,
            " AND a.scheduled_at <= now() AND (a.scheduled_at, a.id) > (coalesce($2::timestamptz, '-infinity'), \
             coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')) \
             ORDER BY a.scheduled_at, a.id LIMIT $4) AS d CROSS JOIN LATERAL ( \
             SELECT e.workflow_id FROM evaluator.enrollments e WHERE e.tenant_id = $1 AND e.id = d.enrollment_id OFFSET 0) AS e \
             ORDER BY d.scheduled_at, d.id"
        )
    };
}

const PAGE: &str = page!("IS NULL");
const PAGE_HELD: &str = page!("= $5");

/// The next due actions of a source, the earliest first.
pub async fn page(tx: &Tx, source: &Source, after: Option<Place>, limit: i64) -> Result<Vec<Seen>, Error> {
    let (after_at, after_id) = after.map(|(at, id)| (at, id.as_uuid())).unzip();
    let tenant = source.tenant.as_str();
    let rows = match source.held_by.map(WorkflowId::as_uuid) {
        None => tx.query(PAGE, &[&tenant, &after_at, &after_id, &limit]).await?,
        Some(held_by) => tx.query(PAGE_HELD, &[&tenant, &after_at, &after_id, &limit, &held_by]).await?,
    };
    rows.iter()
        .map(|row| {
            Ok(Seen {
                id: id(row, "id")?,
                enrollment_id: id(row, "enrollment_id")?,
                workflow_id: id(row, "workflow_id")?,
                scheduled_at: row.try_get("scheduled_at")?,
            })
        })
        .collect()
}

const TRY_FENCES: &str = "SELECT n.workflow_id FROM unnest($1::uuid[], $2::bigint[]) AS n (workflow_id, key) \
     WHERE pg_try_advisory_xact_lock_shared(n.key)";

/// Takes the fences of those of these workflows that nobody is changing, shared, to the end of the transaction.
pub async fn try_fences(
    tx: &Tx,
    tenant: &TenantId,
    workflows: &BTreeSet<WorkflowId>,
) -> Result<HashSet<WorkflowId>, Error> {
    let keys: Vec<i64> = workflows.iter().map(|workflow| lock_key(tenant, *workflow)).collect();
    let workflows: Vec<Uuid> = workflows.iter().map(|workflow| workflow.as_uuid()).collect();
    let rows = tx.query(TRY_FENCES, &[&workflows, &keys]).await?;
    rows.iter().map(|row| id(row, "workflow_id")).collect()
}

/// An active enrollment that this transaction has locked.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub contact_id: ContactId,
    pub version: i32,
}

const CLAIM: &str = "SELECT e.id, e.contact_id, e.version FROM evaluator.enrollments e WHERE e.tenant_id = $1 \
     AND e.id = ANY($2) AND e.exited_at IS NULL ORDER BY e.id FOR UPDATE SKIP LOCKED";

/// Locks those of these enrollments that are active and that nobody has locked, to the end of the transaction.
pub async fn claim(
    tx: &Tx,
    tenant: &TenantId,
    enrollments: &[EnrollmentId],
) -> Result<HashMap<EnrollmentId, Claimed>, Error> {
    let rows = tx.query(CLAIM, &[&tenant.as_str(), &uuids(enrollments)]).await?;
    rows.iter()
        .map(|row| {
            let claimed = Claimed { contact_id: parsed(row, "contact_id")?, version: row.try_get("version")? };
            Ok((id(row, "id")?, claimed))
        })
        .collect()
}

const ACTIVE: &str = "SELECT w.workflow_id FROM goals.v_workflows_v1 w \
     WHERE w.tenant_id = $1 AND w.workflow_id = ANY($2) AND w.status = 'active'";

/// Those of these workflows, whose fences this transaction has, that are active.
pub async fn active(tx: &Tx, tenant: &TenantId, fenced: &HashSet<WorkflowId>) -> Result<HashSet<WorkflowId>, Error> {
    let fenced: Vec<Uuid> = fenced.iter().map(|workflow| workflow.as_uuid()).collect();
    let rows = tx.query(ACTIVE, &[&tenant.as_str(), &fenced]).await?;
    rows.iter().map(|row| id(row, "workflow_id")).collect()
}

/// An action that this transaction announces.
#[derive(Clone, Debug)]
pub struct Announced {
    pub id: ActionId,
    pub enrollment_id: EnrollmentId,
    pub action_type: String,
    pub scheduled_at: OffsetDateTime,
    pub created_at: OffsetDateTime,
    /// JSON text.
    pub payload: Option<String>,
}

fn announced(row: &Row) -> Result<Announced, Error> {
    Ok(Announced {
        id: id(row, "id")?,
        enrollment_id: id(row, "enrollment_id")?,
        action_type: row.try_get("action_type")?,
        scheduled_at: row.try_get("scheduled_at")?,
        created_at: row.try_get("created_at")?,
        payload: row.try_get("payload")?,
    })
}

const ANNOUNCE: &str = "UPDATE evaluator.scheduled_actions a SET announced_at = $2, held_by = NULL \
     WHERE a.tenant_id = $1 AND a.id = ANY($3) AND a.status = 'pending' \
     AND a.announced_at IS NULL \
     RETURNING a.id, a.enrollment_id, a.action_type, a.scheduled_at, a.created_at, a.payload::text AS payload";

/// Marks those of these actions, of enrollments that this transaction has claimed, that are still to be announced.
pub async fn announce(
    tx: &Tx,
    tenant: &TenantId,
    announced_at: OffsetDateTime,
    actions: &[ActionId],
) -> Result<Vec<Announced>, Error> {
    let actions: Vec<Uuid> = actions.iter().map(|action| action.as_uuid()).collect();
    let rows = tx.query(ANNOUNCE, &[&tenant.as_str(), &announced_at, &actions]).await?;
    rows.iter().map(announced).collect()
}

const HOLD: &str = "UPDATE evaluator.scheduled_actions a SET held_by = n.workflow_id \
     FROM unnest($2::uuid[], $3::uuid[]) AS n (id, workflow_id) WHERE a.tenant_id = $1 \
     AND a.id = n.id AND a.status = 'pending' AND a.announced_at IS NULL AND a.held_by IS NULL";

/// Lays aside actions of claimed enrollments, each with its workflow, which is not active; how many.
pub async fn hold(tx: &Tx, tenant: &TenantId, actions: &[(ActionId, WorkflowId)]) -> Result<u64, Error> {
    let (actions, workflows): (Vec<Uuid>, Vec<Uuid>) =
        actions.iter().map(|(action, workflow)| (action.as_uuid(), workflow.as_uuid())).unzip();
    tx.execute(HOLD, &[&tenant.as_str(), &actions, &workflows]).await
}

/// Every statement here, for the test that prepares them all. The first is of the system login.
pub const STATEMENTS: [&str; 8] = [SOURCES, PAGE, PAGE_HELD, TRY_FENCES, CLAIM, ACTIVE, ANNOUNCE, HOLD];
