//! What PostgreSQL holds of a tenant, read by a superuser.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::api::Api;
use crate::oracle::{Id, Moment};

/// Everything of one tenant in the end.
#[derive(Debug)]
pub struct Facts {
    /// Event time, and when it was stored; per row.
    pub events: Vec<(Id, Moment, Moment)>,
    /// By their age.
    pub enrollments: Vec<Enrollment>,
    pub achievements: Vec<Achievement>,
}

#[derive(Debug)]
pub struct Enrollment {
    pub id: Uuid,
    pub workflow: Uuid,
    pub contact: String,
    pub status: String,
    pub enrolled_at: Moment,
    pub created_at: Moment,
    pub exited_at: Option<Moment>,
    pub reached_at: Option<Moment>,
    /// Its actions by status.
    pub pending: i64,
    pub cancelled: i64,
}

#[derive(Debug)]
pub struct Achievement {
    pub enrollment: Uuid,
    pub goal: Id,
    pub version: i32,
    pub event: Id,
    pub recorded_at: Moment,
}

/// A goal as it is stored.
#[derive(Debug)]
pub struct StoredGoal {
    pub id: Id,
    pub version: i32,
    pub position: i16,
    pub active: bool,
    pub within: Option<Moment>,
    pub created_at: Moment,
    pub effective_from: Option<Moment>,
}

/// Microseconds since 1970.
macro_rules! micros {
    ($column:literal) => {
        concat!("(extract(epoch FROM ", $column, ") * 1000000)::bigint")
    };
}

const EVENTS: &str = concat!(
    "SELECT event_id, ",
    micros!("event_time"),
    ", ",
    micros!("received_at"),
    " FROM ingest.events_raw WHERE tenant_id = $1"
);
const ENROLLMENTS: &str = concat!(
    "SELECT e.id, e.workflow_id, e.contact_id, e.status, ",
    micros!("e.enrolled_at"),
    ", ",
    micros!("e.created_at"),
    ", ",
    micros!("e.exited_at"),
    ", ",
    micros!("e.goal_reached_at"),
    ", count(a.id) FILTER (WHERE a.status = 'pending'), count(a.id) FILTER (WHERE a.status = 'cancelled') ",
    "FROM evaluator.enrollments e ",
    "LEFT JOIN evaluator.scheduled_actions a ON a.tenant_id = e.tenant_id AND a.enrollment_id = e.id ",
    "WHERE e.tenant_id = $1 GROUP BY e.tenant_id, e.id ORDER BY e.created_at"
);
const ACHIEVEMENTS: &str = concat!(
    "SELECT enrollment_id, goal_id, goal_version, event_id, ",
    micros!("recorded_at"),
    " FROM evaluator.workflow_goal_achievements WHERE tenant_id = $1"
);
const GOALS: &str = concat!(
    "SELECT id, version, position, status, within_seconds, ",
    micros!("created_at"),
    ", ",
    micros!("effective_from"),
    " FROM goals.goals WHERE tenant_id = $1 AND workflow_id = $2 AND deleted_at IS NULL"
);
const WORKFLOW: &str = "SELECT status, goal_logic::text FROM goals.workflows WHERE tenant_id = $1 AND id = $2";

pub async fn of(api: &Api, tenant: &str) -> Facts {
    let events = api.database.query(EVENTS, &[&tenant]).await.unwrap();
    let enrollments = api.database.query(ENROLLMENTS, &[&tenant]).await.unwrap();
    let achievements = api.database.query(ACHIEVEMENTS, &[&tenant]).await.unwrap();
    let enrollment = |row: &tokio_postgres::Row| Enrollment {
        id: row.get(0),
        workflow: row.get(1),
        contact: row.get(2),
        status: row.get(3),
        enrolled_at: row.get(4),
        created_at: row.get(5),
        exited_at: row.get(6),
        reached_at: row.get(7),
        pending: row.get(8),
        cancelled: row.get(9),
    };
    let achievement = |row: &tokio_postgres::Row| Achievement {
        enrollment: row.get(0),
        goal: id(row, 1),
        version: row.get(2),
        event: id(row, 3),
        recorded_at: row.get(4),
    };
    Facts {
        events: events.iter().map(|row| (id(row, 0), row.get(1), row.get(2))).collect(),
        enrollments: enrollments.iter().map(enrollment).collect(),
        achievements: achievements.iter().map(achievement).collect(),
    }
}

fn id(row: &tokio_postgres::Row, place: usize) -> Id {
    row.get::<_, Uuid>(place).as_u128()
}

/// Status, logic as JSON, and goals of a workflow: what holds after a change.
pub async fn configuration(api: &Api, tenant: &str, workflow: Uuid) -> (String, String, BTreeMap<Id, StoredGoal>) {
    let row = api.database.query_one(WORKFLOW, &[&tenant, &workflow]).await.unwrap();
    let goals = api.database.query(GOALS, &[&tenant, &workflow]).await.unwrap();
    let goals = goals.iter().map(|row| {
        let goal = StoredGoal {
            id: id(row, 0),
            version: row.get(1),
            position: row.get(2),
            active: row.get::<_, &str>(3) == "active",
            within: row.get::<_, Option<i64>>(4).map(|seconds| seconds * crate::history::SECOND),
            created_at: row.get(5),
            effective_from: row.get(6),
        };
        (goal.id, goal)
    });
    (row.get(0), row.get(1), goals.collect())
}
