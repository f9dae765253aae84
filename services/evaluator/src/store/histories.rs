//! What came before and after enrollments, and the enrollments of a workflow in the order in which they were made: for whoever tells
//! what was, and what would have been.

use super::{id, parsed, parsed_opt};
use domain::enrollment::ExitReason;
use domain::ids::{ContactId, EnrollmentId, EventId, TenantId, WorkflowId};
use pg::{Error, ToSql, Tx};
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// The enrollments of the same contact and workflow around one of them.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// When the last one before it ended.
    pub closed_before: Option<OffsetDateTime>,
    /// The events credited to those before it.
    pub credited: HashSet<EventId>,
    /// When the next one was made.
    pub next_at: Option<OffsetDateTime>,
}

// The credited events are asked for only where there was an enrollment before.
const HISTORIES: &str = "SELECT n.id, x.closed_before, x.next_at, CASE WHEN x.closed_before IS NOT NULL THEN ARRAY( \
       SELECT a.event_id FROM evaluator.workflow_goal_achievements a WHERE a.tenant_id = $1 AND a.contact_id >= n.contact_id \
       AND a.contact_id <= n.contact_id AND a.workflow_id = $2 AND a.enrollment_id = ANY (ARRAY( \
         SELECT e.id FROM evaluator.enrollments e WHERE e.tenant_id = $1 AND e.contact_id >= n.contact_id \
         AND e.contact_id <= n.contact_id AND e.workflow_id = $2 AND (e.created_at, e.id) < (n.created_at, n.id) \
         ORDER BY e.contact_id)) ORDER BY a.contact_id) END AS credited \
     FROM unnest($3::uuid[], $4::text[], $5::timestamptz[]) AS n (id, contact_id, created_at) CROSS JOIN LATERAL ( \
       SELECT max(w.exited_at) FILTER (WHERE (w.created_at, w.id) < (n.created_at, n.id)) AS closed_before, \
       min(w.created_at) FILTER (WHERE (w.created_at, w.id) > (n.created_at, n.id)) AS next_at \
       FROM (SELECT e.id, e.created_at, e.exited_at FROM evaluator.enrollments e WHERE e.tenant_id = $1 \
         AND e.contact_id >= n.contact_id AND e.contact_id <= n.contact_id AND e.workflow_id = $2 \
         ORDER BY e.contact_id OFFSET 0) AS w) AS x";

/// The histories of these enrollments of a workflow, each given with its contact and when it was made.
pub async fn histories(
    tx: &Tx,
    tenant: &TenantId,
    workflow: WorkflowId,
    enrollments: &[(EnrollmentId, &ContactId, OffsetDateTime)],
) -> Result<HashMap<EnrollmentId, History>, Error> {
    let ids: Vec<Uuid> = enrollments.iter().map(|(id, ..)| id.as_uuid()).collect();
    let contacts: Vec<&str> = enrollments.iter().map(|(_, contact, _)| contact.as_str()).collect();
    let created_at: Vec<OffsetDateTime> = enrollments.iter().map(|(.., at)| *at).collect();
    let rows = tx.query(HISTORIES, &[&tenant.as_str(), &workflow.as_uuid(), &ids, &contacts, &created_at]).await?;
    rows.iter()
        .map(|row| {
            let credited: Option<Vec<Uuid>> = row.try_get("credited")?;
            let history = History {
                closed_before: row.try_get("closed_before")?,
                credited: credited.into_iter().flatten().map(EventId::from).collect(),
                next_at: row.try_get("next_at")?,
            };
            Ok((id(row, "id")?, history))
        })
        .collect()
}

/// An enrollment as it was made, and how it ended.
#[derive(Clone, Debug)]
pub struct Made {
    pub id: EnrollmentId,
    pub contact_id: ContactId,
    pub enrolled_at: OffsetDateTime,
    pub created_at: OffsetDateTime,
    pub end: Option<(OffsetDateTime, ExitReason)>,
}

/// Which enrollments of a workflow are wanted, and where the page begins.
#[derive(Clone, Debug)]
pub struct Span {
    /// Enrolled at or after.
    pub from: Option<OffsetDateTime>,
    /// Enrolled before.
    pub to: Option<OffsetDateTime>,
    /// Made by then.
    pub as_of: OffsetDateTime,
    /// The last enrollment of the page before.
    pub after: Option<(OffsetDateTime, EnrollmentId)>,
    pub limit: i64,
}

// An enrollment is never made before it begins, so the condition on created_at takes nothing away.
const MADE: &str = "SELECT e.id, e.contact_id, e.enrolled_at, e.created_at, e.exited_at, e.exit_reason FROM evaluator.enrollments e \
     WHERE e.tenant_id = $1 AND e.workflow_id = $2 \
     AND (e.created_at, e.id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::uuid, '00000000-0000-0000-0000-000000000000')) \
     AND e.created_at <= $5 AND e.created_at >= coalesce($6::timestamptz, '-infinity') \
     AND e.enrolled_at >= coalesce($6, '-infinity') AND e.enrolled_at < coalesce($7::timestamptz, 'infinity') \
     ORDER BY e.created_at, e.id LIMIT $8";

/// The next enrollments of a workflow in the order in which they were made.
pub async fn made(tx: &Tx, tenant: &TenantId, workflow: WorkflowId, span: &Span) -> Result<Vec<Made>, Error> {
    let (after_at, after_id) = span.after.map(|(at, id)| (at, id.as_uuid())).unzip();
    let (tenant, workflow) = (tenant.as_str(), workflow.as_uuid());
    let binds: [&(dyn ToSql + Sync); 8] =
        [&tenant, &workflow, &after_at, &after_id, &span.as_of, &span.from, &span.to, &span.limit];
    let rows = tx.query(MADE, &binds).await?;
    rows.iter()
        .map(|row| {
            let exited_at: Option<OffsetDateTime> = row.try_get("exited_at")?;
            let exit_reason: Option<ExitReason> = parsed_opt(row, "exit_reason")?;
            Ok(Made {
                id: id(row, "id")?,
                contact_id: parsed(row, "contact_id")?,
                enrolled_at: row.try_get("enrolled_at")?,
                created_at: row.try_get("created_at")?,
                end: exited_at.zip(exit_reason),
            })
        })
        .collect()
}

/// Every statement here, for the tests that prepare them all and look at their plans.
pub const STATEMENTS: [&str; 2] = [HISTORIES, MADE];
