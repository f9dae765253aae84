//! What every door does with events: checks each on its own, has the good ones stored together, and
//! has one verdict for each.

use std::sync::Arc;
use std::time::Duration;

use domain::event::{Admission, Defaults, Event, Reject, Taxonomy};
use domain::ids::{EventId, TenantId};
use pg::credentials::TenantIntake;
use time::OffsetDateTime;
use tracing::Instrument;

use crate::batch::Verdict;
use crate::browser;
use crate::candidate::{Candidate, ContentKey};
use crate::error::Error;
use crate::intake::{Intake, Room};
use crate::metrics::Metrics;
use crate::own_types::{OwnTypes, keeps};
use crate::schemas::Schemas;

/// How a tenant takes events.
#[derive(Clone)]
pub struct Tenant {
    pub tenant_id: TenantId,
    pub taxonomy: Taxonomy,
    pub max_properties_bytes: usize,
    pub content_key: ContentKey,
    pub own_types: Arc<OwnTypes>,
    /// Whether what is sent comes with a browser token.
    pub from_browser: bool,
}

impl Tenant {
    /// As it is stored, with the event types that it added.
    pub fn new(stored: TenantIntake, own_types: Arc<OwnTypes>) -> Result<Self, pg::Error> {
        let unreadable = |what: &str| pg::Error::Decode(format!("{what} of tenant {}", stored.tenant_id));
        let taxonomy = match stored.taxonomy.as_str() {
            "open" => Taxonomy::Open,
            "strict" => Taxonomy::Strict,
            _ => return Err(unreadable("taxonomy")),
        };
        let content_key = ContentKey::new(&stored.content_key).ok_or_else(|| unreadable("content_key"))?;
        let (tenant_id, max_properties_bytes) = (stored.tenant_id, stored.max_properties_bytes);
        Ok(Self { tenant_id, taxonomy, max_properties_bytes, content_key, own_types, from_browser: false })
    }
}

/// What a sender is told about one of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its id, where that could be read.
    pub event_id: Option<EventId>,
    pub verdict: Verdict,
}

/// Events that have been checked: those to be stored, and what is known of the others.
#[derive(Debug, Default)]
pub struct Admitted {
    candidates: Vec<Candidate>,
    /// In the order of the input; without a verdict where there is a candidate, in the same order.
    slots: Vec<(Option<EventId>, Option<Verdict>)>,
}

impl Admitted {
    /// What is to be stored goes on in the trace of what brought it.
    #[must_use]
    pub fn in_trace(mut self, traceparent: Option<&str>) -> Self {
        if let Some(traceparent) = traceparent.map(Arc::<str>::from) {
            for candidate in &mut self.candidates {
                candidate.traceparent = Some(Arc::clone(&traceparent));
            }
        }
        self
    }
}

/// The way in, shared by all doors.
pub struct Door {
    pub intake: Intake,
    schemas: Schemas,
    metrics: Arc<Metrics>,
    answer_timeout: Duration,
}

impl Door {
    /// The way in to the committers behind `intake`.
    pub fn new(intake: Intake, schemas: Schemas, metrics: Arc<Metrics>, answer_timeout: Duration) -> Self {
        Self { intake, schemas, metrics, answer_timeout }
    }

    /// Checks the events of one tenant. One never changes what becomes of another.
    pub fn admit<'a>(
        &self,
        tenant: &Tenant,
        sent_at: Option<OffsetDateTime>,
        defaults: &Defaults,
        raw_events: impl Iterator<Item = &'a str>,
    ) -> Admitted {
        let admission = Admission {
            tenant: &tenant.tenant_id,
            taxonomy: tenant.taxonomy,
            own_types: &*tenant.own_types,
            max_properties_bytes: tenant.max_properties_bytes,
            defaults,
        };
        let mut admitted = Admitted::default();
        for raw in raw_events {
            match self.check(raw, &admission, tenant) {
                Ok(event) => {
                    let sampling_rate = tenant.own_types.sampling_rate(&event.event_name);
                    if sampling_rate.is_some_and(|rate| !keeps(rate, &tenant.tenant_id, &event)) {
                        self.metrics.limited(1);
                        admitted.slots.push((Some(event.event_id), Some(Verdict::Limited)));
                        continue;
                    }
                    admitted.slots.push((Some(event.event_id), None));
                    let key = &tenant.content_key;
                    let candidate = Candidate::new(tenant.tenant_id.clone(), event, sent_at, key);
                    let from_browser = tenant.from_browser;
                    admitted.candidates.push(Candidate { sampling_rate, from_browser, ..candidate });
                }
                Err(Reject { event_id, fault }) => {
                    self.metrics.rejected(fault.code, 1);
                    admitted.slots.push((event_id, Some(Verdict::Rejected(fault))));
                }
            }
        }
        self.metrics.received(admitted.slots.len());
        admitted
    }

    fn check(&self, raw: &str, admission: &Admission<'_>, tenant: &Tenant) -> Result<Event, Reject> {
        let event = Event::parse(raw, admission)?;
        let own_types = &tenant.own_types;
        let allowed = if tenant.from_browser { browser::check(&event, own_types) } else { Ok(()) };
        let checked = allowed
            .and_then(|()| self.schemas.check(&event.event_name, &event.properties))
            .and_then(|()| own_types.check(&event));
        checked.map_err(|fault| Reject { event_id: Some(event.event_id), fault })?;
        Ok(event)
    }

    /// Has checked events stored; what is told about each, in their order. Fails when nothing is
    /// known to be stored, as if nothing had been sent.
    pub async fn store(&self, admitted: Admitted, room: Room) -> Result<Vec<Told>, Error> {
        let Admitted { candidates, slots } = admitted;
        let stored = if candidates.is_empty() { Vec::new() } else { self.verdicts(candidates, room).await? };
        let unknown = stored.contains(&Verdict::Unavailable);
        if unknown && !stored.iter().any(|verdict| matches!(verdict, Verdict::Accepted | Verdict::Duplicate)) {
            return Err(Error::StorageAway);
        }
        let mut stored = stored.into_iter();
        let told = slots.into_iter().map(|(event_id, verdict)| {
            let verdict = verdict.or_else(|| stored.next()).unwrap_or(Verdict::Unavailable);
            // Something of this request is stored: what is not, or may not be, is to be sent again.
            let verdict = if verdict == Verdict::Unavailable { Verdict::Retry } else { verdict };
            Told { event_id, verdict }
        });
        Ok(told.collect())
    }

    async fn verdicts(&self, candidates: Vec<Candidate>, room: Room) -> Result<Vec<Verdict>, Error> {
        let events = candidates.len();
        let span = tracing::debug_span!(target: trace::TARGET, "store", events);
        let verdicts = self.intake.submit(candidates, room).map_err(|_| {
            self.metrics.turned_away(events);
            Error::Busy
        })?;
        match tokio::time::timeout(self.answer_timeout, verdicts).instrument(span).await {
            Ok(Ok(verdicts)) => Ok(verdicts),
            // Stored or not, nobody here knows: the sender asks again.
            Ok(Err(_)) | Err(_) => Err(Error::StorageAway),
        }
    }
}
