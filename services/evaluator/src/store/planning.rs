//! How statements are planned where tables are young, which is when an installation is looked at hardest.
//!
//! A plan that PostgreSQL keeps from when there was next to nothing stays until the next ANALYZE, and may read all
//! enrollments of a tenant for every contact: hence [`anew`]. And without statistics the planner takes every
//! condition to leave one row in 200, so that all indexes seem as good: the statements that look something up for many
//! contacts leave it one index only. They compare what another index begins with in a way that no index serves
//! (`IS NOT DISTINCT FROM`, `|| ''`, `exited_at IS NULL` for `status = 'active'`, which a CHECK makes the same), and are kept
//! from being joined the other way round by `OFFSET 0`.

use pg::{Error, Tx};

/// See [`anew`].
pub const ANEW: &str = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), \
     set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)";

/// From here to the end of the transaction every statement is planned for what it is given, on the tables as they are.
pub async fn anew(tx: &Tx) -> Result<(), Error> {
    tx.query(ANEW, &[]).await.map(drop)
}

/// See [`once_grown`].
pub const ONCE_GROWN: &str = "SELECT set_config('plan_cache_mode', CASE WHEN \
     least(pg_relation_size('evaluator.enrollments'), pg_relation_size('evaluator.workflow_goal_achievements')) < 256 * 1024 \
     THEN 'force_custom_plan' ELSE 'force_generic_plan' END, true), \
     set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)";

/// As [`anew`] while the tables are young. Later every statement is planned once for as long as its connection lives, unless a table
/// changes or is analyzed: only for statements whose plan is the same for every tenant. Planning them for each judgement costs more
/// than they do.
pub async fn once_grown(tx: &Tx) -> Result<(), Error> {
    tx.query(ONCE_GROWN, &[]).await.map(drop)
}

/// See [`kept`].
pub const KEPT: &str = "SELECT set_config('plan_cache_mode', 'auto', true)";

/// From here on plans are kept again: before rows are inserted whose foreign key would be planned for each of them.
pub async fn kept(tx: &Tx) -> Result<(), Error> {
    tx.query(KEPT, &[]).await.map(drop)
}

/// Every statement here, for the test that prepares them all.
pub const STATEMENTS: [&str; 3] = [ANEW, ONCE_GROWN, KEPT];
