//! Everything stored before anything is judged: the order of arrival and repetition change nothing. And in pieces, under one
//! configuration: only who is credited may differ, never who exits.

use std::collections::BTreeSet;

use domain::goal::{Judgement, StoredEvent, judge};
use domain::workflow::Workflow;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::oracle::{self, Event, Logic, Passage, decide};
use crate::real;

/// An enrollment as if nothing of it had been judged yet.
pub fn check(ended: &Passage, (model, workflow): (&oracle::Workflow, &Workflow), events: &[Event], rng: &mut StdRng) {
    let passage = Passage { already: Vec::new(), active: true, ..ended.clone() };
    let facts = real::facts(&passage);
    let decision = decide(&passage, model, events);
    let mut stored: Vec<StoredEvent> = events.iter().map(real::event).collect();
    for _ in 0..2 {
        stored.shuffle(rng);
        real::assert_same(&judge(&facts, workflow, &stored), &decision, &passage);
        stored.extend((0..3).filter_map(|_| stored.choose(rng).cloned()).collect::<Vec<_>>());
    }
    let at_once = judge(&facts, workflow, &stored);
    let in_pieces = in_pieces(&passage, workflow, &stored, rng);
    assert_eq!(in_pieces.exit.is_some(), at_once.exit.is_some(), "who exits, in pieces");
    if at_once.exit.is_none() || model.logic == Logic::All {
        assert_eq!(goals(&in_pieces), goals(&at_once), "what is achieved, in pieces");
    }
}

fn goals(judgement: &Judgement) -> BTreeSet<domain::ids::GoalId> {
    judgement.achievements.iter().map(|achievement| achievement.goal).collect()
}

/// All that was achieved while the events arrived a few at a time.
fn in_pieces(passage: &Passage, workflow: &Workflow, events: &[StoredEvent], rng: &mut StdRng) -> Judgement {
    let mut facts = real::facts(passage);
    let mut all = Judgement::default();
    let mut stored = 0;
    while stored < events.len() && all.exit.is_none() {
        stored = events.len().min(stored + rng.random_range(1..4));
        let judgement = judge(&facts, workflow, &events[..stored]);
        facts.already.extend(judgement.achievements.iter().map(|it| (it.goal, it.achieved_at)));
        all.achievements.extend(judgement.achievements);
        all.exit = judgement.exit;
    }
    all
}
