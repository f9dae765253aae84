//! What is seen of the partitions of the raw events, from the catalogue: the system login may not read the rows.

use pg::{Error, Tx};

/// Months from this one on, without a gap, that have a partition; rows that the default partition is thought to hold; and for how many
/// seconds maintenance has not been done with everything.
pub const COVERAGE: &str = "SELECT (SELECT coalesce(min(m.n), 60) FROM generate_series(0, 59) AS m (n) \
     WHERE to_regclass('ingest.events_raw_' || to_char((now() AT TIME ZONE 'UTC') + m.n * interval '1 month', 'YYYYMM')) IS NULL)::bigint, \
     coalesce(pg_stat_get_live_tuples(to_regclass('ingest.events_raw_default')), 0), \
     (SELECT extract(epoch FROM now())::bigint - m.last_value FROM ingest.maintained_at m)";

/// How far the partitions reach, how much has fallen between them, and how long ago they were seen to.
pub struct Coverage {
    pub months: i64,
    pub default_rows: i64,
    pub maintained_seconds: i64,
}

pub async fn coverage(tx: &Tx) -> Result<Coverage, Error> {
    let row = tx.query_one(COVERAGE, &[]).await?;
    Ok(Coverage { months: row.try_get(0)?, default_rows: row.try_get(1)?, maintained_seconds: row.try_get(2)? })
}
