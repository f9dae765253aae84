//! Retention: takes away the stored events that their tenants keep no longer, and the keys of the ledger that are no longer needed. A
//! month's partition is dropped where everybody's policy allows it, else it is gone through in the order of its pages and rows are deleted
//! in batches, each a transaction of its own. Nothing is remembered: whatever ends a run, the next one does what is left.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::catalogue;
use time::OffsetDateTime;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error};

use crate::maintain::{Options, Report};

/// Most events that one transaction deletes, and as many keys.
const EVENTS_BATCH: u64 = 10_000;
const KEYS_BATCH: u64 = 5_000;
/// Pages that one statement looks at: 8 MiB.
const PAGES: i64 = 1_024;
/// How often a partition is tried that somebody reads, and the wait between.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_millis(300);

/// Each tenant's policy as it is now: up to when what is kept no longer was received. Null: for ever. What waits in the outbox to be told
/// was received an hour before that at most, and the first day is nobody's to take.
const RULES: &str = "SELECT r.tenant_id, r.category, CASE WHEN r.days IS NOT NULL THEN \
     least(now() - greatest(r.days, 1) * interval '24 hours', o.created_at - interval '1 hour') END \
     FROM platform.v_events_retention_v1 r LEFT JOIN ingest.v_oldest_messages_v1 o ON o.tenant_id = r.tenant_id";
const CATEGORIES: &str = "SELECT c.tenant_id, c.name, c.category FROM goals.v_event_categories_v1 c";
/// The months, the oldest first, with their number of pages. $1: none that began later.
const PARTITIONS: &str = "SELECT p.month::text, p.pages FROM ( \
     SELECT to_date(substring(c.relname FROM '^events_raw_([0-9]{6})$'), 'YYYYMM') AS month, \
     pg_relation_size(c.oid) / current_setting('block_size')::bigint AS pages \
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'ingest.events_raw'::regclass) AS p \
     WHERE p.month::timestamp AT TIME ZONE 'UTC' < $1 ORDER BY p.month";
/// Whether nobody keeps anything of a month. Tenants are found one after the other in the index, so rows are not read.
/// $1 tenants, $2 up to when they keep nothing at all, $3 the month.
const IS_OVER: &str = "WITH RECURSIVE present AS ( \
     (SELECT e.tenant_id FROM ingest.{partition} e ORDER BY e.tenant_id LIMIT 1) \
     UNION ALL SELECT (SELECT e.tenant_id FROM ingest.{partition} e WHERE e.tenant_id > p.tenant_id ORDER BY e.tenant_id LIMIT 1) \
     FROM present p WHERE p.tenant_id IS NOT NULL), \
     month AS (SELECT ($3::text::date + interval '1 month') AT TIME ZONE 'UTC' AS ended_at) \
     SELECT (SELECT m.ended_at FROM month m) <= now() - interval '24 hours' AND NOT EXISTS (SELECT FROM present p \
     LEFT JOIN unnest($1::text[], $2::timestamptz[]) AS r (tenant_id, until) ON r.tenant_id = p.tenant_id \
     WHERE p.tenant_id IS NOT NULL AND (r.until IS NULL OR r.until < (SELECT m.ended_at FROM month m)))";
const DROP: &str = "SELECT ingest.drop_partition($1::text::date)";
/// The events of some pages that are kept no longer. An event is of the category that it names, else of that of its type, and what the
/// tenant's policy does not name is kept as its `default`. $1 to $3 the rules, $4 to $6 the categories of tenants' own types, $7 and $8
/// those of the built-in types, $9 and $10 the pages.
const EXPIRED: &str = "SELECT e.ctid FROM ingest.{partition} e \
     JOIN unnest($1::text[], $2::text[], $3::timestamptz[]) AS other (tenant_id, category, until) \
     ON other.tenant_id = e.tenant_id AND other.category = 'default' \
     LEFT JOIN unnest($4::text[], $5::text[], $6::text[]) AS own (tenant_id, name, category) \
     ON own.tenant_id = e.tenant_id AND own.name = e.event_name \
     LEFT JOIN unnest($7::text[], $8::text[]) AS built_in (name, category) ON built_in.name = e.event_name \
     LEFT JOIN unnest($1::text[], $2::text[], $3::timestamptz[]) AS named (tenant_id, category, until) \
     ON named.tenant_id = e.tenant_id AND named.category = coalesce(e.event_category, built_in.category, own.category) \
     WHERE e.ctid >= $9::text::tid AND e.ctid < $10::text::tid \
     AND e.received_at < CASE WHEN named.tenant_id IS NULL THEN other.until ELSE named.until END";
const LEDGER_PAGES: &str =
    "SELECT pg_relation_size('ingest.event_keys'::regclass) / current_setting('block_size')::bigint";
/// The keys of some pages that are needed no longer. $1 tenants, $2 up to when, $3 and $4 the pages.
const NEEDLESS: &str = "SELECT k.ctid FROM ingest.event_keys k \
     JOIN unnest($1::text[], $2::timestamptz[]) AS r (tenant_id, until) ON r.tenant_id = k.tenant_id \
     WHERE k.ctid >= $3::text::tid AND k.ctid < $4::text::tid AND k.received_at < r.until";
/// For so long keys outlive the events of their tenant.
const KEYS_OUTLIVE: time::Duration = time::Duration::days(2);

/// Does what is due, and tells `report`. The policies are those of the start: what is changed meanwhile holds from the next run on.
pub(crate) async fn apply(
    client: &Client,
    options: &Options,
    report: &mut Report,
    progress: &mut (dyn FnMut(&Report) + Send),
) -> Result<(), Error> {
    let policy = Policy::read(client).await?;
    let Some(newest) = policy.until.iter().flatten().max() else {
        return Ok(());
    };
    let mut run = Run { client, options, policy: &policy, report, progress };
    for row in client.query(PARTITIONS, &[newest]).await? {
        let (month, pages): (String, i64) = (row.get(0), row.get(1));
        run.month(&month, pages).await?;
    }
    // A key that went before its event would let that event in again. What could not be dropped is still there.
    if run.report.partitions_locked.is_empty() {
        run.ledger().await?;
    }
    Ok(())
}

/// What is kept for how long, as columns.
#[derive(Default)]
struct Policy {
    tenants: Vec<String>,
    categories: Vec<String>,
    until: Vec<Option<OffsetDateTime>>,
    own_tenants: Vec<String>,
    own_names: Vec<String>,
    own_categories: Vec<String>,
    built_in_names: Vec<&'static str>,
    built_in_categories: Vec<&'static str>,
    /// The tenants that keep nothing for ever, and up to when they keep nothing of any category.
    ending: Ending,
}

#[derive(Default)]
struct Ending {
    tenants: Vec<String>,
    until: Vec<OffsetDateTime>,
}

impl Policy {
    async fn read(client: &Client) -> Result<Self, Error> {
        let mut policy = Self::default();
        for row in client.query(RULES, &[]).await? {
            policy.tenants.push(row.get(0));
            policy.categories.push(row.get(1));
            policy.until.push(row.get(2));
        }
        for row in client.query(CATEGORIES, &[]).await? {
            policy.own_tenants.push(row.get(0));
            policy.own_names.push(row.get(1));
            policy.own_categories.push(row.get(2));
        }
        policy.built_in_names = catalogue::all().iter().map(|of| of.name).collect();
        policy.built_in_categories = catalogue::all().iter().map(|of| of.category).collect();
        policy.ending = policy.ending();
        Ok(policy)
    }

    /// Of each tenant the category that is kept the longest.
    fn ending(&self) -> Ending {
        let mut longest: BTreeMap<&String, Option<OffsetDateTime>> = BTreeMap::new();
        for (tenant, until) in self.tenants.iter().zip(&self.until) {
            let of_all = longest.entry(tenant).or_insert(*until);
            *of_all = of_all.zip(*until).map(|(one, other)| one.min(other));
        }
        let ending = longest.into_iter().filter_map(|(tenant, until)| Some((tenant.clone(), until?)));
        let (tenants, until) = ending.unzip();
        Ending { tenants, until }
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); 8] {
        [
            &self.tenants,
            &self.categories,
            &self.until,
            &self.own_tenants,
            &self.own_names,
            &self.own_categories,
            &self.built_in_names,
            &self.built_in_categories,
        ]
    }
}

/// One run, under way.
struct Run<'a> {
    client: &'a Client,
    options: &'a Options,
    policy: &'a Policy,
    report: &'a mut Report,
    progress: &'a mut (dyn FnMut(&Report) + Send),
}

impl Run<'_> {
    /// Drops a month that nobody keeps anything of, else deletes from it; and drops it if that has emptied it.
    async fn month(&mut self, month: &str, pages: i64) -> Result<(), Error> {
        if self.is_over(month).await? {
            return self.drop_partition(month).await;
        }
        let before = self.report.events_deleted;
        self.delete_events(month, pages).await?;
        let is_changed = self.report.events_deleted > before && !self.options.dry_run;
        if is_changed && self.is_over(month).await? {
            return self.drop_partition(month).await;
        }
        Ok(())
    }

    async fn is_over(&self, month: &str) -> Result<bool, Error> {
        let Ending { tenants, until } = &self.policy.ending;
        let row = self.client.query_one(&of_partition(IS_OVER, month), &[tenants, until, &month]).await?;
        row.try_get(0)
    }

    async fn drop_partition(&mut self, month: &str) -> Result<(), Error> {
        if !self.options.dry_run && !self.try_to_drop(month).await? {
            self.report.partitions_locked.push(month.to_owned());
            return Ok(());
        }
        self.report.partitions_dropped.push(month.to_owned());
        (self.progress)(self.report);
        Ok(())
    }

    async fn try_to_drop(&self, month: &str) -> Result<bool, Error> {
        for attempt in 1..=TRIES {
            match self.client.execute(DROP, &[&month]).await {
                Ok(_) => return Ok(true),
                Err(error) if error.code() != Some(&SqlState::LOCK_NOT_AVAILABLE) => return Err(error),
                Err(_) if attempt < TRIES => tokio::time::sleep(BETWEEN_TRIES).await,
                Err(_) => {}
            }
        }
        Ok(false)
    }

    async fn delete_events(&mut self, month: &str, pages: i64) -> Result<(), Error> {
        let expired = of_partition(EXPIRED, month);
        let statement = self.statement(&of_partition("ingest.{partition}", month), &expired, EVENTS_BATCH);
        for (from, to) in windows(pages) {
            loop {
                let [first, last]: [&(dyn ToSql + Sync); 2] = [&from, &to];
                let gone = self.batch(&statement, &[&self.policy.parameters()[..], &[first, last]].concat()).await?;
                self.report.events_deleted += gone;
                if !self.goes_on(gone, EVENTS_BATCH).await {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn ledger(&mut self) -> Result<(), Error> {
        let Ending { tenants, until } = &self.policy.ending;
        let until: Vec<OffsetDateTime> = until.iter().map(|until| *until - KEYS_OUTLIVE).collect();
        let pages: i64 = self.client.query_one(LEDGER_PAGES, &[]).await?.get(0);
        let statement = self.statement("ingest.event_keys", NEEDLESS, KEYS_BATCH);
        for (from, to) in windows(pages) {
            loop {
                let gone = self.batch(&statement, &[tenants, &until, &from, &to]).await?;
                self.report.keys_deleted += gone;
                if !self.goes_on(gone, KEYS_BATCH).await {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Deletes a batch of what `chosen` finds; in a dry run, only counts all of it.
    fn statement(&self, table: &str, chosen: &str, most: u64) -> String {
        if self.options.dry_run {
            return format!("SELECT count(*) FROM ({chosen}) AS gone");
        }
        format!("DELETE FROM {table} WHERE ctid = ANY (ARRAY({chosen} LIMIT {most}))")
    }

    async fn batch(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        if self.options.dry_run {
            let counted: i64 = self.client.query_one(statement, parameters).await?.try_get(0)?;
            return Ok(counted.unsigned_abs());
        }
        self.client.execute(statement, parameters).await
    }

    /// Tells of a batch, and whether there may be more of where it came from: then others have had their turn meanwhile.
    async fn goes_on(&mut self, gone: u64, most: u64) -> bool {
        if gone == 0 {
            return false;
        }
        (self.progress)(self.report);
        if self.options.dry_run {
            return false;
        }
        tokio::time::sleep(self.options.pause).await;
        gone == most
    }
}

/// A statement about the partition of this month, which is `YYYY-MM-01`.
fn of_partition(statement: &str, month: &str) -> String {
    let digits: String = month.chars().filter(char::is_ascii_digit).take(6).collect();
    statement.replace("{partition}", &format!("events_raw_{digits}"))
}

/// The first places of `pages` pages taken some at a time, and the places behind the last.
fn windows(pages: i64) -> impl Iterator<Item = (String, String)> {
    let step = usize::try_from(PAGES).unwrap_or(usize::MAX);
    (0..pages).step_by(step).map(|first| (format!("({first},0)"), format!("({},0)", first + PAGES)))
}
