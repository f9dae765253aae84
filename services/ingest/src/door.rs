//! What every door does with events: checks each on its own, has the good ones stored together, and
//! has one verdict for each.

use std::sync::Arc;
use std::time::Duration;

use domain::catalogue;
use domain::event::{Admission, Defaults, Event, Reject, Taxonomy};
use domain::fault::Fault;
use domain::ids::{EventId, TenantId};
use domain::privacy::{Redacted, Redaction, Salt};
use pg::credentials::TenantIntake;
use time::OffsetDateTime;
use tracing::Instrument;

use crate::batch::Verdict;
use crate::browser;
use crate::candidate::{Candidate, ContentHash, ContentKey};
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
    pub redaction: Redaction,
    pub id_salt: Salt,
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
        let id_salt = Salt::new(&stored.id_salt).ok_or_else(|| unreadable("id_salt"))?;
        let redaction = Redaction::parse(&stored.redaction).map_err(|_| unreadable("redaction"))?;
        let (tenant_id, max_properties_bytes) = (stored.tenant_id, stored.max_properties_bytes);
        let from_browser = false;
        Ok(Self { tenant_id, taxonomy, max_properties_bytes, content_key, own_types, from_browser, redaction, id_salt })
    }

    /// Takes out of the event what is personal; what its type's schema calls an identifier stays.
    fn redact(&self, event: &mut Event) -> Result<Redacted, Fault> {
        let builtin = catalogue::builtin(&event.event_name);
        let own = self.own_types.identifiers(&event.event_name);
        let declares = |key: &str| {
            builtin.is_some_and(|builtin| builtin.keys().any(|named| named == key))
                || own.is_some_and(|own| own.contains(key))
        };
        self.redaction.apply(event, &self.id_salt, &declares)
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
    /// What was taken out of the candidates.
    pub redacted: Redacted,
}

/// An event that may be stored, without what is personal in it.
struct Checked {
    event: Event,
    /// Of what was sent.
    content_hash: ContentHash,
    redacted: Redacted,
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
                Ok(Checked { event, content_hash, redacted }) => {
                    let sampling_rate = tenant.own_types.sampling_rate(&event.event_name);
                    if sampling_rate.is_some_and(|rate| !keeps(rate, &tenant.tenant_id, &event)) {
                        self.metrics.limited(1);
                        admitted.slots.push((Some(event.event_id), Some(Verdict::Limited)));
                        continue;
                    }
                    admitted.slots.push((Some(event.event_id), None));
                    admitted.redacted.add(&redacted);
                    let candidate = Candidate::new(tenant.tenant_id.clone(), event, sent_at, content_hash);
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
        self.metrics.redacted(&admitted.redacted);
        admitted
    }

    /// The content is hashed before anything is taken out of it: what is sent again is a duplicate, whatever the tenant's rules have become.
    fn check(&self, raw: &str, admission: &Admission<'_>, tenant: &Tenant) -> Result<Checked, Reject> {
        let mut event = Event::parse(raw, admission)?;
        let event_id = Some(event.event_id);
        let rejected = |fault| Reject { event_id, fault };
        if tenant.from_browser {
            browser::check(&event, &tenant.own_types).map_err(rejected)?;
        }
        self.schemas.check(&event.event_name, &event.properties).map_err(rejected)?;
        tenant.own_types.check(&event).map_err(rejected)?;
        let content_hash = tenant.content_key.hash(&event.content_text());
        let redacted = tenant.redact(&mut event).map_err(rejected)?;
        Ok(Checked { event, content_hash, redacted })
    }

    /// Has checked events stored; what is told about each, in their order. Fails when nothing is
    /// known to be stored, as if nothing had been sent.
    pub async fn store(&self, admitted: Admitted, room: Room) -> Result<Vec<Told>, Error> {
        let Admitted { candidates, slots, .. } = admitted;
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
