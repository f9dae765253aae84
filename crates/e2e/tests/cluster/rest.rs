//! Knows when the work has ended: nothing waits in an outbox, nothing in a queue, three looks in a row, and no outbox got a
//! message in between. Never slept for; it tells only that work has ended, not what came of it.

use std::time::{Duration, Instant};

use devstack::broker::queue_totals;

use super::Cluster;

/// Far more than the work takes. What takes longer hangs.
const LIMIT: Duration = Duration::from_secs(240);
const QUIET_LOOKS: u32 = 3;
const SCHEMAS: [&str; 3] = ["ingest", "goals", "evaluator"];

/// What waits at one moment.
#[derive(Clone, Debug, Default)]
struct Look {
    /// Tenants and workflows with an action that is due and was not announced.
    due: i64,
    /// Schema, messages, id given last, error of the first.
    outboxes: Vec<(String, i64, Option<i64>, Option<String>)>,
    queues: Vec<(String, u64, u64)>,
}

impl Look {
    fn is_empty(&self) -> bool {
        self.due == 0
            && self.outboxes.iter().all(|outbox| outbox.1 == 0)
            && self.queues.iter().all(|queue| queue.1 + queue.2 == 0)
    }

    fn last_ids(&self) -> Vec<Option<i64>> {
        self.outboxes.iter().map(|outbox| outbox.2).collect()
    }
}

/// Waits until nothing waits any more. `aside` is a queue that nobody empties.
pub async fn rest(cluster: &Cluster, aside: &str) -> Duration {
    let begin = Instant::now();
    let mut first: Option<Look> = None;
    let mut quiet = 0;
    loop {
        let look = look(cluster, aside).await;
        let busy = match &look {
            Ok(look) if look.is_empty() && first.as_ref().is_none_or(|it| it.last_ids() == look.last_ids()) => {
                quiet += 1;
                if quiet == QUIET_LOOKS {
                    return begin.elapsed();
                }
                first.get_or_insert_with(|| look.clone());
                continue;
            }
            Ok(look) => format!("{look:?}"),
            // A server may be on its way back.
            Err(failure) => failure.clone(),
        };
        (first, quiet) = (None, 0);
        assert!(begin.elapsed() < LIMIT, "after {} s the work has not ended: {busy}", LIMIT.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn look(cluster: &Cluster, aside: &str) -> Result<Look, String> {
    let database = cluster.database().await;
    let due = database.query_one("SELECT count(*) FROM evaluator.v_due_v1", &[]).await;
    let mut look = Look { due: due.map_err(|error| error.to_string())?.get(0), ..Look::default() };
    for schema in SCHEMAS {
        let text = format!(
            "SELECT count(*), pg_sequence_last_value(pg_get_serial_sequence('{schema}.outbox', 'id')::regclass), \
             (SELECT o.last_error FROM {schema}.outbox o WHERE o.last_error IS NOT NULL ORDER BY o.id LIMIT 1) \
             FROM {schema}.outbox"
        );
        let row = database.query_one(&text, &[]).await.map_err(|error| error.to_string())?;
        look.outboxes.push((schema.to_owned(), row.get(0), row.get(1), row.get(2)));
    }
    let totals = queue_totals(cluster.management_url(), "/").await.map_err(|error| format!("{error:#}"))?;
    let totals = totals.into_iter().filter(|total| total.name != aside);
    look.queues = totals.map(|total| (total.name, total.ready, total.unacked)).collect();
    Ok(look)
}
