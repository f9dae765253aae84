//! A subscriber of `workflow.exit.goal`: which exits of a run it got, and how long after their events were meant to be sent.

use anyhow::Context;
use bus::{Message, Subscription};
use domain::contract::{Fact, WorkflowExitGoal, exchange};
use domain::ids::EventId;
use hdrhistogram::Histogram;
use serde::Deserialize;
use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::generator::histogram;

/// What came of a run.
pub struct Exits {
    clock: Clock,
    seen: HashSet<u64>,
    /// Messages that repeat another one.
    pub repeats: u64,
    /// Microseconds from the intended time of the event's request to the receipt of the exit.
    pub latency: Histogram<u64>,
    /// When the last one came.
    pub last: Option<Instant>,
}

#[derive(Deserialize)]
struct Told {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    trigger_event_id: EventId,
}

/// Binds a subscriber. What is published after this is seen.
pub async fn subscribe(amqp_url: &str) -> anyhow::Result<Subscription> {
    Subscription::open(amqp_url, exchange::WORKFLOW, WorkflowExitGoal::ROUTING_KEY)
        .await
        .context("cannot subscribe to workflow.exit.goal")
}

impl Exits {
    /// Those of one run.
    pub fn of(clock: Clock) -> Self {
        Self { clock, seen: HashSet::new(), repeats: 0, latency: histogram(), last: None }
    }

    /// How many different exits came.
    pub fn distinct(&self) -> u64 {
        self.seen.len() as u64
    }

    /// How long after `since` the last one came.
    pub fn last_after(&self, since: Instant) -> Duration {
        self.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(since))
    }

    /// Takes a message; those of other runs are not ours.
    pub fn take(&mut self, message: &Message) {
        let (received, received_us) = (Instant::now(), self.clock.now_us());
        let Ok(told) = serde_json::from_slice::<Told>(&message.body) else {
            return;
        };
        let Some((intended_us, sequence)) = self.clock.read(told.data.trigger_event_id) else {
            return;
        };
        if self.seen.insert(sequence) {
            self.latency.saturating_record(received_us.saturating_sub(intended_us).max(1));
            self.last = Some(received);
        } else {
            self.repeats += 1;
        }
    }
}
