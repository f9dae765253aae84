//! `goals.directory`: what goals may point at.

use domain::goal::ReferenceKind;
use domain::ids::TenantId;
use pg::{Error, Row, Tx};
use serde::Serialize;
use std::collections::HashMap;
use time::OffsetDateTime;
use utoipa::ToSchema;
use web::openapi::schema;

use super::word;

pub(super) const STATEMENTS: &[&str] = &[FIND, LIST, LIST_OF_KIND, PUT, DELETE];

/// A thing that goals may point at, as it is kept, answered and audited.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Reference {
    #[schema(schema_with = schema::reference_kind)]
    pub kind: ReferenceKind,
    /// As its owner names it.
    pub id: String,
    pub name: Option<String>,
    /// Of a stage: the pipeline it belongs to.
    pub pipeline_id: Option<String>,
    /// Of a stage: its place in the pipeline.
    pub position: Option<i32>,
    #[serde(with = "domain::time_format")]
    pub updated_at: OffsetDateTime,
}

/// What a reference is put as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReference {
    pub kind: ReferenceKind,
    pub id: String,
    pub name: Option<String>,
    pub name_folded: Option<String>,
    pub pipeline_id: Option<String>,
    pub position: Option<i32>,
}

impl NewReference {
    pub fn key(&self) -> Key {
        (self.kind, self.id.clone())
    }

    /// Whether putting this would change nothing.
    pub fn is(&self, kept: &Reference) -> bool {
        (&self.name, &self.pipeline_id, self.position) == (&kept.name, &kept.pipeline_id, kept.position)
    }
}

/// Kind and id: what identifies a reference within its tenant.
pub type Key = (ReferenceKind, String);

const FIND: &str = "SELECT d.kind, d.ref_id, d.name, d.pipeline_id, d.position, d.updated_at FROM goals.directory d \
     JOIN unnest($2::text[], $3::text[]) AS wanted (kind, ref_id) ON wanted.kind = d.kind AND wanted.ref_id = d.ref_id \
     WHERE d.tenant_id = $1";

/// Those of `keys` that are there.
pub async fn find(tx: &Tx, tenant: &TenantId, keys: &[Key]) -> Result<HashMap<Key, Reference>, Error> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let kinds: Vec<&str> = keys.iter().map(|(kind, _)| kind.as_str()).collect();
    let ids: Vec<&str> = keys.iter().map(|(_, id)| id.as_str()).collect();
    let rows = tx.query(FIND, &[&tenant.as_str(), &kinds, &ids]).await?;
    rows.iter().map(|row| reference(row).map(|found| ((found.kind, found.id.clone()), found))).collect()
}

const LIST: &str = "SELECT kind, ref_id, name, pipeline_id, position, updated_at FROM goals.directory \
     WHERE tenant_id = $1 AND (kind, ref_id) > ($2, $3) ORDER BY kind, ref_id LIMIT $4";

const LIST_OF_KIND: &str = "SELECT kind, ref_id, name, pipeline_id, position, updated_at FROM goals.directory \
     WHERE tenant_id = $1 AND kind = $2 AND ref_id > $3 ORDER BY ref_id LIMIT $4";

/// References after the key `after`, by kind and id; those of one kind, or all.
pub async fn list(
    tx: &Tx,
    tenant: &TenantId,
    kind: Option<ReferenceKind>,
    after: &(String, String),
    limit: i64,
) -> Result<Vec<Reference>, Error> {
    let rows = match kind {
        None => tx.query(LIST, &[&tenant.as_str(), &after.0, &after.1, &limit]).await?,
        Some(kind) => tx.query(LIST_OF_KIND, &[&tenant.as_str(), &kind.as_str(), &after.1, &limit]).await?,
    };
    rows.iter().map(reference).collect()
}

const PUT: &str = "INSERT INTO goals.directory (tenant_id, kind, ref_id, name, name_folded, pipeline_id, position) \
     SELECT $1, n.kind, n.ref_id, n.name, n.name_folded, n.pipeline_id, n.position \
     FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[]) \
     AS n (kind, ref_id, name, name_folded, pipeline_id, position) \
     ON CONFLICT (tenant_id, kind, ref_id) DO UPDATE SET name = excluded.name, name_folded = excluded.name_folded, \
     pipeline_id = excluded.pipeline_id, position = excluded.position, updated_at = statement_timestamp() \
     RETURNING kind, ref_id, name, pipeline_id, position, updated_at";

/// Adds or replaces. No key may be there twice.
pub async fn put(tx: &Tx, tenant: &TenantId, references: &[&NewReference]) -> Result<HashMap<Key, Reference>, Error> {
    if references.is_empty() {
        return Ok(HashMap::new());
    }
    let kinds: Vec<&str> = references.iter().map(|r| r.kind.as_str()).collect();
    let ids: Vec<&str> = references.iter().map(|r| r.id.as_str()).collect();
    let names: Vec<Option<&str>> = references.iter().map(|r| r.name.as_deref()).collect();
    let folded: Vec<Option<&str>> = references.iter().map(|r| r.name_folded.as_deref()).collect();
    let pipelines: Vec<Option<&str>> = references.iter().map(|r| r.pipeline_id.as_deref()).collect();
    let positions: Vec<Option<i32>> = references.iter().map(|r| r.position).collect();
    let rows = tx.query(PUT, &[&tenant.as_str(), &kinds, &ids, &names, &folded, &pipelines, &positions]).await?;
    rows.iter().map(|row| reference(row).map(|put| ((put.kind, put.id.clone()), put))).collect()
}

const DELETE: &str = "DELETE FROM goals.directory WHERE tenant_id = $1 AND kind = $2 AND ref_id = $3 \
     RETURNING kind, ref_id, name, pipeline_id, position, updated_at";

/// Removes one; what it was, or nothing if it was not there.
pub async fn delete(tx: &Tx, tenant: &TenantId, key: &Key) -> Result<Option<Reference>, Error> {
    let row = tx.query_opt(DELETE, &[&tenant.as_str(), &key.0.as_str(), &key.1]).await?;
    row.as_ref().map(reference).transpose()
}

fn reference(row: &Row) -> Result<Reference, Error> {
    Ok(Reference {
        kind: word(row.try_get(0)?)?,
        id: row.try_get(1)?,
        name: row.try_get(2)?,
        pipeline_id: row.try_get(3)?,
        position: row.try_get(4)?,
        updated_at: row.try_get(5)?,
    })
}
