//! The ledger `ingest.event_keys`: which ids of a tenant are taken, and by what content.

use pg::Tx;
use uuid::Uuid;

use crate::candidate::{Candidate, ContentHash};

/// $1 tenants, $2 event ids. A row for each, in their order; null where the id is not taken.
pub const CONTENT_HASHES: &str = "\
    SELECT k.content_hash FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS t (tenant_id, event_id, place) \
    LEFT JOIN ingest.event_keys k ON k.tenant_id = t.tenant_id AND k.event_id = t.event_id ORDER BY t.place";

/// The content hashes under which the ids of these events are stored, in their order.
pub async fn content_hashes(tx: &Tx, events: &[&Candidate]) -> Result<Vec<Option<ContentHash>>, pg::Error> {
    let tenants: Vec<&str> = events.iter().map(|event| event.tenant_id.as_str()).collect();
    let event_ids: Vec<Uuid> = events.iter().map(|event| event.event_id.as_uuid()).collect();
    let rows = tx.query(CONTENT_HASHES, &[&tenants, &event_ids]).await?;
    let hash = |hash: &[u8]| {
        ContentHash::try_from(hash).map_err(|_| pg::Error::Decode(format!("a content hash of {} bytes", hash.len())))
    };
    rows.iter().map(|row| row.try_get::<_, Option<&[u8]>>(0)?.map(hash).transpose()).collect()
}
