//! What waits in an outbox, in as few messages as may be: chunks of stored events that are one tenant's become one chunk.
//! A commit of many small requests leaves a small chunk for each tenant; a message costs the broker the same however little it says.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::contract::{EventsStored, derived_id};
use crate::outbox::OutboxMessage;

/// A message that waits, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub message: OutboxMessage,
    pub tenant_id: String,
    /// How many stored events it speaks of; 0 for all but `events.stored`.
    pub events: usize,
}

impl Waiting {
    fn is_unfilled(&self) -> bool {
        self.message.exchange == EventsStored::EXCHANGE
            && self.message.routing_key == EventsStored::ROUTING_KEY
            && (1..EventsStored::MAX_EVENTS).contains(&self.events)
    }
}

/// A message to be published, and the outbox rows that it settles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    pub message: OutboxMessage,
    pub rows: Vec<i64>,
    /// It is a chunk, and has room for more.
    pub unfilled: bool,
}

/// Messages that say the same as those that wait. Chunks of a tenant are joined up to 200 events and 1 MiB; the id of what is joined
/// is derived from the ids of its parts, so that the same rows give the same message again. All others stay as they are.
#[must_use]
pub fn gather(waiting: Vec<Waiting>) -> Vec<Gathered> {
    let mut groups: Vec<Group> = Vec::with_capacity(waiting.len());
    let mut open: HashMap<String, usize> = HashMap::new();
    for one in waiting {
        let unfilled = one.is_unfilled();
        let joined = unfilled.then(|| open.get(&one.tenant_id).copied()).flatten();
        match joined.and_then(|place| groups.get_mut(place)).filter(|group| group.has_room_for(&one)) {
            Some(group) => group.add(one),
            None => {
                if unfilled {
                    open.insert(one.tenant_id.clone(), groups.len());
                }
                groups.push(Group::of(one));
            }
        }
    }
    groups.into_iter().flat_map(Group::close).collect()
}

/// Messages that may become one.
struct Group {
    parts: Vec<OutboxMessage>,
    are_chunks: bool,
    events: usize,
    bytes: usize,
}

impl Group {
    fn of(first: Waiting) -> Self {
        let (are_chunks, events, bytes) = (first.is_unfilled(), first.events, first.message.payload.len());
        Self { parts: vec![first.message], are_chunks, events, bytes }
    }

    fn has_room_for(&self, next: &Waiting) -> bool {
        self.events + next.events <= EventsStored::MAX_EVENTS
            && self.bytes + next.message.payload.len() <= EventsStored::MAX_BYTES
    }

    fn add(&mut self, next: Waiting) {
        self.events += next.events;
        self.bytes += next.message.payload.len();
        self.parts.push(next.message);
    }

    fn close(self) -> Vec<Gathered> {
        let unfilled = self.are_chunks && self.events < EventsStored::MAX_EVENTS;
        match self.joined() {
            Some(message) => {
                vec![Gathered { message, rows: self.parts.iter().map(|part| part.id).collect(), unfilled }]
            }
            None => {
                let alone = |message: OutboxMessage| Gathered { rows: vec![message.id], message, unfilled };
                self.parts.into_iter().map(alone).collect()
            }
        }
    }

    /// One message of several. None where there is only one, or where a part has something that would be lost.
    fn joined(&self) -> Option<OutboxMessage> {
        let (first, others) = self.parts.split_first().filter(|(_, others)| !others.is_empty())?;
        let mut chunk: Chunk<'_> = serde_json::from_slice(&first.payload).ok()?;
        for part in others {
            let next: Chunk<'_> = serde_json::from_slice(&part.payload).ok()?;
            if next.version.get() != chunk.version.get() || next.tenant_id.get() != chunk.tenant_id.get() {
                return None;
            }
            chunk.events.extend(next.events);
        }
        let ids: String = self.parts.iter().map(|part| part.message_id.simple().to_string()).collect();
        Some(OutboxMessage {
            id: first.id,
            exchange: first.exchange.clone(),
            routing_key: first.routing_key.clone(),
            mandatory: first.mandatory,
            message_id: derived_id(EventsStored::ROUTING_KEY, &[chunk.tenant_id.get(), &ids]),
            content_type: first.content_type.clone(),
            payload: serde_json::to_vec(&chunk).ok()?,
            traceparent: self.parts.iter().find_map(|part| part.traceparent.clone()),
            correlation_id: None,
            reply_to: None,
        })
    }
}

/// `EventsStored`, its events unread. A later version may have more members: what is not known here is not joined.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Chunk<'a> {
    #[serde(borrow)]
    version: &'a RawValue,
    #[serde(borrow)]
    tenant_id: &'a RawValue,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    /// A row of `events` events whose ids begin with its own number, or another message if there are none.
    fn row(id: i64, tenant: &str, events: usize, padding: usize) -> Waiting {
        let told: Vec<Value> =
            (0..events).map(|event| json!({ "event_id": format!("{id}-{event}"), "x": "y".repeat(padding) })).collect();
        let payload = format!(r#"{{"version":1,"tenant_id":"{tenant}","events":{}}}"#, json!(told)).into_bytes();
        let routing_key = if events == 0 { "goal.changed" } else { EventsStored::ROUTING_KEY };
        let message = OutboxMessage {
            id,
            exchange: EventsStored::EXCHANGE.to_owned(),
            routing_key: routing_key.to_owned(),
            mandatory: true,
            message_id: Uuid::from_u128(u128::try_from(id).unwrap()),
            content_type: "application/json".to_owned(),
            payload,
            traceparent: (id % 3 == 0).then(|| format!("trace of {id}")),
            correlation_id: None,
            reply_to: None,
        };
        Waiting { message, tenant_id: tenant.to_owned(), events }
    }

    /// The ids of all events by tenant, in order; and the messages that are none of events.
    fn said<'a>(messages: impl Iterator<Item = &'a OutboxMessage>) -> (BTreeMap<String, Vec<String>>, Vec<i64>) {
        let (mut events, mut others): (BTreeMap<String, Vec<String>>, Vec<i64>) = Default::default();
        for message in messages {
            if message.routing_key != EventsStored::ROUTING_KEY {
                others.push(message.id);
                continue;
            }
            let chunk: Value = serde_json::from_slice(&message.payload).unwrap();
            let of_tenant = events.entry(chunk["tenant_id"].as_str().unwrap().to_owned()).or_default();
            of_tenant.extend(chunk["events"].as_array().unwrap().iter().map(|event| event["event_id"].to_string()));
        }
        events.values_mut().for_each(|events| events.sort());
        (events, others)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_same_is_said_in_fewer_messages(
            shapes in prop::collection::vec((0_usize..4, prop_oneof![Just(0_usize), 1_usize..5, 90_usize..201], prop_oneof![3 => Just(0_usize), 1 => Just(9_000)]), 0..40),
        ) {
            let rows: Vec<Waiting> = (1..).zip(&shapes)
                .map(|(id, (tenant, events, padding))| row(id, &format!("t-{tenant}"), *events, *padding))
                .collect();
            let gathered = gather(rows.clone());

            prop_assert_eq!(said(rows.iter().map(|row| &row.message)), said(gathered.iter().map(|one| &one.message)));
            let mut settled: Vec<i64> = gathered.iter().flat_map(|one| one.rows.clone()).collect();
            settled.sort_unstable();
            prop_assert_eq!(settled, rows.iter().map(|row| row.message.id).collect::<Vec<_>>());
            for one in &gathered {
                let chunk: Value = serde_json::from_slice(&one.message.payload).unwrap();
                prop_assert!(chunk["events"].as_array().unwrap().len() <= EventsStored::MAX_EVENTS);
                prop_assert!(one.rows.len() == 1 || one.message.payload.len() <= EventsStored::MAX_BYTES);
            }
            let ids: std::collections::HashSet<Uuid> = gathered.iter().map(|one| one.message.message_id).collect();
            prop_assert_eq!(ids.len(), gathered.len());
            prop_assert_eq!(gather(rows), gathered, "the same rows, the same messages");
        }
    }

    #[test]
    fn small_chunks_of_a_tenant_are_one() {
        let gathered = gather(vec![row(1, "a", 2, 0), row(2, "b", 1, 0), row(3, "a", 1, 0), row(4, "a", 198, 0)]);
        let rows: Vec<&[i64]> = gathered.iter().map(|one| one.rows.as_slice()).collect();
        assert_eq!(rows, [&[1, 3][..], &[2], &[4]]);
        assert!(gathered.iter().all(|one| one.unfilled));
        let (first, second) = (&gathered[0].message, &gathered[1].message);
        let text = String::from_utf8(first.payload.clone()).unwrap();
        let event = |id: &str| format!(r#"{{"event_id":"{id}","x":""}}"#);
        let events = [event("1-0"), event("1-1"), event("3-0")].join(",");
        assert_eq!(text, format!(r#"{{"version":1,"tenant_id":"a","events":[{events}]}}"#));
        assert_eq!(first.traceparent.as_deref(), Some("trace of 3"));
        assert_ne!(first.message_id, row(1, "a", 2, 0).message.message_id);
        assert_eq!(*second, row(2, "b", 1, 0).message, "one alone is as it was");
    }

    #[test]
    fn only_a_chunk_has_room() {
        let unfilled = |row: Waiting| gather(vec![row])[0].unfilled;
        assert_eq!([1, 199, 200, 0].map(|events| unfilled(row(1, "a", events, 0))), [true, true, false, false]);
    }

    #[test]
    fn what_is_not_known_here_is_not_joined() {
        let mut later = row(2, "a", 1, 0);
        later.message.payload = br#"{"version":1,"tenant_id":"a","events":[{}],"more":1}"#.to_vec();
        let rows = vec![row(1, "a", 1, 0), later];
        let expected: Vec<OutboxMessage> = rows.iter().map(|row| row.message.clone()).collect();
        assert_eq!(gather(rows).into_iter().map(|one| one.message).collect::<Vec<_>>(), expected);
    }
}
