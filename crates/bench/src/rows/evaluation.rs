//! Evaluation from end to end: many goals, many exits, many enrollments.

use load::generator::{Pace, Percentiles};
use load::scenario::Scenario;
use serde_json::json;

use super::TENANTS;
use super::ingest::{IN_BATCHES, of_tenants};
use crate::Times;
use crate::report::Row;
use crate::run::{Outcome, Shape, per_second, run};
use crate::stand::Stand;
use crate::{floors, queue, store};

/// Chunks of 200 events for the bare queue.
const CHUNKS: u64 = 3_000;
/// Exits are sent at this rate: over the goal, and not so far that the queue decides.
const EXITS_PER_SECOND: f64 = 6_000.0;
const ACTIVE: [u64; 2] = [1_000, 1_000_000];

/// 1 % matching, 100,000 goals, 100,000 enrollments.
pub async fn evaluation(stand: &Stand, times: Times) -> anyhow::Result<Row> {
    let mut row = Row::new(
        "evaluation",
        "closed loop on 40 connections, batches of 100, 1 % match; 100,000 goals and enrollments; from the first request until all are judged",
    );
    let floor = queue::drain_rate(stand, CHUNKS).await?;
    row.tell("floor: the bare queue, drained", floor, "events/s");
    for tenants in TENANTS {
        let scenario = Scenario { tenants, workflows: 100_000 / 3 / tenants + 1, enrollments: 100_000 / tenants };
        store::prepare(&stand.database, stand.tenants(tenants), scenario).await?;
        let shape = Shape::new(scenario, Pace::Closed, times.load).matching(1);
        let outcome = run(stand, &Shape { connections: IN_BATCHES, ..shape }).await?;
        let of = of_tenants(tenants);
        row.at_least(format!("judged, {of}"), outcome.judged_per_second(), "events/s", 20_000.0);
        row.tell(format!("of the floor, {of}"), outcome.judged_per_second() / floor, "×");
        if let Some((_, mib)) = stand.resident()?.into_iter().find(|(service, _)| *service == "evaluator") {
            row.at_most(format!("memory of the evaluator, {of}"), mib, "MiB", 256.0);
        }
        told(&mut row, outcome, of);
    }
    Ok(row)
}

/// Every event ends an enrollment.
pub async fn exits(stand: &Stand, times: Times) -> anyhow::Result<Row> {
    let mut row = Row::new("exits", "open loop at 6,000 events/s, batches of 100, every one ends an enrollment");
    let wanted = Shape::enough(EXITS_PER_SECOND * times.load.as_secs_f64());
    let floor = floors::exits(stand, wanted, times.floor).await?;
    row.tell("floor: bare SQL in chunks of 200", floor, "exits/s");
    for tenants in TENANTS {
        let scenario = Scenario { tenants, workflows: 10, enrollments: wanted / tenants + 200 };
        store::prepare(&stand.database, stand.tenants(tenants), scenario).await?;
        let pace = Pace::Open { events_per_second: EXITS_PER_SECOND };
        let shape = Shape::new(scenario, pace, times.load).matching(100);
        let outcome = run(stand, &Shape { connections: 32, ..shape }).await?;
        let of = of_tenants(tenants);
        row.at_least(format!("committed, {of}"), per_second(outcome.exits, outcome.judged), "exits/s", 5_000.0);
        let after = outcome.last_exit.saturating_sub(outcome.sending.took);
        row.at_most(format!("the subscriber had all after the end, {of}"), after.as_secs_f64(), "s", 5.0);
        told(&mut row, outcome, of);
    }
    Ok(row)
}

/// A thousand times as many active enrollments.
pub async fn enrollments(stand: &Stand, times: Times) -> anyhow::Result<Row> {
    let mut row = Row::new(
        "enrollments",
        "closed loop on 8 connections, batches of 100; 0.1 % of the events end an enrollment, 2 % meet a goal of somebody not enrolled",
    );
    let mut per_event = Vec::new();
    for enrollments in ACTIVE {
        let scenario = Scenario { tenants: 1, workflows: 10, enrollments };
        store::prepare(&stand.database, stand.tenants(1), scenario).await?;
        let shape = Shape::new(scenario, Pace::Closed, times.load);
        let outcome = run(stand, &Shape { matching_ppm: 1_000, strangers_ppm: 20_000, ..shape }).await?;
        per_event.push(1.0 / outcome.judged_per_second());
        let of = format!("{} active", load::progress::grouped(enrollments));
        row.tell(format!("judged, {of}"), outcome.judged_per_second(), "events/s");
        told(&mut row, outcome, of);
    }
    if let [few, many] = per_event[..] {
        row.at_most("time per event, 1,000,000 active against 1,000", many / few, "×", 1.2);
    }
    Ok(row)
}

fn told(row: &mut Row, outcome: Outcome, of: String) {
    row.faults.extend(outcome.faults);
    row.details[of] = json!({
        "exits": outcome.exits,
        "exit_ms": Percentiles::from(&outcome.exit_latency),
        "answer_ms": Percentiles::from(&outcome.sending.latency),
        "tally": outcome.sending.tally,
        "sending_seconds": outcome.sending.took.as_secs_f64(),
        "judged_after_seconds": outcome.judged.as_secs_f64(),
        "last_exit_after_seconds": outcome.last_exit.as_secs_f64(),
    });
}
