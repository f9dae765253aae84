//! Ending an enrollment other than by a goal: at the request of the workflow engine. What is pending for it is cancelled in the
//! same transaction.

use crate::error::Error;
use crate::origin::Origin;
use crate::store::actions;
use crate::store::enrollments::{self, Enrollment};
use domain::contract::{ActionCancelled, Fact};
use domain::enrollment::{EnrollmentStatus, ExitReason};
use domain::ids::{ActionId, EnrollmentId, TenantId};
use domain::once::{Answered, Once};
use pg::{Db, Scope, Tx};

/// What the engine says about the end.
#[derive(Clone, Debug)]
pub struct End {
    pub exit_reason: ExitReason,
    /// Free text of the caller.
    pub reason: Option<String>,
}

/// Ends an active enrollment. One that has ended with the same status already is answered as it is: a repeated request
/// changes nothing.
pub async fn end(
    db: &Db,
    origin: Origin,
    id: EnrollmentId,
    end: End,
    once: Once<Enrollment>,
) -> Result<Answered<Enrollment>, Error> {
    let (scope, db_of_outbox) = (Scope::Tenant(origin.tenant.clone()), db.clone());
    db.run_once("end_enrollment", scope, once, move |tx| {
        let (origin, end, db) = (origin.clone(), end.clone(), db_of_outbox.clone());
        Box::pin(async move { end_in(&db, tx, &origin, id, &end).await })
    })
    .await
}

async fn end_in(db: &Db, tx: &Tx, origin: &Origin, id: EnrollmentId, end: &End) -> Result<Enrollment, Error> {
    let tenant = &origin.tenant;
    if !enrollments::lock(tx, tenant, id).await? {
        return Err(Error::EnrollmentNotFound);
    }
    let before = enrollments::find(tx, tenant, id).await?.ok_or(Error::EnrollmentNotFound)?;
    if before.status != EnrollmentStatus::Active {
        let repeated = before.exit_reason == Some(end.exit_reason);
        return if repeated { Ok(before) } else { Err(Error::EnrollmentExited) };
    }
    let mut ended = enrollments::end(tx, tenant, &[id], end.exit_reason, end.reason.as_deref()).await?;
    let ended = ended.pop().ok_or(Error::EnrollmentExited)?;
    let mut cancelled = actions::cancel(tx, tenant, &[id]).await?;
    if let Some(actions) = cancelled.remove(&id) {
        db.add_to_outbox(tx, vec![cancellation(tenant, &ended, actions).into_message(origin.traceparent.clone())])
            .await?;
    }
    Ok(ended)
}

/// What is told of an end that cancelled something.
pub fn cancellation(tenant: &TenantId, ended: &Enrollment, actions: Vec<ActionId>) -> ActionCancelled {
    ActionCancelled {
        tenant_id: tenant.clone(),
        workflow_id: ended.workflow_id,
        enrollment_id: ended.id,
        contact_id: ended.contact_id.clone(),
        exit_reason: ended.exit_reason,
        cancelled_actions: u32::try_from(actions.len()).unwrap_or(u32::MAX),
        cancelled_action_ids: actions,
        cancelled_at: ended.exited_at.unwrap_or(ended.created_at),
        enrollment_version: i64::from(ended.version),
    }
}
