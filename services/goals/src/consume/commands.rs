//! The queue `goals.commands`: `put_reference` and `delete_reference`, by which the modules that own those things keep the directory
//! current. Each message is carried out once, in the order of its queue, and answered where it asks for it.

use bus::{Action, Handler, Message};
use domain::contract::{Command, DeleteReference, PutReference, parse_command};
use domain::credential::TenantStore;
use domain::fault::Fault;
use domain::ids::TenantId;
use domain::once::{Answered, Asked};
use domain::outbox::BoxFuture;
use pg::Db;

use super::failed;
use crate::api::{gone, put_so};
use crate::asked::{self, Content};
use crate::change::Author;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::references;
use crate::store::directory::{Key, NewReference};

/// Becomes the code of a command that cannot be carried out, however often it is tried.
const FAILED: &str = "command_failed";

/// Handles the queue `goals.commands`.
pub struct Commands {
    pub db: Db,
    pub metrics: Metrics,
}

/// A command that was read and is sound.
struct Request {
    command: &'static str,
    author: Author,
    asked: Asked,
    what: What,
}

enum What {
    Put(NewReference),
    Delete(Key),
}

impl Handler for Commands {
    fn handle<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Action>> {
        Box::pin(async move {
            let mut actions = Vec::with_capacity(messages.len());
            for message in messages {
                let action = match actions.last() {
                    // What follows waits too: the last one wins.
                    Some(away @ Action::Retry(_)) => Action::clone(away),
                    _ => match read(message) {
                        Ok(request) => self.carry_out(request).await,
                        Err(action) => action,
                    },
                };
                actions.push(action);
            }
            actions
        })
    }
}

fn read(message: &Message) -> Result<Request, Action> {
    let (command, read) = match message.routing_key.as_str() {
        PutReference::ROUTING_KEY => (PutReference::ROUTING_KEY, put_of(message)),
        DeleteReference::ROUTING_KEY => (DeleteReference::ROUTING_KEY, delete_of(message)),
        other => {
            let cause = format!("the command {other} is not known here");
            return Err(Action::DeadLetter { code: "unknown_command", cause });
        }
    };
    let malformed = |fault: Fault| Action::DeadLetter { code: "malformed_message", cause: fault.to_string() };
    let (tenant, what) = read.map_err(malformed)?;
    let asked = message.asked(&tenant)?;
    let actor = format!("bus:{}", message.message_id.unwrap_or_default());
    let author = Author { tenant, actor, traceparent: message.traceparent.clone() };
    Ok(Request { command, author, asked, what })
}

fn put_of(message: &Message) -> Result<(TenantId, What), Fault> {
    let command: PutReference = parse_command(&message.body)?;
    let content = Content { name: command.name, pipeline_id: command.pipeline_id, position: command.position };
    Ok((command.tenant_id, What::Put(asked::reference(command.kind, command.id, content)?)))
}

fn delete_of(message: &Message) -> Result<(TenantId, What), Fault> {
    let command: DeleteReference = parse_command(&message.body)?;
    Ok((command.tenant_id, What::Delete((command.kind, asked::id("id", command.id)?))))
}

impl Commands {
    /// A refusal by the rules is an end like another: it is kept, counted and replied, and the message is done.
    async fn carry_out(&self, request: Request) -> Action {
        let Request { command, author, asked, what } = request;
        let tenant = &author.tenant;
        match self.db.knows(tenant).await {
            Ok(true) => {}
            Ok(false) => {
                return Action::DeadLetter { code: "unknown_tenant", cause: format!("there is no tenant {tenant}") };
            }
            Err(error) => return Action::Retry(error.to_string()),
        }
        let once = asked.clone();
        let repeated = match what {
            What::Put(reference) => {
                is_repeated(references::put_one(&self.db, &author, reference, once.answering(put_so)).await)
            }
            What::Delete(key) => is_repeated(references::delete(&self.db, &author, key, once.answering(gone)).await),
        };
        let result = match repeated {
            Ok(false) => "done",
            Ok(true) => "repeated",
            Err(Error::Database(error)) => return failed(&error, FAILED),
            Err(error) => {
                if let Err(away) = self.db.refuse_once(asked, error.code(), error.to_string()).await {
                    return failed(&away, FAILED);
                }
                tracing::info!(%tenant, command, code = error.code(), "a command was refused");
                "refused"
            }
        };
        self.metrics.command(command, result);
        Action::Ack
    }
}

fn is_repeated<T>(outcome: Result<Answered<T>, Error>) -> Result<bool, Error> {
    outcome.map(|answered| matches!(answered, Answered::Before(_)))
}
