//! `end_enrollment` and `schedule_action` over the bus: the use cases of the API. A repeated message has no second effect: what
//! has ended so stays as it is, and an action's id follows from the message where the command names none.

use super::{MALFORMED, failed};
use crate::actions;
use crate::asked;
use crate::end::{self, End};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::origin::Origin;
use crate::store::actions::New;
use bus::{Action, Message};
use domain::contract::{Command, EndEnrollment, ScheduleAction, derived_id, parse_command};
use domain::enrollment::{EnrollmentStatus, ExitReason};
use domain::fault::Fault;
use domain::ids::{ActionId, TenantId};
use pg::Db;

/// A request that was read and is sound.
pub enum Request {
    End(EndEnrollment, End),
    Schedule(TenantId, New),
}

/// Reads a message whose routing key is one of a request; none if it is another.
pub fn read(message: &Message) -> Option<Result<Request, Action>> {
    let request = match message.routing_key.as_str() {
        EndEnrollment::ROUTING_KEY => end_of(message),
        ScheduleAction::ROUTING_KEY => action_of(message),
        _ => return None,
    };
    Some(request.map_err(|fault| Action::DeadLetter { code: MALFORMED, cause: fault.to_string() }))
}

fn end_of(message: &Message) -> Result<Request, Fault> {
    let mut command: EndEnrollment = parse_command(&message.body)?;
    let exit_reason = match command.status {
        EnrollmentStatus::Completed => ExitReason::Completed,
        EnrollmentStatus::Removed => ExitReason::Removed,
        EnrollmentStatus::Failed => ExitReason::Failed,
        EnrollmentStatus::Active | EnrollmentStatus::CompletedGoal => {
            return Err(Fault::at("status", "invalid_value", "must be completed, removed or failed"));
        }
    };
    let reason = command.reason.take().map(asked::reason).transpose()?;
    Ok(Request::End(command, End { exit_reason, reason }))
}

fn action_of(message: &Message) -> Result<Request, Fault> {
    let command: ScheduleAction = parse_command(&message.body)?;
    let of_message = |id: uuid::Uuid| -> ActionId {
        derived_id("scheduled_action", &[command.tenant_id.as_str(), &id.to_string()]).into()
    };
    let id = command.action_id.or(message.message_id.map(of_message)).ok_or_else(|| {
        Fault::at("action_id", "missing_field", "must be there where the message has no UUID as its message_id")
    })?;
    let new = New {
        id,
        enrollment_id: command.enrollment_id,
        action_type: asked::action_type(command.action_type)?,
        scheduled_at: command.scheduled_at,
        payload: command.payload.map(|payload| asked::payload(&payload.to_text())).transpose()?,
    };
    Ok(Request::Schedule(command.tenant_id, new))
}

/// Carries a request out. A refusal by the rules is an end like another: it is counted, and the message is done.
pub async fn carry_out(db: &Db, metrics: &Metrics, request: Request, traceparent: Option<String>) -> Action {
    let (command, tenant, outcome) = match request {
        Request::End(command, end) => {
            let origin = Origin { tenant: command.tenant_id.clone(), traceparent };
            let ended = end::end(db, origin, command.enrollment_id, end).await;
            (EndEnrollment::ROUTING_KEY, command.tenant_id, ended.map(drop))
        }
        Request::Schedule(tenant, new) => {
            let made = actions::create(db, tenant.clone(), new).await;
            (ScheduleAction::ROUTING_KEY, tenant, made.map(drop))
        }
    };
    match outcome {
        Ok(()) => metrics.command(command, "done"),
        Err(error @ (Error::Database(_) | Error::Overtaken)) => return failed(&error),
        Err(error) => {
            tracing::info!(%tenant, command, code = error.code(), "a command was refused");
            metrics.command(command, "refused");
        }
    }
    Action::Ack
}
