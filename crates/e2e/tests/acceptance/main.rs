//! The acceptance features (`features/`) against the four real services, over HTTP and the bus. One installation for all
//! scenarios, a tenant for each, so they run at once. Cucumber runs them: `cargo test -p goalpost-e2e --test acceptance`,
//! with `-- --tags @ruling-07` or `-- --name REGEX` some of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod covers;
#[path = "../dev/mod.rs"]
#[expect(dead_code, reason = "what it does for others is done here by steps")]
mod dev;
mod installation;
mod report;
mod rulings;
mod steps;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use cucumber::World as _;

use dev::Dev;
use installation::Installation;
use report::Report;
use world::World;

/// So many wait for the same rest of the services.
const SCENARIOS_AT_ONCE: usize = 48;

#[tokio::main]
async fn main() -> ExitCode {
    // Who lists the tests of a binary, as nextest does, finds none of its kind here.
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let features = Path::new(env!("CARGO_MANIFEST_DIR")).join("features");
    if let Err(fault) = rulings::all_have_a_scenario(&features) {
        eprintln!("acceptance: {fault}");
        return ExitCode::FAILURE;
    }
    let dev = Dev::start(&[]);
    Installation::open(&dev).await;
    let begin = Instant::now();
    let cucumber = World::cucumber().max_concurrent_scenarios(SCENARIOS_AT_ONCE).with_writer(Report::default());
    let report = cucumber.run(features).await;
    println!("acceptance: {} in {:.0} s", report.summary(), begin.elapsed().as_secs_f32());
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
