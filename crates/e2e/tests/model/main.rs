//! The real services against the sequential model: many tenants with random histories at once, while processes are killed; and
//! activations, which hold from their answer on. `make test` takes a sample, `make chaos` more (`crates/e2e/README.md`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod activation;
#[path = "../../../domain/tests/model/allowed.rs"]
mod allowed;
mod api;
mod changing;
mod check;
#[path = "../cluster/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod cluster;
mod facts;
#[path = "../../../domain/tests/model/history.rs"]
mod history;
mod killer;
#[path = "../../../domain/tests/model/oracle.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod oracle;
#[path = "../../../domain/tests/model/random.rs"]
mod random;
mod tenant;

use std::cell::RefCell;

use futures_util::future::join_all;

use api::Api;
use check::Tally;
use cluster::Cluster;
use cluster::publisher::Publisher;
use cluster::rest::rest;
use cluster::shadow::Shadow;
use tenant::Tenant;

const EXITS: [(&str, &str); 1] = [("goalpost.workflow", "workflow.exit.goal")];

/// A number of the environment: of `make test`, or of the sweep that `make chaos` asks for.
fn number(name: &str, (sample, sweep): (u64, u64)) -> u64 {
    let named = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let is_sweep = named("GOALPOST_CHAOS").is_some_and(|what| what == "sweep");
    named(name).map_or(if is_sweep { sweep } else { sample }, |text| text.parse().unwrap())
}

/// That of the environment, or a new one.
fn seed() -> u64 {
    match number("SEED", (0, 0)) {
        0 => rand::random(),
        seed => seed,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenant_comes_to_what_the_model_allows() {
    let (seed, tenants) = (seed(), number("TENANTS", (200, 600)));
    println!("SEED={seed} TENANTS={tenants}");
    let mut cluster = Cluster::start(false).await;
    cluster.scale("evaluator", 2).await;
    let shadow = Shadow::bind_to(&cluster.http, cluster.management_url(), "shadow.model", &EXITS).await;
    let (api, publisher) = (Api::of(&cluster).await, Publisher::of(&cluster));
    let tenants =
        (0..tenants).map(|number| Tenant::make(&api, &publisher, &cluster.operator_key, seed ^ (number << 32)));
    let tenants = join_all(tenants).await;
    let redelivered = killer::redelivered(&cluster).await;

    let killed = RefCell::new(killer::Killed::default());
    let work = join_all(tenants.iter().map(Tenant::run));
    tokio::join!(work, killer::kill(&cluster, &api, &killed));
    cluster.ready().await;
    rest(&cluster, &shadow.queue).await;
    let exits = check::exits(&shadow.take_all().await);
    let mut tally = Tally::default();
    for tenant in &tenants {
        tally.judge(tenant, &facts::of(&api, &tenant.id).await, &exits);
    }
    let again = killer::redelivered(&cluster).await.saturating_sub(redelivered) + api.found_done() + tally.repeats;
    println!("{tally}; {:?}, {again} redeliveries", killed.borrow());
    let logs = (!tally.wrong.is_empty()).then(|| cluster.keep_logs(&format!("model-{seed}")));
    cluster.stop().await;
    assert!(tally.wrong.is_empty(), "SEED={seed}, logs in {logs:?}:\n{}", tally.wrong.join("\n"));
    assert!(killed.borrow().amid > 0 && again > 0, "the faults missed the work");
    tally.assert_all_was_seen();
}
