//! How statements are planned. A plan that PostgreSQL keeps from when there was next to nothing stays until the next ANALYZE; until
//! then it may read all enrollments of a tenant for every contact. On a fresh installation that is exactly when it matters.

use pg::{Error, Tx};

const ANEW: &str = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), \
     set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)";

/// From here to the end of the transaction every statement is planned for what it is given, on the tables as they are. About a
/// millisecond for all of a judgement.
pub async fn anew(tx: &Tx) -> Result<(), Error> {
    tx.query(ANEW, &[]).await.map(drop)
}

const KEPT: &str = "SELECT set_config('plan_cache_mode', 'auto', true)";

/// From here on plans are kept again: before rows are inserted whose foreign key would be planned for each of them.
pub async fn kept(tx: &Tx) -> Result<(), Error> {
    tx.query(KEPT, &[]).await.map(drop)
}

/// Every statement here, for the test that prepares them all.
pub const STATEMENTS: [&str; 2] = [ANEW, KEPT];
