//! The queue `goals.erasure`: somebody is to be forgotten.

use bus::{Action, Handler, Message};
use domain::contract::{Command, EraseSubject};
use domain::credential::TenantStore;
use domain::once::Answered;
use domain::outbox::BoxFuture;
use pg::Db;

use crate::erase;
use crate::error::Error;
use crate::metrics::Metrics;

/// Handles the queue `goals.erasure`.
pub struct Erasure {
    pub db: Db,
    pub metrics: Metrics,
}

impl Handler for Erasure {
    fn handle<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Action>> {
        Box::pin(async move {
            let mut actions = Vec::with_capacity(messages.len());
            for message in messages {
                actions.push(self.carry_out(message).await);
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
        let actor = format!("bus:{}", message.message_id.unwrap_or_default());
        match erase::erase(&self.db, asked, command, message.traceparent.clone(), actor).await {
            Ok(answered) => {
                let result = if matches!(answered, Answered::Now(_)) { "done" } else { "repeated" };
                self.metrics.command(EraseSubject::ROUTING_KEY, result);
                Action::Ack
            }
            Err(Error::Database(error)) => super::failed(&error, "erasure_failed"),
            Err(error) => Action::DeadLetter { code: "erasure_failed", cause: error.to_string() },
        }
    }
}
