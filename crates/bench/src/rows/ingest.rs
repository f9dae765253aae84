//! Durable ingest: in batches, and one event per request.

use load::generator::{Pace, Percentiles};
use load::scenario::Scenario;
use serde_json::json;

use super::TENANTS;
use crate::Times;
use crate::report::Row;
use crate::run::{Outcome, Shape, run};
use crate::stand::Stand;
use crate::{floors, store};

/// So many requests of 100 events are under way when as much as possible is to be stored: they fill the committers twice.
pub(super) const IN_BATCHES: usize = 40;

/// Batches of 100 against 4 connections × 500 rows.
pub async fn batches(stand: &Stand, times: Times) -> anyhow::Result<Row> {
    let mut row = Row::new(
        "ingest",
        "closed loop on 40 connections, batches of 100, nothing matches; relay and evaluator at work",
    );
    let floor = floors::stored_rows(stand, 4, 500, times.floor).await?;
    row.tell("floor: the same rows by bare SQL", floor, "rows/s");
    for tenants in TENANTS {
        let outcome = sent(stand, tenants, (100, IN_BATCHES), times).await?;
        let rate = outcome.sending.events_per_second();
        let of = of_tenants(tenants);
        row.at_least(format!("stored, {of}"), rate, "events/s", 30_000.0);
        row.at_least(format!("of the floor, {of}"), rate / floor, "×", 0.6);
        told(&mut row, outcome, tenants);
    }
    Ok(row)
}

/// Single events on 64 connections against 8 connections × 1 row.
pub async fn single(stand: &Stand, times: Times) -> anyhow::Result<Row> {
    let mut row = Row::new("ingest-single", "closed loop on 64 connections, one event per request, nothing matches");
    let floor = floors::stored_rows(stand, 8, 1, times.floor).await?;
    row.tell("floor: a transaction per row", floor, "rows/s");
    for tenants in TENANTS {
        let outcome = sent(stand, tenants, (1, 64), times).await?;
        let rate = outcome.sending.events_per_second();
        row.tell(format!("stored, {}", of_tenants(tenants)), rate, "events/s");
        row.at_least(format!("of the floor, {}", of_tenants(tenants)), rate / floor, "×", 2.0);
        told(&mut row, outcome, tenants);
    }
    Ok(row)
}

async fn sent(
    stand: &Stand,
    tenants: u64,
    (batch, connections): (u64, usize),
    times: Times,
) -> anyhow::Result<Outcome> {
    let scenario = Scenario { tenants, workflows: 10, enrollments: 1_000 / tenants };
    store::prepare(&stand.database, stand.tenants(tenants), scenario).await?;
    let shape = Shape { batch, connections, ..Shape::new(scenario, Pace::Closed, times.load) };
    run(stand, &shape).await
}

fn told(row: &mut Row, outcome: Outcome, tenants: u64) {
    row.tell(format!("judged, {}", of_tenants(tenants)), outcome.judged_per_second(), "events/s");
    row.faults.extend(outcome.faults);
    row.details[of_tenants(tenants)] = json!({
        "answer_ms": Percentiles::from(&outcome.sending.latency),
        "tally": outcome.sending.tally,
        "seconds": outcome.sending.took.as_secs_f64(),
        "judged_after_seconds": outcome.judged.as_secs_f64(),
    });
}

/// How the variants are called.
pub fn of_tenants(tenants: u64) -> String {
    if tenants == 1 { "1 tenant".to_owned() } else { format!("{tenants} tenants") }
}
