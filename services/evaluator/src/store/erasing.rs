//! What is left of contacts who are forgotten: their rows with an id that stands for nobody, and without what was said about them.
//! All of it on enrollments that the transaction has locked; one that is made meanwhile is none of them.

use super::{id, uuids};
use domain::ids::{ContactId, EnrollmentId, TenantId, WorkflowId};
use domain::json::Json;
use pg::{Error, Tx};

/// A contact, and what stands in its place from now on.
#[derive(Clone, Debug)]
pub struct Anonymous {
    pub contact: ContactId,
    pub stands_for: String,
}

/// As the two arrays that a statement takes.
fn columns(nobodies: &[Anonymous]) -> (Vec<&str>, Vec<&str>) {
    nobodies.iter().map(|nobody| (nobody.contact.as_str(), nobody.stands_for.as_str())).unzip()
}

const OF_CONTACTS: &str =
    "SELECT e.id, e.workflow_id FROM evaluator.enrollments e WHERE e.tenant_id = $1 AND e.contact_id = ANY($2)";

/// The enrollments of these contacts, whatever became of them, with their workflows.
pub async fn of_contacts(
    tx: &Tx,
    tenant: &TenantId,
    nobodies: &[Anonymous],
) -> Result<Vec<(EnrollmentId, WorkflowId)>, Error> {
    let rows = tx.query(OF_CONTACTS, &[&tenant.as_str(), &columns(nobodies).0]).await?;
    rows.iter().map(|row| Ok((id(row, "id")?, id(row, "workflow_id")?))).collect()
}

const LOCK: &str = "SELECT e.id FROM evaluator.enrollments e WHERE e.tenant_id = $1 AND e.id = ANY($2) ORDER BY e.workflow_id, e.contact_id COLLATE \"C\" FOR UPDATE";

/// Locks enrollments, in the order of `judged::lock_active`.
pub async fn lock(tx: &Tx, tenant: &TenantId, ids: &[EnrollmentId]) -> Result<(), Error> {
    tx.query(LOCK, &[&tenant.as_str(), &uuids(ids)]).await.map(drop)
}

const ENROLLMENTS: &str = "UPDATE evaluator.enrollments e SET contact_id = n.stands_for, reason = NULL \
     FROM unnest($3::text[], $4::text[]) AS n (contact_id, stands_for) \
     WHERE e.tenant_id = $1 AND e.id = ANY($2) AND e.contact_id = n.contact_id";

/// Enrollments that have ended become nobody's; how many.
pub async fn enrollments(
    tx: &Tx,
    tenant: &TenantId,
    ids: &[EnrollmentId],
    nobodies: &[Anonymous],
) -> Result<u64, Error> {
    let (contacts, stand_for) = columns(nobodies);
    tx.execute(ENROLLMENTS, &[&tenant.as_str(), &uuids(ids), &contacts, &stand_for]).await
}

// What else an achievement keeps is the goal's: its criteria, and which other goals the event met.
const ACHIEVEMENTS: &str = "UPDATE evaluator.workflow_goal_achievements a SET contact_id = n.stands_for, trigger_event = '{}' \
     FROM unnest($3::text[], $4::text[]) AS n (contact_id, stands_for) \
     WHERE a.tenant_id = $1 AND a.enrollment_id = ANY($2) AND a.contact_id = n.contact_id";

/// Achievements become nobody's; how many.
pub async fn achievements(
    tx: &Tx,
    tenant: &TenantId,
    ids: &[EnrollmentId],
    nobodies: &[Anonymous],
) -> Result<u64, Error> {
    let (contacts, stand_for) = columns(nobodies);
    tx.execute(ACHIEVEMENTS, &[&tenant.as_str(), &uuids(ids), &contacts, &stand_for]).await
}

const ACTIONS: &str = "UPDATE evaluator.scheduled_actions a SET payload = NULL \
     WHERE a.tenant_id = $1 AND a.enrollment_id = ANY($2) AND a.payload IS NOT NULL";

/// Actions lose what was to be done with whom; how many.
pub async fn actions(tx: &Tx, tenant: &TenantId, ids: &[EnrollmentId]) -> Result<u64, Error> {
    tx.execute(ACTIONS, &[&tenant.as_str(), &uuids(ids)]).await
}

// Looked for as text first, which CASE alone makes sure of: few answers are those of one person, and each would be parsed. What is
// found is emptied and stays, so that a request that is repeated still has no second effect, and nobody is enrolled again by it.
const ANSWERS: &str = "UPDATE evaluator.answers a SET body = (a.body::jsonb \
     || coalesce((SELECT jsonb_build_object('contact_id', n.stands_for) FROM unnest($3::text[], $4::text[]) AS n (contact_id, stands_for) \
         WHERE n.contact_id = a.body::jsonb ->> 'contact_id'), '{}') \
     || CASE WHEN a.body::jsonb ? 'reason' THEN '{\"reason\": null}'::jsonb ELSE '{}' END \
     || CASE WHEN a.body::jsonb ? 'payload' THEN '{\"payload\": null}'::jsonb ELSE '{}' END)::text \
     WHERE a.tenant_id = $1 AND CASE WHEN EXISTS (SELECT FROM unnest($2::text[]) AS t (text) WHERE strpos(a.body, t.text) > 0) \
     THEN a.body::jsonb ?| ARRAY['contact_id', 'payload'] ELSE false END";

/// What was answered about these contacts and enrollments names nobody any more; how many answers.
pub async fn answers(tx: &Tx, tenant: &TenantId, ids: &[EnrollmentId], nobodies: &[Anonymous]) -> Result<u64, Error> {
    let (contacts, stand_for) = columns(nobodies);
    let named = contacts.iter().map(|contact| Json::from(*contact).to_text());
    let texts: Vec<String> = named.chain(ids.iter().map(|id| format!("\"{id}\""))).collect();
    tx.execute(ANSWERS, &[&tenant.as_str(), &texts, &contacts, &stand_for]).await
}

/// Every statement here, for the test that prepares them all.
pub const STATEMENTS: [&str; 6] = [OF_CONTACTS, LOCK, ENROLLMENTS, ACHIEVEMENTS, ACTIONS, ANSWERS];
