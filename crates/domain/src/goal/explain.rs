//! Why each event counted for an enrollment, or did not, told after the fact: the verdicts of the judge, held to what was recorded.
//! Pure, and any part of the events can be explained without the others.

use time::OffsetDateTime;

use super::{Achievement, EnrollmentFacts, Judgement, Reason, StoredEvent, Verdict, judge};
use crate::ids::{EventId, GoalId};
use crate::workflow::{Workflow, WorkflowStatus};

/// The event that met a goal, and is credited for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    pub goal: GoalId,
    pub event: EventId,
    /// The event's time.
    pub at: OffsetDateTime,
    /// Under `any`: the other goals that the same event met.
    pub also_matched: Vec<GoalId>,
}

impl From<&Achievement> for Credit {
    fn from(achievement: &Achievement) -> Self {
        let also_matched = achievement.also_matched.clone();
        Credit { goal: achievement.goal, event: achievement.event, at: achievement.achieved_at, also_matched }
    }
}

/// How an enrollment came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The commit that ended it; what was stored later came too late.
    pub exited_at: OffsetDateTime,
    /// Whether its goals ended it: then nothing counts that is later than the last event credited.
    pub by_goal: bool,
}

/// What is settled about an enrollment, and no event can change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// What was recorded; and for an enrollment that has not ended, what the next judgement will record.
    pub credits: Vec<Credit>,
    /// The end that was recorded.
    pub end: Option<End>,
    /// It has not ended, and the next judgement ends it.
    pub ending: bool,
}

/// Judges a piece of an enrollment's events, and takes down what follows. Piece by piece in the order of (time, id), this comes to the
/// same as judging all of them at once.
pub fn judge_on(
    facts: &mut EnrollmentFacts,
    settled: &mut Settled,
    (workflow, events): (&Workflow, &[StoredEvent]),
) -> Judgement {
    let judgement = judge(facts, workflow, events);
    facts.already.extend(judgement.achievements.iter().map(|achieved| (achieved.goal, achieved.achieved_at)));
    facts.active &= judgement.exit.is_none();
    settled.credits.extend(judgement.achievements.iter().map(Credit::from));
    settled.ending |= judgement.exit.is_some();
    judgement
}

/// A verdict for every event and goal, in the order of events as they are given, then of goals by id.
///
/// An event that is credited shows [`Reason::Matched`] for its goal, whatever became of the goal since. What the judge finds to count
/// by itself, and is not credited, came after the exit, or the goal was met already. What became of the workflow after the
/// enrollment ended says nothing about it.
#[must_use]
pub fn explain(
    facts: &EnrollmentFacts,
    workflow: &Workflow,
    settled: &Settled,
    events: &[StoredEvent],
) -> Vec<Verdict> {
    // Each event by itself: nothing achieved, nothing ended. What is before and after it is settled.
    let alone = EnrollmentFacts { already: Vec::new(), active: true, ..facts.clone() };
    let ended = settled.end.map(|_| Workflow { status: WorkflowStatus::Active, ..workflow.clone() });
    let workflow = ended.as_ref().unwrap_or(workflow);
    let mut verdicts = Vec::with_capacity(events.len() * workflow.goals.len());
    for event in events {
        let mut of_event = judge(&alone, workflow, std::slice::from_ref(event)).verdicts;
        of_event.sort_by_key(|verdict| verdict.goal_id);
        verdicts
            .extend(of_event.into_iter().map(|verdict| Verdict { reason: settled.reason(&verdict, event), ..verdict }));
    }
    verdicts
}

impl Settled {
    /// The judge's verdict on an event by itself, seen with what is settled.
    fn reason(&self, alone: &Verdict, event: &StoredEvent) -> Reason {
        let of_event = || self.credits.iter().filter(|credit| credit.event == event.event_id);
        if of_event().any(|credit| credit.goal == alone.goal_id) {
            return Reason::Matched;
        }
        if of_event().any(|credit| credit.also_matched.contains(&alone.goal_id)) {
            return Reason::AlsoMatched;
        }
        if !matches!(alone.reason, Reason::Matched | Reason::AlsoMatched) {
            return alone.reason;
        }
        if self.is_past(event) {
            return Reason::AlreadyExited;
        }
        if self.credits.iter().any(|credit| credit.goal == alone.goal_id) {
            return Reason::AlreadyAchieved;
        }
        if self.end.is_some() || self.ending { Reason::AlreadyExited } else { alone.reason }
    }

    /// Whether the event is later than the end: in the order of events, or stored after it.
    fn is_past(&self, event: &StoredEvent) -> bool {
        let by_goal = self.ending || self.end.is_some_and(|end| end.by_goal);
        let last = self.credits.iter().map(|credit| (credit.at, credit.event)).max();
        by_goal && last.is_some_and(|last| (event.event_time, event.event_id) > last)
            || self.end.is_some_and(|end| event.received_at >= end.exited_at)
    }
}
