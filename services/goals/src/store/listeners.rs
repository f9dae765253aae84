//! Listeners: derived from live workflows and their active goals whenever they are asked for, and never stored.

use domain::ids::{TenantId, WorkflowId};
use pg::{Error, Row, Tx};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

pub(super) const STATEMENTS: &[&str] = &[LIST, LIST_OF_WORKFLOW];
pub(super) const SYSTEM_STATEMENTS: &[&str] = &[COUNT];

/// That a workflow waits for an event type.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listener {
    #[schema(value_type = Uuid)]
    pub workflow_id: WorkflowId,
    pub event_type: String,
    /// The earliest moment from which a goal of the workflow counts events of the type.
    #[serde(with = "domain::time_format")]
    pub registered_at: OffsetDateTime,
    pub active_enrollments: i64,
    /// The time of the latest event of the type that met a goal of the workflow.
    #[serde(with = "domain::time_format::option")]
    pub last_matched_at: Option<OffsetDateTime>,
}

/// A listener is (workflow, event type). `$wanted` narrows the workflows and comes before what groups, orders and limits.
/// The limit is applied before enrollments are counted, and those of a workflow are counted once.
macro_rules! listeners {
    ($wanted:literal) => {
        concat!(
            "SELECT q.workflow_id, q.event_name, q.registered_at, q.active_enrollments, q.last_matched_at FROM (",
            "WITH l AS (SELECT w.id AS workflow_id, g.event_name, ",
            "min(greatest(w.activated_at, coalesce(g.effective_from, g.created_at))) AS registered_at ",
            "FROM goals.workflows w JOIN goals.goals g ON g.tenant_id = w.tenant_id AND g.workflow_id = w.id ",
            "WHERE w.tenant_id = $1 AND w.status IN ('active', 'paused') AND g.status = 'active' AND g.deleted_at IS NULL ",
            $wanted,
            ") SELECT l.workflow_id, l.event_name, l.registered_at, c.active_enrollments, ",
            "(SELECT max(a.achieved_at) FROM evaluator.v_achievements_v1 a ",
            "WHERE a.tenant_id = $1 AND a.workflow_id = l.workflow_id AND a.event_name = l.event_name) AS last_matched_at ",
            "FROM l JOIN (SELECT o.workflow_id, (SELECT count(*) FROM evaluator.v_enrollments_v1 e ",
            "WHERE e.tenant_id = $1 AND e.workflow_id = o.workflow_id AND e.status = 'active') AS active_enrollments ",
            "FROM (SELECT DISTINCT n.workflow_id FROM l n) o) c ON c.workflow_id = l.workflow_id",
            ") q ORDER BY q.workflow_id DESC, q.event_name"
        )
    };
}

const LIST: &str = listeners!(
    "AND ($2::uuid IS NULL OR w.id < $2 OR (w.id = $2 AND g.event_name > $3)) \
     GROUP BY w.id, g.event_name ORDER BY w.id DESC, g.event_name LIMIT $4"
);

/// Listeners of the tenant after the given one: newest workflow first, then by event type.
pub async fn list(
    tx: &Tx,
    tenant: &TenantId,
    after: Option<(Uuid, String)>,
    limit: i64,
) -> Result<Vec<Listener>, Error> {
    let (workflow, event_name) = after.unzip();
    tx.query(LIST, &[&tenant.as_str(), &workflow, &event_name, &limit]).await?.iter().map(read).collect()
}

const LIST_OF_WORKFLOW: &str = listeners!("AND w.id = $2 GROUP BY w.id, g.event_name");

/// Listeners of one workflow, by event type.
pub async fn list_of_workflow(tx: &Tx, tenant: &TenantId, workflow: WorkflowId) -> Result<Vec<Listener>, Error> {
    tx.query(LIST_OF_WORKFLOW, &[&tenant.as_str(), &workflow.as_uuid()]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Listener, Error> {
    Ok(Listener {
        workflow_id: row.try_get::<_, Uuid>(0)?.into(),
        event_type: row.try_get(1)?,
        registered_at: row.try_get(2)?,
        active_enrollments: row.try_get(3)?,
        last_matched_at: row.try_get(4)?,
    })
}

const COUNT: &str = "SELECT coalesce(sum(listeners), 0)::bigint FROM goals.v_listener_counts_v1";

/// How many there are, of all tenants: for the gauge.
pub async fn count(tx: &Tx) -> Result<i64, Error> {
    Ok(tx.query_one(COUNT, &[]).await?.try_get(0)?)
}
