//! `evaluator.scheduled_actions`.

use super::{id, parsed, uuids};
use domain::action::ActionStatus;
use domain::ids::{ActionId, EnrollmentId, TenantId};
use pg::{Error, Row, Tx};
use std::collections::HashMap;
use time::OffsetDateTime;

/// A scheduled action as it is stored.
#[derive(Clone, Debug)]
pub struct Action {
    pub id: ActionId,
    pub enrollment_id: EnrollmentId,
    pub action_type: String,
    pub status: ActionStatus,
    pub scheduled_at: OffsetDateTime,
    pub created_at: OffsetDateTime,
    pub announced_at: Option<OffsetDateTime>,
    pub started_at: Option<OffsetDateTime>,
    pub finished_at: Option<OffsetDateTime>,
    pub cancelled_at: Option<OffsetDateTime>,
    /// JSON text.
    pub payload: Option<String>,
}

macro_rules! columns {
    () => {
        "a.id, a.enrollment_id, a.action_type, a.status, a.scheduled_at, a.created_at, a.announced_at, a.started_at, \
         a.finished_at, a.cancelled_at, a.payload::text AS payload"
    };
}

fn action(row: &Row) -> Result<Action, Error> {
    Ok(Action {
        id: id(row, "id")?,
        enrollment_id: id(row, "enrollment_id")?,
        action_type: row.try_get("action_type")?,
        status: parsed(row, "status")?,
        scheduled_at: row.try_get("scheduled_at")?,
        created_at: row.try_get("created_at")?,
        announced_at: row.try_get("announced_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        cancelled_at: row.try_get("cancelled_at")?,
        payload: row.try_get("payload")?,
    })
}

/// A new action.
#[derive(Clone, Debug)]
pub struct New {
    pub id: ActionId,
    pub enrollment_id: EnrollmentId,
    pub action_type: String,
    pub scheduled_at: OffsetDateTime,
    /// JSON text.
    pub payload: Option<String>,
}

const INSERT: &str = concat!(
    "INSERT INTO evaluator.scheduled_actions AS a \
     (tenant_id, id, enrollment_id, action_type, scheduled_at, created_at, payload) \
     VALUES ($1, $2, $3, $4, $5, clock_timestamp(), $6::text::jsonb) ON CONFLICT (tenant_id, id) DO NOTHING RETURNING ",
    columns!()
);

/// Adds a pending action to an enrollment that this transaction has locked and seen active; none if its id is there
/// already.
pub async fn insert(tx: &Tx, tenant: &TenantId, new: &New) -> Result<Option<Action>, Error> {
    let row = tx
        .query_opt(
            INSERT,
            &[
                &tenant.as_str(),
                &new.id.as_uuid(),
                &new.enrollment_id.as_uuid(),
                &new.action_type,
                &new.scheduled_at,
                &new.payload,
            ],
        )
        .await?;
    row.as_ref().map(action).transpose()
}

const FIND: &str =
    concat!("SELECT ", columns!(), " FROM evaluator.scheduled_actions a WHERE a.tenant_id = $1 AND a.id = $2");

/// One action.
pub async fn find(tx: &Tx, tenant: &TenantId, id: ActionId) -> Result<Option<Action>, Error> {
    let row = tx.query_opt(FIND, &[&tenant.as_str(), &id.as_uuid()]).await?;
    row.as_ref().map(action).transpose()
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM evaluator.scheduled_actions a WHERE a.tenant_id = $1 AND a.enrollment_id = $2 AND (a.created_at, a.id) \
     < (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) \
     ORDER BY a.created_at DESC, a.id DESC LIMIT $5"
);

/// A page of an enrollment's actions, newest first.
pub async fn list(
    tx: &Tx,
    tenant: &TenantId,
    enrollment: EnrollmentId,
    before: Option<(OffsetDateTime, uuid::Uuid)>,
    limit: i64,
) -> Result<Vec<Action>, Error> {
    let (before_at, before_id) = before.unzip();
    let rows = tx.query(LIST, &[&tenant.as_str(), &enrollment.as_uuid(), &before_at, &before_id, &limit]).await?;
    rows.iter().map(action).collect()
}

const START: &str = concat!(
    "UPDATE evaluator.scheduled_actions a SET status = 'running', started_at = clock_timestamp() \
     WHERE a.tenant_id = $1 AND a.id = $2 AND a.status = 'pending' RETURNING ",
    columns!()
);

/// Starts a pending action; none if it is not pending.
pub async fn start(tx: &Tx, tenant: &TenantId, id: ActionId) -> Result<Option<Action>, Error> {
    let row = tx.query_opt(START, &[&tenant.as_str(), &id.as_uuid()]).await?;
    row.as_ref().map(action).transpose()
}

const FINISH: &str = concat!(
    "UPDATE evaluator.scheduled_actions a SET status = $3, finished_at = clock_timestamp() \
     WHERE a.tenant_id = $1 AND a.id = $2 AND a.status = 'running' RETURNING ",
    columns!()
);

/// Closes a running action; none if it is not running.
pub async fn finish(tx: &Tx, tenant: &TenantId, id: ActionId, status: ActionStatus) -> Result<Option<Action>, Error> {
    let row = tx.query_opt(FINISH, &[&tenant.as_str(), &id.as_uuid(), &status.as_str()]).await?;
    row.as_ref().map(action).transpose()
}

/// See [`cancel`].
pub const CANCEL: &str = "UPDATE evaluator.scheduled_actions a SET status = 'cancelled', cancelled_at = clock_timestamp() \
     WHERE a.tenant_id = $1 AND a.enrollment_id = ANY($2) AND a.status = 'pending' RETURNING a.enrollment_id, a.id";

/// Cancels what is pending for enrollments that this transaction has locked; the ids by enrollment, ascending.
pub async fn cancel(
    tx: &Tx,
    tenant: &TenantId,
    enrollments: &[EnrollmentId],
) -> Result<HashMap<EnrollmentId, Vec<ActionId>>, Error> {
    let rows = tx.query(CANCEL, &[&tenant.as_str(), &uuids(enrollments)]).await?;
    let mut cancelled: HashMap<EnrollmentId, Vec<ActionId>> = HashMap::new();
    for row in &rows {
        cancelled.entry(id(row, "enrollment_id")?).or_default().push(id(row, "id")?);
    }
    cancelled.values_mut().for_each(|ids| ids.sort_unstable());
    Ok(cancelled)
}

/// Every statement here, for the test that prepares them all.
pub const STATEMENTS: [&str; 6] = [INSERT, FIND, LIST, START, FINISH, CANCEL];
