//! Goals of a workflow: made, edited, deleted, each under the workflow's exclusive lock, so that what is checked here still holds
//! when it commits and no evaluator judges by half of it.

use std::sync::Arc;

use domain::contract::{Fact, GoalChange, GoalChanged};
use domain::fault::Fault;
use domain::goal::{Criteria, GoalStatus, GoalType, OnEnroll, Reference, Within};
use domain::ids::{GoalId, TenantId, WorkflowId};
use domain::json::{Json, Limits};
use domain::once::{Answered, Once};
use domain::workflow::MAX_GOALS;
use pg::{Db, Scope, Tx};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::change::{Author, Change, Target, change, change_once, entry};
use crate::error::Error;
use crate::store::directory::{self, Key};
use crate::store::goals::{self, Content, Goal, NewGoal};
use crate::store::tenants;
use crate::store::workflows::{self, Workflow};

const OBJECT: &str = "goal";

/// A goal of a workflow.
pub type OfWorkflow = Target<(WorkflowId, GoalId)>;

/// A goal to be made.
#[derive(Debug, Clone)]
pub struct Draft {
    pub goal_type: GoalType,
    pub criteria: Criteria,
    pub within: Option<Within>,
    pub on_enroll: OnEnroll,
    /// By default after the others.
    pub position: Option<i16>,
}

/// What is to be different.
#[derive(Debug, Clone, Default)]
pub struct GoalPatch {
    /// JSON; read once the goal's type is known.
    pub criteria: Option<String>,
    /// `Some(None)` takes the window away.
    pub within: Option<Option<Within>>,
    pub on_enroll: Option<OnEnroll>,
    pub position: Option<i16>,
    pub status: Option<GoalStatus>,
}

/// Holding already at enrollment makes sense for what a contact has or is, not for what happens once.
pub fn check_on_enroll(goal_type: GoalType, on_enroll: OnEnroll) -> Result<(), Fault> {
    let state = matches!(goal_type, GoalType::TagAdded | GoalType::PipelineStageReached);
    if state || on_enroll == OnEnroll::Ignore {
        return Ok(());
    }
    Err(Fault::at(
        "on_enroll",
        "invalid_value",
        "may be other than ignore for tag_added and pipeline_stage_reached only",
    ))
}

/// Makes a goal.
pub async fn create(
    db: &Db,
    author: &Author,
    workflow_id: WorkflowId,
    draft: Draft,
    once: Once<Goal>,
) -> Result<Answered<Goal>, Error> {
    check_on_enroll(draft.goal_type, draft.on_enroll)?;
    let shared = Arc::new((GoalId::from(Uuid::now_v7()), draft));
    change_once(db, "create_goal", author, once, move |change| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (id, draft) = &*shared;
            let (workflow, others) = locked(change, workflow_id).await?;
            if others.len() >= usize::from(MAX_GOALS) {
                return Err(Error::MaxGoalsExceeded);
            }
            check_criteria(change.tx, change.tenant(), &draft.criteria).await?;
            let last = others.iter().map(|goal| goal.position).max().unwrap_or(0);
            let content = Content {
                event_name: draft.criteria.event_name().to_owned(),
                criteria: goals::criteria_text(change.tx, &draft.criteria.to_json().to_text()).await?,
                criteria_hash: criteria_hash(&draft.criteria),
                within: draft.within,
                on_enroll: draft.on_enroll,
                position: draft.position.unwrap_or(last.saturating_add(1)),
                status: GoalStatus::Active,
            };
            check_unique(&others, *id, &content)?;
            let new = NewGoal {
                id: *id,
                workflow_id,
                goal_type: draft.goal_type,
                created_by: &change.author.actor,
                content: &content,
                live: workflow.status.is_live(),
            };
            let made = goals::insert(change.tx, change.tenant(), &new).await?;
            finish(change, None, &made).await?;
            Ok(made)
        })
    })
    .await
}

/// The goal.
pub async fn find(db: &Db, tenant: &TenantId, workflow_id: WorkflowId, id: GoalId) -> Result<Goal, Error> {
    let tenant = tenant.clone();
    db.run_tx("find_goal", Scope::Tenant(tenant.clone()), move |tx| {
        let tenant = tenant.clone();
        Box::pin(async move { goals::find(tx, &tenant, workflow_id, id).await?.ok_or(Error::NotFound) })
    })
    .await
}

/// The goals of a workflow, in the order in which they win.
pub async fn list(db: &Db, tenant: &TenantId, workflow_id: WorkflowId) -> Result<Vec<Goal>, Error> {
    let tenant = tenant.clone();
    db.run_tx("list_goals", Scope::Tenant(tenant.clone()), move |tx| {
        let tenant = tenant.clone();
        Box::pin(async move {
            workflows::find(tx, &tenant, workflow_id).await?.ok_or(Error::NotFound)?;
            Ok(goals::list(tx, &tenant, workflow_id).await?)
        })
    })
    .await
}

/// Edits a goal, as its next version; events count by it from now on. What changes nothing makes no version.
pub async fn edit(db: &Db, author: &Author, target: OfWorkflow, patch: GoalPatch) -> Result<Goal, Error> {
    let shared = Arc::new((target, patch));
    change(db, "edit_goal", author, move |change| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (target, patch) = &*shared;
            let (workflow_id, id) = target.id;
            let (workflow, goals_of) = locked(change, workflow_id).await?;
            let before = goals_of.iter().find(|goal| goal.id == id).ok_or(Error::NotFound)?;
            target.check(Some(before))?;
            let old = before.content();
            let new = edited(change, before, &old, patch).await?;
            if new == old {
                return Ok(before.clone());
            }
            check_unique(&goals_of, id, &new)?;
            let means_other = (&new.criteria_hash, new.within) != (&old.criteria_hash, old.within);
            let switched_on = (old.status, new.status) == (GoalStatus::Inactive, GoalStatus::Active);
            let anew = workflow.status.is_live() && (means_other || switched_on);
            let after = goals::update(change.tx, change.tenant(), id, &new, anew).await?;
            finish(change, Some(before), &after).await?;
            Ok(after)
        })
    })
    .await
}

/// Deletes a goal softly: it counts no longer, and its achievements stay.
pub async fn delete(db: &Db, author: &Author, target: OfWorkflow) -> Result<(), Error> {
    change(db, "delete_goal", author, move |change| {
        let target = target.clone();
        Box::pin(async move {
            let (workflow_id, id) = target.id;
            let (_, mut goals_of) = locked(change, workflow_id).await?;
            goals_of.retain(|goal| goal.id == id);
            let mut gone = goals_of.pop().ok_or(Error::NotFound)?;
            target.check(Some(&gone))?;
            let before = gone.clone();
            (gone.version, gone.updated_at) = goals::delete(change.tx, change.tenant(), id).await?;
            change.record([entry("goal.deleted", (OBJECT, id.to_string()), Some(&before), None)?]);
            tell(change, &gone, GoalChange::Deleted).await
        })
    })
    .await
}

/// Takes the workflow's lock, and only then reads the workflow and its goals.
pub(crate) async fn locked(change: &Change<'_>, workflow_id: WorkflowId) -> Result<(Workflow, Vec<Goal>), Error> {
    workflows::lock(change.tx, change.tenant(), workflow_id).await?;
    let workflow = workflows::find(change.tx, change.tenant(), workflow_id).await?.ok_or(Error::NotFound)?;
    Ok((workflow, goals::list(change.tx, change.tenant(), workflow_id).await?))
}

/// The goal's content with the patch applied, checked.
async fn edited(change: &Change<'_>, goal: &Goal, old: &Content, patch: &GoalPatch) -> Result<Content, Error> {
    let mut new = old.clone();
    new.within = patch.within.unwrap_or(old.within);
    new.on_enroll = patch.on_enroll.unwrap_or(old.on_enroll);
    new.position = patch.position.unwrap_or(old.position);
    new.status = patch.status.unwrap_or(old.status);
    check_on_enroll(goal.goal_type, new.on_enroll)?;
    let text = patch.criteria.as_deref().unwrap_or(&old.criteria);
    let switched_on = (old.status, new.status) == (GoalStatus::Inactive, GoalStatus::Active);
    if patch.criteria.is_some() || switched_on {
        let criteria = Criteria::read(goal.goal_type, text)?;
        check_criteria(change.tx, change.tenant(), &criteria).await?;
        criteria.event_name().clone_into(&mut new.event_name);
        new.criteria = goals::criteria_text(change.tx, &criteria.to_json().to_text()).await?;
        new.criteria_hash = criteria_hash(&criteria);
    }
    Ok(new)
}

/// Refuses a goal that means the same as another of its workflow.
fn check_unique(others: &[Goal], id: GoalId, content: &Content) -> Result<(), Error> {
    let same = |goal: &&Goal| goal.id != id && goal.criteria_hash == content.criteria_hash;
    others.iter().find(same).map_or(Ok(()), |goal| Err(Error::DuplicateGoal(goal.id)))
}

/// Refuses criteria that point at something the directory does not know, or that name amounts the tenant's currency has not.
async fn check_criteria(tx: &Tx, tenant: &TenantId, criteria: &Criteria) -> Result<(), Error> {
    if let Some((kind, id)) = missing_reference(tx, tenant, criteria).await? {
        let fault = Fault::new("reference_not_found", format!("the directory has no such {kind}: {id}"));
        return Err(Error::ReferenceNotFound { kind, fault: fault.within("criteria") });
    }
    Ok(check_currency(tx, tenant, criteria).await?.map_err(|fault| fault.within("criteria"))?)
}

/// Amounts without a currency are in the tenant's.
pub(crate) async fn check_currency(
    tx: &Tx,
    tenant: &TenantId,
    criteria: &Criteria,
) -> Result<Result<(), Fault>, Error> {
    if criteria.goal_type() != GoalType::PurchaseMade {
        return Ok(Ok(()));
    }
    let tenant = tenants::find(tx, tenant).await?.ok_or(Error::NotFound)?;
    Ok(criteria.check_currency(&tenant.settings.default_currency))
}

/// The first of the criteria's references that is not there; a stage of another pipeline than the given one is not.
pub(crate) async fn missing_reference(tx: &Tx, tenant: &TenantId, criteria: &Criteria) -> Result<Option<Key>, Error> {
    let keys: Vec<Key> = criteria.references().into_iter().map(|reference| (reference.kind, reference.id)).collect();
    let found = directory::find(tx, tenant, &keys).await?;
    let known = found.into_iter().map(|((kind, id), kept)| (Reference { kind, id }, kept.pipeline_id)).collect();
    Ok(criteria.missing_reference(&known).map(|missing| (missing.kind, missing.id)))
}

/// What two goals of one workflow may not share. (The canonical text begins with the goal's type.)
fn criteria_hash(criteria: &Criteria) -> Vec<u8> {
    Sha256::digest(criteria.canonical()).to_vec()
}

/// Audits a goal that was made or edited, and tells of it.
async fn finish(change: &Change<'_>, before: Option<&Goal>, after: &Goal) -> Result<(), Error> {
    let (action, what) = match before {
        None => ("goal.created", GoalChange::Created),
        Some(_) => ("goal.updated", GoalChange::Updated),
    };
    let object = (OBJECT, after.id.to_string());
    change.record([entry(action, object, before, Some(after))?]);
    tell(change, after, what).await
}

async fn tell(change: &Change<'_>, goal: &Goal, what: GoalChange) -> Result<(), Error> {
    let criteria = Json::parse(goal.criteria.get(), &Limits::WIRE)?;
    let fact = GoalChanged {
        tenant_id: change.tenant().clone(),
        workflow_id: goal.workflow_id,
        goal_id: goal.id,
        goal_type: goal.goal_type,
        goal_version: goal.version,
        change: what,
        status: goal.status,
        criteria,
        within: goal.within.map(|within| within.to_string()),
        position: goal.position,
        changed_at: goal.updated_at,
    };
    change.tell(vec![fact.into_message(change.author.traceparent.clone())]).await
}
