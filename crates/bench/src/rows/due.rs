//! Scheduled actions that come due at a steady rate.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bus::{Message, Subscription};
use domain::contract::{ActionDue, Fact, exchange};
use domain::ids::ActionId;
use hdrhistogram::Histogram;
use load::clock::Clock;
use load::generator::{Percentiles, histogram};
use load::progress::Progress;
use load::scenario::Scenario;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use super::TENANTS;
use super::ingest::of_tenants;
use crate::Times;
use crate::report::Row;
use crate::run::Shape;
use crate::stand::Stand;
use crate::store;

const DUE_PER_SECOND: f64 = 1_000.0;
const LONGEST: Duration = Duration::from_secs(10);
/// Held back by paused workflows, in all tenants together.
const HELD: u64 = 100_000;
/// From the last that comes due to the last that is heard of, at the most.
const LIMIT: Duration = Duration::from_secs(60);

/// How late a subscriber of `workflow.action.due` hears of them, beside 100,000 that are held back.
pub async fn due(stand: &Stand, times: Times) -> anyhow::Result<Row> {
    let mut row = Row::new(
        "due",
        "1,000 actions come due a second, beside 100,000 that paused workflows hold back; from the time of an action to the receipt of workflow.action.due",
    );
    let times = Times { load: times.load.min(LONGEST), ..times };
    for tenants in TENANTS {
        // One workflow of ten is paused.
        let count = Shape::enough(DUE_PER_SECOND * times.load.as_secs_f64() / 0.9) / tenants;
        let scenario = Scenario { tenants, workflows: 10, enrollments: count };
        store::prepare(&stand.database, stand.tenants(tenants), scenario).await?;
        let (heard, scheduled) = hear(stand, times, HELD / tenants).await?;
        let of = of_tenants(tenants);
        let mut must_be = |what: &str, is: u64| {
            if is != scheduled {
                row.faults.push(format!("{what}, {of}: {is}, must be {scheduled}"));
            }
        };
        must_be("actions heard of", heard.seen.len() as u64);
        must_be("actions announced", store::announced(&stand.database).await?);
        let late = Percentiles::from(&heard.lateness);
        row.tell(format!("p50, {of}"), late.p50_ms, "ms");
        row.at_most(format!("p95, {of}"), late.p95_ms, "ms", 1_000.0);
        row.at_most(format!("p99, {of}"), late.p99_ms, "ms", 1_000.0);
        row.details[of] = json!({"actions": scheduled, "repeats": heard.repeats, "late_ms": late});
    }
    Ok(row)
}

/// Schedules the actions and listens until all of them were heard of: what was heard, and how many they are.
async fn hear(stand: &Stand, times: Times, held: u64) -> anyhow::Result<(Heard, u64)> {
    let mut subscription = Subscription::open(&stand.place.amqp_url, exchange::WORKFLOW, ActionDue::ROUTING_KEY)
        .await
        .context("cannot subscribe to workflow.action.due")?;
    let heard = RefCell::new(Heard::of(Clock::start()));
    let listen = async {
        while let Some(message) = subscription.next().await {
            heard.borrow_mut().take(&message);
        }
    };
    let work = async {
        let progress = Progress::waiting("waiting until everything is due, and announced");
        let scheduled = store::schedule(&stand.database, DUE_PER_SECOND, held).await?;
        let limit = Instant::now() + times.load + LIMIT;
        while (heard.borrow().seen.len() as u64) < scheduled && Instant::now() < limit {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stand.servers()?.finish(&progress).await?;
        progress.done();
        anyhow::Ok(scheduled)
    };
    let scheduled = tokio::select! {
        biased;
        () = listen => bail!("the subscriber of workflow.action.due lost its connection"),
        worked = work => worked?,
    };
    Ok((heard.into_inner(), scheduled))
}

/// What the subscriber heard.
struct Heard {
    clock: Clock,
    seen: HashSet<ActionId>,
    /// Messages that repeat another one.
    repeats: u64,
    /// Microseconds from the time of an action to the receipt.
    lateness: Histogram<u64>,
}

#[derive(Deserialize)]
struct Told {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    action_id: ActionId,
    #[serde(with = "domain::time_format")]
    scheduled_at: OffsetDateTime,
}

impl Heard {
    fn of(clock: Clock) -> Self {
        Self { clock, seen: HashSet::new(), repeats: 0, lateness: histogram() }
    }

    fn take(&mut self, message: &Message) {
        let received_us = self.clock.now_us();
        let Ok(Told { data }) = serde_json::from_slice(&message.body) else {
            return;
        };
        if self.seen.insert(data.action_id) {
            let scheduled_us = u64::try_from(data.scheduled_at.unix_timestamp_nanos() / 1_000).unwrap_or_default();
            self.lateness.saturating_record(received_us.saturating_sub(scheduled_us).max(1));
        } else {
            self.repeats += 1;
        }
    }
}
