//! The ledger `ingest.event_keys`: which ids of a tenant are taken, and by what content.

use std::collections::HashMap;

use domain::ids::{EventId, TenantId};
use pg::Tx;
use uuid::Uuid;

use crate::candidate::ContentHash;

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
