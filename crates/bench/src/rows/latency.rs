//! From the intended sending of an event to the subscriber's receipt of the exit it brings about.

use load::generator::{Pace, Percentiles};
use load::scenario::Scenario;
use serde_json::json;

use super::TENANTS;
use super::ingest::of_tenants;
use crate::Times;
use crate::report::Row;
use crate::run::{Shape, run};
use crate::stand::Stand;
use crate::store;

const MATCHING_PERCENT: u64 = 5;

/// At 2,000 and at 10,000 events a second, 5 % of which end an enrollment.
pub async fn exit_latency(stand: &Stand, times: Times) -> anyhow::Result<Row> {
    let mut row = Row::new(
        "exit-latency",
        "open loop, batches of 100, 5 % match; from the intended sending to the receipt of workflow.exit.goal",
    );
    for (rate, p50, p95) in [(2_000.0, Some(15.0), 50.0), (10_000.0, None, 100.0)] {
        for tenants in TENANTS {
            let exits = Shape::enough(rate * times.load.as_secs_f64() * 0.05);
            let scenario = Scenario { tenants, workflows: 10, enrollments: exits / tenants + 20 };
            store::prepare(&stand.database, stand.tenants(tenants), scenario).await?;
            let shape =
                Shape::new(scenario, Pace::Open { events_per_second: rate }, times.load).matching(MATCHING_PERCENT);
            let outcome = run(stand, &Shape { connections: 32, ..shape }).await?;
            let exit = Percentiles::from(&outcome.exit_latency);
            let of = format!("{rate} events/s, {}", of_tenants(tenants));
            if let Some(p50) = p50 {
                row.at_most(format!("p50 at {of}"), exit.p50_ms, "ms", p50);
            }
            row.at_most(format!("p95 at {of}"), exit.p95_ms, "ms", p95);
            row.faults.extend(outcome.faults);
            row.details[of] = json!({
                "exits": outcome.exits,
                "exit_ms": exit,
                "answer_ms": Percentiles::from(&outcome.sending.latency),
                "tally": outcome.sending.tally,
            });
        }
    }
    Ok(row)
}
