//! The one function that judges: an enrollment, the goals of its workflow, and the contact's stored
//! events decide who exits. Pure; the order and repetition of the events never change the result.

use std::cmp::Ordering;
use std::collections::HashSet;

use time::{Duration, OffsetDateTime};

use super::{CompiledGoal, Reason};
use crate::ids::{EnrollmentId, EventId, GoalId};
use crate::json::Json;
use crate::workflow::{GoalLogic, Workflow};

/// What the judge must know of an enrollment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentFacts {
    pub id: EnrollmentId,
    /// From when events count.
    pub enrolled_at: OffsetDateTime,
    /// The commit of the enrollment; may be later than `enrolled_at`.
    pub created_at: OffsetDateTime,
    /// Goals it has met already, and when.
    pub already: Vec<(GoalId, OffsetDateTime)>,
    /// Whether events count that were stored before a goal took effect.
    pub catch_up: bool,
    /// The latest end of an earlier enrollment of the same contact and workflow.
    pub closed_before: Option<OffsetDateTime>,
    /// Events credited to those earlier enrollments.
    pub credited: HashSet<EventId>,
    /// Whether it has not ended.
    pub active: bool,
}

/// A stored event, as far as judging needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub event_id: EventId,
    pub event_name: String,
    pub event_time: OffsetDateTime,
    pub received_at: OffsetDateTime,
    pub properties: Json,
}

/// What follows for one enrollment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// New achievements, in the order they came about.
    pub achievements: Vec<Achievement>,
    pub exit: Option<Exit>,
    /// One for every event and goal, in the order of events, then goals.
    pub verdicts: Vec<Verdict>,
}

/// One goal newly met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Achievement {
    pub goal: GoalId,
    pub goal_version: i32,
    pub event: EventId,
    /// The event's time.
    pub achieved_at: OffsetDateTime,
    /// Under `any`: the other goals that the same event met.
    pub also_matched: Vec<GoalId>,
}

/// The enrollment ends by its goals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The goal that completed the set.
    pub completing_goal: GoalId,
    /// The latest `achieved_at` of the completing set, earlier achievements included.
    pub reached_at: OffsetDateTime,
}

/// Why one event counted for one goal, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub event_id: EventId,
    pub event_time: OffsetDateTime,
    pub goal_id: GoalId,
    pub reason: Reason,
}

/// Judges one enrollment over stored events: the earliest matching event wins, by
/// `(event_time, event_id)`.
///
/// - `any`: one achievement ever. Of the goals that one event meets, the first by position, age and id
///   is credited. An enrollment that has an achievement already (its workflow had another logic then)
///   exits with it.
/// - `all`, `at_least`: every goal is recorded when met, several by one event if need be. The exit comes
///   with the last one needed. Only goals that are active now are needed and counted, those met earlier
///   included; so after a goal was deleted, the next judgement may find the set complete.
/// - Without an active goal there is never an exit.
#[must_use]
pub fn judge(facts: &EnrollmentFacts, workflow: &Workflow, events: &[StoredEvent]) -> Judgement {
    let mut judging = Judging::new(facts, workflow);
    judging.exit_by_earlier_achievements();
    for event in in_order(events) {
        judging.event(event);
    }
    judging.judgement
}

/// Each event once, the earliest first. Two different events under one id cannot be stored; were they
/// given, the order would still be a fixed one.
fn in_order(events: &[StoredEvent]) -> Vec<&StoredEvent> {
    let mut ordered: Vec<&StoredEvent> = events.iter().collect();
    ordered.sort_by(|a, b| {
        let by_time = (a.event_time, a.event_id).cmp(&(b.event_time, b.event_id));
        by_time.then_with(|| same_id_order(a, b))
    });
    let mut seen = HashSet::with_capacity(ordered.len());
    ordered.retain(|event| seen.insert(event.event_id));
    ordered
}

fn same_id_order(a: &StoredEvent, b: &StoredEvent) -> Ordering {
    (a.received_at, &a.event_name)
        .cmp(&(b.received_at, &b.event_name))
        .then_with(|| a.properties.to_text().cmp(&b.properties.to_text()))
}

/// A goal of the workflow, and when it was met.
struct Asked<'a> {
    goal: &'a CompiledGoal,
    achieved_at: Option<OffsetDateTime>,
}

struct Judging<'a> {
    facts: &'a EnrollmentFacts,
    workflow: &'a Workflow,
    /// In the order they are asked.
    goals: Vec<Asked<'a>>,
    /// How many active goals must be met; `None`: no exit by goal.
    required: Option<usize>,
    judgement: Judgement,
}

impl<'a> Judging<'a> {
    fn new(facts: &'a EnrollmentFacts, workflow: &'a Workflow) -> Self {
        let met_at = |id: GoalId| facts.already.iter().filter(|(goal, _)| *goal == id).map(|(_, at)| *at).min();
        let mut goals: Vec<Asked<'a>> =
            workflow.goals.iter().map(|goal| Asked { goal, achieved_at: met_at(goal.id()) }).collect();
        goals.sort_by_key(|asked| asked.goal.goal().rank());
        let active = goals.iter().filter(|asked| asked.goal.goal().active).count();
        Judging { facts, workflow, goals, required: workflow.logic.required(active), judgement: Judgement::default() }
    }

    fn is_open(&self) -> bool {
        self.facts.active && self.workflow.status.is_live() && self.judgement.exit.is_none()
    }

    /// The active goals that are met, and when, in the order they are asked.
    fn met(&self) -> impl Iterator<Item = (GoalId, OffsetDateTime)> {
        let active = self.goals.iter().filter(|asked| asked.goal.goal().active);
        active.filter_map(|asked| Some((asked.goal.id(), asked.achieved_at?)))
    }

    /// What was achieved before may be enough: goals can be deleted and logic can change meanwhile.
    fn exit_by_earlier_achievements(&mut self) {
        let Some(required) = self.required.filter(|_| self.is_open()) else {
            return;
        };
        let earlier: Vec<(GoalId, OffsetDateTime)> = match self.workflow.logic {
            GoalLogic::Any => self.facts.already.clone(),
            GoalLogic::All | GoalLogic::AtLeast(_) => self.met().collect(),
        };
        if earlier.len() < required {
            return;
        }
        let latest = earlier.into_iter().max_by_key(|(goal, at)| (*at, *goal));
        self.judgement.exit = latest.map(|(completing_goal, reached_at)| Exit { completing_goal, reached_at });
    }

    fn event(&mut self, event: &StoredEvent) {
        let mut reasons: Vec<Reason> = self.goals.iter().map(|asked| self.reason(asked, event)).collect();
        let matched: Vec<usize> = (0..reasons.len()).filter(|index| reasons[*index] == Reason::Matched).collect();
        match (self.workflow.logic, matched.split_first()) {
            (_, None) => {}
            (GoalLogic::Any, Some((first, others))) => {
                for other in others {
                    reasons[*other] = Reason::AlsoMatched;
                }
                self.credit(*first, event, others);
                self.exit_when_complete(&matched[..1]);
            }
            (GoalLogic::All | GoalLogic::AtLeast(_), Some(_)) => {
                for index in &matched {
                    self.credit(*index, event, &[]);
                }
                self.exit_when_complete(&matched);
            }
        }
        let verdicts = self.goals.iter().zip(reasons).map(|(asked, reason)| Verdict {
            event_id: event.event_id,
            event_time: event.event_time,
            goal_id: asked.goal.id(),
            reason,
        });
        self.judgement.verdicts.extend(verdicts);
    }

    /// `Matched`, or the first reason why the event does not count for the goal.
    fn reason(&self, asked: &Asked<'_>, event: &StoredEvent) -> Reason {
        let (facts, goal) = (self.facts, asked.goal.goal());
        if !self.workflow.status.is_live() {
            return Reason::WorkflowInactive;
        }
        if !goal.active {
            return Reason::GoalInactive;
        }
        if let Err(reason) = asked.goal.verdict(&event.event_name, &event.properties) {
            return reason;
        }
        if event.event_time < facts.enrolled_at {
            return Reason::BeforeEnrollment;
        }
        if facts.credited.contains(&event.event_id) {
            return Reason::CreditedEarlier;
        }
        if facts.closed_before.is_some_and(|end| event.event_time < end) {
            return Reason::BeforeEarlierExit;
        }
        let elapsed = event.event_time - facts.enrolled_at;
        if goal.within.is_some_and(|within| elapsed >= Duration::seconds(within.seconds)) {
            return Reason::OutsideWindow;
        }
        let effective = |from| facts.catch_up || event.received_at >= from || facts.created_at >= from;
        if !goal.effective_from.is_none_or(effective) {
            return Reason::BeforeGoal;
        }
        if !self.is_open() {
            return Reason::AlreadyExited;
        }
        if asked.achieved_at.is_some() { Reason::AlreadyAchieved } else { Reason::Matched }
    }

    fn credit(&mut self, index: usize, event: &StoredEvent, others: &[usize]) {
        let also_matched = others.iter().map(|other| self.goals[*other].goal.id()).collect();
        let asked = &mut self.goals[index];
        asked.achieved_at = Some(event.event_time);
        self.judgement.achievements.push(Achievement {
            goal: asked.goal.id(),
            goal_version: asked.goal.goal().version,
            event: event.event_id,
            achieved_at: event.event_time,
            also_matched,
        });
    }

    /// Ends the enrollment if the goals just credited complete the set: the one with which the count
    /// was reached is the completing one.
    fn exit_when_complete(&mut self, credited: &[usize]) {
        let Some(required) = self.required else {
            return;
        };
        let met: Vec<(GoalId, OffsetDateTime)> = self.met().collect();
        let before = met.len() - credited.len();
        if met.len() < required {
            return;
        }
        // `before < required`, or the exit would have come earlier.
        let completing = credited.get((required - 1).saturating_sub(before));
        let latest = met.iter().map(|(_, at)| *at).max();
        if let (Some(index), Some(reached_at)) = (completing, latest) {
            self.judgement.exit = Some(Exit { completing_goal: self.goals[*index].goal.id(), reached_at });
        }
    }
}
