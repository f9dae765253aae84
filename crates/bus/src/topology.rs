//! Every exchange, queue and binding there is. Nothing else declares any.

use std::time::Duration;

use domain::contract::{
    Command, DeleteReference, EndEnrollment, Enroll, EraseSubject, EventsStored, Fact, PutReference, Recheck,
    ScheduleAction, SubjectErased, exchange,
};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use crate::error::{Error, within};

/// How often the broker delivers a message before it dead-letters it. Said out loud because
/// RabbitMQ 3.x has no limit of its own and 4.x has 20.
pub(crate) const DELIVERY_LIMIT: u32 = 20;

/// The limit of `*.dead` queues, where a message must never be dropped: they have nowhere to
/// dead-letter to, and "no limit" cannot be written in a way that 3.10 and 4.x both accept.
const NEVER: u32 = 1_000_000_000;

/// A work queue. A service declares those it consumes, and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Domain events of other systems, for ingest.
    IngestDomain,
    /// Stored events, for the evaluator.
    EvaluatorEvents,
    /// Requests to the evaluator.
    EvaluatorCommands,
    /// Requests to goals.
    GoalsCommands,
    /// Stored events, for analytics.
    AnalyticsEvents,
    /// Requests to erase a subject, and every service's answer to them, for ingest.
    IngestErasure,
    /// Requests to erase a subject, for goals.
    GoalsErasure,
    /// Requests to erase a subject, for the evaluator.
    EvaluatorErasure,
    /// Requests to erase a subject, for analytics.
    AnalyticsErasure,
}

impl Queue {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::IngestDomain,
        Self::EvaluatorEvents,
        Self::EvaluatorCommands,
        Self::GoalsCommands,
        Self::AnalyticsEvents,
        Self::IngestErasure,
        Self::GoalsErasure,
        Self::EvaluatorErasure,
        Self::AnalyticsErasure,
    ];

    /// Its name on the broker.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IngestDomain => "ingest.domain",
            Self::EvaluatorEvents => "evaluator.events",
            Self::EvaluatorCommands => "evaluator.commands",
            Self::GoalsCommands => "goals.commands",
            Self::AnalyticsEvents => "analytics.events",
            Self::IngestErasure => "ingest.erasure",
            Self::GoalsErasure => "goals.erasure",
            Self::EvaluatorErasure => "evaluator.erasure",
            Self::AnalyticsErasure => "analytics.erasure",
        }
    }

    /// The queue that holds what died in this one until it is drained.
    #[must_use]
    pub fn dead_name(self) -> String {
        format!("{}.dead", self.name())
    }

    /// The exchanges and routing keys it is bound by. `IngestDomain` has its keys from the settings.
    #[must_use]
    pub fn bindings(self, domain_event_names: &[String]) -> Vec<(&'static str, String)> {
        let commands: &[&str] = match self {
            Self::IngestDomain => {
                let names = domain_event_names.iter();
                return names.map(|name| (exchange::DOMAIN, name.clone())).collect();
            }
            Self::EvaluatorEvents | Self::AnalyticsEvents => {
                return vec![(EventsStored::EXCHANGE, EventsStored::ROUTING_KEY.to_owned())];
            }
            Self::EvaluatorCommands => {
                &[Enroll::ROUTING_KEY, EndEnrollment::ROUTING_KEY, ScheduleAction::ROUTING_KEY, Recheck::ROUTING_KEY]
            }
            Self::GoalsCommands => &[PutReference::ROUTING_KEY, DeleteReference::ROUTING_KEY],
            Self::IngestErasure | Self::GoalsErasure | Self::EvaluatorErasure | Self::AnalyticsErasure => {
                &[EraseSubject::ROUTING_KEY]
            }
        };
        let mut bindings: Vec<_> = commands.iter().map(|&key| (exchange::COMMANDS, key.to_owned())).collect();
        // Ingest takes the requests, so it collects the answers.
        if self == Self::IngestErasure {
            bindings.push((SubjectErased::EXCHANGE, SubjectErased::ROUTING_KEY.to_owned()));
        }
        bindings
    }
}

/// Every exchange, with its type. All are durable.
#[must_use]
pub fn exchanges() -> [(&'static str, ExchangeType); 5] {
    [
        (exchange::DOMAIN, ExchangeType::Topic),
        (exchange::EVENTS, ExchangeType::Topic),
        (exchange::WORKFLOW, ExchangeType::Topic),
        (exchange::COMMANDS, ExchangeType::Direct),
        (exchange::DEAD, ExchangeType::Topic),
    ]
}

/// How an exchange compares a routing key with a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeType {
    /// Word by word, with `*` and `#`.
    Topic,
    /// For equality.
    Direct,
}

/// What a service wants declared.
pub(crate) struct Wanted<'a> {
    pub(crate) queues: &'a [Queue],
    pub(crate) domain_event_names: &'a [String],
    pub(crate) limit: Duration,
}

impl Wanted<'_> {
    /// Declares all exchanges, then the wanted queues with their dead-letter queues. Repeating it
    /// changes nothing.
    pub(crate) async fn declare(&self, channel: &Channel) -> Result<(), Error> {
        for (name, kind) in exchanges() {
            let kind = match kind {
                ExchangeType::Topic => ExchangeKind::Topic,
                ExchangeType::Direct => ExchangeKind::Direct,
            };
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
            within(self.limit, "exchange.declare", declared).await?;
        }
        for &queue in self.queues {
            // The dead-letter queue first: there is no moment at which a dead message has no home.
            let dead = queue.dead_name();
            self.queue(channel, &dead, dead_arguments()).await?;
            self.bind(channel, &dead, exchange::DEAD, queue.name()).await?;
            self.queue(channel, queue.name(), work_arguments(queue)).await?;
            for (exchange, key) in queue.bindings(self.domain_event_names) {
                self.bind(channel, queue.name(), exchange, &key).await?;
            }
        }
        Ok(())
    }

    async fn queue(&self, channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), Error> {
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let declared = channel.queue_declare(name.into(), options, arguments);
        within(self.limit, "queue.declare", declared).await.map(drop)
    }

    async fn bind(&self, channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), Error> {
        let key = ShortString::try_new(key)
            .map_err(|_| Error::Settings(format!("a binding of {queue} is over 255 bytes")))?;
        let bound =
            channel.queue_bind(queue.into(), exchange.into(), key, QueueBindOptions::default(), FieldTable::default());
        within(self.limit, "queue.bind", bound).await
    }
}

/// Dead-lettering at least once needs `reject-publish`; without a length limit nothing is ever
/// rejected. (On a broker without the feature flag `stream_queue` it falls back to at most once.)
fn work_arguments(queue: Queue) -> FieldTable {
    let mut arguments = quorum(DELIVERY_LIMIT);
    for (name, value) in [
        ("x-dead-letter-exchange", exchange::DEAD),
        ("x-dead-letter-routing-key", queue.name()),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    arguments
}

fn dead_arguments() -> FieldTable {
    quorum(NEVER)
}

fn quorum(delivery_limit: u32) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(delivery_limit.into()));
    arguments
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_are_unique_and_every_queue_is_bound() {
        let names = ["payment.completed".to_owned()];
        let mut seen = std::collections::HashSet::new();
        for queue in Queue::ALL {
            assert!(seen.insert(queue.name()));
            let bindings = queue.bindings(&names);
            assert!(!bindings.is_empty());
            for (exchange, _) in bindings {
                assert!(exchanges().iter().any(|&(name, _)| name == exchange));
            }
        }
    }

    #[test]
    fn only_the_domain_queue_takes_its_keys_from_the_settings() {
        let names = ["deal.won".to_owned()];
        let domain = [(exchange::DOMAIN, "deal.won".to_owned())];
        assert_eq!(Queue::IngestDomain.bindings(&names), domain);
        let events = [(exchange::EVENTS, "events.stored".to_owned())];
        assert_eq!(Queue::AnalyticsEvents.bindings(&names), events);
    }
}
