//! `evaluator.workflow_goal_achievements`.

use super::{Pairs, id, parsed};
use domain::goal::GoalType;
use domain::ids::{AchievementId, ContactId, EnrollmentId, EventId, GoalId, TenantId, WorkflowId};
use pg::{Error, Row, Tx};
use time::OffsetDateTime;
use uuid::Uuid;

/// An achievement as it is stored.
#[derive(Clone, Debug)]
pub struct Achievement {
    pub id: AchievementId,
    pub workflow_id: WorkflowId,
    pub enrollment_id: EnrollmentId,
    pub contact_id: ContactId,
    pub goal_id: GoalId,
    pub goal_type: GoalType,
    pub goal_version: i32,
    pub event_id: EventId,
    pub event_name: String,
    /// The time of the event.
    pub achieved_at: OffsetDateTime,
    pub recorded_at: OffsetDateTime,
    /// JSON text, as the next two.
    pub criteria: String,
    pub trigger_event: String,
    pub metadata: String,
}

macro_rules! columns {
    () => {
        "a.id, a.workflow_id, a.enrollment_id, a.contact_id, a.goal_id, a.goal_type, a.goal_version, a.event_id, \
         a.event_name, a.achieved_at, a.recorded_at, a.criteria::text AS criteria, \
         a.trigger_event::text AS trigger_event, a.metadata::text AS metadata"
    };
}

fn achievement(row: &Row) -> Result<Achievement, Error> {
    Ok(Achievement {
        id: id(row, "id")?,
        workflow_id: id(row, "workflow_id")?,
        enrollment_id: id(row, "enrollment_id")?,
        contact_id: parsed(row, "contact_id")?,
        goal_id: id(row, "goal_id")?,
        goal_type: parsed(row, "goal_type")?,
        goal_version: row.try_get("goal_version")?,
        event_id: id(row, "event_id")?,
        event_name: row.try_get("event_name")?,
        achieved_at: row.try_get("achieved_at")?,
        recorded_at: row.try_get("recorded_at")?,
        criteria: row.try_get("criteria")?,
        trigger_event: row.try_get("trigger_event")?,
        metadata: row.try_get("metadata")?,
    })
}

const OF_PAIRS: &str = concat!(
    "SELECT x.id, x.workflow_id, x.enrollment_id, x.contact_id, x.goal_id, x.goal_type, x.goal_version, x.event_id, \
     x.event_name, x.achieved_at, x.recorded_at, x.criteria, x.trigger_event, x.metadata \
     FROM unnest($2::uuid[], $3::text[]) AS n (workflow_id, contact_id) CROSS JOIN LATERAL (SELECT ",
    columns!(),
    " FROM evaluator.workflow_goal_achievements a WHERE a.tenant_id = $1 AND a.contact_id >= n.contact_id \
     AND a.contact_id <= n.contact_id AND a.workflow_id = n.workflow_id ORDER BY a.contact_id OFFSET 0) AS x"
);

/// All achievements of these pairs: of their active enrollments, and of earlier ones.
pub async fn of_pairs(tx: &Tx, tenant: &TenantId, pairs: &Pairs<'_>) -> Result<Vec<Achievement>, Error> {
    let rows = tx.query(OF_PAIRS, &[&tenant.as_str(), &pairs.workflows, &pairs.contacts]).await?;
    rows.iter().map(achievement).collect()
}

/// See [`insert`].
pub const INSERT: &str = "INSERT INTO evaluator.workflow_goal_achievements (tenant_id, id, workflow_id, enrollment_id, contact_id, goal_id, \
     goal_type, goal_version, event_id, event_name, achieved_at, recorded_at, criteria, trigger_event, metadata) \
     SELECT $1, n.id, n.workflow_id, n.enrollment_id, n.contact_id, n.goal_id, n.goal_type, n.goal_version, n.event_id, n.event_name, \
     n.achieved_at, n.recorded_at, n.criteria::jsonb, n.trigger_event::jsonb, n.metadata::jsonb \
     FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::integer[], $9::uuid[], $10::text[], \
     $11::timestamptz[], $12::timestamptz[], $13::text[], $14::text[], $15::text[]) \
     AS n (id, workflow_id, enrollment_id, contact_id, goal_id, goal_type, goal_version, event_id, event_name, achieved_at, recorded_at, \
     criteria, trigger_event, metadata) \
     ON CONFLICT (tenant_id, enrollment_id, goal_id) DO NOTHING";

/// Records achievements; how many were new.
pub async fn insert(tx: &Tx, tenant: &TenantId, new: &[Achievement]) -> Result<u64, Error> {
    fn each<'a, T>(new: &'a [Achievement], of: impl Fn(&'a Achievement) -> T) -> Vec<T> {
        new.iter().map(of).collect()
    }
    tx.execute(
        INSERT,
        &[
            &tenant.as_str(),
            &each(new, |a| a.id.as_uuid()),
            &each(new, |a| a.workflow_id.as_uuid()),
            &each(new, |a| a.enrollment_id.as_uuid()),
            &each(new, |a| a.contact_id.as_str()),
            &each(new, |a| a.goal_id.as_uuid()),
            &each(new, |a| a.goal_type.as_str()),
            &each(new, |a| a.goal_version),
            &each(new, |a| a.event_id.as_uuid()),
            &each(new, |a| a.event_name.as_str()),
            &each(new, |a| a.achieved_at),
            &each(new, |a| a.recorded_at),
            &each(new, |a| a.criteria.as_str()),
            &each(new, |a| a.trigger_event.as_str()),
            &each(new, |a| a.metadata.as_str()),
        ],
    )
    .await
}

const OF_ENROLLMENT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM evaluator.workflow_goal_achievements a WHERE a.tenant_id = $1 AND a.enrollment_id = $2 \
     ORDER BY a.achieved_at, a.id"
);

/// The achievements of one enrollment, oldest first.
pub async fn of_enrollment(tx: &Tx, tenant: &TenantId, enrollment: EnrollmentId) -> Result<Vec<Achievement>, Error> {
    let rows = tx.query(OF_ENROLLMENT, &[&tenant.as_str(), &enrollment.as_uuid()]).await?;
    rows.iter().map(achievement).collect()
}

/// What a list of achievements is narrowed to, and where the page begins.
#[derive(Clone)]
pub struct Listing {
    pub workflow_id: WorkflowId,
    pub contact_id: Option<ContactId>,
    /// Achieved at or after.
    pub from: Option<OffsetDateTime>,
    /// Achieved before.
    pub to: Option<OffsetDateTime>,
    /// The last achievement of the page before.
    pub before: Option<(OffsetDateTime, Uuid)>,
    pub limit: i64,
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM evaluator.workflow_goal_achievements a WHERE a.tenant_id = $1 AND a.workflow_id = $2 \
     AND a.achieved_at >= coalesce($3::timestamptz, '-infinity') AND a.achieved_at < coalesce($4::timestamptz, 'infinity') \
     AND (a.achieved_at, a.id) < (coalesce($5::timestamptz, 'infinity'), \
     coalesce($6::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) ORDER BY a.achieved_at DESC, a.id DESC LIMIT $7"
);

const LIST_OF_CONTACT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM evaluator.workflow_goal_achievements a WHERE a.tenant_id = $1 AND a.workflow_id = $2 \
     AND a.achieved_at >= coalesce($3::timestamptz, '-infinity') AND a.achieved_at < coalesce($4::timestamptz, 'infinity') \
     AND (a.achieved_at, a.id) < (coalesce($5::timestamptz, 'infinity'), \
     coalesce($6::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) AND a.contact_id = $8 ORDER BY a.achieved_at DESC, a.id DESC LIMIT $7"
);

/// A page of a workflow's achievements, latest first.
pub async fn list(tx: &Tx, tenant: &TenantId, listing: &Listing) -> Result<Vec<Achievement>, Error> {
    let (before_at, before_id) = listing.before.unzip();
    let (tenant, workflow) = (tenant.as_str(), listing.workflow_id.as_uuid());
    let rows = match &listing.contact_id {
        None => {
            tx.query(LIST, &[&tenant, &workflow, &listing.from, &listing.to, &before_at, &before_id, &listing.limit])
                .await?
        }
        Some(contact) => {
            let contact = contact.as_str();
            tx.query(
                LIST_OF_CONTACT,
                &[&tenant, &workflow, &listing.from, &listing.to, &before_at, &before_id, &listing.limit, &contact],
            )
            .await?
        }
    };
    rows.iter().map(achievement).collect()
}

/// Every statement here, for the test that prepares them all.
pub const STATEMENTS: [&str; 5] = [OF_PAIRS, INSERT, OF_ENROLLMENT, LIST, LIST_OF_CONTACT];
