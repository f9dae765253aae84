//! Random histories of changes, enrollments, ends and events, judged as a live system would and all at once: held against an
//! oracle that was written from the specification (`oracle.rs`), and against the sequential model (`allowed.rs`), by which the
//! real services are tested as well (`crates/e2e/tests/model`).
//!
//! `HISTORIES` says how many, `SEED` which is the first; a failure tells the seed of its history, and becomes a test here.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

extern crate goalpost_domain as domain;

mod allowed;
mod at_once;
mod history;
mod live;
mod oracle;
#[allow(dead_code, reason = "other tests use the rest")]
mod random;
mod real;

use live::Tally;

/// Of `cargo test`: some seconds without optimisation.
const HISTORIES: u64 = 4_000;

#[expect(clippy::disallowed_methods, reason = "a test is told by the environment how long it is to be")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

#[test]
fn every_history_comes_to_what_the_model_allows() {
    let first = number("SEED").unwrap_or_else(rand::random);
    let histories = number("HISTORIES").unwrap_or(HISTORIES);
    println!("SEED={first} HISTORIES={histories}");
    let mut tally = Tally::default();
    for seed in (0..histories).map(|it| first.wrapping_add(it)) {
        // The history's own messages, and then the seed to make it happen again.
        let history = std::panic::catch_unwind(|| live::run(seed));
        tally.add(&history.unwrap_or_else(|_| panic!("with SEED={seed} HISTORIES=1")));
    }
    println!("{tally:?}");
    tally.assert_all_was_seen(histories);
}

/// The same seed, the same history.
#[test]
fn a_seed_makes_its_history_happen_again() {
    for seed in [1, 2, 3] {
        assert_eq!(live::run(seed), live::run(seed));
    }
}
