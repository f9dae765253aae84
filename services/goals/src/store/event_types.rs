//! `goals.event_types`: the event types that a tenant adds to the built-in ones. Deletion is soft.

use domain::catalogue::Subject;
use domain::ids::TenantId;
use pg::{Error, Row, Tx};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use web::Versioned;

use super::word;

pub(super) const STATEMENTS: &[&str] = &[FIND, LIST, COUNT, PUT, DELETE, RAISE];

macro_rules! columns {
    () => {
        "name, schema::text, description, category, subject, browser, sampling_rate, version, created_by, created_at, updated_at"
    };
}

/// A type as it is kept.
#[derive(Debug, Clone)]
pub struct Stored {
    pub name: String,
    pub content: Content,
    pub version: i32,
    pub created_by: String,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

impl Versioned for Stored {
    fn version(&self) -> i32 {
        self.version
    }
}

/// What the caller decides of a type.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// JSON, as the database writes it.
    pub schema: String,
    pub description: Option<String>,
    pub category: Option<String>,
    pub subject: Subject,
    pub browser: bool,
    pub sampling_rate: f32,
}

impl Content {
    /// The schema as it is answered.
    pub fn raw_schema(&self) -> Result<Box<RawValue>, Error> {
        RawValue::from_string(self.schema.clone()).map_err(|error| Error::Decode(error.to_string()))
    }
}

const FIND: &str =
    concat!("SELECT ", columns!(), " FROM goals.event_types WHERE tenant_id = $1 AND name = $2 AND deleted_at IS NULL");

/// The type, if the tenant has it.
pub async fn find(tx: &Tx, tenant: &TenantId, name: &str) -> Result<Option<Stored>, Error> {
    tx.query_opt(FIND, &[&tenant.as_str(), &name]).await?.as_ref().map(read).transpose()
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM goals.event_types WHERE tenant_id = $1 AND name > $2 AND deleted_at IS NULL ORDER BY name LIMIT $3"
);

/// The types after the name `after`, by name.
pub async fn list(tx: &Tx, tenant: &TenantId, after: &str, limit: i64) -> Result<Vec<Stored>, Error> {
    tx.query(LIST, &[&tenant.as_str(), &after, &limit]).await?.iter().map(read).collect()
}

const COUNT: &str = "SELECT count(*) FROM goals.event_types WHERE tenant_id = $1 AND deleted_at IS NULL";

/// How many the tenant has.
pub async fn count(tx: &Tx, tenant: &TenantId) -> Result<i64, Error> {
    Ok(tx.query_one(COUNT, &[&tenant.as_str()]).await?.try_get(0)?)
}

const PUT: &str = concat!(
    "INSERT INTO goals.event_types AS t (tenant_id, name, schema, description, category, subject, browser, sampling_rate, created_by) ",
    "VALUES ($1, $2, $3::text::jsonb, $4, $5, $6, $7, $8, $9) ",
    "ON CONFLICT (tenant_id, name) DO UPDATE SET schema = excluded.schema, description = excluded.description, ",
    "category = excluded.category, subject = excluded.subject, browser = excluded.browser, sampling_rate = excluded.sampling_rate, ",
    "version = t.version + 1, updated_at = statement_timestamp(), deleted_at = NULL, ",
    "created_by = CASE WHEN t.deleted_at IS NULL THEN t.created_by ELSE excluded.created_by END, ",
    "created_at = CASE WHEN t.deleted_at IS NULL THEN t.created_at ELSE statement_timestamp() END RETURNING ",
    columns!()
);

/// Adds a type, or replaces what the caller decides of it, as its next version. One that was deleted comes again.
pub async fn put(tx: &Tx, tenant: &TenantId, name: &str, content: &Content, created_by: &str) -> Result<Stored, Error> {
    let row = tx
        .query_one(
            PUT,
            &[
                &tenant.as_str(),
                &name,
                &content.schema,
                &content.description,
                &content.category,
                &content.subject.as_str(),
                &content.browser,
                &content.sampling_rate,
                &created_by,
            ],
        )
        .await?;
    read(&row)
}

const DELETE: &str = "UPDATE goals.event_types SET deleted_at = statement_timestamp(), updated_at = statement_timestamp(), \
     version = version + 1 WHERE tenant_id = $1 AND name = $2 AND deleted_at IS NULL";

/// Deletes softly.
pub async fn delete(tx: &Tx, tenant: &TenantId, name: &str) -> Result<(), Error> {
    tx.execute(DELETE, &[&tenant.as_str(), &name]).await.map(drop)
}

const RAISE: &str = "UPDATE platform.tenants SET event_types_version = event_types_version + 1 WHERE tenant_id = $1";

/// Tells ingest that the types have changed.
pub async fn raise(tx: &Tx, tenant: &TenantId) -> Result<(), Error> {
    tx.execute(RAISE, &[&tenant.as_str()]).await.map(drop)
}

fn read(row: &Row) -> Result<Stored, Error> {
    Ok(Stored {
        name: row.try_get(0)?,
        content: Content {
            schema: row.try_get(1)?,
            description: row.try_get(2)?,
            category: row.try_get(3)?,
            subject: word(row.try_get(4)?)?,
            browser: row.try_get(5)?,
            sampling_rate: row.try_get(6)?,
        },
        version: row.try_get(7)?,
        created_by: row.try_get(8)?,
        created_at: row.try_get(9)?,
        updated_at: row.try_get(10)?,
    })
}
