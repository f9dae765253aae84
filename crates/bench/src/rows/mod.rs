//! The rows of the table in spec/7 section 2, one function each.

mod api;
mod due;
mod evaluation;
mod ingest;
mod latency;
mod matching;
mod resources;
mod simulate;
mod statistics;

use anyhow::bail;

use crate::Times;
use crate::report::Row;
use crate::stand::{MANY_TENANTS, Stand};

/// In the order in which they are run. `memory` comes first, while nothing was asked of the services yet.
pub const NAMES: [&str; 13] = [
    "memory",
    "matching",
    "ingest",
    "ingest-single",
    "exit-latency",
    "exits",
    "evaluation",
    "enrollments",
    "due",
    "simulate",
    "statistics",
    "api",
    "disk",
];

/// Loads are sent by one tenant, and by many in turn.
const TENANTS: [u64; 2] = [1, MANY_TENANTS];

/// Measures a row.
pub async fn run(name: &str, stand: &Stand, times: Times) -> anyhow::Result<Row> {
    match name {
        "memory" => resources::memory(stand),
        "matching" => matching::matching(times).await,
        "ingest" => ingest::batches(stand, times).await,
        "ingest-single" => ingest::single(stand, times).await,
        "exit-latency" => latency::exit_latency(stand, times).await,
        "exits" => evaluation::exits(stand, times).await,
        "evaluation" => evaluation::evaluation(stand, times).await,
        "enrollments" => evaluation::enrollments(stand, times).await,
        "due" => due::due(stand, times).await,
        "simulate" => simulate::simulate(stand).await,
        "statistics" => statistics::statistics(stand).await,
        "api" => api::api(stand, times).await,
        "disk" => resources::disk(stand).await,
        other => bail!("there is no row {other}"),
    }
}
