#![doc = include_str!("../README.md")]

mod database;
pub mod issuer;
mod program;
pub mod proxy;
mod seed;
mod vhost;

pub use database::Database;
pub use program::Program;
pub use seed::Seeded;
pub use vhost::Vhost;

use anyhow::Context;

/// A variable that the test command sets.
#[expect(clippy::disallowed_methods, reason = "tests are told where their servers are by the environment")]
fn environment(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| {
        format!("{name} is not set: run the tests by `make test`, or under `goalpost dev --servers-only -- cargo nextest run`")
    })
}

/// Runs what must be done although the test is over (and its runtime may be gone): on a thread and runtime of its own.
fn at_the_end<F>(work: F)
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let done = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work)
    });
    match done.join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => eprintln!("cleaning up after the test failed: {error:#}"),
        Err(_) => eprintln!("cleaning up after the test panicked"),
    }
}
