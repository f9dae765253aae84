//! `goals.goals`: conditions on events that, once met, end an enrollment. Deletion is soft.

use domain::goal::{GoalStatus, GoalType, OnEnroll, Within};
use domain::ids::{GoalId, TenantId, WorkflowId};
use pg::{Error, Row, Tx};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use web::Versioned;
use web::openapi::schema;

use super::word;

pub(super) const STATEMENTS: &[&str] = &[CRITERIA_TEXT, INSERT, LIST, FIND, UPDATE, DELETE, START_COUNTING];

macro_rules! columns {
    () => {
        "id, workflow_id, goal_type, criteria::text, within_seconds, on_enroll, position, status, version, effective_from, \
         created_by, created_at, updated_at, criteria_hash, event_name"
    };
}

/// A goal, as it is kept, answered and audited.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Goal {
    #[schema(value_type = Uuid)]
    pub id: GoalId,
    #[schema(value_type = Uuid)]
    pub workflow_id: WorkflowId,
    #[schema(schema_with = schema::goal_type)]
    pub goal_type: GoalType,
    /// As they were given, with the digits of their amounts.
    #[schema(schema_with = schema::object)]
    pub criteria: Box<RawValue>,
    /// How long after enrollment it may be met.
    #[serde(serialize_with = "within_text")]
    #[schema(value_type = Option<String>)]
    pub within: Option<Within>,
    #[schema(schema_with = schema::on_enroll)]
    pub on_enroll: OnEnroll,
    /// Of several goals that an event meets, the one of the lowest position is credited.
    pub position: i16,
    #[schema(schema_with = schema::goal_status)]
    pub status: GoalStatus,
    pub version: i32,
    /// The moment from which events count for enrollments that were there already.
    #[serde(with = "domain::time_format::option")]
    pub effective_from: Option<OffsetDateTime>,
    pub created_by: String,
    #[serde(with = "domain::time_format")]
    pub created_at: OffsetDateTime,
    #[serde(with = "domain::time_format")]
    pub updated_at: OffsetDateTime,
    #[serde(skip)]
    #[schema(ignore)]
    pub criteria_hash: Vec<u8>,
    #[serde(skip)]
    #[schema(ignore)]
    pub event_name: String,
}

impl Versioned for Goal {
    fn version(&self) -> i32 {
        self.version
    }
}

impl Goal {
    pub fn content(&self) -> Content {
        Content {
            event_name: self.event_name.clone(),
            criteria: self.criteria.get().to_owned(),
            criteria_hash: self.criteria_hash.clone(),
            within: self.within,
            on_enroll: self.on_enroll,
            position: self.position,
            status: self.status,
        }
    }
}

/// What the caller decides of a goal, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub event_name: String,
    /// JSON, as the database writes it (`criteria_text`).
    pub criteria: String,
    pub criteria_hash: Vec<u8>,
    pub within: Option<Within>,
    pub on_enroll: OnEnroll,
    pub position: i16,
    pub status: GoalStatus,
}

const CRITERIA_TEXT: &str = "SELECT ($1::text::jsonb)::text";

/// JSON as the database will write it: numbers keep their digits, keys get their order.
pub async fn criteria_text(tx: &Tx, json: &str) -> Result<String, Error> {
    Ok(tx.query_one(CRITERIA_TEXT, &[&json]).await?.try_get(0)?)
}

const INSERT: &str = concat!(
    "INSERT INTO goals.goals (tenant_id, id, workflow_id, goal_type, created_by, event_name, criteria, criteria_hash, ",
    "within_seconds, on_enroll, position, status, effective_from) ",
    "VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9, $10, $11, $12, CASE WHEN $13 THEN clock_timestamp() END) RETURNING ",
    columns!()
);

/// A goal to be added.
pub struct NewGoal<'a> {
    pub id: GoalId,
    pub workflow_id: WorkflowId,
    pub goal_type: GoalType,
    pub created_by: &'a str,
    pub content: &'a Content,
    /// Whether its workflow is live, so that it counts from now on.
    pub live: bool,
}

/// Adds a goal.
pub async fn insert(tx: &Tx, tenant: &TenantId, new: &NewGoal<'_>) -> Result<Goal, Error> {
    let content = new.content;
    let within = content.within.map(within_seconds);
    let row = tx
        .query_one(
            INSERT,
            &[
                &tenant.as_str(),
                &new.id.as_uuid(),
                &new.workflow_id.as_uuid(),
                &new.goal_type.as_str(),
                &new.created_by,
                &content.event_name,
                &content.criteria,
                &content.criteria_hash,
                &within,
                &content.on_enroll.as_str(),
                &content.position,
                &content.status.as_str(),
                &new.live,
            ],
        )
        .await?;
    read(&row)
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM goals.goals WHERE tenant_id = $1 AND workflow_id = $2 AND deleted_at IS NULL ORDER BY position, created_at, id"
);

/// The goals of a workflow that are not deleted, in the order in which they win.
pub async fn list(tx: &Tx, tenant: &TenantId, workflow: WorkflowId) -> Result<Vec<Goal>, Error> {
    tx.query(LIST, &[&tenant.as_str(), &workflow.as_uuid()]).await?.iter().map(read).collect()
}

const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM goals.goals WHERE tenant_id = $1 AND workflow_id = $2 AND id = $3 AND deleted_at IS NULL"
);

/// The goal, if the workflow has it.
pub async fn find(tx: &Tx, tenant: &TenantId, workflow: WorkflowId, id: GoalId) -> Result<Option<Goal>, Error> {
    let row = tx.query_opt(FIND, &[&tenant.as_str(), &workflow.as_uuid(), &id.as_uuid()]).await?;
    row.as_ref().map(read).transpose()
}

const UPDATE: &str = concat!(
    "UPDATE goals.goals SET event_name = $3, criteria = $4::text::jsonb, criteria_hash = $5, within_seconds = $6, on_enroll = $7, ",
    "position = $8, status = $9, effective_from = CASE WHEN $10 THEN clock_timestamp() ELSE effective_from END, ",
    "version = version + 1, updated_at = statement_timestamp() WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING ",
    columns!()
);

/// Replaces what the caller decides, as the next version; `anew` says that it counts from now on only.
pub async fn update(tx: &Tx, tenant: &TenantId, id: GoalId, content: &Content, anew: bool) -> Result<Goal, Error> {
    let within = content.within.map(within_seconds);
    let row = tx
        .query_one(
            UPDATE,
            &[
                &tenant.as_str(),
                &id.as_uuid(),
                &content.event_name,
                &content.criteria,
                &content.criteria_hash,
                &within,
                &content.on_enroll.as_str(),
                &content.position,
                &content.status.as_str(),
                &anew,
            ],
        )
        .await?;
    read(&row)
}

const DELETE: &str = "UPDATE goals.goals SET deleted_at = statement_timestamp(), updated_at = statement_timestamp(), \
     version = version + 1 WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING version, updated_at";

/// Deletes softly; the version that the deletion is, and its time.
pub async fn delete(tx: &Tx, tenant: &TenantId, id: GoalId) -> Result<(i32, OffsetDateTime), Error> {
    let row = tx.query_one(DELETE, &[&tenant.as_str(), &id.as_uuid()]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

const START_COUNTING: &str = "UPDATE goals.goals SET effective_from = CASE WHEN $3 THEN NULL ELSE clock_timestamp() END \
     WHERE tenant_id = $1 AND workflow_id = $2 AND deleted_at IS NULL";

/// All goals of a workflow count from now on, or (`catch_up`) by every stored event.
pub async fn start_counting(tx: &Tx, tenant: &TenantId, workflow: WorkflowId, catch_up: bool) -> Result<(), Error> {
    tx.execute(START_COUNTING, &[&tenant.as_str(), &workflow.as_uuid(), &catch_up]).await.map(drop)
}

fn within_seconds(within: Within) -> i64 {
    within.seconds
}

fn within_text<S: Serializer>(within: &Option<Within>, serializer: S) -> Result<S::Ok, S::Error> {
    match within {
        Some(within) => serializer.collect_str(within),
        None => serializer.serialize_none(),
    }
}

fn read(row: &Row) -> Result<Goal, Error> {
    let criteria: String = row.try_get(3)?;
    let within: Option<i64> = row.try_get(4)?;
    Ok(Goal {
        id: row.try_get::<_, Uuid>(0)?.into(),
        workflow_id: row.try_get::<_, Uuid>(1)?.into(),
        goal_type: word(row.try_get(2)?)?,
        criteria: RawValue::from_string(criteria).map_err(|error| Error::Decode(error.to_string()))?,
        within: within.map(|seconds| Within { seconds }),
        on_enroll: word(row.try_get(5)?)?,
        position: row.try_get(6)?,
        status: word(row.try_get(7)?)?,
        version: row.try_get(8)?,
        effective_from: row.try_get(9)?,
        created_by: row.try_get(10)?,
        created_at: row.try_get(11)?,
        updated_at: row.try_get(12)?,
        criteria_hash: row.try_get(13)?,
        event_name: row.try_get(14)?,
    })
}
