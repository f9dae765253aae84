//! The queue `ingest.erasure`: somebody is to be forgotten, or a service has done so.

use std::error::Error as _;

use bus::{Action, Handler, Message};
use domain::contract::{Fact, SubjectErased, parse_fact};
use domain::credential::TenantStore;
use domain::outbox::BoxFuture;
use pg::Db;

use crate::erasure;
use crate::error::Error;

/// Handles the queue `ingest.erasure`.
pub struct Erasure {
    pub db: Db,
}

impl Handler for Erasure {
    fn handle<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Action>> {
        Box::pin(async move {
            let mut actions = Vec::with_capacity(messages.len());
            for message in messages {
                let action = match message.routing_key.as_str() {
                    SubjectErased::ROUTING_KEY => self.report(message).await,
                    _ => self.carry_out(message).await,
                };
                actions.push(action);
            }
            actions
        })
    }
}

impl Erasure {
    /// No cause says who it was.
    async fn carry_out(&self, message: &Message) -> Action {
        let (command, asked) = match message.erasure() {
            Ok(erasure) => erasure,
            Err(action) => return action,
        };
        let tenant = &command.tenant_id;
        match self.db.knows(tenant).await {
            Ok(true) => {}
            Ok(false) => {
                return Action::DeadLetter { code: "unknown_tenant", cause: format!("there is no tenant {tenant}") };
            }
            Err(error) => return Action::Retry(error.to_string()),
        }
        settled(erasure::erase(&self.db, asked, command, message.traceparent.clone()).await)
    }

    async fn report(&self, message: &Message) -> Action {
        match parse_fact::<SubjectErased>(&message.body) {
            Ok(fact) => settled(erasure::report(&self.db, fact.data).await),
            Err(fault) => Action::DeadLetter { code: "malformed_message", cause: fault.to_string() },
        }
    }
}

fn settled<T>(outcome: Result<T, Error>) -> Action {
    match outcome {
        Ok(_) => Action::Ack,
        Err(Error::Database(error)) if error.is_unavailable() => Action::Retry(error.to_string()),
        Err(error) => {
            let cause = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
            Action::DeadLetter { code: "erasure_failed", cause }
        }
    }
}
