//! The configuration of a workflow, its random changes, and what each of them makes of it, by the specification.

use domain::workflow::WorkflowStatus;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};

use crate::oracle::{Goal, Id, Logic, Moment, Wish, Workflow};
use crate::random::{any_logic, any_wish};

/// A second, in which windows are told.
pub const SECOND: Moment = 1_000_000;
const MOST_GOALS: usize = 3;

/// What is asked for.
#[derive(Debug, Clone)]
pub enum Change {
    Add { wish: Wish, within: Option<Moment>, position: i16 },
    Wish(Id, Wish),
    Within(Id, Option<Moment>),
    Position(Id, i16),
    Switch(Id, bool),
    Delete(Id),
    Logic(Logic),
    Activate { catch_up: bool },
    Pause,
    Deactivate,
}

/// A workflow as it stands.
#[derive(Debug, Clone)]
pub struct Configured {
    pub status: WorkflowStatus,
    pub now: Workflow,
}

impl Configured {
    pub fn new(logic: Logic) -> Self {
        Self { status: WorkflowStatus::Draft, now: Workflow { live: false, logic, goals: Vec::new() } }
    }

    /// A change of any kind that is possible now and changes something.
    pub fn any_change(&self, rng: &mut StdRng) -> Option<Change> {
        let change = match rng.random_range(0..14) {
            0..=2 => self.any_goal(rng)?,
            3..=5 => self.any_edit(rng)?,
            6 => Change::Delete(self.now.goals.iter().choose(rng)?.id),
            7 => Change::Logic(any_logic(rng)),
            8..=10 => Change::Activate { catch_up: rng.random_bool(0.3) },
            11 => Change::Pause,
            _ => Change::Deactivate,
        };
        let is_possible = match change {
            Change::Logic(logic) => logic != self.now.logic,
            Change::Activate { .. } => self.status != WorkflowStatus::Active,
            Change::Pause => self.status == WorkflowStatus::Active,
            Change::Deactivate => self.now.live,
            _ => true,
        };
        is_possible.then_some(change)
    }

    /// One more goal, if there may be one.
    pub fn any_goal(&self, rng: &mut StdRng) -> Option<Change> {
        let wish = self.another(rng, |_| true)?;
        let within = any_within(rng);
        (self.now.goals.len() < MOST_GOALS).then(|| Change::Add { wish, within, position: rng.random_range(1..4) })
    }

    fn any_edit(&self, rng: &mut StdRng) -> Option<Change> {
        let goal = self.now.goals.iter().choose(rng)?;
        let (within, position) = (any_within(rng), rng.random_range(1..4));
        match rng.random_range(0..4) {
            0 => Some(Change::Wish(goal.id, self.another(rng, |wish| wish.goal_type() == goal.wish.goal_type())?)),
            1 => (within != goal.within).then_some(Change::Within(goal.id, within)),
            2 => (position != goal.position).then_some(Change::Position(goal.id, position)),
            _ => Some(Change::Switch(goal.id, !goal.active)),
        }
    }

    /// Criteria that no goal here has, in whatever spelling.
    fn another(&self, rng: &mut StdRng, fits: impl Fn(&Wish) -> bool) -> Option<Wish> {
        let wishes = (0..20).map(|_| any_wish(rng)).find(|wish| fits(wish))?;
        let is_new = self.now.goals.iter().all(|goal| goal.wish.canonical() != wishes.canonical());
        is_new.then_some(wishes)
    }

    /// Makes a change, at this moment; a goal that is added gets this id. Whether it asks for a judgement of all enrollments.
    pub fn make(&mut self, change: &Change, id: Id, now: Moment) -> bool {
        match change {
            Change::Add { wish, within, position } => self.now.goals.push(Goal {
                id,
                wish: wish.clone(),
                within: *within,
                position: *position,
                version: 1,
                created_at: now,
                effective_from: self.now.live.then_some(now),
                active: true,
            }),
            Change::Wish(id, wish) => self.edit(*id, now, |goal| goal.wish = wish.clone()),
            Change::Within(id, within) => self.edit(*id, now, |goal| goal.within = *within),
            Change::Position(id, position) => self.edit(*id, now, |goal| goal.position = *position),
            Change::Switch(id, active) => self.edit(*id, now, |goal| goal.active = *active),
            Change::Delete(id) => self.now.goals.retain(|goal| goal.id != *id),
            Change::Logic(logic) => self.now.logic = *logic,
            Change::Activate { catch_up } => self.activate(*catch_up, now),
            Change::Pause => self.status = WorkflowStatus::Paused,
            Change::Deactivate => self.status = WorkflowStatus::Inactive,
        }
        self.now.live = matches!(self.status, WorkflowStatus::Active | WorkflowStatus::Paused);
        matches!(change, Change::Activate { catch_up: true })
    }

    /// Edits apply to events from then on; another position means nothing else.
    fn edit(&mut self, id: Id, now: Moment, edit: impl FnOnce(&mut Goal)) {
        let goal = self.now.goals.iter_mut().find(|goal| goal.id == id).unwrap();
        let before = goal.clone();
        edit(goal);
        goal.version += 1;
        let is_anew = (&goal.wish, goal.within) != (&before.wish, before.within) || (goal.active && !before.active);
        if self.now.live && is_anew {
            goal.effective_from = Some(now);
        }
    }

    fn activate(&mut self, catch_up: bool, now: Moment) {
        if self.status != WorkflowStatus::Paused || catch_up {
            for goal in &mut self.now.goals {
                goal.effective_from = (!catch_up).then_some(now);
            }
        }
        self.status = WorkflowStatus::Active;
    }
}

fn any_within(rng: &mut StdRng) -> Option<Moment> {
    [None, None, Some(5), Some(20), Some(60)].choose(rng).unwrap().map(|seconds| seconds * SECOND)
}
