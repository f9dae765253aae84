//! `evaluator.enrollments`, read and changed one at a time (the API) or a page at a time.

use super::{id, parsed, parsed_opt, uuids};
use domain::enrollment::{EnrollmentStatus, ExitReason};
use domain::ids::{ContactId, EnrollmentId, TenantId, WorkflowId};
use pg::{Error, Row, Tx};
use time::OffsetDateTime;
use uuid::Uuid;

/// An enrollment as it is stored.
#[derive(Clone, Debug)]
pub struct Enrollment {
    pub id: EnrollmentId,
    pub workflow_id: WorkflowId,
    pub contact_id: ContactId,
    pub status: EnrollmentStatus,
    pub version: i32,
    pub enrolled_at: OffsetDateTime,
    pub created_at: OffsetDateTime,
    pub exited_at: Option<OffsetDateTime>,
    pub goal_reached_at: Option<OffsetDateTime>,
    pub exit_reason: Option<ExitReason>,
    pub reason: Option<String>,
    /// JSON text.
    pub current_step: Option<String>,
}

macro_rules! columns {
    () => {
        "e.id, e.workflow_id, e.contact_id, e.status, e.version, e.enrolled_at, e.created_at, e.exited_at, \
         e.goal_reached_at, e.exit_reason, e.reason, e.current_step::text AS current_step"
    };
}

fn enrollment(row: &Row) -> Result<Enrollment, Error> {
    Ok(Enrollment {
        id: id(row, "id")?,
        workflow_id: id(row, "workflow_id")?,
        contact_id: parsed(row, "contact_id")?,
        status: parsed(row, "status")?,
        version: row.try_get("version")?,
        enrolled_at: row.try_get("enrolled_at")?,
        created_at: row.try_get("created_at")?,
        exited_at: row.try_get("exited_at")?,
        goal_reached_at: row.try_get("goal_reached_at")?,
        exit_reason: parsed_opt(row, "exit_reason")?,
        reason: row.try_get("reason")?,
        current_step: row.try_get("current_step")?,
    })
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM evaluator.enrollments e WHERE e.tenant_id = $1 AND e.id = $2");

/// One enrollment.
pub async fn find(tx: &Tx, tenant: &TenantId, id: EnrollmentId) -> Result<Option<Enrollment>, Error> {
    let row = tx.query_opt(FIND, &[&tenant.as_str(), &id.as_uuid()]).await?;
    row.as_ref().map(enrollment).transpose()
}

const LOCK: &str = "SELECT e.id FROM evaluator.enrollments e WHERE e.tenant_id = $1 AND e.id = $2 FOR UPDATE";

/// Locks an enrollment, whatever its status, to the end of the transaction; whether there is one. What it is now is for the
/// next statement to read.
pub async fn lock(tx: &Tx, tenant: &TenantId, id: EnrollmentId) -> Result<bool, Error> {
    let row = tx.query_opt(LOCK, &[&tenant.as_str(), &id.as_uuid()]).await?;
    Ok(row.is_some())
}

/// What a list of enrollments is narrowed to, and where the page begins.
#[derive(Clone)]
pub struct Listing {
    pub workflow_id: WorkflowId,
    pub status: Option<EnrollmentStatus>,
    pub contact_id: Option<ContactId>,
    /// The last enrollment of the page before.
    pub before: Option<(OffsetDateTime, Uuid)>,
    pub limit: i64,
}

/// `$1` tenant, `$2` workflow, `$3` and `$4` the last enrollment of the page before, `$5` status, `$6` how many.
macro_rules! list {
    ($narrowed:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM evaluator.enrollments e WHERE e.tenant_id = $1 AND e.workflow_id = $2 \
             AND (e.created_at, e.id) < (coalesce($3::timestamptz, 'infinity'), \
             coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) AND ",
            $narrowed,
            " ORDER BY e.created_at DESC, e.id DESC LIMIT $6"
        )
    };
}

const LIST: &str = list!("($5::text IS NULL OR e.status = $5)");
// Those that ended, but not by goals, are found by an index of their own, which a plan may use that is told that they are such.
const LIST_ENDED: &str = list!("e.status = $5 AND e.status NOT IN ('active', 'completed_goal')");
const LIST_OF_CONTACT: &str = list!("($5::text IS NULL OR e.status = $5) AND e.contact_id = $7");

/// A page of a workflow's enrollments, newest first.
pub async fn list(tx: &Tx, tenant: &TenantId, listing: &Listing) -> Result<Vec<Enrollment>, Error> {
    let status = listing.status.map(EnrollmentStatus::as_str);
    let (before_at, before_id) = listing.before.unzip();
    let (tenant, workflow) = (tenant.as_str(), listing.workflow_id.as_uuid());
    let rows = match &listing.contact_id {
        None => {
            let is_ended = matches!(
                listing.status,
                Some(EnrollmentStatus::Completed | EnrollmentStatus::Removed | EnrollmentStatus::Failed)
            );
            let list = if is_ended { LIST_ENDED } else { LIST };
            tx.query(list, &[&tenant, &workflow, &before_at, &before_id, &status, &listing.limit]).await?
        }
        Some(contact) => {
            let contact = contact.as_str();
            tx.query(LIST_OF_CONTACT, &[&tenant, &workflow, &before_at, &before_id, &status, &listing.limit, &contact])
                .await?
        }
    };
    rows.iter().map(enrollment).collect()
}

const STANDING: &str = "SELECT n.contact_id, x.id, x.status FROM unnest($3::text[]) AS n (contact_id) CROSS JOIN LATERAL ( \
       SELECT e.id, e.status FROM evaluator.enrollments e WHERE e.tenant_id = $1 AND e.contact_id >= n.contact_id \
       AND e.contact_id <= n.contact_id AND e.workflow_id = $2 ORDER BY e.contact_id OFFSET 0) AS x";

/// The enrollments that these contacts have or had in a workflow: contact, enrollment, whether it is active.
pub async fn standing(
    tx: &Tx,
    tenant: &TenantId,
    workflow: WorkflowId,
    contacts: &[&str],
) -> Result<Vec<(ContactId, EnrollmentId, bool)>, Error> {
    let rows = tx.query(STANDING, &[&tenant.as_str(), &workflow.as_uuid(), &contacts]).await?;
    rows.iter()
        .map(|row| {
            let status: EnrollmentStatus = parsed(row, "status")?;
            Ok((parsed(row, "contact_id")?, id(row, "id")?, status == EnrollmentStatus::Active))
        })
        .collect()
}

/// A new enrollment.
pub struct New {
    pub id: EnrollmentId,
    pub contact_id: ContactId,
    pub enrolled_at: OffsetDateTime,
    /// JSON text.
    pub current_step: Option<String>,
}

const INSERT: &str = concat!(
    "INSERT INTO evaluator.enrollments AS e (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at, current_step) \
     SELECT $1, n.id, $2, n.contact_id, n.enrolled_at, $7, n.current_step::jsonb \
     FROM unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::text[]) AS n (id, contact_id, enrolled_at, current_step) \
     ORDER BY n.contact_id \
     ON CONFLICT (tenant_id, workflow_id, contact_id) WHERE status = 'active' DO NOTHING RETURNING ",
    columns!()
);

/// Inserts active enrollments, made `now`, but for contacts who have one; answers those it made. In the order of the contacts, so that two
/// batches with the same contacts cannot wait for each other.
pub async fn insert(
    (tx, now): (&Tx, OffsetDateTime),
    tenant: &TenantId,
    workflow: WorkflowId,
    new: &[New],
) -> Result<Vec<Enrollment>, Error> {
    let ids: Vec<Uuid> = new.iter().map(|n| n.id.as_uuid()).collect();
    let contacts: Vec<&str> = new.iter().map(|n| n.contact_id.as_str()).collect();
    let enrolled_at: Vec<OffsetDateTime> = new.iter().map(|n| n.enrolled_at).collect();
    let steps: Vec<Option<&str>> = new.iter().map(|n| n.current_step.as_deref()).collect();
    let rows =
        tx.query(INSERT, &[&tenant.as_str(), &workflow.as_uuid(), &ids, &contacts, &enrolled_at, &steps, &now]).await?;
    rows.iter().map(enrollment).collect()
}

const END: &str = concat!(
    "UPDATE evaluator.enrollments e SET status = $3, exit_reason = $4, reason = $5, exited_at = clock_timestamp(), \
     version = e.version + 1 WHERE e.tenant_id = $1 AND e.id = ANY($2) AND e.exited_at IS NULL RETURNING ",
    columns!()
);

/// Ends active enrollments other than by a goal. They are locked, or made, by this transaction.
pub async fn end(
    tx: &Tx,
    tenant: &TenantId,
    ids: &[EnrollmentId],
    exit_reason: ExitReason,
    reason: Option<&str>,
) -> Result<Vec<Enrollment>, Error> {
    let status = exit_reason.status().as_str();
    let rows = tx.query(END, &[&tenant.as_str(), &uuids(ids), &status, &exit_reason.as_str(), &reason]).await?;
    rows.iter().map(enrollment).collect()
}

const ACTIVE_AFTER: &str = "SELECT e.id FROM evaluator.enrollments e \
     WHERE e.tenant_id = $1 AND e.workflow_id = $2 AND e.status = 'active' \
     AND e.contact_id > coalesce((SELECT p.contact_id FROM evaluator.enrollments p WHERE p.tenant_id = $1 AND p.id = $3), '') \
     ORDER BY e.contact_id LIMIT $4";

/// The next active enrollments of a workflow after a certain one (or the first), in the order of their contacts.
pub async fn active_after(
    tx: &Tx,
    tenant: &TenantId,
    workflow: WorkflowId,
    after: Option<EnrollmentId>,
    limit: i64,
) -> Result<Vec<EnrollmentId>, Error> {
    let after = after.map(EnrollmentId::as_uuid);
    let rows = tx.query(ACTIVE_AFTER, &[&tenant.as_str(), &workflow.as_uuid(), &after, &limit]).await?;
    rows.iter().map(|row| id(row, "id")).collect()
}

const CONTACTS_OF: &str = "SELECT e.workflow_id, e.contact_id FROM evaluator.enrollments e \
     WHERE e.tenant_id = $1 AND e.id = ANY($2) AND e.exited_at IS NULL";

/// The workflow and contact of those of these enrollments that are active.
pub async fn pairs_of(tx: &Tx, tenant: &TenantId, ids: &[EnrollmentId]) -> Result<Vec<super::Pair>, Error> {
    let rows = tx.query(CONTACTS_OF, &[&tenant.as_str(), &uuids(ids)]).await?;
    rows.iter().map(|row| Ok((id(row, "workflow_id")?, parsed(row, "contact_id")?))).collect()
}

/// Every statement here, for the test that prepares them all.
pub const STATEMENTS: [&str; 10] =
    [FIND, LOCK, LIST, LIST_OF_CONTACT, STANDING, INSERT, END, ACTIVE_AFTER, CONTACTS_OF, LIST_ENDED];
