//! What is worth a look: pairs of workflow and contact, each with the messages that named it. A nomination only says where to
//! look; what is judged is what is stored.

use crate::store::Pair;
use domain::ids::{ContactId, EventId, TenantId, WorkflowId};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Why a pair was nominated.
#[derive(Clone, Debug, Default)]
pub struct Cause {
    /// Places of the messages in their micro-batch.
    pub messages: Vec<usize>,
    /// When the earliest of the events was stored; none for a recheck.
    pub received_at: Option<OffsetDateTime>,
    /// The traces that the judgement belongs to; most events are in none.
    pub traces: Vec<Trace>,
}

/// A trace, and the events that came in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// W3C trace context.
    pub traceparent: String,
    /// Empty for a recheck.
    pub events: Vec<EventId>,
}

/// What named a pair: an event, or a recheck.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint<'a> {
    /// The place of its message in the micro-batch.
    pub message: usize,
    /// When the event was stored.
    pub received_at: Option<OffsetDateTime>,
    /// The trace it is in, and with it the event.
    pub trace: Option<(&'a str, Option<EventId>)>,
}

impl Cause {
    /// The trace that a fact about this event belongs to: the event's own, or else that of the nomination.
    pub fn trace_of(&self, event: EventId) -> Option<String> {
        let own = self.traces.iter().find(|trace| trace.events.contains(&event));
        own.or_else(|| self.traces.first()).map(|trace| trace.traceparent.clone())
    }

    fn add(&mut self, hint: Hint<'_>) {
        if self.messages.last() != Some(&hint.message) {
            self.messages.push(hint.message);
        }
        self.received_at = match (self.received_at, hint.received_at) {
            (Some(earlier), Some(at)) => Some(earlier.min(at)),
            (earlier, at) => earlier.or(at),
        };
        let Some((traceparent, event)) = hint.trace else {
            return;
        };
        match self.traces.iter_mut().find(|trace| trace.traceparent == traceparent) {
            Some(trace) => trace.events.extend(event),
            None => {
                self.traces.push(Trace { traceparent: traceparent.to_owned(), events: event.into_iter().collect() })
            }
        }
    }
}

/// The nominations of a micro-batch.
#[derive(Debug, Default)]
pub struct Nominations {
    tenants: BTreeMap<TenantId, BTreeMap<Pair, Cause>>,
}

impl Nominations {
    /// Nominates a pair on behalf of a message.
    pub fn add(&mut self, tenant: &TenantId, (workflow, contact): (WorkflowId, &ContactId), hint: Hint<'_>) {
        self.of(tenant).entry((workflow, contact.clone())).or_default().add(hint);
    }

    fn of(&mut self, tenant: &TenantId) -> &mut BTreeMap<Pair, Cause> {
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(tenant.clone(), BTreeMap::new());
        }
        self.tenants.entry(tenant.clone()).or_default()
    }

    /// By tenant, in parts of at most so many pairs.
    pub fn into_parts(self, most_pairs: usize) -> Vec<(TenantId, Vec<(Pair, Cause)>)> {
        let mut parts = Vec::new();
        for (tenant, pairs) in self.tenants {
            let mut pairs = pairs.into_iter().peekable();
            while pairs.peek().is_some() {
                parts.push((tenant.clone(), pairs.by_ref().take(most_pairs.max(1)).collect()));
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use time::macros::datetime;
    use uuid::Uuid;

    #[test]
    fn a_pair_is_nominated_once_with_all_its_causes() {
        let (tenant, contact): (TenantId, ContactId) = ("demo".parse().unwrap(), "c".parse().unwrap());
        let workflow = Uuid::from_u128(1).into();
        let at = datetime!(2026-01-03 10:00 UTC);
        let mut nominations = Nominations::default();
        let [first, second, third] = [1, 2, 3].map(|id| EventId::from(Uuid::from_u128(id)));
        let before = at - time::Duration::SECOND;
        for hint in [
            Hint { received_at: Some(at), trace: Some(("a", Some(first))), ..Hint::default() },
            Hint { received_at: Some(before), trace: Some(("b", Some(second))), ..Hint::default() },
            Hint { received_at: Some(at), trace: Some(("a", Some(third))), ..Hint::default() },
            Hint { message: 3, ..Hint::default() },
        ] {
            nominations.add(&tenant, (workflow, &contact), hint);
        }
        let parts = nominations.into_parts(10);
        let [(_, pairs)] = parts.as_slice() else { panic!("{parts:?}") };
        let [(pair, cause)] = pairs.as_slice() else { panic!("{pairs:?}") };
        assert_eq!(*pair, (workflow, contact));
        assert_eq!(cause.messages, [0, 3]);
        assert_eq!(cause.received_at, Some(before));
        let traces = [first, second, third, Uuid::nil().into()].map(|event| cause.trace_of(event).unwrap());
        assert_eq!(traces, ["a", "b", "a", "a"], "of the event itself, else of the first that nominated");
    }

    #[test]
    fn parts_are_of_one_tenant_and_bounded() {
        let mut nominations = Nominations::default();
        for tenant in ["a", "b"] {
            for contact in 0..5 {
                let contact: ContactId = format!("c-{contact}").parse().unwrap();
                nominations.add(&tenant.parse().unwrap(), (Uuid::from_u128(1).into(), &contact), Hint::default());
            }
        }
        let parts: Vec<(String, usize)> =
            nominations.into_parts(2).iter().map(|(tenant, pairs)| (tenant.to_string(), pairs.len())).collect();
        let of = |tenant: &str| [2, 2, 1].map(|pairs| (tenant.to_owned(), pairs));
        assert_eq!(parts, [of("a"), of("b")].concat());
    }
}
