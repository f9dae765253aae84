//! A live system in one thread: what is stored waits in a backlog, is nominated by the index of the moment, and judged over all
//! that is stored; every judgement beside the oracle's.

use std::collections::BTreeMap;

use domain::goal::{Directory, TenantRules, judge};
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::allowed::{Change, Chronicle, End, Outcome, Recorded, Span, is_allowed};
use crate::at_once;
use crate::history::{self, Configured, SECOND};
use crate::oracle::{self, Event, Id, Moment, Passage, Workflow, counts, decide};
use crate::random::{any_deed, any_logic};
use crate::real;

const CONTACTS: usize = 2;

/// What was seen in some histories: a test that meets nothing shows nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub judgements: u64,
    pub achievements: u64,
    pub exits: u64,
    pub ends: u64,
    pub reentries: u64,
    /// Exits of a workflow with more than one goal to be met.
    pub several: u64,
    /// Exits by achievements of before, after a change.
    pub by_earlier: u64,
    pub also_matched: u64,
    /// Outcomes without an achievement that came out; and those of them that the model does not allow.
    pub altered: u64,
    pub refused: u64,
}

/// One enrollment, and what came of it.
struct Case {
    contact: usize,
    workflow: usize,
    passage: Passage,
    enrolled: u64,
    ends: Vec<u64>,
    closed_at: Option<Moment>,
    outcome: Outcome,
}

struct World {
    rng: StdRng,
    directory: Directory,
    /// The number of the step, and so the clock.
    step: u64,
    configured: Vec<Configured>,
    /// Changes made: what the ids of goals are made of.
    made: Id,
    changes: Vec<Vec<Change>>,
    stored: Vec<(u64, usize, Event)>,
    backlog: Vec<usize>,
    rechecks: Vec<usize>,
    cases: Vec<Case>,
    tally: Tally,
}

/// A whole history; panics where something does not hold.
pub fn run(seed: u64) -> Tally {
    let mut world = World::new(seed);
    let steps = world.rng.random_range(10..60);
    for _ in 0..steps {
        world.step += 1;
        match world.rng.random_range(0..20) {
            0..=2 => world.change(),
            3..=5 => world.enroll(),
            6 => world.end(),
            7..=14 => world.arrive(),
            _ => world.work(),
        }
    }
    world.step += 1;
    world.work();
    world.finish();
    world.tally
}

/// Every step here is one moment.
fn span(step: u64) -> Span {
    Span { asked: step, answered: step }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let workflows = rng.random_range(1..3);
        let configured: Vec<Configured> = (0..workflows).map(|_| Configured::new(any_logic(&mut rng))).collect();
        let changes = vec![Vec::new(); configured.len()];
        let mut world = Self {
            rng,
            directory: real::directory(),
            step: 0,
            configured,
            made: 0,
            changes,
            stored: Vec::new(),
            backlog: Vec::new(),
            rechecks: Vec::new(),
            cases: Vec::new(),
            tally: Tally::default(),
        };
        for workflow in 0..workflows {
            for _ in 0..world.rng.random_range(1..4) {
                let goal = world.configured[workflow].any_goal(&mut world.rng);
                goal.into_iter().for_each(|goal| world.make(workflow, &goal));
            }
            world.make(workflow, &history::Change::Activate { catch_up: false });
        }
        world
    }

    fn now(&self) -> Moment {
        i64::try_from(self.step).unwrap() * SECOND
    }

    fn change(&mut self) {
        let workflow = self.rng.random_range(0..self.configured.len());
        if let Some(change) = self.configured[workflow].any_change(&mut self.rng) {
            self.make(workflow, &change);
        }
    }

    fn make(&mut self, workflow: usize, change: &history::Change) {
        // Later goals may have smaller ids.
        self.made += 1;
        let (id, now) = (self.made * 7 % 100 * 100 + self.made, self.now());
        let rechecks = self.configured[workflow].make(change, id, now);
        let to = self.configured[workflow].now.clone();
        self.changes[workflow].push(Change { span: span(self.step), to, rechecks, clock: (now, now) });
        if rechecks {
            self.rechecks.extend((0..self.cases.len()).filter(|case| self.cases[*case].workflow == workflow));
        }
        self.step += 1;
    }

    fn enroll(&mut self) {
        let workflow = self.rng.random_range(0..self.configured.len());
        let contact = self.rng.random_range(0..CONTACTS);
        let mut before = self.cases.iter().filter(|case| (case.workflow, case.contact) == (workflow, contact));
        if before.clone().any(|case| case.passage.active) {
            return;
        }
        let credited = before.clone().flat_map(|case| case.outcome.achieved.iter().map(|it| it.event)).collect();
        let closed_before = before.next_back().map(|case| case.closed_at.unwrap());
        self.tally.reentries += u64::from(closed_before.is_some());
        let enrolled_at = self.now() - self.rng.random_range(0..20) * SECOND;
        let passage =
            Passage { enrolled_at, created_at: self.now(), already: Vec::new(), closed_before, credited, active: true };
        let outcome = Outcome { achieved: Vec::new(), end: End::None };
        self.rechecks.push(self.cases.len());
        let (enrolled, ends) = (self.step, Vec::new());
        self.cases.push(Case { contact, workflow, passage, enrolled, ends, closed_at: None, outcome });
    }

    fn end(&mut self) {
        let (step, now) = (self.step, self.now());
        let Some(case) = self.cases.choose_mut(&mut self.rng) else {
            return;
        };
        case.ends.push(step);
        if case.passage.active {
            case.outcome.end = End::Asked;
            case.close(now);
            self.tally.ends += 1;
        }
    }

    /// Some events in an order of their own, and now and then one that was stored before.
    fn arrive(&mut self) {
        for _ in 0..self.rng.random_range(1..4) {
            if self.rng.random_bool(0.15) && !self.stored.is_empty() {
                self.backlog.push(self.rng.random_range(0..self.stored.len()));
                continue;
            }
            let (name, properties) = any_deed(&mut self.rng);
            let at = self.now() + self.rng.random_range(-15..4) * SECOND;
            // Ids are of any order, so that they decide between events of one time.
            let id = Id::from(self.rng.random_range(0..1_000_u32)) * 1_000 + self.stored.len() as Id;
            let event = Event { id, name, properties, at, received_at: self.now() };
            let contact = self.rng.random_range(0..CONTACTS);
            self.backlog.push(self.stored.len());
            self.stored.push((self.step, contact, event));
        }
    }

    /// Takes the backlog in some order, nominates by the index, and judges who was nominated or is to be judged again.
    fn work(&mut self) {
        let workflows =
            (1..).zip(&self.configured).map(|(number, it)| real::workflow(number, &it.now, it.status, &self.directory));
        let rules = TenantRules::build(workflows.collect());
        let mut nominated: Vec<usize> = std::mem::take(&mut self.rechecks);
        for taken in std::mem::take(&mut self.backlog) {
            let (_, contact, event) = &self.stored[taken];
            let stored = real::event(event);
            let mut found = Vec::new();
            rules.nominate(&stored.event_name, &stored.properties, &mut found);
            let found: Vec<usize> =
                found.iter().map(|id| usize::try_from(id.as_uuid().as_u128()).unwrap() - 1).collect();
            let met = (0..self.configured.len()).filter(|it| self.configured[*it].now.is_met_by(event));
            assert_eq!(found, met.collect::<Vec<_>>(), "who is nominated by {event:?}");
            let cases = self.cases.iter().enumerate();
            let cases = cases.filter(|(_, case)| case.contact == *contact && found.contains(&case.workflow));
            nominated.extend(cases.map(|(place, _)| place));
        }
        nominated.shuffle(&mut self.rng);
        for case in nominated {
            let workflow = rules.workflow(Uuid::from_u128(self.cases[case].workflow as u128 + 1).into()).unwrap();
            self.judge(case, workflow);
            // At once again, which changes nothing.
            let before = self.cases[case].outcome.clone();
            self.judge(case, workflow);
            assert_eq!(self.cases[case].outcome, before, "judging again");
        }
    }

    fn judge(&mut self, case: usize, workflow: &domain::workflow::Workflow) {
        let events = self.events_of(self.cases[case].contact);
        let now = self.now();
        let case = &mut self.cases[case];
        let configured = &self.configured[case.workflow].now;
        let mut stored: Vec<_> = events.iter().map(real::event).collect();
        stored.shuffle(&mut self.rng);
        let judgement = judge(&real::facts(&case.passage), workflow, &stored);
        let decision = decide(&case.passage, configured, &events);
        real::assert_same(&judgement, &decision, &case.passage);
        self.tally.judgements += 1;
        for new in &decision.achieved {
            let goal = configured.goals.iter().find(|goal| goal.id == new.goal).unwrap();
            let event = events.iter().find(|event| event.id == new.event).unwrap();
            assert!(counts(&case.passage, goal, event) && configured.live, "{event:?} is credited to {goal:?}");
            case.passage.already.push((new.goal, new.at));
            case.outcome.achieved.push(Recorded {
                goal: new.goal,
                version: new.version,
                event: new.event,
                recorded_at: now,
            });
            self.tally.achievements += 1;
            self.tally.also_matched += u64::from(!new.also.is_empty());
        }
        if let Some(exit) = decision.exit {
            case.outcome.end = End::Goal(exit.reached_at);
            case.close(now);
            self.tally.exits += 1;
            self.tally.several += u64::from(case.outcome.achieved.len() > 1);
            self.tally.by_earlier += u64::from(exit.completing.is_none());
        }
    }

    fn events_of(&self, contact: usize) -> Vec<Event> {
        self.stored.iter().filter(|it| it.1 == contact).map(|it| it.2.clone()).collect()
    }

    /// What holds in the end: the sequential model allows what came out, and little else; and everything judged at once.
    fn finish(&mut self) {
        for place in 0..self.cases.len() {
            let case = &self.cases[place];
            let ids: BTreeMap<Id, usize> = case.outcome.achieved.iter().map(|it| it.goal).zip(1..).collect();
            assert_eq!(ids.len(), case.outcome.achieved.len(), "a goal is achieved once");
            let chronicle = self.chronicle(case);
            assert!(is_allowed(&chronicle, &case.outcome), "{:#?}\nis not allowed of\n{chronicle:#?}", case.outcome);
            for other in case.outcome.impossible() {
                assert!(!is_allowed(&chronicle, &other), "{other:#?}\nis allowed of\n{chronicle:#?}");
            }
            if let Some(other) = case.outcome.without_the_last() {
                self.tally.altered += 1;
                self.tally.refused += u64::from(!is_allowed(&chronicle, &other));
            }
            let events = self.events_of(self.cases[place].contact);
            let case = &self.cases[place];
            let configured = &self.configured[case.workflow];
            let workflow = real::workflow(1, &configured.now, configured.status, &self.directory);
            at_once::check(&case.passage, (&configured.now, &workflow), &events, &mut self.rng);
        }
    }

    fn chronicle(&self, case: &Case) -> Chronicle {
        let changes = &self.changes[case.workflow];
        let goals = changes.iter().flat_map(|change| &change.to.goals);
        let wanted = |event: &Event| goals.clone().any(|goal| oracle::meets(&goal.wish, event));
        let events = self.stored.iter().filter(|(_, contact, event)| *contact == case.contact && wanted(event));
        let passage = Passage { already: Vec::new(), active: true, ..case.passage.clone() };
        Chronicle {
            workflow: Workflow { live: false, logic: oracle::Logic::Any, goals: Vec::new() },
            changes: changes.clone(),
            events: events.map(|(step, _, event)| (span(*step), event.clone())).collect(),
            enrolled: span(case.enrolled),
            ends: case.ends.iter().map(|step| span(*step)).collect(),
            passage,
        }
    }
}

impl Case {
    fn close(&mut self, now: Moment) {
        self.passage.active = false;
        self.closed_at = Some(now);
    }
}

impl Outcome {
    /// What no order of steps leads to.
    fn impossible(&self) -> Vec<Self> {
        let mut impossible = Vec::new();
        if let Some(first) = self.achieved.first() {
            let mut other = self.clone();
            other.achieved[0].version = first.version + 1;
            impossible.push(other);
            let mut other = self.clone();
            other.achieved[0].event += 1;
            impossible.push(other);
        }
        impossible.push(Self { end: End::Goal(Moment::MIN), ..self.clone() });
        impossible
    }

    /// As if the last achievement had been missed. Now and then this can be, if everything was judged later.
    fn without_the_last(&self) -> Option<Self> {
        let mut other = self.clone();
        other.achieved.pop()?;
        other.end = if self.end == End::Asked { End::Asked } else { End::None };
        Some(other)
    }
}

impl Tally {
    fn counters(&mut self) -> [&mut u64; 10] {
        let Self {
            judgements,
            achievements,
            exits,
            ends,
            reentries,
            several,
            by_earlier,
            also_matched,
            altered,
            refused,
        } = self;
        [judgements, achievements, exits, ends, reentries, several, by_earlier, also_matched, altered, refused]
    }

    pub fn add(&mut self, other: &Self) {
        let mut other = *other;
        for (sum, more) in self.counters().into_iter().zip(other.counters()) {
            *sum += *more;
        }
    }

    /// So many histories met everything, or they show nothing.
    pub fn assert_all_was_seen(&mut self, histories: u64) {
        let tally = *self;
        if histories >= 1_000 {
            assert!(self.counters().into_iter().all(|count| *count > 0), "{tally:?}");
            assert!(tally.refused * 2 > tally.altered, "the model allows too much: {tally:?}");
        }
    }
}
