//! How statements are planned: to read what they look for and nothing else, whatever the tables hold and whether anybody has analyzed
//! them.
//!
//! Every index begins with the tenant. To a planner without statistics a tenant has one row or next to none, so that all indexes
//! seem as good, and it may read all that a tenant has for every contact; a plan that is kept does so until the next ANALYZE. The
//! statements that look something up for many contacts therefore ask for the order of the index that is meant, which no other index
//! has: by `ORDER BY contact_id`, and by a range of one contact, since an order by what is equal would mean nothing. [`once`] takes
//! sorting away, and `OFFSET 0` keeps the look-ups from being joined the other way round. Whoever is active is asked for by `exited_at IS
//! NULL`: a CHECK makes it the same as `status = 'active'`, and the index of the active has no part in it.

use pg::{Error, Tx};

/// See [`anew`].
pub const ANEW: &str = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), \
     set_config('enable_sort', 'on', true), set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true), \
     set_config('enable_indexscan', 'on', true), set_config('enable_bitmapscan', 'on', true)";

/// From here to the end of the transaction every statement is planned for what it is given, on the tables as they are.
pub async fn anew(tx: &Tx) -> Result<(), Error> {
    tx.query(ANEW, &[]).await.map(drop)
}

/// See [`once`].
pub const ONCE: &str = "SELECT set_config('plan_cache_mode', 'force_generic_plan', true), \
     set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)";

/// From here on every statement is planned once for as long as its connection lives, unless a table changes or is analyzed: only for
/// statements whose plan is the same for every tenant and at any size. Planning them for each judgement costs more than they do.
pub async fn once(tx: &Tx) -> Result<(), Error> {
    tx.query(ONCE, &[]).await.map(drop)
}

/// See [`placed`].
pub const PLACED: &str =
    "SELECT set_config('enable_indexscan', 'off', true), set_config('enable_bitmapscan', 'off', true)";

/// After [`once`], and until [`anew`]: rows are fetched from where they are known to stand. To a small table every other way seems cheaper,
/// and a plan that is kept would go it when the table is large.
pub async fn placed(tx: &Tx) -> Result<(), Error> {
    tx.query(PLACED, &[]).await.map(drop)
}

/// See [`kept`].
pub const KEPT: &str = "SELECT set_config('plan_cache_mode', 'auto', true)";

/// From here on plans are kept again: before rows are inserted whose foreign key would be planned for each of them.
pub async fn kept(tx: &Tx) -> Result<(), Error> {
    tx.query(KEPT, &[]).await.map(drop)
}

/// Every statement here, for the test that prepares them all.
pub const STATEMENTS: [&str; 4] = [ANEW, ONCE, PLACED, KEPT];
