//! Faults, against the real processes: whatever is killed, stopped, cut or doubled while the work is under way, every promise
//! holds. `make test` runs a sample; `make chaos` runs everything many times (`crates/e2e/README.md`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod checker;
mod checker_tests;
mod client;
mod clock;
#[path = "../cluster/mod.rs"]
mod cluster;
mod crash;
mod facts;
mod fault;
mod ledger;
mod maintenance;
mod meddler;
mod people;
mod purchases;
mod run;
mod sweep;
mod versions;
mod workload;

use sweep::Plan;

/// The sample, or what `GOALPOST_CHAOS` asks for.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_is_doubled() {
    let plan = Plan::of_environment();
    let table = plan.run().await;
    println!("{table}");
    assert!(table.failures().is_empty(), "{}", table.failures().join("\n"));
}
