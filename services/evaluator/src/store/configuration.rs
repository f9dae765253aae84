//! The configuration of tenants, as the goals service publishes it: epochs, live goals, and the part of the reference directory
//! that goals need.

use super::{id, parsed};
use domain::goal::{GoalStatus, Reference};
use domain::ids::{TenantId, WorkflowId};
use pg::{Error, Row, Tx};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

const EPOCHS: &str = "SELECT e.tenant_id, e.epoch FROM goals.v_epochs_v1 e WHERE e.tenant_id = ANY($1::text[])";

/// The configuration epochs of tenants; one that does not exist has none. Across tenants: in the system scope.
pub async fn epochs(tx: &Tx, tenants: &[&str]) -> Result<HashMap<TenantId, i64>, Error> {
    let rows = tx.query(EPOCHS, &[&tenants]).await?;
    rows.iter().map(|row| Ok((parsed(row, "tenant_id")?, row.try_get("epoch")?))).collect()
}

/// What holds for a whole tenant.
#[derive(Clone, Debug)]
pub struct Head {
    pub epoch: i64,
    pub currency: String,
}

/// See [`head`].
pub const HEAD: &str = "SELECT c.epoch, c.default_currency FROM goals.v_configuration_v1 c WHERE c.tenant_id = $1";

/// Epoch and currency of the tenant, if there is such a tenant.
pub async fn head(tx: &Tx, tenant: &TenantId) -> Result<Option<Head>, Error> {
    let row = tx.query_opt(HEAD, &[&tenant.as_str()]).await?;
    row.map(|row| Ok(Head { epoch: row.try_get("epoch")?, currency: row.try_get("default_currency")? })).transpose()
}

/// An active goal of a live workflow as it is stored, with what the workflow says beside it.
#[derive(Clone, Debug)]
pub struct LiveGoal {
    pub workflow_id: WorkflowId,
    pub workflow_status: String,
    /// JSON text, as the criteria.
    pub goal_logic: String,
    pub goal_id: Uuid,
    pub goal_type: String,
    pub criteria: String,
    pub within_seconds: Option<i64>,
    pub on_enroll: String,
    pub position: i16,
    pub version: i32,
    pub created_at: OffsetDateTime,
    pub effective_from: Option<OffsetDateTime>,
}

macro_rules! columns {
    () => {
        "g.workflow_id, g.workflow_status, g.goal_logic::text AS goal_logic, g.goal_id, g.goal_type, \
         g.criteria::text AS criteria, g.within_seconds, g.on_enroll, g.position, g.version, g.created_at, g.effective_from"
    };
}

fn live_goal(row: &Row) -> Result<LiveGoal, Error> {
    Ok(LiveGoal {
        workflow_id: id(row, "workflow_id")?,
        workflow_status: row.try_get("workflow_status")?,
        goal_logic: row.try_get("goal_logic")?,
        goal_id: row.try_get("goal_id")?,
        goal_type: row.try_get("goal_type")?,
        criteria: row.try_get("criteria")?,
        within_seconds: row.try_get("within_seconds")?,
        on_enroll: row.try_get("on_enroll")?,
        position: row.try_get("position")?,
        version: row.try_get("version")?,
        created_at: row.try_get("created_at")?,
        effective_from: row.try_get("effective_from")?,
    })
}

const LIVE_GOALS: &str = concat!("SELECT ", columns!(), " FROM goals.v_live_goals_v1 g WHERE g.tenant_id = $1");

/// All active goals of the tenant's live workflows.
pub async fn live_goals(tx: &Tx, tenant: &TenantId) -> Result<Vec<LiveGoal>, Error> {
    let rows = tx.query(LIVE_GOALS, &[&tenant.as_str()]).await?;
    rows.iter().map(live_goal).collect()
}

const LIVE_GOALS_OF: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM goals.v_live_goals_v1 g WHERE g.tenant_id = $1 AND g.workflow_id = ANY($2::uuid[])"
);

/// The active goals of these workflows, as far as they are live.
pub async fn live_goals_of(tx: &Tx, tenant: &TenantId, workflows: &[WorkflowId]) -> Result<Vec<LiveGoal>, Error> {
    let workflows: Vec<Uuid> = workflows.iter().map(|workflow| workflow.as_uuid()).collect();
    let rows = tx.query(LIVE_GOALS_OF, &[&tenant.as_str(), &workflows]).await?;
    rows.iter().map(live_goal).collect()
}

const GOALS_OF: &str = concat!(
    "SELECT ",
    columns!(),
    ", g.status FROM goals.v_workflow_goals_v1 g WHERE g.tenant_id = $1 AND g.workflow_id = $2"
);

/// All goals of a workflow that are not deleted, whatever its status; each with its own.
pub async fn goals_of(tx: &Tx, tenant: &TenantId, workflow: WorkflowId) -> Result<Vec<(LiveGoal, GoalStatus)>, Error> {
    let rows = tx.query(GOALS_OF, &[&tenant.as_str(), &workflow.as_uuid()]).await?;
    rows.iter().map(|row| Ok((live_goal(row)?, parsed(row, "status")?))).collect()
}

const REFERENCES: &str = "SELECT r.kind, r.ref_id, r.pipeline_id FROM goals.v_references_v1 r \
     JOIN unnest($2::text[], $3::text[]) AS n (kind, ref_id) ON n.kind = r.kind AND n.ref_id = r.ref_id WHERE r.tenant_id = $1";

/// Those of these references that are there, each with the pipeline it belongs to.
pub async fn references(
    tx: &Tx,
    tenant: &TenantId,
    wanted: &[Reference],
) -> Result<HashMap<Reference, Option<String>>, Error> {
    let kinds: Vec<&str> = wanted.iter().map(|reference| reference.kind.as_str()).collect();
    let ids: Vec<&str> = wanted.iter().map(|reference| reference.id.as_str()).collect();
    let rows = tx.query(REFERENCES, &[&tenant.as_str(), &kinds, &ids]).await?;
    rows.iter()
        .map(|row| {
            let reference = Reference { kind: parsed(row, "kind")?, id: row.try_get("ref_id")? };
            Ok((reference, row.try_get("pipeline_id")?))
        })
        .collect()
}

/// The part of the directory that some goals need.
#[derive(Clone, Debug, Default)]
pub struct Needed {
    pub tag_ids: Vec<String>,
    pub folded_tag_names: Vec<String>,
    /// A pattern may be met by any tag.
    pub all_tags: bool,
    /// With all stages of their pipelines.
    pub stage_ids: Vec<String>,
}

impl Needed {
    /// Whether goals need nothing of the directory.
    pub fn is_nothing(&self) -> bool {
        !self.all_tags && self.tag_ids.is_empty() && self.folded_tag_names.is_empty() && self.stage_ids.is_empty()
    }
}

/// A tag or a stage.
#[derive(Clone, Debug)]
pub enum Entry {
    Tag { id: String, name: String },
    Stage { id: String, pipeline_id: String, position: Option<i32> },
}

const DIRECTORY: &str = "SELECT d.kind, d.ref_id, d.name, d.pipeline_id, d.position FROM goals.v_directory_v1 d \
     WHERE d.tenant_id = $1 AND d.kind = 'tag' AND d.name IS NOT NULL \
     AND ($2::boolean OR d.ref_id = ANY($3::text[]) OR d.name_folded = ANY($4::text[])) \
     UNION ALL \
     SELECT d.kind, d.ref_id, d.name, d.pipeline_id, d.position FROM goals.v_directory_v1 d \
     WHERE d.tenant_id = $1 AND d.kind = 'stage' AND d.pipeline_id IN \
     (SELECT s.pipeline_id FROM goals.v_directory_v1 s \
      WHERE s.tenant_id = $1 AND s.kind = 'stage' AND s.ref_id = ANY($5::text[]))";

/// The entries of the directory that are needed.
pub async fn directory(tx: &Tx, tenant: &TenantId, needed: &Needed) -> Result<Vec<Entry>, Error> {
    if needed.is_nothing() {
        return Ok(Vec::new());
    }
    let rows = tx
        .query(
            DIRECTORY,
            &[&tenant.as_str(), &needed.all_tags, &needed.tag_ids, &needed.folded_tag_names, &needed.stage_ids],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let (kind, id): (&str, String) = (row.try_get("kind")?, row.try_get("ref_id")?);
            Ok(match kind {
                "tag" => Entry::Tag { id, name: row.try_get("name")? },
                _ => Entry::Stage { id, pipeline_id: row.try_get("pipeline_id")?, position: row.try_get("position")? },
            })
        })
        .collect()
}

/// Every statement here, for the test that prepares them all. The first is of the system login.
pub const STATEMENTS: [&str; 7] = [EPOCHS, HEAD, LIVE_GOALS, LIVE_GOALS_OF, GOALS_OF, REFERENCES, DIRECTORY];
