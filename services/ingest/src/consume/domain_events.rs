//! The queue `ingest.domain`: a message of another system is a batch of one, and goes the same way
//! as one that came over HTTP.

use std::sync::Arc;

use bus::{Action, Handler, Message};
use domain::event::Defaults;
use domain::fault::Fault;
use domain::privacy;
use futures_util::future::{BoxFuture, join_all};
use tracing::Instrument;

use super::spoken;
use crate::batch::Verdict;
use crate::door::{Door, Tenant};
use crate::error::Error;
use crate::senders::Senders;

/// Hands messages to the door.
pub struct DomainEvents {
    pub door: Arc<Door>,
    pub senders: Arc<Senders>,
    /// Largest message, as for bodies of requests.
    pub max_bytes: usize,
}

impl Handler for DomainEvents {
    fn handle<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Action>> {
        // Together, so that the committers store them together.
        Box::pin(join_all(messages.iter().map(|message| {
            let came = message.traceparent.as_deref();
            let span = tracing::debug_span!(target: trace::TARGET, "process ingest.domain", otel.kind = "consumer");
            let span = trace::continued(span, came);
            let traceparent = trace::passed_on(&span, came);
            self.handle_one(message, traceparent).instrument(span)
        })))
    }
}

impl DomainEvents {
    async fn handle_one(&self, message: &Message, traceparent: Option<String>) -> Action {
        if message.body.len() > self.max_bytes {
            let cause =
                format!("the message is {} bytes, and at most {} are taken", message.body.len(), self.max_bytes);
            return Action::DeadLetter { code: "too_large", cause };
        }
        let spoken = match spoken::read(&message.body) {
            Ok(spoken) => spoken,
            Err(fault) => return dead(&fault),
        };
        match self.senders.tenant(&spoken.tenant_id).await {
            Ok(Some(tenant)) => match self.store(&tenant, &spoken.raw_event, traceparent.as_deref()).await {
                Ok(action) => action,
                Err(error) => Action::Retry(error.to_string()),
            },
            Ok(None) => {
                let cause = format!("there is no tenant {}", spoken.tenant_id);
                Action::DeadLetter { code: "unknown_tenant", cause }
            }
            Err(error) => Action::Retry(error.to_string()),
        }
    }

    async fn store(&self, tenant: &Tenant, raw_event: &str, traceparent: Option<&str>) -> Result<Action, Error> {
        let room = self.door.intake.reserve(raw_event.len()).map_err(|_| Error::Busy)?;
        let admitted = self.door.admit(tenant, None, &Defaults::default(), std::iter::once(raw_event));
        let admitted = admitted.in_trace(traceparent);
        let told = self.door.store(admitted, room).await?;
        Ok(match told.into_iter().next().map(|told| told.verdict) {
            Some(Verdict::Accepted | Verdict::Duplicate | Verdict::Limited) => Action::Ack,
            Some(Verdict::Rejected(fault)) => dead(&fault),
            Some(Verdict::Retry | Verdict::Unavailable) | None => Action::Retry("it was not stored".to_owned()),
        })
    }
}

/// The cause is kept and shown; a key of the message, in a pointer, may tell a person.
fn dead(fault: &Fault) -> Action {
    Action::DeadLetter { code: fault.code, cause: privacy::clean(&fault.to_string()) }
}
