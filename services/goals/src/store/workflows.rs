//! `goals.workflows`: automations that contacts are enrolled in.

use domain::ids::{TenantId, WorkflowId};
use domain::workflow::{GoalLogic, WorkflowStatus, lock_key};
use pg::{Error, Row, Tx};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use web::Versioned;
use web::openapi::schema;

use super::{json, word};

pub(super) const STATEMENTS: &[&str] = &[LOCK, INSERT, FIND, LIST, UPDATE, SET_STATUS];

macro_rules! columns {
    () => {
        "id, name, status, goal_logic::text, allow_reentry, version, activated_at, created_by, created_at, updated_at"
    };
}

/// A workflow, as it is kept, answered and audited.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Workflow {
    #[schema(value_type = Uuid)]
    pub id: WorkflowId,
    pub name: String,
    /// Goals count while it is active or paused; actions run while it is active.
    #[schema(schema_with = schema::workflow_status)]
    pub status: WorkflowStatus,
    #[schema(schema_with = schema::goal_logic)]
    pub goal_logic: GoalLogic,
    pub allow_reentry: bool,
    pub version: i32,
    #[serde(with = "domain::time_format::option")]
    pub activated_at: Option<OffsetDateTime>,
    pub created_by: String,
    #[serde(with = "domain::time_format")]
    pub created_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    pub updated_at: OffsetDateTime,
}

/// What the caller decides of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub name: String,
    pub goal_logic: GoalLogic,
    pub allow_reentry: bool,
}

impl Versioned for Workflow {
    fn version(&self) -> i32 {
        self.version
    }
}

impl Workflow {
    pub fn content(&self) -> Content {
        Content { name: self.name.clone(), goal_logic: self.goal_logic, allow_reentry: self.allow_reentry }
    }
}

const LOCK: &str = "SELECT pg_advisory_xact_lock($1)";

/// The workflow's lock, exclusively: no evaluator judges by the workflow and nobody else changes it until the commit. Whatever
/// is to be decided upon is read after it.
pub async fn lock(tx: &Tx, tenant: &TenantId, id: WorkflowId) -> Result<(), Error> {
    tx.query(LOCK, &[&lock_key(tenant, id)]).await.map(drop)
}

const INSERT: &str = concat!(
    "INSERT INTO goals.workflows (tenant_id, id, name, goal_logic, allow_reentry, created_by) ",
    "VALUES ($1, $2, $3, $4::text::jsonb, $5, $6) RETURNING ",
    columns!()
);

/// Adds a draft.
pub async fn insert(
    tx: &Tx,
    tenant: &TenantId,
    id: WorkflowId,
    content: &Content,
    created_by: &str,
) -> Result<Workflow, Error> {
    let logic = logic_text(&content.goal_logic)?;
    read(
        &tx.query_one(
            INSERT,
            &[&tenant.as_str(), &id.as_uuid(), &content.name, &logic, &content.allow_reentry, &created_by],
        )
        .await?,
    )
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM goals.workflows WHERE tenant_id = $1 AND id = $2");

/// The workflow, if the tenant has it.
pub async fn find(tx: &Tx, tenant: &TenantId, id: WorkflowId) -> Result<Option<Workflow>, Error> {
    tx.query_opt(FIND, &[&tenant.as_str(), &id.as_uuid()]).await?.as_ref().map(read).transpose()
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM goals.workflows WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3)) ",
    "AND ($5::text IS NULL OR status = $5) AND ($6::text IS NULL OR strpos(lower(name), lower($6)) > 0) ",
    "ORDER BY created_at DESC, id DESC LIMIT $4"
);

/// Which workflows are asked for; what is not given takes all.
#[derive(Debug, Default)]
pub struct Filter {
    pub status: Option<WorkflowStatus>,
    /// A part of the name, in whatever case.
    pub name: Option<String>,
}

/// Workflows of a filter older than `before`, newest first.
pub async fn list(
    tx: &Tx,
    tenant: &TenantId,
    filter: &Filter,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<Workflow>, Error> {
    let (time, id) = before.unzip();
    let status = filter.status.map(WorkflowStatus::as_str);
    tx.query(LIST, &[&tenant.as_str(), &time, &id, &limit, &status, &filter.name]).await?.iter().map(read).collect()
}

const UPDATE: &str = concat!(
    "UPDATE goals.workflows SET name = $3, goal_logic = $4::text::jsonb, allow_reentry = $5, ",
    "version = version + 1, updated_at = statement_timestamp() WHERE tenant_id = $1 AND id = $2 RETURNING ",
    columns!()
);

/// Replaces what the caller decides.
pub async fn update(tx: &Tx, tenant: &TenantId, id: WorkflowId, content: &Content) -> Result<Workflow, Error> {
    let logic = logic_text(&content.goal_logic)?;
    read(
        &tx.query_one(UPDATE, &[&tenant.as_str(), &id.as_uuid(), &content.name, &logic, &content.allow_reentry])
            .await?,
    )
}

const SET_STATUS: &str = concat!(
    "UPDATE goals.workflows SET status = $3, version = version + 1, updated_at = statement_timestamp(), ",
    "activated_at = CASE WHEN $4 THEN statement_timestamp() ELSE activated_at END ",
    "WHERE tenant_id = $1 AND id = $2 RETURNING ",
    columns!()
);

/// Changes the status; `begins` says that its goals listen from now on.
pub async fn set_status(
    tx: &Tx,
    tenant: &TenantId,
    id: WorkflowId,
    status: WorkflowStatus,
    begins: bool,
) -> Result<Workflow, Error> {
    read(&tx.query_one(SET_STATUS, &[&tenant.as_str(), &id.as_uuid(), &status.as_str(), &begins]).await?)
}

fn logic_text(logic: &GoalLogic) -> Result<String, Error> {
    serde_json::to_string(logic).map_err(|error| Error::Decode(error.to_string()))
}

fn read(row: &Row) -> Result<Workflow, Error> {
    Ok(Workflow {
        id: row.try_get::<_, Uuid>(0)?.into(),
        name: row.try_get(1)?,
        status: word(row.try_get(2)?)?,
        goal_logic: json(row.try_get(3)?)?,
        allow_reentry: row.try_get(4)?,
        version: row.try_get(5)?,
        activated_at: row.try_get(6)?,
        created_by: row.try_get(7)?,
        created_at: row.try_get(8)?,
        updated_at: row.try_get(9)?,
    })
}
