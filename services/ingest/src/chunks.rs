//! Stored events as messages for the bus: chunks of one tenant, and of at most 200 events and 1 MiB.

use std::borrow::Cow;

use domain::contract::{EventStored, EventsStored};
use domain::ids::TenantId;
use domain::outbox::NewMessage;
use time::OffsetDateTime;

use crate::store::events_raw::Timed;

/// The outbox messages of events that one transaction stores; the events of a tenant stand together.
pub fn messages(received_at: OffsetDateTime, events: &[Timed<'_>]) -> Vec<NewMessage> {
    let of_tenants = events.chunk_by(|one, next| one.candidate.tenant_id == next.candidate.tenant_id);
    of_tenants.flat_map(|events| of_tenant(received_at, events)).collect()
}

fn of_tenant(received_at: OffsetDateTime, events: &[Timed<'_>]) -> Vec<NewMessage> {
    let Some(tenant_id) = events.first().map(|event| &event.candidate.tenant_id) else {
        return Vec::new();
    };
    let mut messages = Vec::with_capacity(events.len().div_ceil(EventsStored::MAX_EVENTS));
    let mut open: Vec<&[Timed<'_>]> = events.chunks(EventsStored::MAX_EVENTS).rev().collect();
    while let Some(chunk) = open.pop() {
        let message = message(tenant_id, received_at, chunk);
        if message.payload.len() > EventsStored::MAX_BYTES && chunk.len() > 1 {
            let (first, second) = chunk.split_at(chunk.len() / 2);
            open.extend([second, first]);
        } else {
            messages.push(message);
        }
    }
    messages
}

fn message(tenant_id: &TenantId, received_at: OffsetDateTime, events: &[Timed<'_>]) -> NewMessage {
    let chunk = EventsStored {
        version: Default::default(),
        tenant_id: tenant_id.clone(),
        events: events.iter().map(|event| stored(received_at, event)).collect(),
    };
    chunk.into_message()
}

fn stored<'a>(received_at: OffsetDateTime, event: &Timed<'a>) -> EventStored<'a> {
    let Timed { candidate, contact_id, event_time, .. } = *event;
    EventStored {
        event_id: candidate.event_id,
        event_name: Cow::Borrowed(&candidate.event_name),
        event_time,
        received_at,
        project_id: candidate.project_id.as_deref().map(Cow::Borrowed),
        contact_id: contact_id.map(Cow::Borrowed),
        user_id: candidate.user_id.as_deref().map(Cow::Borrowed),
        session_id: candidate.session_id.as_deref().map(Cow::Borrowed),
        properties: Cow::Borrowed(&candidate.properties),
        traceparent: candidate.traceparent.as_deref().map(Cow::Borrowed),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::candidate::{Candidate, sample};
    use domain::json::Json;

    fn chunks(candidates: &[Candidate]) -> Vec<EventsStored<'static>> {
        let now = OffsetDateTime::UNIX_EPOCH;
        let timed = |candidate| Timed { candidate, contact_id: None, event_time: now, time_clamped: false };
        let events: Vec<Timed<'_>> = candidates.iter().map(timed).collect();
        let messages = messages(now, &events);
        assert!(messages.iter().all(|message| message.mandatory && message.payload.len() <= EventsStored::MAX_BYTES));
        messages.iter().map(|message| serde_json::from_slice(&message.payload).unwrap()).collect()
    }

    fn numbered(count: usize, properties: Json) -> Vec<Candidate> {
        let with_id = |number: usize| Candidate {
            event_id: uuid::Uuid::from_u128(number as u128 + 1).into(),
            properties: properties.clone(),
            ..sample("a", 0, 0)
        };
        (0..count).map(with_id).collect()
    }

    #[test]
    fn two_hundred_to_a_message_and_every_event_once() {
        let candidates = numbered(401, Json::object([("a", Json::Number("100.00".into()))]));
        let chunks = chunks(&candidates);
        assert_eq!(chunks.iter().map(|chunk| chunk.events.len()).collect::<Vec<_>>(), [200, 200, 1]);
        let ids: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.events).map(|event| event.event_id).collect();
        assert_eq!(ids, candidates.iter().map(|candidate| candidate.event_id).collect::<Vec<_>>());
        assert_eq!(chunks[0].events[0].properties.to_text(), r#"{"a":100.00}"#);
    }

    #[test]
    fn big_events_make_smaller_chunks() {
        let chunks = chunks(&numbered(150, Json::object([("a", Json::from("x".repeat(10_000)))])));
        assert_eq!(chunks.iter().map(|chunk| chunk.events.len()).sum::<usize>(), 150);
        assert_eq!(chunks.len(), 2);
    }

    #[test]
    fn a_chunk_is_of_one_tenant() {
        let chunks = chunks(&[sample("a", 1, 0), sample("a", 2, 0), sample("b", 1, 0), sample("c", 1, 0)]);
        let of = |chunk: &EventsStored<'_>| (chunk.tenant_id.to_string(), chunk.events.len());
        let expected = [("a", 2), ("b", 1), ("c", 1)].map(|(tenant, events)| (tenant.to_owned(), events));
        assert_eq!(chunks.iter().map(of).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_new_is_no_message() {
        assert!(chunks(&[]).is_empty());
    }
}
