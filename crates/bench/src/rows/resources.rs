//! Memory of the services, and bytes of an event.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::report::Row;
use crate::stand::Stand;
use crate::store;

/// What the demo stores.
const PURCHASES: f64 = 69_659.0;

/// What each service holds right after its start.
pub fn memory(stand: &Stand) -> anyhow::Result<Row> {
    let mut row = Row::new(
        "memory",
        "resident memory of each service 5 s after its start; the evaluator's with 100,000 goals is in `evaluation`",
    );
    for (service, mib) in &stand.idle_mib {
        row.at_most(format!("{service}, idle"), *mib, "MiB", 64.0);
    }
    Ok(row)
}

/// The purchases of the demo, on empty tables.
pub async fn disk(stand: &Stand) -> anyhow::Result<Row> {
    store::reset(&stand.database).await?;
    let told = stand.goalpost(&["demo", "--on", ".goalpost/dev.json", "--replays", "0", "--json"]).await?;
    let report: Value = serde_json::from_str(&told).context("the demo's report")?;
    ensure!(report["holds"] == true, "the figures of the demo do not hold");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let bytes = store::event_bytes(&stand.database).await? as f64;
    let mut row = Row::new(
        "disk",
        "the demo's 69,659 real purchases of the tenant `cdnow`: events, their indexes, ledger with its index; a longer tenant id costs",
    );
    row.at_most("per event", bytes / PURCHASES, "bytes", 400.0);
    row.details = json!({"bytes": bytes, "demo": report});
    Ok(row)
}
