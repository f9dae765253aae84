//! What a judgement changes: achievements, exits, cancelled actions, and the facts about them; all set-based, whatever the
//! number of enrollments.

use crate::error::Error;
use crate::judging::{Case, Met};
use crate::store::achievements::{self, Achievement};
use crate::store::judged::{self, Locked};
use crate::store::{actions, planning};
use domain::contract::{ExitAchievement, Fact, GoalAchieved, WorkflowExitGoal};
use domain::enrollment::ExitReason;
use domain::exit::{achievement_id, seconds_to_goal, trigger_event};
use domain::goal::{self, CompiledGoal, Exit, GoalType, StoredEvent};
use domain::ids::{ActionId, EnrollmentId, GoalId, TenantId};
use domain::json::{Json, Limits};
use domain::workflow::GoalLogic;
use pg::{Db, Tx};
use std::collections::HashMap;
use time::OffsetDateTime;

/// What is written in one flight, in this order; prepared ahead, as in `judging`.
const WRITTEN: [&str; 6] =
    [planning::PLACED, judged::EXIT, planning::ANEW, actions::CANCEL, planning::KEPT, achievements::INSERT];

/// Writes everything; answers the goal types of what was achieved, and how many enrollments exited.
pub async fn write(
    (db, tx): (&Db, &Tx),
    tenant: &TenantId,
    cases: &[Case<'_>],
    events: &Met,
    now: OffsetDateTime,
) -> Result<(Vec<GoalType>, usize), Error> {
    let mut new = Vec::new();
    let mut messages = Vec::new();
    for case in cases {
        let met = events.get(&case.enrollment.contact_id).map_or(&[][..], Vec::as_slice);
        for achieved in &case.judgement.achievements {
            let (achievement, fact) = achievement(tenant, case, achieved, met, now)?;
            new.push(achievement);
            messages.push(fact.into_message(case.cause.trace_of(achieved.event)));
        }
    }
    let exits: Vec<(&Case<'_>, Exit)> = cases.iter().filter_map(|case| Some((case, case.judgement.exit?))).collect();
    if new.is_empty() && exits.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let ends: Vec<(&Locked, OffsetDateTime)> =
        exits.iter().map(|(case, exit)| (&case.enrollment, exit.reached_at)).collect();
    let ids: Vec<EnrollmentId> = ends.iter().map(|(enrollment, _)| enrollment.id).collect();
    tx.prepare(&WRITTEN).await?;
    let flight = Box::pin(async {
        futures_util::try_join!(
            planning::placed(tx),
            judged::exit(tx, tenant, now, &ends),
            planning::anew(tx),
            actions::cancel(tx, tenant, &ids),
            planning::kept(tx),
            achievements::insert(tx, tenant, &new)
        )
    });
    let ((), ended, (), mut cancelled, (), inserted) = flight.await?;
    // The rows are locked and were read under the lock, so this cannot differ; if it did, facts would be told that are none.
    if inserted != count(new.len()) || ended != count(ends.len()) {
        return Err(Error::Overtaken);
    }
    let mut by_enrollment: HashMap<EnrollmentId, Vec<&Achievement>> = HashMap::new();
    for achievement in &new {
        by_enrollment.entry(achievement.enrollment_id).or_default().push(achievement);
    }
    for exit in exits.iter().copied() {
        let cancelled = cancelled.remove(&exit.0.enrollment.id).unwrap_or_default();
        let fact = exit_fact(tenant, exit, &by_enrollment, cancelled, now)?;
        let traceparent = exit.0.cause.trace_of(fact.trigger_event_id);
        messages.push(fact.into_message(traceparent));
    }
    db.add_to_outbox(tx, messages).await?;
    Ok((new.iter().map(|achievement| achievement.goal_type).collect(), exits.len()))
}

/// The row of a new achievement, and the fact about it.
fn achievement(
    tenant: &TenantId,
    case: &Case<'_>,
    achieved: &goal::Achievement,
    met: &[StoredEvent],
    now: OffsetDateTime,
) -> Result<(Achievement, GoalAchieved), Error> {
    let enrollment = &case.enrollment;
    let goal = goal_of(case, achieved.goal).ok_or_else(|| lost("the goal of an achievement"))?.goal();
    let event = met.iter().find(|event| event.event_id == achieved.event);
    let event = event.ok_or_else(|| lost("the event of an achievement"))?;
    let trigger_event = trigger_event(event, &goal.criteria);
    let row = Achievement {
        id: achievement_id(enrollment.id, goal.id),
        workflow_id: enrollment.workflow_id,
        enrollment_id: enrollment.id,
        contact_id: enrollment.contact_id.clone(),
        goal_id: goal.id,
        goal_type: goal.goal_type,
        goal_version: achieved.goal_version,
        event_id: event.event_id,
        event_name: event.event_name.clone(),
        achieved_at: achieved.achieved_at,
        recorded_at: now,
        criteria: goal.criteria.to_json().to_text(),
        trigger_event: trigger_event.to_text(),
        metadata: metadata(&achieved.also_matched).to_text(),
    };
    let fact = GoalAchieved {
        tenant_id: tenant.clone(),
        workflow_id: row.workflow_id,
        enrollment_id: row.enrollment_id,
        contact_id: row.contact_id.clone(),
        achievement_id: row.id,
        goal_id: row.goal_id,
        goal_type: row.goal_type,
        goal_version: row.goal_version,
        achieved_at: row.achieved_at,
        recorded_at: row.recorded_at,
        event_id: row.event_id,
        event_name: row.event_name.clone(),
        trigger_event,
        also_matched: achieved.also_matched.clone(),
    };
    Ok((row, fact))
}

fn metadata(also_matched: &[GoalId]) -> Json {
    if also_matched.is_empty() {
        return Json::Object(Vec::new());
    }
    let ids = also_matched.iter().map(|id| Json::from(id.to_string())).collect();
    Json::object([("also_matched", Json::Array(ids))])
}

fn goal_of<'c>(case: &'c Case<'_>, id: GoalId) -> Option<&'c CompiledGoal> {
    case.workflow.goals.iter().find(|goal| goal.id() == id)
}

/// `workflow.exit.goal` of one case; `new` are the achievements of this transaction.
fn exit_fact(
    tenant: &TenantId,
    (case, exit): (&Case<'_>, Exit),
    new: &HashMap<EnrollmentId, Vec<&Achievement>>,
    cancelled: Vec<ActionId>,
    now: OffsetDateTime,
) -> Result<WorkflowExitGoal, Error> {
    let enrollment = &case.enrollment;
    let mut achieved: Vec<&Achievement> = case.recorded.iter().collect();
    achieved.extend(new.get(&enrollment.id).into_iter().flatten());
    let completing = achieved.iter().find(|achievement| achievement.goal_id == exit.completing_goal);
    let completing = *completing.ok_or_else(|| lost("the achievement that completed an exit"))?;
    achieved.retain(|achievement| match case.workflow.logic {
        GoalLogic::Any => achievement.goal_id == exit.completing_goal,
        GoalLogic::All | GoalLogic::AtLeast(_) => goal_of(case, achievement.goal_id).is_some(),
    });
    achieved.sort_by_key(|achievement| (achievement.achieved_at, achievement.id));
    let trigger_event = Json::parse(&completing.trigger_event, &Limits::WIRE)
        .map_err(|fault| pg::Error::Decode(format!("trigger_event: {fault}")))?;
    Ok(WorkflowExitGoal {
        tenant_id: tenant.clone(),
        workflow_id: enrollment.workflow_id,
        enrollment_id: enrollment.id,
        contact_id: enrollment.contact_id.clone(),
        exit_reason: ExitReason::GoalAchieved,
        goal_type: completing.goal_type,
        goal_id: completing.goal_id,
        goal_version: completing.goal_version,
        achievements: achieved.into_iter().map(exit_achievement).collect(),
        enrolled_at: enrollment.enrolled_at,
        exited_at: now,
        seconds_to_goal: seconds_to_goal(enrollment.enrolled_at, exit.reached_at),
        cancelled_actions: u32::try_from(cancelled.len()).unwrap_or(u32::MAX),
        cancelled_action_ids: cancelled,
        enrollment_version: i64::from(enrollment.version) + 1,
        trigger_event,
        trigger_event_id: completing.event_id,
        trigger_event_name: completing.event_name.clone(),
        trigger_event_time: completing.achieved_at,
    })
}

fn exit_achievement(achievement: &Achievement) -> ExitAchievement {
    ExitAchievement {
        achievement_id: achievement.id,
        goal_id: achievement.goal_id,
        goal_type: achievement.goal_type,
        achieved_at: achievement.achieved_at,
        event_id: achievement.event_id,
    }
}

/// What the judge speaks of was given to it, so this is never seen; and if it were, nothing must be written.
fn lost(what: &str) -> Error {
    pg::Error::Decode(format!("{what} is not among what was judged")).into()
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
