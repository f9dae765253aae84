//! The instruments of the evaluation.

use domain::contract::{Command, EndEnrollment, Enroll, EraseSubject, ScheduleAction};
use domain::goal::GoalType;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use std::time::Duration;

/// Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    received: Counter<u64>,
    evaluations: Counter<u64>,
    achievements: Counter<u64>,
    exits: Counter<u64>,
    nominations: Counter<u64>,
    latency: Histogram<f64>,
    transactions: Counter<u64>,
    unreadable: Counter<u64>,
    commands: Counter<u64>,
    backlog_queued: Gauge<f64>,
    backlog_held: Gauge<f64>,
    announced: Counter<u64>,
    held_back: Counter<u64>,
    lateness: Histogram<f64>,
}

impl Metrics {
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("goalpost.evaluator");
        let counter = |name: &'static str, what: &'static str| meter.u64_counter(name).with_description(what).build();
        let gauge = |name: &'static str, what: &'static str| meter.f64_gauge(name).with_description(what).build();
        Self {
            backlog_queued: gauge(
                "goal.backlog.queued",
                "Stored events in the queue, estimated from its messages; the same for every evaluator.",
            ),
            backlog_held: gauge(
                "goal.backlog.held",
                "Stored events that the consumers of this process have and have not judged, estimated.",
            ),
            received: counter("goal.events.received", "Stored events taken from the bus."),
            evaluations: counter("goal.evaluations", "Enrollments judged."),
            achievements: counter("goal.achievements", "Achievements recorded, by goal type."),
            exits: counter("goal.exits", "Enrollments that left by a goal."),
            nominations: counter("goal.nominations", "Pairs of workflow and contact that an event or a recheck named."),
            transactions: counter("goal.evaluation.transactions", "Transactions that judged."),
            unreadable: counter(
                "goal.configuration.unreadable",
                "Workflows left out because this version cannot read them.",
            ),
            commands: counter("goal.commands", "Requests carried out over the bus, by command and result."),
            latency: meter
                .f64_histogram("goal.evaluation.latency")
                .with_unit("s")
                .with_description("From the storing of an event that nominated to the commit of its judgement.")
                .build(),
            announced: counter("goal.actions.announced", "Due actions announced."),
            held_back: counter("goal.actions.held", "Due actions laid aside until their workflow is active again."),
            lateness: meter
                .f64_histogram("goal.action.lateness")
                .with_unit("s")
                .with_description(
                    "From the time of an action to the commit of its announcement, unless it was held back.",
                )
                .build(),
        }
        .begun()
    }

    /// Every counter is there from the start: what has not happened is 0, and its first time is seen as an increase.
    fn begun(self) -> Self {
        for counter in [&self.received, &self.evaluations, &self.exits, &self.nominations] {
            counter.add(0, &[]);
        }
        for counter in [&self.transactions, &self.announced, &self.held_back] {
            counter.add(0, &[]);
        }
        self.unreadable.add(0, &[]);
        for command in
            [Enroll::ROUTING_KEY, EndEnrollment::ROUTING_KEY, EraseSubject::ROUTING_KEY, ScheduleAction::ROUTING_KEY]
        {
            for result in ["done", "refused", "repeated"] {
                self.commands.add(0, &[KeyValue::new("command", command), KeyValue::new("result", result)]);
            }
        }
        for goal_type in GoalType::ALL {
            self.achievements.add(0, &[KeyValue::new("goal_type", goal_type.as_str())]);
        }
        self
    }

    pub fn received(&self, events: usize) {
        self.received.add(count(events), &[]);
    }

    pub fn nominated(&self, pairs: usize) {
        self.nominations.add(count(pairs), &[]);
    }

    /// A transaction that judged has committed.
    pub fn judged(&self, enrollments: usize, exits: usize, achievements: impl Iterator<Item = GoalType>) {
        self.transactions.add(1, &[]);
        self.evaluations.add(count(enrollments), &[]);
        self.exits.add(count(exits), &[]);
        for goal_type in achievements {
            self.achievements.add(1, &[KeyValue::new("goal_type", goal_type.as_str())]);
        }
    }

    pub fn latency(&self, latency: Duration) {
        self.latency.record(latency.as_secs_f64(), &[]);
    }

    pub fn backlog(&self, queued: f64, held: f64) {
        self.backlog_queued.record(queued, &[]);
        self.backlog_held.record(held, &[]);
    }

    /// A transaction that announced has committed.
    pub fn announced(&self, announced: usize, held: u64) {
        self.announced.add(count(announced), &[]);
        self.held_back.add(held, &[]);
    }

    pub fn lateness(&self, lateness: Duration) {
        self.lateness.record(lateness.as_secs_f64(), &[]);
    }

    /// A request over the bus is done, was refused by the rules, or was answered before.
    pub fn command(&self, command: &'static str, result: &'static str) {
        self.commands.add(1, &[KeyValue::new("command", command), KeyValue::new("result", result)]);
    }

    pub fn unreadable_workflow(&self) {
        self.unreadable.add(1, &[]);
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
