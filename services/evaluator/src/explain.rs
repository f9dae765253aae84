//! Why an enrollment's events counted, or did not: the judge's own verdicts on what is stored, held to what was recorded. One snapshot,
//! no locks. Of however many events only a page is held.

use crate::configuration;
use crate::error::Error;
use crate::reading::{Reading, event, wanted};
use crate::store::achievements::{self, Achievement};
use crate::store::enrollments::{self, Enrollment};
use crate::store::{events, histories, planning, workflows};
use domain::enrollment::ExitReason;
use domain::goal::{Credit, End, EnrollmentFacts, Reason, Settled, StoredEvent, explain as verdicts, judge_on};
use domain::ids::{AchievementId, EnrollmentId, EventId, GoalId, TenantId};
use domain::json::{Json, Limits};
use domain::workflow::{Workflow, WorkflowStatus};
use pg::{Db, Scope, Tx};
use std::cmp::Reverse;
use std::collections::HashSet;
use time::{Duration, OffsetDateTime};

/// How far before the enrollment events are shown: enough to see that they came too early.
const BEFORE: Duration = Duration::days(90);

/// An enrollment, and a page of the verdicts on its events.
#[derive(Debug)]
pub struct Explanation {
    pub enrollment: Enrollment,
    pub workflow_status: WorkflowStatus,
    /// The database clock of the snapshot.
    pub as_of: OffsetDateTime,
    pub items: Vec<Item>,
}

/// The verdict on one event and one goal.
#[derive(Clone, Debug)]
pub struct Item {
    pub place: Place,
    pub event_name: String,
    pub reason: Reason,
    /// Where it is recorded.
    pub achievement_id: Option<AchievementId>,
}

/// Where an item stands: the latest event first, then the goals by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub at: OffsetDateTime,
    pub event: EventId,
    pub goal: GoalId,
}

impl Place {
    fn order(&self) -> impl Ord + use<> {
        (Reverse(self.at), Reverse(self.event), self.goal)
    }
}

/// Explains an enrollment: at most `limit` items after a place.
pub async fn explain(
    db: &Db,
    tenant: TenantId,
    id: EnrollmentId,
    (after, limit): (Option<Place>, usize),
) -> Result<Explanation, Error> {
    let scope = Scope::Tenant(tenant.clone());
    db.run_snapshot("explain", scope, move |tx| {
        let tenant = tenant.clone();
        Box::pin(async move {
            planning::anew(tx).await?;
            let enrollment = enrollments::find(tx, &tenant, id).await?.ok_or(Error::EnrollmentNotFound)?;
            let workflow_id = enrollment.workflow_id;
            let found = workflows::find(tx, &tenant, workflow_id).await?.ok_or(Error::WorkflowNotFound)?;
            let workflow = configuration::whole(tx, &tenant, workflow_id).await?;
            let recorded = achievements::of_enrollment(tx, &tenant, id).await?;
            let as_of = tx.now().await?;
            let explaining = Explaining { tx, tenant: &tenant, enrollment: &enrollment, recorded: &recorded };
            let items = explaining.page(workflow.as_ref(), (after, limit)).await?;
            Ok(Explanation { enrollment, workflow_status: found.status, as_of, items })
        })
    })
    .await
}

struct Explaining<'a> {
    tx: &'a Tx,
    tenant: &'a TenantId,
    enrollment: &'a Enrollment,
    recorded: &'a [Achievement],
}

impl Explaining<'_> {
    async fn page(
        &self,
        workflow: Option<&Workflow>,
        (after, limit): (Option<Place>, usize),
    ) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        let mut whole = true;
        if let Some(workflow) = workflow {
            let facts = self.facts().await?;
            let settled = self.settled(&facts, workflow).await?;
            // Of the first event no item may be left.
            let events = self.events_back(workflow, after, limit.saturating_add(1)).await?;
            whole = events.len() <= limit;
            items = self.items(&verdicts(&facts, workflow, &settled, &events), &events);
        }
        let reached = items.last().filter(|_| !whole).map(|last: &Item| (last.place.at, last.place.event));
        let seen: HashSet<(EventId, GoalId)> = items.iter().map(|item| (item.place.event, item.place.goal)).collect();
        // What was recorded is shown, whatever became of its goal, and of the event.
        let others = self.recorded.iter().map(of_record).filter(|item| {
            let passed = reached.is_none_or(|reached| (item.place.at, item.place.event) >= reached);
            passed && !seen.contains(&(item.place.event, item.place.goal))
        });
        items.extend(others);
        items.retain(|item| after.is_none_or(|after| item.place.order() > after.order()));
        items.sort_by_key(|item| item.place.order());
        items.truncate(limit);
        Ok(items)
    }

    /// What the judge knew, or is going to know, of the enrollment.
    async fn facts(&self) -> Result<EnrollmentFacts, Error> {
        let enrollment = self.enrollment;
        let place = (enrollment.id, &enrollment.contact_id, enrollment.created_at);
        let mut histories = histories::histories(self.tx, self.tenant, enrollment.workflow_id, &[place]).await?;
        let history = histories.remove(&enrollment.id).unwrap_or_default();
        Ok(EnrollmentFacts {
            id: enrollment.id,
            enrolled_at: enrollment.enrolled_at,
            created_at: enrollment.created_at,
            already: self.recorded.iter().map(|recorded| (recorded.goal_id, recorded.achieved_at)).collect(),
            catch_up: false,
            closed_before: history.closed_before,
            credited: history.credited,
            active: enrollment.exited_at.is_none(),
        })
    }

    /// What was recorded; and what the next judgement will record, if the enrollment has not ended.
    async fn settled(&self, facts: &EnrollmentFacts, workflow: &Workflow) -> Result<Settled, Error> {
        let by_goal = self.enrollment.exit_reason == Some(ExitReason::GoalAchieved);
        let mut settled = Settled {
            credits: self.recorded.iter().map(credit).collect(),
            end: self.enrollment.exited_at.map(|exited_at| End { exited_at, by_goal }),
            ending: false,
        };
        if !facts.active || !workflow.status.is_live() {
            return Ok(settled);
        }
        let mut facts = facts.clone();
        judge_on(&mut facts, &mut settled, (workflow, &[]));
        let mut reading = Reading::default();
        let active = workflow.goals.iter().filter(|goal| goal.goal().active).map(|goal| goal.event_name());
        reading.add(self.enrollment.contact_id.clone(), facts.enrolled_at, active);
        while facts.active && reading.is_open() {
            for events in reading.next(self.tx, self.tenant).await?.into_values() {
                judge_on(&mut facts, &mut settled, (workflow, &events));
            }
        }
        Ok(settled)
    }

    /// The next events that any goal waits for, the latest first.
    async fn events_back(
        &self,
        workflow: &Workflow,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, Error> {
        let since = self.enrollment.enrolled_at - BEFORE;
        let names = workflow.goals.iter().map(|goal| goal.event_name());
        let Some(wanted) = wanted(self.enrollment.contact_id.clone(), since, names) else {
            return Ok(Vec::new());
        };
        let from = after.map(|after| (after.at, after.event));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let stored = events::page_back(self.tx, self.tenant, &wanted, from, limit).await?;
        stored.into_iter().map(event).collect()
    }

    fn items(&self, verdicts: &[domain::goal::Verdict], events: &[StoredEvent]) -> Vec<Item> {
        let each = verdicts.len() / events.len().max(1);
        let of_event = verdicts.chunks(each.max(1)).zip(events);
        let items = of_event.flat_map(|(verdicts, event)| {
            verdicts.iter().map(move |verdict| {
                let recorded = |a: &&Achievement| (a.event_id, a.goal_id) == (verdict.event_id, verdict.goal_id);
                Item {
                    place: Place { at: verdict.event_time, event: verdict.event_id, goal: verdict.goal_id },
                    event_name: event.event_name.clone(),
                    reason: verdict.reason,
                    achievement_id: self.recorded.iter().find(recorded).map(|achievement| achievement.id),
                }
            })
        });
        items.collect()
    }
}

fn credit(achievement: &Achievement) -> Credit {
    let metadata = Json::parse(&achievement.metadata, &Limits::WIRE).ok();
    let also = metadata.as_ref().and_then(|metadata| metadata.get("also_matched")?.as_array());
    let also_matched = also.into_iter().flatten().filter_map(|id| id.as_str()?.parse().ok()).collect();
    Credit { goal: achievement.goal_id, event: achievement.event_id, at: achievement.achieved_at, also_matched }
}

fn of_record(achievement: &Achievement) -> Item {
    Item {
        place: Place { at: achievement.achieved_at, event: achievement.event_id, goal: achievement.goal_id },
        event_name: achievement.event_name.clone(),
        reason: Reason::Matched,
        achievement_id: Some(achievement.id),
    }
}
