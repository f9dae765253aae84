//! What makes a workflow's goals count, and stop counting: activate, pause, deactivate. Status, audit, what the bus is told and
//! the epoch change in one transaction, under the workflow's exclusive lock.

use domain::contract::{Command, Fact, Recheck, WorkflowActivated, WorkflowDeactivated, derived_id};
use domain::goal::{Criteria, GoalStatus};
use domain::ids::WorkflowId;
use domain::outbox::NewMessage;
use domain::workflow::WorkflowStatus;
use pg::Db;

use crate::change::{Author, Change, Target, change, entry};
use crate::error::Error;
use crate::goals::{check_currency, locked, missing_reference};
use crate::metrics::Metrics;
use crate::store::goals::{self, Goal};
use crate::store::workflows::{self, Workflow};
use crate::workflows::OBJECT;

/// Makes a workflow's goals count: all of them are valid, or none does. With `catch_up`, by every stored event.
/// Activating an active workflow changes nothing.
pub async fn activate(
    db: &Db,
    metrics: &Metrics,
    author: &Author,
    target: Target<WorkflowId>,
    catch_up: bool,
) -> Result<Workflow, Error> {
    let outcome = change(db, "activate_workflow", author, move |change| {
        let target = target.clone();
        Box::pin(async move {
            let id = target.id;
            let (before, goals_of) = locked(change, id).await?;
            target.check(Some(&before))?;
            let Some(status) = before.status.activate()? else {
                return Ok((before, false));
            };
            check_goals(change, &goals_of).await?;
            let begins = before.status != WorkflowStatus::Paused;
            if begins || catch_up {
                goals::start_counting(change.tx, change.tenant(), id, catch_up).await?;
            }
            let after = workflows::set_status(change.tx, change.tenant(), id, status, begins).await?;
            record(change, "workflow.activated", &before, &after)?;
            change.tell(activated(change, &after, &goals_of, catch_up)).await?;
            Ok((after, true))
        })
    })
    .await;
    metrics.registered(&outcome);
    outcome.map(|(workflow, _)| workflow)
}

/// Holds the workflow's actions back; its goals go on counting.
pub async fn pause(db: &Db, author: &Author, target: Target<WorkflowId>) -> Result<Workflow, Error> {
    change(db, "pause_workflow", author, move |change| {
        let target = target.clone();
        Box::pin(async move {
            let id = target.id;
            let (before, _) = locked(change, id).await?;
            target.check(Some(&before))?;
            let Some(status) = before.status.pause()? else {
                return Ok(before);
            };
            let after = workflows::set_status(change.tx, change.tenant(), id, status, false).await?;
            record(change, "workflow.paused", &before, &after)?;
            Ok(after)
        })
    })
    .await
}

/// Ends all counting: no achievement of the workflow commits after this has.
pub async fn deactivate(db: &Db, author: &Author, target: Target<WorkflowId>) -> Result<Workflow, Error> {
    change(db, "deactivate_workflow", author, move |change| {
        let target = target.clone();
        Box::pin(async move {
            let id = target.id;
            let (before, _) = locked(change, id).await?;
            target.check(Some(&before))?;
            let Some(status) = before.status.deactivate()? else {
                return Ok(before);
            };
            let after = workflows::set_status(change.tx, change.tenant(), id, status, false).await?;
            record(change, "workflow.deactivated", &before, &after)?;
            let fact = WorkflowDeactivated {
                tenant_id: change.tenant().clone(),
                workflow_id: id,
                workflow_version: after.version.into(),
                deactivated_at: after.updated_at,
            };
            change.tell(vec![fact.into_message(change.author.traceparent.clone())]).await?;
            Ok(after)
        })
    })
    .await
}

/// Every goal once more: what it points at may be gone, and rules may have become stricter since it was made.
async fn check_goals(change: &Change<'_>, goals_of: &[Goal]) -> Result<(), Error> {
    for goal in goals_of {
        let invalid = |reason: String| Error::InvalidGoalConfiguration { goal: goal.id, reason };
        let criteria =
            Criteria::read(goal.goal_type, goal.criteria.get()).map_err(|fault| invalid(fault.to_string()))?;
        if let Some((kind, _)) = missing_reference(change.tx, change.tenant(), &criteria).await? {
            return Err(invalid(format!("{kind} does not exist")));
        }
        if let Err(fault) = check_currency(change.tx, change.tenant(), &criteria).await? {
            return Err(invalid(fault.to_string()));
        }
    }
    Ok(())
}

fn record(change: &Change<'_>, action: &'static str, before: &Workflow, after: &Workflow) -> Result<(), Error> {
    change.record([entry(action, (OBJECT, after.id.to_string()), Some(before), Some(after))?]);
    Ok(())
}

/// What the bus is told of an activation: the fact, and with `catch_up` the evaluator's work.
fn activated(change: &Change<'_>, workflow: &Workflow, goals_of: &[Goal], catch_up: bool) -> Vec<NewMessage> {
    let active = goals_of.iter().filter(|goal| goal.status == GoalStatus::Active);
    let mut event_types: Vec<String> = active.map(|goal| goal.event_name.clone()).collect();
    event_types.sort_unstable();
    event_types.dedup();
    let fact = WorkflowActivated {
        tenant_id: change.tenant().clone(),
        workflow_id: workflow.id,
        workflow_version: workflow.version.into(),
        activated_at: workflow.updated_at,
        event_types,
        catch_up,
    };
    let mut messages = vec![fact.into_message(change.author.traceparent.clone())];
    if catch_up {
        let command = Recheck {
            version: domain::contract::V1,
            tenant_id: change.tenant().clone(),
            workflow_id: workflow.id,
            enrollment_ids: None,
            catch_up,
        };
        let id = derived_id("recheck", &[&workflow.id.to_string(), &workflow.version.to_string()]);
        messages.push(command.into_message(id).in_trace(change.author.traceparent.clone()));
    }
    messages
}
