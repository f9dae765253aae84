//! The ledger `ingest.event_keys`: which ids of a tenant are taken, and by what content.

use std::collections::{HashMap, HashSet};

use domain::ids::{EventId, TenantId};
use pg::Tx;
use uuid::Uuid;

use crate::candidate::{Candidate, ContentHash};

/// $1 tenant, $2 event ids ascending, $3 content hashes in the same order.
pub const INSERT: &str = "\
    INSERT INTO ingest.event_keys (received_at, event_id, content_hash, tenant_id) \
    SELECT now(), k.event_id, k.content_hash, $1 \
    FROM unnest($2::uuid[], $3::bytea[]) AS k (event_id, content_hash) \
    ON CONFLICT DO NOTHING \
    RETURNING event_id";

/// Takes the ids of one tenant's candidates, given in ascending order; which of them were free.
/// Waits for other transactions that are taking the same ids.
pub async fn insert(tx: &Tx, tenant_id: &TenantId, candidates: &[Candidate]) -> Result<HashSet<EventId>, pg::Error> {
    let event_ids: Vec<Uuid> = candidates.iter().map(|candidate| candidate.event_id.as_uuid()).collect();
    let hashes: Vec<&[u8]> = candidates.iter().map(|candidate| candidate.content_hash.as_slice()).collect();
    let rows = tx.query(INSERT, &[&tenant_id.as_str(), &event_ids, &hashes]).await?;
    rows.iter().map(|row| Ok(EventId::from(row.try_get::<_, Uuid>(0)?))).collect()
}

/// $1 tenant, $2 event ids.
pub const CONTENT_HASHES: &str = "\
    SELECT k.event_id, k.content_hash FROM ingest.event_keys k \
    WHERE k.tenant_id = $1 AND k.event_id = ANY($2::uuid[])";

/// The content hashes under which these ids of a tenant are stored.
pub async fn content_hashes(
    tx: &Tx,
    tenant_id: &TenantId,
    event_ids: &[Uuid],
) -> Result<HashMap<EventId, ContentHash>, pg::Error> {
    if event_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = tx.query(CONTENT_HASHES, &[&tenant_id.as_str(), &event_ids]).await?;
    rows.iter()
        .map(|row| {
            let hash: &[u8] = row.try_get(1)?;
            let hash = ContentHash::try_from(hash)
                .map_err(|_| pg::Error::Decode(format!("a content hash of {} bytes", hash.len())))?;
            Ok((EventId::from(row.try_get::<_, Uuid>(0)?), hash))
        })
        .collect()
}
