//! What is worth a look: pairs of workflow and contact, each with the messages that named it. A nomination only says where to
//! look; what is judged is what is stored.

use crate::store::Pair;
use domain::ids::{ContactId, TenantId, WorkflowId};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Why a pair was nominated.
#[derive(Clone, Debug, Default)]
pub struct Cause {
    /// Places of the messages in their micro-batch.
    pub messages: Vec<usize>,
    /// When the earliest of the events was stored; none for a recheck.
    pub received_at: Option<OffsetDateTime>,
}

/// The nominations of a micro-batch.
#[derive(Debug, Default)]
pub struct Nominations {
    tenants: BTreeMap<TenantId, BTreeMap<Pair, Cause>>,
}

impl Nominations {
    /// Nominates a pair on behalf of a message.
    pub fn add(
        &mut self,
        tenant: &TenantId,
        (workflow, contact): (WorkflowId, &ContactId),
        message: usize,
        received_at: Option<OffsetDateTime>,
    ) {
        let cause = self.of(tenant).entry((workflow, contact.clone())).or_default();
        if cause.messages.last() != Some(&message) {
            cause.messages.push(message);
        }
        cause.received_at = match (cause.received_at, received_at) {
            (Some(earlier), Some(at)) => Some(earlier.min(at)),
            (earlier, at) => earlier.or(at),
        };
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
        nominations.add(&tenant, (workflow, &contact), 0, Some(at));
        nominations.add(&tenant, (workflow, &contact), 0, Some(at - time::Duration::SECOND));
        nominations.add(&tenant, (workflow, &contact), 3, None);
        let parts = nominations.into_parts(10);
        let [(_, pairs)] = parts.as_slice() else { panic!("{parts:?}") };
        let [(pair, cause)] = pairs.as_slice() else { panic!("{pairs:?}") };
        assert_eq!(*pair, (workflow, contact));
        assert_eq!(cause.messages, [0, 3]);
        assert_eq!(cause.received_at, Some(at - time::Duration::SECOND));
    }

    #[test]
    fn parts_are_of_one_tenant_and_bounded() {
        let mut nominations = Nominations::default();
        for tenant in ["a", "b"] {
            for contact in 0..5 {
                let contact: ContactId = format!("c-{contact}").parse().unwrap();
                nominations.add(&tenant.parse().unwrap(), (Uuid::from_u128(1).into(), &contact), 0, None);
            }
        }
        let parts: Vec<(String, usize)> =
            nominations.into_parts(2).iter().map(|(tenant, pairs)| (tenant.to_string(), pairs.len())).collect();
        let of = |tenant: &str| [2, 2, 1].map(|pairs| (tenant.to_owned(), pairs));
        assert_eq!(parts, [of("a"), of("b")].concat());
    }
}
