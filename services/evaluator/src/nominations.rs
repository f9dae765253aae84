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
        let cause = self
            .of(tenant)
            .entry((workflow, contact.clone()))
            .or_default();
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
                parts.push((
                    tenant.clone(),
                    pairs.by_ref().take(most_pairs.max(1)).collect(),
                ));
            }
        }
        parts
    }
}
