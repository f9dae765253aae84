//! Scheduled actions: making them, the fence in front of their work, closing them. Lock order: workflow, enrollment, action; and
//! what a lock protects is read by a later statement than the one that took it.

use crate::error::Error;
use crate::store::actions::{self, Action, New};
use crate::store::{enrollments, locks, workflows};
use domain::action::ActionStatus;
use domain::enrollment::EnrollmentStatus;
use domain::ids::{ActionId, EnrollmentId, TenantId};
use domain::once::{Answered, Once};
use domain::workflow::WorkflowStatus;
use pg::{Db, Scope, Tx};

/// Schedules an action for an active enrollment, once. No action is born after an exit. One that is there is answered as it is.
pub async fn create(db: &Db, tenant: TenantId, new: New, once: Once<Action>) -> Result<Answered<Action>, Error> {
    let scope = Scope::Tenant(tenant.clone());
    db.run_once("create_action", scope, once, move |tx| {
        let (tenant, new) = (tenant.clone(), new.clone());
        Box::pin(async move {
            locked_and_active(tx, &tenant, new.enrollment_id).await?;
            if let Some(made) = actions::insert(tx, &tenant, &new).await? {
                return Ok(made);
            }
            let there = actions::find(tx, &tenant, new.id).await?;
            there.filter(|there| there.enrollment_id == new.enrollment_id).ok_or(Error::ActionIdTaken)
        })
    })
    .await
}

/// Locks the enrollment, and then sees whether it is active.
async fn locked_and_active(tx: &Tx, tenant: &TenantId, id: EnrollmentId) -> Result<(), Error> {
    if !enrollments::lock(tx, tenant, id).await? {
        return Err(Error::EnrollmentNotFound);
    }
    match enrollments::find(tx, tenant, id).await? {
        Some(enrollment) if enrollment.status == EnrollmentStatus::Active => Ok(()),
        Some(_) => Err(Error::EnrollmentExited),
        None => Err(Error::EnrollmentNotFound),
    }
}

/// The fence that a worker passes before it acts: the action is its to do, or it must not be done (any more).
pub async fn start(db: &Db, tenant: TenantId, id: ActionId) -> Result<Action, Error> {
    let scope = Scope::Tenant(tenant.clone());
    db.run_tx("start_action", scope, move |tx| {
        let tenant = tenant.clone();
        Box::pin(async move { start_in(tx, &tenant, id).await })
    })
    .await
}

async fn start_in(tx: &Tx, tenant: &TenantId, id: ActionId) -> Result<Action, Error> {
    // Which enrollment and which workflow an action belongs to never changes.
    let action = actions::find(tx, tenant, id).await?.ok_or(Error::ActionNotFound)?;
    let enrollment = enrollments::find(tx, tenant, action.enrollment_id).await?.ok_or(Error::ActionNotFound)?;
    locks::share_workflows(tx, tenant, [enrollment.workflow_id]).await?;
    locked_and_active(tx, tenant, enrollment.id).await?;
    let workflow = workflows::find(tx, tenant, enrollment.workflow_id).await?;
    let started = actions::find(tx, tenant, id).await?.map(|action| action.status);
    if started != Some(ActionStatus::Pending) {
        return Err(Error::ActionNotPending);
    }
    if workflow.is_none_or(|workflow| workflow.status != WorkflowStatus::Active) {
        return Err(Error::WorkflowNotActive);
    }
    actions::start(tx, tenant, id).await?.ok_or(Error::ActionNotPending)
}

/// How a worker closes a running action.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    Done,
    Failed,
}

impl Outcome {
    fn status(self) -> ActionStatus {
        match self {
            Self::Done => ActionStatus::Done,
            Self::Failed => ActionStatus::Failed,
        }
    }
}

/// Closes a running action, whether or not its enrollment has ended meanwhile. The same outcome again changes nothing.
pub async fn finish(db: &Db, tenant: TenantId, id: ActionId, outcome: Outcome) -> Result<Action, Error> {
    let scope = Scope::Tenant(tenant.clone());
    db.run_tx("finish_action", scope, move |tx| {
        let tenant = tenant.clone();
        Box::pin(async move {
            if let Some(action) = actions::finish(tx, &tenant, id, outcome.status()).await? {
                return Ok(action);
            }
            match actions::find(tx, &tenant, id).await? {
                None => Err(Error::ActionNotFound),
                Some(action) if action.status == outcome.status() => Ok(action),
                Some(_) => Err(Error::ActionNotRunning),
            }
        })
    })
    .await
}
