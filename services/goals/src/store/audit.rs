//! `goals.audit`: who changed what and when, with the object before and after. Only ever added to; time, number and hashes are given by
//! the database, which holds the head of the tenant's chain from here to the commit.

use domain::ids::TenantId;
use pg::{Error, Row, Tx};
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::openapi::schema;

pub(super) const STATEMENTS: &[&str] = &[INSERT, LIST, LIST_OF_OBJECT];
pub(super) const SYSTEM_STATEMENTS: &[&str] = &[INSERT];

/// One change, as it is written. `before` and `after` are JSON texts.
pub struct NewEntry {
    pub action: &'static str,
    pub object_type: &'static str,
    pub object_id: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// One change, as it is read.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    /// 1, 2, 3 … within the tenant.
    pub seq: i64,
    #[serde(with = "domain::time_format")]
    pub at: OffsetDateTime,
    /// Who did it: `key:` and the id of an API key, `jwt:` and the subject of a token, `bus:` and the id of a message, or `bootstrap`.
    pub actor: String,
    /// What was done, as `goal.updated`.
    pub action: String,
    pub object_type: String,
    pub object_id: String,
    /// The object as it was; null where there was none.
    #[schema(schema_with = schema::object_or_null)]
    pub before: Option<Box<RawValue>>,
    /// The object as it became; null where there is none.
    #[schema(schema_with = schema::object_or_null)]
    pub after: Option<Box<RawValue>>,
    /// SHA-256 over the entry and the hash of the one before it, in hexadecimal.
    pub hash: String,
}

const INSERT: &str = "INSERT INTO goals.audit (tenant_id, actor, action, object_type, object_id, before, after) \
     SELECT $1, $2, n.action, n.object_type, n.object_id, n.before::json, n.after::json \
     FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY \
     AS n (action, object_type, object_id, before, after, ordinal) ORDER BY n.ordinal";

/// The log of the installation: no tenant has this id, and no login that works in one tenant sees it.
const INSTALLATION: &str = "";

/// Adds entries to a tenant's log, in this order.
pub async fn insert(tx: &Tx, tenant: &TenantId, actor: &str, entries: &[NewEntry]) -> Result<(), Error> {
    add(tx, tenant.as_str(), actor, entries).await
}

/// Adds entries to the log of the installation, in this order. Takes the system login.
pub async fn insert_of_installation(tx: &Tx, actor: &str, entries: &[NewEntry]) -> Result<(), Error> {
    add(tx, INSTALLATION, actor, entries).await
}

async fn add(tx: &Tx, log: &str, actor: &str, entries: &[NewEntry]) -> Result<(), Error> {
    let actions: Vec<&str> = entries.iter().map(|e| e.action).collect();
    let object_types: Vec<&str> = entries.iter().map(|e| e.object_type).collect();
    let object_ids: Vec<&str> = entries.iter().map(|e| e.object_id.as_str()).collect();
    let before: Vec<Option<&str>> = entries.iter().map(|e| e.before.as_deref()).collect();
    let after: Vec<Option<&str>> = entries.iter().map(|e| e.after.as_deref()).collect();
    tx.execute(INSERT, &[&log, &actor, &actions, &object_types, &object_ids, &before, &after]).await.map(drop)
}

/// Which entries are asked for; what is not given takes all.
#[derive(Debug, Default)]
pub struct Filter {
    pub object_id: Option<String>,
    pub actor: Option<String>,
    pub action: Option<String>,
    pub object_type: Option<String>,
    /// At or after.
    pub from: Option<OffsetDateTime>,
    /// Before.
    pub to: Option<OffsetDateTime>,
}

macro_rules! list {
    ($of_object:literal) => {
        concat!(
            "SELECT seq, at, actor, action, object_type, object_id, before::text, after::text, encode(hash, 'hex') FROM goals.audit ",
            "WHERE tenant_id = $1 AND seq < $2 AND ($4::text IS NULL OR actor = $4) AND ($5::text IS NULL OR action = $5) ",
            "AND ($6::text IS NULL OR object_type = $6) AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8)",
            $of_object,
            " ORDER BY seq DESC LIMIT $3"
        )
    };
}

const LIST: &str = list!("");

const LIST_OF_OBJECT: &str = list!(" AND object_id = $9");

/// Entries of a filter older than `below`, newest first.
pub async fn list(tx: &Tx, tenant: &TenantId, filter: &Filter, below: i64, limit: i64) -> Result<Vec<Entry>, Error> {
    let (tenant, Filter { object_id, actor, action, object_type, from, to }) = (tenant.as_str(), filter);
    let rows = match object_id {
        None => tx.query(LIST, &[&tenant, &below, &limit, actor, action, object_type, from, to]).await?,
        Some(object) => {
            tx.query(LIST_OF_OBJECT, &[&tenant, &below, &limit, actor, action, object_type, from, to, object]).await?
        }
    };
    rows.iter().map(entry).collect()
}

fn entry(row: &Row) -> Result<Entry, Error> {
    let object = |text: Option<String>| {
        let raw = text.map(RawValue::from_string).transpose();
        raw.map_err(|error| Error::Decode(error.to_string()))
    };
    Ok(Entry {
        seq: row.try_get(0)?,
        at: row.try_get(1)?,
        actor: row.try_get(2)?,
        action: row.try_get(3)?,
        object_type: row.try_get(4)?,
        object_id: row.try_get(5)?,
        before: object(row.try_get(6)?)?,
        after: object(row.try_get(7)?)?,
        hash: row.try_get(8)?,
    })
}
