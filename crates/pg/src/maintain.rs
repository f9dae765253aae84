//! What has to be done now and then: partitions made ahead, the rows of the default partition moved out, the answers forgotten
//! that are kept no longer, and the events deleted that nobody keeps. Run by `goalpost maintain` as `goalpost_maintainer`; one at a
//! time by an advisory lock.

use std::time::Duration;

use serde::Serialize;
use tokio_postgres::Client;

use crate::retention;

/// How it is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// For how many months after this one there are to be partitions.
    pub months_ahead: i32,
    /// Between two batches that delete.
    pub pause: Duration,
    /// Whether to change nothing, and to say what would be deleted.
    pub dry_run: bool,
}

/// What one run did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Another run held the lock; nothing was done.
    pub busy: bool,
    /// Months whose partition was made, as `YYYY-MM-01`.
    pub partitions_made: Vec<String>,
    /// Rows still in the default partition: 0 unless something is wrong.
    pub default_rows: i64,
    /// Answers that were forgotten.
    pub answers_forgotten: u64,
    /// Months whose partition was dropped: nobody keeps anything of them.
    pub partitions_dropped: Vec<String>,
    /// Months that are to be dropped, and are read all the time.
    pub partitions_locked: Vec<String>,
    /// Events that were deleted from months that stay.
    pub events_deleted: u64,
    /// Keys of the ledger that were deleted.
    pub keys_deleted: u64,
    /// What is said to be dropped and deleted would be, and is there.
    pub dry_run: bool,
}

impl Report {
    /// Whether everything is done that was due.
    pub fn is_complete(&self) -> bool {
        !self.busy && !self.dry_run && self.default_rows == 0 && self.partitions_locked.is_empty()
    }
}

const TRY_LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('goalpost:maintain', 0))";
const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtextextended('goalpost:maintain', 0))";
/// The months that need a partition: this one, `$1` ahead, and every one that the default partition holds rows of.
const MONTHS: &str = "SELECT m::text FROM ( \
     SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month')::date AS m FROM generate_series(0, $1::int) AS n \
     UNION SELECT DISTINCT date_trunc('month', received_at AT TIME ZONE 'UTC')::date FROM ingest.events_raw_default \
     ) AS months ORDER BY m";
const MAKE: &str = "SELECT ingest.make_partition($1::text::date)";
const DEFAULT_ROWS: &str = "SELECT count(*) FROM ingest.events_raw_default";

/// Answers of HTTP are kept for a day, those of the bus for a week: there a message may wait that long before it comes again.
macro_rules! forget {
    ($schema:literal) => {
        [
            concat!(
                "DELETE FROM ",
                $schema,
                ".answers WHERE ctid = ANY (ARRAY(SELECT a.ctid FROM ",
                $schema,
                ".answers a ",
                "WHERE a.scope <> 'bus' AND a.created_at < now() - interval '1 day' LIMIT 5000))"
            ),
            concat!(
                "DELETE FROM ",
                $schema,
                ".answers WHERE ctid = ANY (ARRAY(SELECT a.ctid FROM ",
                $schema,
                ".answers a ",
                "WHERE a.scope = 'bus' AND a.created_at < now() - interval '7 days' LIMIT 5000))"
            ),
        ]
    };
}
const FORGET: [[&str; 2]; 3] = [forget!("ingest"), forget!("goals"), forget!("evaluator")];
/// Rows that a batch deletes at most, as it says.
const FORGET_BATCH: u64 = 5_000;

const DONE: &str = "SELECT setval('ingest.maintained_at', extract(epoch FROM now())::bigint)";

/// Makes the partitions of this month and of the `months_ahead` next ones, moves into their months what the default partition
/// caught, and forgets answers.
pub async fn partitions(client: &Client, months_ahead: i32) -> Result<Report, tokio_postgres::Error> {
    if !lock(client).await? {
        return Ok(Report { busy: true, ..Report::default() });
    }
    let mut report = Report::default();
    let made = make_all(client, months_ahead, &mut report).await;
    client.execute(UNLOCK, &[]).await?;
    made.map(|()| report)
}

/// All that, and then retention. `progress` hears of every step of it. That everything was done is kept, for the gauge of ingest.
pub async fn run(
    client: &Client,
    options: &Options,
    mut progress: impl FnMut(&Report) + Send,
) -> Result<Report, tokio_postgres::Error> {
    if !lock(client).await? {
        return Ok(Report { busy: true, dry_run: options.dry_run, ..Report::default() });
    }
    let mut report = Report { dry_run: options.dry_run, ..Report::default() };
    let done = do_all(client, options, &mut report, &mut progress).await;
    client.execute(UNLOCK, &[]).await?;
    done.map(|()| report)
}

async fn lock(client: &Client) -> Result<bool, tokio_postgres::Error> {
    client.query_one(TRY_LOCK, &[]).await?.try_get(0)
}

async fn do_all(
    client: &Client,
    options: &Options,
    report: &mut Report,
    progress: &mut (dyn FnMut(&Report) + Send),
) -> Result<(), tokio_postgres::Error> {
    if !options.dry_run {
        make_all(client, options.months_ahead, report).await?;
    }
    retention::apply(client, options, report, progress).await?;
    if report.is_complete() {
        client.execute(DONE, &[]).await?;
    }
    Ok(())
}

async fn make_all(client: &Client, months_ahead: i32, report: &mut Report) -> Result<(), tokio_postgres::Error> {
    for row in client.query(MONTHS, &[&months_ahead]).await? {
        let month: String = row.get(0);
        if client.query_one(MAKE, &[&month]).await?.get::<_, bool>(0) {
            report.partitions_made.push(month);
        }
    }
    report.default_rows = client.query_one(DEFAULT_ROWS, &[]).await?.get(0);
    for statement in FORGET.as_flattened() {
        loop {
            let forgotten = client.execute(*statement, &[]).await?;
            report.answers_forgotten += forgotten;
            if forgotten < FORGET_BATCH {
                break;
            }
        }
    }
    Ok(())
}
