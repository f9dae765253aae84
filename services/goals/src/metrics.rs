//! What this service counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use domain::contract::{Command, DeleteReference, EraseSubject, PutReference};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use crate::error::Error;

/// The instruments of this service.
#[derive(Clone)]
pub struct Metrics {
    registrations: Counter<u64>,
    commands: Counter<u64>,
    active_listeners: Arc<AtomicI64>,
}

impl Metrics {
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("goalpost.goals");
        let active_listeners = Arc::new(AtomicI64::new(0));
        let observed = Arc::clone(&active_listeners);
        meter
            .i64_observable_gauge("goal.listeners.active")
            .with_description("Pairs of live workflow and event type that wait for events, as last counted")
            .with_callback(move |observer| observer.observe(observed.load(Relaxed), &[]))
            .build();
        let registrations = meter
            .u64_counter("goal.listeners.registrations")
            .with_description(
                "Activations that registered listeners (ok), were refused for a goal (invalid) or went wrong (failed)",
            )
            .build();
        // There from the start, so that the first failure is seen as an increase.
        for result in ["ok", "invalid", "failed"] {
            registrations.add(0, &[KeyValue::new("result", result)]);
        }
        let commands = meter
            .u64_counter("goal.commands")
            .with_description("Requests carried out over the bus, by command and result")
            .build();
        for command in [PutReference::ROUTING_KEY, DeleteReference::ROUTING_KEY, EraseSubject::ROUTING_KEY] {
            for result in ["done", "refused", "repeated"] {
                commands.add(0, &[KeyValue::new("command", command), KeyValue::new("result", result)]);
            }
        }
        Self { registrations, commands, active_listeners }
    }

    /// A command is done, was refused by the rules, or was answered before.
    pub fn command(&self, command: &'static str, result: &'static str) {
        self.commands.add(1, &[KeyValue::new("command", command), KeyValue::new("result", result)]);
    }

    /// Counts an activation that was tried. One that changed nothing, or could not be meant, registers nothing.
    pub fn registered<T>(&self, outcome: &Result<(T, bool), Error>) {
        let result = match outcome {
            Ok((_, true)) => "ok",
            Err(Error::InvalidGoalConfiguration { .. }) => "invalid",
            Err(Error::Database(_)) => "failed",
            Ok((_, false)) | Err(_) => return,
        };
        self.registrations.add(1, &[KeyValue::new("result", result)]);
    }

    pub fn set_active_listeners(&self, count: i64) {
        self.active_listeners.store(count, Relaxed);
    }
}
