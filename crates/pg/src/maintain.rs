//! What has to be done now and then: partitions made ahead, the rows of the default partition moved out, and the answers forgotten
//! that are kept no longer. Run by `goalpost maintain` as `goalpost_maintainer`; one at a time by an advisory lock.

use tokio_postgres::Client;

/// What one run did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Another run held the lock; nothing was done.
    pub busy: bool,
    /// Months whose partition was made, as `YYYY-MM-01`.
    pub partitions_made: Vec<String>,
    /// Rows still in the default partition: 0 unless something is wrong.
    pub default_rows: i64,
    /// Answers that were forgotten.
    pub answers_forgotten: u64,
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

/// Makes the partitions of this month and of the `months_ahead` next ones, moves into their months what the default partition
/// caught, and forgets answers.
pub async fn partitions(client: &Client, months_ahead: i32) -> Result<Report, tokio_postgres::Error> {
    if !client.query_one(TRY_LOCK, &[]).await?.get::<_, bool>(0) {
        return Ok(Report { busy: true, ..Report::default() });
    }
    let report = make_all(client, months_ahead).await;
    client.execute(UNLOCK, &[]).await?;
    report
}

async fn make_all(client: &Client, months_ahead: i32) -> Result<Report, tokio_postgres::Error> {
    let mut report = Report::default();
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
    Ok(report)
}
