//! Workflows as configuration: made, read, edited. What makes them live is in `activation`.

use std::sync::Arc;

use domain::ids::{TenantId, WorkflowId};
use domain::once::{Answered, Once};
use domain::workflow::GoalLogic;
use pg::{Db, Scope};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::change::{Author, Target, change, change_once, entry};
use crate::error::Error;
use crate::store::workflows::{self, Content, Filter, Workflow};

pub(crate) const OBJECT: &str = "workflow";

/// Makes a draft.
pub async fn create(
    db: &Db,
    author: &Author,
    content: Content,
    once: Once<Workflow>,
) -> Result<Answered<Workflow>, Error> {
    let shared = Arc::new((WorkflowId::from(Uuid::now_v7()), content));
    change_once(db, "create_workflow", author, once, move |change| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (id, content) = &*shared;
            let made = workflows::insert(change.tx, change.tenant(), *id, content, &change.author.actor).await?;
            change.record([entry("workflow.created", (OBJECT, id.to_string()), None, Some(&made))?]);
            Ok(made)
        })
    })
    .await
}

/// The workflow.
pub async fn find(db: &Db, tenant: &TenantId, id: WorkflowId) -> Result<Workflow, Error> {
    let tenant = tenant.clone();
    db.run_tx("find_workflow", Scope::Tenant(tenant.clone()), move |tx| {
        let tenant = tenant.clone();
        Box::pin(async move { workflows::find(tx, &tenant, id).await?.ok_or(Error::NotFound) })
    })
    .await
}

/// A page of the workflows that a filter takes, newest first.
pub async fn list(
    db: &Db,
    tenant: &TenantId,
    filter: Filter,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<Workflow>, Error> {
    let shared = Arc::new((tenant.clone(), filter));
    db.run_tx("list_workflows", Scope::Tenant(tenant.clone()), move |tx| {
        let shared = Arc::clone(&shared);
        Box::pin(async move { Ok(workflows::list(tx, &shared.0, &shared.1, before, limit).await?) })
    })
    .await
}

/// What is to be different.
#[derive(Debug, Clone, Default)]
pub struct WorkflowPatch {
    pub name: Option<String>,
    pub goal_logic: Option<GoalLogic>,
    pub allow_reentry: Option<bool>,
}

/// Edits a workflow, live or not.
pub async fn edit(
    db: &Db,
    author: &Author,
    target: Target<WorkflowId>,
    patch: WorkflowPatch,
) -> Result<Workflow, Error> {
    let shared = Arc::new((target, patch));
    change(db, "edit_workflow", author, move |change| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (target, patch) = &*shared;
            let id = target.id;
            workflows::lock(change.tx, change.tenant(), id).await?;
            let before = workflows::find(change.tx, change.tenant(), id).await?.ok_or(Error::NotFound)?;
            target.check(Some(&before))?;
            let content = Content {
                name: patch.name.clone().unwrap_or_else(|| before.name.clone()),
                goal_logic: patch.goal_logic.unwrap_or(before.goal_logic),
                allow_reentry: patch.allow_reentry.unwrap_or(before.allow_reentry),
            };
            if content == before.content() {
                return Ok(before);
            }
            let after = workflows::update(change.tx, change.tenant(), id, &content).await?;
            let object = (OBJECT, id.to_string());
            change.record([entry("workflow.updated", object, Some(&before), Some(&after))?]);
            Ok(after)
        })
    })
    .await
}
