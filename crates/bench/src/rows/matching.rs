//! Matching in memory, on one core, against a hash look-up per event.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Times;
use crate::report::Row;
use crate::workload::{Event, events, rules, table};

const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
const EVENTS: usize = 50_000;

/// At each number of goals.
pub async fn matching(times: Times) -> anyhow::Result<Row> {
    let lasts = (times.load / 40).max(Duration::from_millis(250));
    let rates = tokio::task::spawn_blocking(move || SIZES.map(|goals| rates(goals, lasts))).await?;
    let mut row = Row::new(
        "matching",
        "events parsed beforehand against one tenant's goals of all types, 1 % of them match; one core",
    );
    let [(few, _), .., (many, look_ups)] = rates;
    row.at_least("with 100,000 goals", many, "events/s", 1_000_000.0);
    row.at_most("time per event, 100,000 goals against 100", few / many, "×", 1.5);
    row.tell("floor: hash look-ups among 100,000", look_ups, "events/s");
    row.tell("of that floor", many / look_ups, "×");
    let of = |(goals, (rate, look_ups)): (usize, (f64, f64))| json!({"goals": goals, "events_per_second": rate, "look_ups_per_second": look_ups});
    row.details = SIZES.into_iter().zip(rates).map(of).collect();
    Ok(row)
}

/// Events matched, and looked up, per second.
fn rates(goals: usize, lasts: Duration) -> (f64, f64) {
    let (rules, table, events) = (rules(goals), table(goals), events(EVENTS, goals));
    let mut nominated = Vec::new();
    let matched = rate(&events, lasts, |event| {
        nominated.clear();
        rules.nominate(event.name, &event.properties, &mut nominated);
        black_box(&nominated);
    });
    let looked_up = rate(&events, lasts, |event| {
        black_box(table.get(&event.key));
    });
    (matched, looked_up)
}

/// The best of the passes: what disturbs one is not the code's.
fn rate(events: &[Event], lasts: Duration, mut one: impl FnMut(&Event)) -> f64 {
    let began = Instant::now();
    let mut best = 0.0_f64;
    while began.elapsed() < lasts {
        let pass = Instant::now();
        events.iter().for_each(&mut one);
        best = best.max(crate::run::per_second(events.len() as u64, pass.elapsed()));
    }
    best
}
