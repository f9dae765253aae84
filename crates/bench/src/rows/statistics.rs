//! The statistics of a workflow that very many were enrolled in, and the ranking with it.

use std::time::Instant;

use anyhow::ensure;
use load::generator::{Percentiles, histogram};
use load::http::client;
use load::scenario::Scenario;
use serde_json::{Value, json};

use crate::report::Row;
use crate::stand::Stand;
use crate::store;

const ENROLLMENTS: u64 = 1_000_000;
/// Of each kind; a key may ask 60 times a minute.
const REQUESTS: u64 = 28;

/// How long an answer takes: the first one is counted, the others are of the five minutes for which it is kept.
pub async fn statistics(stand: &Stand) -> anyhow::Result<Row> {
    let mut row = Row::new(
        "statistics",
        "GET …/goals/stats and …/analytics/workflows, 28 times each, over 1,000,000 enrollments of one workflow, 30 % of which reached a goal",
    );
    let tenant = &stand.tenants[0];
    let scenario = Scenario { tenants: 1, workflows: 1, enrollments: ENROLLMENTS };
    store::prepare(&stand.database, stand.tenants(1), scenario).await?;
    let (workflow, achieved) = store::achieved(&stand.database, tenant).await?;
    let url = &stand.place.services.analytics.url;
    let http = client()?;
    for (what, path) in [
        ("statistics", format!("/api/v1/workflows/{workflow}/goals/stats")),
        ("ranking", "/api/v1/analytics/workflows".to_owned()),
    ] {
        let mut took = histogram();
        for request in 0..REQUESTS {
            let began = Instant::now();
            let answer = http.get(format!("{url}{path}")).bearer_auth(&tenant.api_key).send().await?;
            let status = answer.status();
            let body: Value = answer.json().await?;
            ensure!(status.is_success(), "{path}: {status} {body}");
            let elapsed = began.elapsed();
            took.record(u64::try_from(elapsed.as_micros())?)?;
            if request == 0 {
                row.tell(format!("{what}, counted"), elapsed.as_secs_f64(), "s");
                let figures = if what == "ranking" { &body["items"][0] } else { &body };
                let counted = (&figures["total_enrolled"], &figures["goals_achieved"]);
                if counted != (&json!(ENROLLMENTS), &json!(achieved)) {
                    row.faults.push(format!("{what}: {counted:?}, and should be {ENROLLMENTS}, {achieved}"));
                }
            }
        }
        row.at_most(format!("{what}, p95"), Percentiles::from(&took).p95_ms, "ms", 50.0);
    }
    Ok(row)
}
