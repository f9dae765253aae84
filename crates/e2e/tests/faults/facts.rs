//! What PostgreSQL holds of a tenant, read by a superuser in one snapshot.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error, IsolationLevel, Transaction};
use uuid::Uuid;

/// Everything of one tenant at one moment.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Per event id: how many rows, and the amount of one of them.
    pub stored: BTreeMap<Uuid, (i64, String)>,
    /// Rows of the ledger of ids.
    pub keys: i64,
    pub people: People,
    pub actions: Vec<Action>,
    /// Messages given up: queue, code and cause.
    pub dead_letters: Vec<(String, String, String)>,
}

/// Enrollments with what belongs to them: what a snapshot during the run looks at.
#[derive(Clone, Debug, Default)]
pub struct People {
    pub enrollments: BTreeMap<Uuid, Enrollment>,
    pub achievements: Vec<Achievement>,
    /// Enrollments that an exit in the outbox tells of.
    pub exits_in_outbox: Vec<Uuid>,
}

#[derive(Clone, Debug)]
pub struct Enrollment {
    pub workflow: Uuid,
    pub contact: String,
    pub status: String,
    pub version: i64,
    pub pending_actions: i64,
}

#[derive(Clone, Debug)]
pub struct Achievement {
    pub enrollment: Uuid,
    pub goal: Uuid,
    pub event: Uuid,
}

#[derive(Clone, Debug)]
pub struct Action {
    pub id: Uuid,
    pub enrollment: Uuid,
    pub status: String,
    /// It was started after the exit of its enrollment had committed.
    pub started_too_late: bool,
    pub is_announced: bool,
}

const STORED: &str =
    "SELECT event_id, count(*), min(properties->>'amount') FROM ingest.events_raw WHERE tenant_id = $1 GROUP BY 1";
const KEYS: &str = "SELECT count(*) FROM ingest.event_keys WHERE tenant_id = $1";
const ENROLLMENTS: &str = "SELECT e.id, e.workflow_id, e.contact_id, e.status, e.version::bigint, \
     count(a.id) FILTER (WHERE a.status = 'pending') \
     FROM evaluator.enrollments e \
     LEFT JOIN evaluator.scheduled_actions a ON a.tenant_id = e.tenant_id AND a.enrollment_id = e.id \
     WHERE e.tenant_id = $1 GROUP BY e.tenant_id, e.id";
const ACHIEVEMENTS: &str =
    "SELECT enrollment_id, goal_id, event_id FROM evaluator.workflow_goal_achievements WHERE tenant_id = $1";
const EXITS: &str = "SELECT (convert_from(payload, 'UTF8')::jsonb #>> '{data,enrollment_id}')::uuid FROM evaluator.outbox \
     WHERE tenant_id = $1 AND routing_key = 'workflow.exit.goal'";
const ACTIONS: &str = "SELECT a.id, a.enrollment_id, a.status, coalesce(a.started_at > e.exited_at, false), a.announced_at IS NOT NULL \
     FROM evaluator.scheduled_actions a \
     JOIN evaluator.enrollments e ON e.tenant_id = a.tenant_id AND e.id = a.enrollment_id WHERE a.tenant_id = $1";
const DEAD_LETTERS: &str = "SELECT queue, code, cause FROM platform.v_dead_letters ORDER BY service, id";

/// How far the work is: events stored, achievements made.
pub async fn progress(database: &Client, tenant: &str) -> Result<(i64, i64), Error> {
    const PROGRESS: &str = "SELECT (SELECT count(*) FROM ingest.event_keys WHERE tenant_id = $1), \
         (SELECT count(*) FROM evaluator.workflow_goal_achievements WHERE tenant_id = $1)";
    let row = database.query_one(PROGRESS, &[&tenant]).await?;
    Ok((row.get(0), row.get(1)))
}

/// Achievements of one workflow.
pub async fn achieved(database: &Client, workflow: Uuid) -> Result<i64, Error> {
    const ACHIEVED: &str = "SELECT count(*) FROM evaluator.workflow_goal_achievements WHERE workflow_id = $1";
    Ok(database.query_one(ACHIEVED, &[&workflow]).await?.get(0))
}

async fn snapshot(database: &mut Client) -> Result<Transaction<'_>, Error> {
    database.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await
}

/// A look at the enrollments in the midst of the work.
pub async fn people(database: &mut Client, tenant: &str) -> Result<People, Error> {
    let transaction = snapshot(database).await?;
    let people = people_in(&transaction, tenant).await?;
    transaction.commit().await?;
    Ok(people)
}

async fn people_in(transaction: &Transaction<'_>, tenant: &str) -> Result<People, Error> {
    let enrollments = transaction.query(ENROLLMENTS, &[&tenant]).await?;
    let enrollments = enrollments.iter().map(|row| {
        let enrollment = Enrollment {
            workflow: row.get(1),
            contact: row.get(2),
            status: row.get(3),
            version: row.get(4),
            pending_actions: row.get(5),
        };
        (row.get(0), enrollment)
    });
    let achievements = transaction.query(ACHIEVEMENTS, &[&tenant]).await?;
    let achievement =
        |row: &tokio_postgres::Row| Achievement { enrollment: row.get(0), goal: row.get(1), event: row.get(2) };
    let exits = transaction.query(EXITS, &[&tenant]).await?;
    Ok(People {
        enrollments: enrollments.collect(),
        achievements: achievements.iter().map(achievement).collect(),
        exits_in_outbox: exits.iter().map(|row| row.get(0)).collect(),
    })
}

/// Everything, when the work has ended.
pub async fn all(database: &mut Client, tenant: &str) -> Result<Facts, Error> {
    let transaction = snapshot(database).await?;
    let stored = transaction.query(STORED, &[&tenant]).await?;
    let amount = |row: &tokio_postgres::Row| row.get::<_, Option<String>>(2).unwrap_or_default();
    let actions = transaction.query(ACTIONS, &[&tenant]).await?;
    let action = |row: &tokio_postgres::Row| Action {
        id: row.get(0),
        enrollment: row.get(1),
        status: row.get(2),
        started_too_late: row.get(3),
        is_announced: row.get(4),
    };
    let dead_letters = transaction.query(DEAD_LETTERS, &[]).await?;
    let facts = Facts {
        stored: stored.iter().map(|row| (row.get(0), (row.get(1), amount(row)))).collect(),
        keys: transaction.query_one(KEYS, &[&tenant]).await?.get(0),
        people: people_in(&transaction, tenant).await?,
        actions: actions.iter().map(action).collect(),
        dead_letters: dead_letters.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect(),
    };
    transaction.commit().await?;
    Ok(facts)
}
