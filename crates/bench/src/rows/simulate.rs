//! A goal tried on what is stored.

use std::time::Instant;

use anyhow::{Context, ensure};
use load::http::client;
use load::scenario::Scenario;
use reqwest::Client;
use serde_json::{Value, json};

use crate::report::Row;
use crate::stand::Stand;
use crate::store;

const EVENTS: u64 = 1_000_000;
/// Each has the same number of events.
const ENROLLMENTS: u64 = 100_000;

/// How long simulating takes over a million stored events, none of which may be left out.
pub async fn simulate(stand: &Stand) -> anyhow::Result<Row> {
    let mut row = Row::new(
        "simulate",
        "POST …/goals/simulate over 1,000,000 stored events of the goal's type, of 100,000 enrollments; 0.1 % of them meet it",
    );
    let tenant = &stand.tenants[0];
    let scenario = Scenario { tenants: 1, workflows: 1, enrollments: ENROLLMENTS };
    store::prepare(&stand.database, stand.tenants(1), scenario).await?;
    let (workflow, expected) = store::stored(&stand.database, tenant, (ENROLLMENTS, EVENTS)).await?;
    let url = format!("{}/api/v1/workflows/{workflow}/goals/simulate", stand.place.services.evaluator.url);
    let began = Instant::now();
    let simulated = ask(&client()?, &url, &tenant.api_key).await?;
    row.at_most("simulated", began.elapsed().as_secs_f64(), "s", 10.0);
    for (key, wanted) in [("would_exit", expected), ("enrollments_considered", ENROLLMENTS)] {
        if simulated[key] != json!(wanted) {
            row.faults.push(format!("{key} is {}, and should be {wanted}", simulated[key]));
        }
    }
    if let Some((_, mib)) = stand.resident()?.into_iter().find(|(service, _)| *service == "evaluator") {
        row.tell("memory of the evaluator after it", mib, "MiB");
    }
    Ok(row)
}

async fn ask(http: &Client, url: &str, key: &str) -> anyhow::Result<Value> {
    let draft = json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100}});
    let answer = http.post(url).bearer_auth(key).json(&draft).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{url}: {status} {text}");
    serde_json::from_str(&text).context("no JSON")
}
