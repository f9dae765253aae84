//! Configuration, as the goals service writes it.

use domain::goal::{Criteria, GoalType};
use domain::ids::TenantId;
use domain::json::{Json, Limits};
use domain::workflow::lock_key;
use serde_json::{Value, json};
use tokio_postgres::Transaction;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::World;

const RAISE_EPOCH: &str = "UPDATE goals.epochs SET epoch = epoch + 1 WHERE tenant_id = $1";

/// A goal as a test wants it.
pub struct Goal {
    pub goal_type: String,
    pub criteria: Value,
    pub position: i16,
    pub within_seconds: Option<i64>,
    pub on_enroll: &'static str,
    /// Added to the time at which it is made; none: every stored event counts.
    pub effective_after_seconds: Option<i64>,
}

/// A goal that listens from the moment it is made.
pub fn goal(goal_type: &str, criteria: Value) -> Goal {
    Goal {
        goal_type: goal_type.to_owned(),
        criteria,
        position: 1,
        within_seconds: None,
        on_enroll: "ignore",
        effective_after_seconds: Some(0),
    }
}

impl World {
    pub async fn workflow(&self, status: &str, logic: Value) -> Uuid {
        self.workflow_of("demo", status, logic).await
    }

    pub async fn workflow_of(&self, tenant: &str, status: &str, logic: Value) -> Uuid {
        let id = Uuid::now_v7();
        let insert = "INSERT INTO goals.workflows (tenant_id, id, name, status, goal_logic, created_by) VALUES ($1, $2, 'w', $3, $4, 'test')";
        self.sql.execute(insert, &[&tenant, &id, &status, &logic]).await.unwrap();
        self.raise_epoch(tenant).await;
        id
    }

    /// An active workflow with the logic `any` and one goal.
    pub async fn listening(&self, goal: Goal) -> Uuid {
        let workflow = self.workflow("active", json!("any")).await;
        self.add_goal(workflow, goal).await;
        workflow
    }

    pub async fn add_goal(&self, workflow: Uuid, goal: Goal) -> Uuid {
        let id = Uuid::now_v7();
        let goal_type: GoalType = goal.goal_type.parse().unwrap();
        let criteria = goal.criteria.to_string();
        let parsed = Criteria::parse(goal_type, &Json::parse(&criteria, &Limits::CRITERIA).unwrap()).unwrap();
        let insert = "INSERT INTO goals.goals (tenant_id, id, workflow_id, goal_type, event_name, criteria, criteria_hash, within_seconds, \
                      on_enroll, position, effective_from, created_by) \
                      SELECT w.tenant_id, $1, w.id, $3, $4, $5::text::jsonb, uuid_send($1), $6, $7, $8, \
                      clock_timestamp() + $9::float8 * interval '1 s', 'test' FROM goals.workflows w WHERE w.id = $2";
        let effective = goal.effective_after_seconds.map(|seconds| f64::from(i32::try_from(seconds).unwrap()));
        let binds: [&(dyn ToSql + Sync); 9] = [
            &id,
            &workflow,
            &goal.goal_type,
            &parsed.event_name(),
            &criteria,
            &goal.within_seconds,
            &goal.on_enroll,
            &goal.position,
            &effective,
        ];
        assert_eq!(self.sql.execute(insert, &binds).await.unwrap(), 1);
        self.raise_epoch_of_workflow(workflow).await;
        id
    }

    pub async fn put_tag(&self, id: &str, name: &str) {
        let insert = "INSERT INTO goals.directory (tenant_id, kind, ref_id, name, name_folded) VALUES ('demo', 'tag', $1, $2, $3)";
        self.sql.execute(insert, &[&id, &name, &domain::goal::fold_name(name)]).await.unwrap();
        self.raise_epoch("demo").await;
    }

    pub async fn put_stage(&self, id: &str, pipeline: &str, position: i32) {
        let insert = "INSERT INTO goals.directory (tenant_id, kind, ref_id, name, pipeline_id, position) VALUES ('demo', 'stage', $1, $1, $2, $3)";
        self.sql.execute(insert, &[&id, &pipeline, &position]).await.unwrap();
        self.raise_epoch("demo").await;
    }

    pub async fn change_workflow(&self, workflow: Uuid, change: &str) {
        self.sql.execute(&format!("UPDATE goals.workflows SET {change} WHERE id = $1"), &[&workflow]).await.unwrap();
        self.raise_epoch_of_workflow(workflow).await;
    }

    pub async fn change_goal(&self, goal: Uuid, change: &str) {
        self.sql.execute(&format!("UPDATE goals.goals SET {change} WHERE id = $1"), &[&goal]).await.unwrap();
        self.raise_epoch("demo").await;
    }

    async fn raise_epoch(&self, tenant: &str) {
        self.sql.execute(RAISE_EPOCH, &[&tenant]).await.unwrap();
    }

    async fn raise_epoch_of_workflow(&self, workflow: Uuid) {
        let sql = "UPDATE goals.epochs SET epoch = epoch + 1 WHERE tenant_id = (SELECT tenant_id FROM goals.workflows WHERE id = $1)";
        self.sql.execute(sql, &[&workflow]).await.unwrap();
    }
}

/// Begins to change a workflow's status as the goals service does: its fence first, the epoch last. The change is there when the
/// transaction commits.
pub async fn begin_status(tx: &Transaction<'_>, workflow: Uuid, status: &str) {
    let key = lock_key(&TenantId::parse("demo").unwrap(), workflow.into());
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&key]).await.unwrap();
    tx.execute("UPDATE goals.workflows SET status = $2 WHERE id = $1", &[&workflow, &status]).await.unwrap();
    tx.execute(RAISE_EPOCH, &[&"demo"]).await.unwrap();
}
