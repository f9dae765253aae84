//! The sequential model: one process that stores, changes, enrolls, ends and judges, one step at a time. An outcome is allowed
//! if there is any order of those steps, true to what is known of their times, that leads to it.
//!
//! What the model must do: every stored event that meets an active goal of a live workflow at the moment when it is taken is
//! followed by a judgement over everything stored; so is every enrollment, and every activation that asks for it. What it may
//! do: judge once more at any time, since messages are delivered again.

use std::collections::HashSet;

use crate::oracle::{Event, Id, Moment, Passage, Workflow, decide};

/// When a step happened, by the clock of whoever asked for it: after it was asked for, before it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub asked: u64,
    pub answered: u64,
}

/// A change of the workflow.
#[derive(Debug, Clone)]
pub struct Change {
    pub span: Span,
    /// The workflow from then on.
    pub to: Workflow,
    /// Whether it asks for a judgement of everybody.
    pub rechecks: bool,
    /// Database clock before it was asked for and after it was answered.
    pub clock: (Moment, Moment),
}

/// All that is known of one enrollment.
#[derive(Debug, Clone)]
pub struct Chronicle {
    /// As it was at first.
    pub workflow: Workflow,
    pub changes: Vec<Change>,
    /// Those of the contact, each once.
    pub events: Vec<(Span, Event)>,
    pub enrolled: Span,
    /// Requests to end it; the first that finds it active ends it.
    pub ends: Vec<Span>,
    pub passage: Passage,
}

/// What came of an enrollment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub achieved: Vec<Recorded>,
    pub end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub goal: Id,
    pub version: i32,
    pub event: Id,
    /// Database clock under the locks of the judgement.
    pub recorded_at: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    None,
    /// By its goals, reached at this time.
    Goal(Moment),
    /// By a request.
    Asked,
}

/// A set of steps, of events, or of achievements: a bit each.
type Set = u128;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    /// Steps that were made: changes, events, the enrollment, the ends.
    made: Set,
    /// Events stored and not taken yet.
    waiting: Set,
    /// Whether a recheck is still to be made.
    owes: bool,
    achieved: Set,
    ended: bool,
}

struct Search<'a> {
    chronicle: &'a Chronicle,
    outcome: &'a Outcome,
    spans: Vec<Span>,
    seen: HashSet<State>,
}

/// Whether the model can come to this outcome.
pub fn is_allowed(chronicle: &Chronicle, outcome: &Outcome) -> bool {
    let changes = chronicle.changes.iter().map(|change| change.span);
    let events = chronicle.events.iter().map(|(span, _)| *span);
    let spans: Vec<Span> = changes.chain(events).chain([chronicle.enrolled]).chain(chronicle.ends.clone()).collect();
    assert!(spans.len() < 128, "too long a chronicle");
    let first = State { made: 0, waiting: 0, owes: false, achieved: 0, ended: false };
    Search { chronicle, outcome, spans, seen: HashSet::new() }.leads_on(first)
}

impl Search<'_> {
    fn leads_on(&mut self, state: State) -> bool {
        let state = self.passed_over(state);
        if !self.seen.insert(state) {
            return false;
        }
        if self.is_outcome(state) {
            return true;
        }
        match self.judged(state) {
            // It settles what waits and does nothing else: there is no reason to put it off.
            Some(judged) if judged != state && (judged.achieved, judged.ended) == (state.achieved, state.ended) => {
                return self.leads_on(judged);
            }
            Some(judged) if self.leads_on(judged) => return true,
            _ => {}
        }
        let next: Vec<State> = self.steps(state).collect();
        next.into_iter().any(|next| self.leads_on(next))
    }

    fn is_outcome(&self, state: State) -> bool {
        let all = |count: usize| (1_u128 << count) - 1;
        state.made == all(self.spans.len())
            && state.waiting == 0
            && !state.owes
            && state.achieved == all(self.outcome.achieved.len())
            && state.ended == (self.outcome.end != End::None)
    }

    fn workflow(&self, state: State) -> &Workflow {
        let last = self.chronicle.changes.iter().enumerate().rev().find(|(place, _)| state.made >> place & 1 == 1);
        last.map_or(&self.chronicle.workflow, |(_, change)| &change.to)
    }

    /// The place of an event, and of the enrollment, among the steps.
    fn place_of_event(&self, event: usize) -> usize {
        self.chronicle.changes.len() + event
    }

    fn place_of_enrollment(&self) -> usize {
        self.place_of_event(self.chronicle.events.len())
    }

    fn is_enrolled(&self, state: State) -> bool {
        state.made >> self.place_of_enrollment() & 1 == 1
    }

    /// Judged now, over all that is stored; none if that would make something else of it than what came out.
    fn judged(&self, state: State) -> Option<State> {
        let settled = State { waiting: 0, owes: false, ..state };
        if !self.is_enrolled(state) || state.ended {
            return Some(settled);
        }
        let events = &self.chronicle.events;
        let stored = (0..events.len()).filter(|event| state.made >> self.place_of_event(*event) & 1 == 1);
        let stored: Vec<Event> = stored.map(|event| events[event].1.clone()).collect();
        let before = self.outcome.achieved.iter().enumerate().filter(|(place, _)| state.achieved >> place & 1 == 1);
        let at = |id: Id| events.iter().find(|(_, event)| event.id == id).map(|(_, event)| event.at);
        let already = before.map(|(_, it)| Some((it.goal, at(it.event)?))).collect::<Option<Vec<_>>>()?;
        let passage = Passage { already, ..self.chronicle.passage.clone() };
        let decision = decide(&passage, self.workflow(state), &stored);
        let mut judged = settled;
        for new in &decision.achieved {
            let place = self.outcome.achieved.iter().position(|it| {
                (it.goal, it.version, it.event) == (new.goal, new.version, new.event)
                    && self.is_then(state, it.recorded_at)
            })?;
            judged.achieved |= 1 << place;
        }
        match decision.exit {
            Some(exit) if self.outcome.end == End::Goal(exit.reached_at) => judged.ended = true,
            Some(_) => return None,
            None => {}
        }
        Some(judged)
    }

    /// Whether a moment of the database clock can be now.
    fn is_then(&self, state: State, moment: Moment) -> bool {
        self.chronicle.changes.iter().enumerate().all(|(place, change)| match state.made >> place & 1 {
            1 => change.clock.0 <= moment,
            _ => moment <= change.clock.1,
        })
    }

    /// Takes what waits and meets nothing now. The sooner the better: nothing has to follow.
    fn passed_over(&self, state: State) -> State {
        let workflow = self.workflow(state);
        let meets = |event: &usize| workflow.is_met_by(&self.chronicle.events[*event].1);
        let waiting = (0..self.chronicle.events.len()).filter(|event| state.waiting >> event & 1 == 1);
        State { waiting: waiting.filter(meets).map(|event| 1 << event).sum(), ..state }
    }

    /// One more step that may come now: everything that was answered before it was asked for has been made.
    fn steps(&self, state: State) -> impl Iterator<Item = State> {
        let is_made = move |place: usize| state.made >> place & 1 == 1;
        let may_come = move |place: &usize| {
            let earlier = (0..self.spans.len()).filter(|other| self.spans[*other].answered < self.spans[*place].asked);
            !is_made(*place) && earlier.into_iter().all(is_made)
        };
        (0..self.spans.len()).filter(may_come).filter_map(move |place| self.made(state, place))
    }

    fn made(&self, state: State, place: usize) -> Option<State> {
        let mut next = State { made: state.made | 1 << place, ..state };
        let enrollment = self.place_of_enrollment();
        if let Some(change) = self.chronicle.changes.get(place) {
            next.owes |= change.rechecks;
        } else if place < enrollment {
            next.waiting |= 1 << (place - self.chronicle.changes.len());
        } else if place == enrollment {
            next.owes = true;
        } else if !state.ended && self.is_enrolled(state) {
            if self.outcome.end != End::Asked {
                return None;
            }
            next.ended = true;
        }
        Some(next)
    }
}
