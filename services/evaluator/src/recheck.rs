//! Rechecks: judging enrollments again over what is stored. Asked for by the commands in the outbox, so that they survive
//! whatever happens, and are shared out among the evaluators.

use crate::error::Error;
use crate::origin::Origin;
use crate::store::{enrollments, workflows};
use domain::contract::{Command, Recheck, V1};
use domain::ids::{EnrollmentId, WorkflowId};
use domain::outbox::NewMessage;
use pg::{Db, Scope};
use uuid::Uuid;

/// Enrollments whose commands are written in one transaction.
const PAGE: i64 = 5_000;

/// The commands that recheck these enrollments, each for as many as one may name.
pub fn commands(origin: &Origin, workflow: WorkflowId, ids: &[EnrollmentId]) -> Vec<NewMessage> {
    ids.chunks(Recheck::MAX_ENROLLMENTS).map(|ids| command(origin, workflow, Some(ids.to_vec()))).collect()
}

fn command(origin: &Origin, workflow: WorkflowId, ids: Option<Vec<EnrollmentId>>) -> NewMessage {
    let tenant_id = origin.tenant.clone();
    Recheck { version: V1, tenant_id, workflow_id: workflow, enrollment_ids: ids, catch_up: false }
        .into_message(Uuid::now_v7())
        .in_trace(origin.traceparent.clone())
}

/// Asks for a recheck of all active enrollments of a workflow.
pub async fn request(db: &Db, origin: Origin, workflow: WorkflowId) -> Result<(), Error> {
    let (scope, db_of_outbox) = (Scope::Tenant(origin.tenant.clone()), db.clone());
    db.run_tx("request_recheck", scope, move |tx| {
        let (origin, db) = (origin.clone(), db_of_outbox.clone());
        Box::pin(async move {
            workflows::find(tx, &origin.tenant, workflow).await?.ok_or(Error::WorkflowNotFound)?;
            db.add_to_outbox(tx, vec![command(&origin, workflow, None)]).await?;
            Ok(())
        })
    })
    .await
}

/// Turns the request for a whole workflow into commands for its enrollments, a page per transaction. Begun again after a
/// crash it writes some commands twice, which does no harm. Returns how many enrollments there were.
pub async fn expand(db: &Db, origin: &Origin, workflow: WorkflowId) -> Result<usize, Error> {
    let mut after = None;
    let mut all = 0;
    loop {
        let page = expand_page(db, origin.clone(), workflow, after).await?;
        all += page.len();
        after = page.last().copied();
        if i64::try_from(page.len()).unwrap_or(i64::MAX) < PAGE {
            return Ok(all);
        }
    }
}

async fn expand_page(
    db: &Db,
    origin: Origin,
    workflow: WorkflowId,
    after: Option<EnrollmentId>,
) -> Result<Vec<EnrollmentId>, Error> {
    let (scope, db_of_outbox) = (Scope::Tenant(origin.tenant.clone()), db.clone());
    db.run_tx("expand_recheck", scope, move |tx| {
        let (origin, db) = (origin.clone(), db_of_outbox.clone());
        Box::pin(async move {
            let ids = enrollments::active_after(tx, &origin.tenant, workflow, after, PAGE).await?;
            db.add_to_outbox(tx, commands(&origin, workflow, &ids)).await?;
            Ok(ids)
        })
    })
    .await
}
