//! `events.stored`: events that are stored now. All chunks that have arrived are taken together; they are matched in memory, and
//! only what they nominate is looked at in the database.

use super::{MALFORMED, enter, failed};
use crate::backlog::Backlog;
use crate::configuration::{Configurations, Fresh};
use crate::evaluate::Evaluator;
use crate::metrics::Metrics;
use crate::nominations::{Hint, Nominations};
use bus::{Action, Handler, Message};
use domain::contract::V1;
use domain::ids::{ContactId, EventId, TenantId};
use domain::json::{Json, Limits};
use domain::outbox::BoxFuture;
use domain::time_format;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Handles the queue `evaluator.events`.
pub struct EventsStored {
    pub configurations: Arc<Configurations>,
    pub evaluator: Evaluator,
    pub metrics: Metrics,
    /// Most events of one micro-batch.
    pub max_events: usize,
    pub backlog: Backlog,
}

/// The message, as `domain::contract::EventsStored` writes it; borrowed, because most of its events concern nobody: their
/// properties are never read.
#[derive(Debug, Deserialize)]
struct Chunk<'a> {
    #[serde(default)]
    #[expect(dead_code, reason = "only checked")]
    version: V1,
    tenant_id: TenantId,
    #[serde(borrow)]
    events: Vec<Event<'a>>,
}

#[derive(Debug, Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow)]
    received_at: Cow<'a, str>,
    #[serde(borrow, default)]
    contact_id: Option<Text<'a>>,
    #[serde(borrow)]
    properties: &'a RawValue,
    #[serde(borrow, default)]
    event_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    traceparent: Option<Text<'a>>,
}

/// A text that is borrowed also where it is optional.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Event<'_> {
    /// The trace it came in. What is none is not passed on.
    fn trace(&self) -> Option<(&str, Option<EventId>)> {
        let Text(traceparent) = self.traceparent.as_ref().filter(|Text(text)| trace::is_valid(text))?;
        let id = self.event_id.as_ref().and_then(|Text(id)| id.parse::<Uuid>().ok());
        Some((traceparent, id.map(EventId::from)))
    }
}

impl Handler for EventsStored {
    fn handle<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Action>> {
        Box::pin(async move {
            let mut actions = vec![Action::Ack; messages.len()];
            let mut chunks = Vec::with_capacity(messages.len());
            for (place, message) in messages.iter().enumerate() {
                match serde_json::from_slice::<Chunk<'_>>(&message.body) {
                    Ok(chunk) => chunks.push((place, chunk)),
                    Err(error) => actions[place] = malformed(&error),
                }
            }
            let events = chunks.iter().map(|(_, chunk)| chunk.events.len()).sum();
            let _held = self.backlog.hold(chunks.len(), events);
            for batch in micro_batches(&chunks, self.max_events) {
                self.micro_batch(batch, &mut actions).await;
            }
            actions
        })
    }
}

fn malformed(cause: &dyn std::fmt::Display) -> Action {
    Action::DeadLetter { code: MALFORMED, cause: cause.to_string() }
}

/// Runs of chunks with at most so many events together; a chunk is never cut.
fn micro_batches<'c, 'a>(mut chunks: &'c [(usize, Chunk<'a>)], max_events: usize) -> Vec<&'c [(usize, Chunk<'a>)]> {
    let mut batches = Vec::new();
    while !chunks.is_empty() {
        let mut events = 0;
        let fitting = chunks.iter().take_while(|(_, chunk)| {
            events += chunk.events.len();
            events <= max_events
        });
        let (batch, rest) = chunks.split_at(fitting.count().max(1));
        batches.push(batch);
        chunks = rest;
    }
    batches
}

impl EventsStored {
    async fn micro_batch(&self, chunks: &[(usize, Chunk<'_>)], actions: &mut [Action]) {
        self.metrics.received(chunks.iter().map(|(_, chunk)| chunk.events.len()).sum());
        let tenants: BTreeSet<TenantId> = chunks.iter().map(|(_, chunk)| chunk.tenant_id.clone()).collect();
        let fresh = match self.configurations.fresh(tenants).await {
            Ok(fresh) => fresh,
            Err(error) => {
                chunks.iter().for_each(|(place, _)| actions[*place] = failed(&error));
                return;
            }
        };
        let mut nominations = Nominations::default();
        for (place, chunk) in chunks {
            actions[*place] = nominate(*place, chunk, &fresh, &mut nominations);
        }
        enter(self.evaluator.evaluate(nominations, &fresh).await, actions);
    }
}

/// Nominates what a chunk's events may concern. A tenant without a configuration has no goals.
fn nominate(place: usize, chunk: &Chunk<'_>, fresh: &Fresh, nominations: &mut Nominations) -> Action {
    let rules = match fresh.get(&chunk.tenant_id) {
        None => return Action::Ack,
        Some(Err(error)) => return failed(error),
        Some(Ok(configuration)) => &configuration.rules,
    };
    let mut workflows = Vec::new();
    for event in chunk.events.iter().filter(|event| rules.listens_to(&event.event_name)) {
        let Some(Text(contact)) = &event.contact_id else {
            continue;
        };
        let properties = match Json::parse(event.properties.get(), &Limits::WIRE) {
            Ok(properties) => properties,
            Err(fault) => return malformed(&fault),
        };
        workflows.clear();
        rules.nominate(&event.event_name, &properties, &mut workflows);
        if workflows.is_empty() {
            continue;
        }
        let named = ContactId::parse(contact).map_err(|error| error.to_string());
        let received_at = time_format::parse(&event.received_at).map_err(|fault| fault.to_string());
        let (contact, received_at) = match named.and_then(|contact| Ok((contact, received_at?))) {
            Ok(sound) => sound,
            Err(cause) => return malformed(&cause),
        };
        let trace = event.trace();
        for workflow in &workflows {
            let hint = Hint { message: place, received_at: Some(received_at), trace };
            nominations.add(&chunk.tenant_id, (*workflow, &contact), hint);
        }
    }
    Action::Ack
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use domain::contract::{EventStored, EventsStored as Told};
    use time::macros::datetime;

    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn told(contact: Option<&str>) -> EventStored<'_> {
        EventStored {
            event_id: Uuid::now_v7().into(),
            event_name: "payment.completed".into(),
            event_time: datetime!(2026-01-03 10:00 UTC),
            received_at: datetime!(2026-01-03 10:00:01.5 UTC),
            project_id: Some("site".into()),
            contact_id: contact.map(|contact| Cow::Owned(contact.parse().unwrap())),
            user_id: None,
            session_id: Some("s".into()),
            properties: Cow::Owned(Json::parse(r#"{"amount":100.00}"#, &Limits::WIRE).unwrap()),
            traceparent: contact.map(|_| TRACEPARENT.into()),
        }
    }

    /// What is read here is what the contract writes.
    #[test]
    fn the_borrowed_message_is_the_contract() {
        let events = vec![told(Some(r#"a "quoted" contact"#)), told(None)];
        let id = events[0].event_id;
        let message = Told { version: V1, tenant_id: "demo".parse().unwrap(), events }.into_message();
        let chunk: Chunk<'_> = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(chunk.tenant_id.as_str(), "demo");
        let [first, second] = chunk.events.as_slice() else { panic!("{chunk:?}") };
        assert_eq!(first.event_name, "payment.completed");
        assert_eq!(first.received_at, "2026-01-03T10:00:01.5Z");
        assert_eq!(first.properties.get(), r#"{"amount":100.00}"#);
        assert_eq!(first.contact_id.as_ref().map(|Text(text)| text.as_ref()), Some(r#"a "quoted" contact"#));
        assert_eq!(first.trace(), Some((TRACEPARENT, Some(id))));
        assert!(second.contact_id.is_none() && second.trace().is_none());
        assert!(serde_json::from_str::<Chunk<'_>>(r#"{"version":2,"tenant_id":"demo","events":[]}"#).is_err());
    }

    #[test]
    fn a_micro_batch_has_so_many_events_unless_one_chunk_has_more() {
        let text = |events: usize| {
            let event = r#"{"event_name":"a","received_at":"x","properties":{}}"#;
            format!(r#"{{"tenant_id":"demo","events":[{}]}}"#, vec![event; events].join(","))
        };
        let texts: Vec<String> = [2, 2, 1, 7, 0, 3].map(text).into();
        let chunks: Vec<(usize, Chunk<'_>)> =
            texts.iter().map(|text| serde_json::from_str(text).unwrap()).enumerate().collect();
        let batches = micro_batches(&chunks, 5);
        let places: Vec<Vec<usize>> =
            batches.iter().map(|batch| batch.iter().map(|(place, _)| *place).collect()).collect();
        assert_eq!(places, [vec![0, 1, 2], vec![3], vec![4, 5]]);
    }
}
