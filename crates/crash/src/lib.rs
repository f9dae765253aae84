#![doc = include_str!("../README.md")]

mod plan;

use plan::{Act, Plan, Poison};
use std::sync::OnceLock;
use std::time::Duration;

/// Every place there is.
pub const POINTS: [&str; 17] = [
    "commit.after",
    "commit.before",
    "consumer.after_ack",
    "consumer.after_handling",
    "consumer.before_handling",
    "dead_letter.after_store",
    "dead_letter.before_store",
    "evaluator.after_announcing",
    "evaluator.after_locks",
    "evaluator.after_writing",
    "evaluator.before_announcing",
    "evaluator.before_writing",
    "ingest.before_answer",
    "ingest.before_store",
    "publisher.after_publish",
    "relay.after_claim",
    "relay.after_confirm",
];

/// A place: `point!("relay.after_claim")`, or `point!("commit.before", transaction)` where there are several of a kind.
#[macro_export]
macro_rules! point {
    ($name:literal) => {
        $crate::point!($name, "")
    };
    ($name:literal, $which:expr) => {
        if cfg!(debug_assertions) {
            $crate::hit($name, $which);
        }
    };
}

/// A message is about to be handled: does what `GOALPOST_POISON` says if its body has the text.
#[macro_export]
macro_rules! poison {
    ($body:expr) => {
        if cfg!(debug_assertions) {
            $crate::taste($body);
        }
    };
}

/// Behind `point!`.
pub fn hit(name: &str, which: &str) {
    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    if let Some(plan) = PLAN.get_or_init(|| read("GOALPOST_CRASH", Plan::parse))
        && let Some(act) = plan.due(name, which)
    {
        eprintln!("crash point {name} {which}: {act:?}");
        perform(act);
    }
}

/// Behind `poison!`.
pub fn taste(body: &[u8]) {
    static POISON: OnceLock<Option<Poison>> = OnceLock::new();
    if let Some(poison) = POISON.get_or_init(|| read("GOALPOST_POISON", Poison::parse))
        && poison.is_in(body)
    {
        perform(poison.act);
    }
}

/// What a variable asks for. One that cannot be read would make a test pass that tried nothing.
#[expect(clippy::disallowed_methods, reason = "not a setting: for tests, and gone from a release build")]
fn read<T>(variable: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    match parse(&text) {
        Ok(asked) => Some(asked),
        Err(fault) => {
            eprintln!("{variable} cannot be read: {fault}");
            std::process::abort();
        }
    }
}

fn perform(act: Act) {
    match act {
        Act::Abort => std::process::abort(),
        Act::Exit => std::process::exit(plan::EXIT_CODE),
        #[expect(clippy::panic, reason = "asked for")]
        Act::Panic => panic!("asked for by the environment"),
        Act::Sleep(time_ms) => std::thread::sleep(Duration::from_millis(time_ms)),
    }
}
