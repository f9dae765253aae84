//! `enroll`, `end_enrollment` and `schedule_action` over the bus: the use cases of the API, each message carried out once, and
//! answered where it asks for it.

use super::{MALFORMED, failed};
use crate::actions;
use crate::api::{ended, entered, scheduled};
use crate::asked;
use crate::end::{self, End};
use crate::enroll;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::origin::Origin;
use crate::store::actions::New;
use bus::{Action, Message};
use domain::contract::{Command, EndEnrollment, Enroll, ScheduleAction, derived_id, parse_command};
use domain::credential::TenantStore;
use domain::enrollment::{EnrollmentStatus, ExitReason};
use domain::fault::Fault;
use domain::ids::{EnrollmentId, TenantId, WorkflowId};
use domain::once::{Answered, Asked};
use pg::Db;

/// A request that was read and is sound.
pub struct Request {
    command: &'static str,
    origin: Origin,
    asked: Asked,
    what: What,
}

enum What {
    Enroll(WorkflowId, enroll::Request),
    End(EnrollmentId, End),
    Schedule(New),
}

/// Reads a message whose routing key is one of a request; none if it is another.
pub fn read(message: &Message) -> Option<Result<Request, Action>> {
    let (command, read) = match message.routing_key.as_str() {
        Enroll::ROUTING_KEY => (Enroll::ROUTING_KEY, enrollment_of(message)),
        EndEnrollment::ROUTING_KEY => (EndEnrollment::ROUTING_KEY, end_of(message)),
        ScheduleAction::ROUTING_KEY => (ScheduleAction::ROUTING_KEY, action_of(message)),
        _ => return None,
    };
    let malformed = |fault: Fault| Action::DeadLetter { code: MALFORMED, cause: fault.to_string() };
    let request = read.map_err(malformed).and_then(|(tenant, what)| {
        let asked = message.asked(&tenant)?;
        let origin = Origin { tenant, traceparent: message.traceparent.clone() };
        Ok(Request { command, origin, asked, what })
    });
    Some(request)
}

fn enrollment_of(message: &Message) -> Result<(TenantId, What), Fault> {
    let command: Enroll = parse_command(&message.body)?;
    let request = enroll::Request {
        contact_id: command.contact_id,
        enrolled_at: command.enrolled_at,
        current_step: command.current_step.map(asked::step).transpose()?,
    };
    Ok((command.tenant_id, What::Enroll(command.workflow_id, request)))
}

fn end_of(message: &Message) -> Result<(TenantId, What), Fault> {
    let command: EndEnrollment = parse_command(&message.body)?;
    let exit_reason = match command.status {
        EnrollmentStatus::Completed => ExitReason::Completed,
        EnrollmentStatus::Removed => ExitReason::Removed,
        EnrollmentStatus::Failed => ExitReason::Failed,
        EnrollmentStatus::Active | EnrollmentStatus::CompletedGoal => {
            return Err(Fault::at("status", "invalid_value", "must be completed, removed or failed"));
        }
    };
    let reason = command.reason.map(asked::reason).transpose()?;
    Ok((command.tenant_id, What::End(command.enrollment_id, End { exit_reason, reason })))
}

fn action_of(message: &Message) -> Result<(TenantId, What), Fault> {
    let command: ScheduleAction = parse_command(&message.body)?;
    let tenant = command.tenant_id;
    // Of its message, so that it is the same one also when what was answered is forgotten.
    let message_id = message.message_id.unwrap_or_default().to_string();
    let derived = || derived_id("scheduled_action", &[tenant.as_str(), &message_id]).into();
    let new = New {
        id: command.action_id.unwrap_or_else(derived),
        enrollment_id: command.enrollment_id,
        action_type: asked::action_type(command.action_type)?,
        scheduled_at: command.scheduled_at,
        payload: command.payload.map(|payload| asked::payload(&payload.to_text())).transpose()?,
    };
    Ok((tenant, What::Schedule(new)))
}

/// Carries a request out. A refusal by the rules is an end like another: it is kept, counted and replied, and the message is done.
pub async fn carry_out(db: &Db, metrics: &Metrics, request: Request) -> Action {
    let Request { command, origin, asked, what } = request;
    let tenant = origin.tenant.clone();
    match db.knows(&tenant).await {
        Ok(true) => {}
        Ok(false) => {
            return Action::DeadLetter { code: "unknown_tenant", cause: format!("there is no tenant {tenant}") };
        }
        Err(error) => return Action::Retry(error.to_string()),
    }
    let once = asked.clone();
    let repeated = match what {
        What::Enroll(workflow, contact) => {
            is_repeated(enroll::one(db, &origin, workflow, contact, once.answering(entered)).await)
        }
        What::End(id, end) => is_repeated(end::end(db, origin, id, end, once.answering(ended)).await),
        What::Schedule(new) => is_repeated(actions::create(db, origin.tenant, new, once.answering(scheduled)).await),
    };
    let result = match repeated {
        Ok(false) => "done",
        Ok(true) => "repeated",
        Err(error @ (Error::Database(_) | Error::Overtaken)) => return failed(&error),
        Err(error) => {
            if let Err(away) = db.refuse_once(asked, error.code(), error.to_string()).await {
                return failed(&away.into());
            }
            tracing::info!(%tenant, command, code = error.code(), "a command was refused");
            "refused"
        }
    };
    metrics.command(command, result);
    Action::Ack
}

fn is_repeated<T>(outcome: Result<Answered<T>, Error>) -> Result<bool, Error> {
    outcome.map(|answered| matches!(answered, Answered::Before(_)))
}
