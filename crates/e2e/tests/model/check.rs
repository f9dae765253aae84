//! Decides, from what a tenant asked for and was answered, from PostgreSQL and from a subscriber's log, whether the sequential
//! model allows what came out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;
use uuid::Uuid;

use crate::allowed::{self, Chronicle, End, Outcome, Recorded, Span, is_allowed};
use crate::cluster::shadow::{Log, by_id};
use crate::facts::{Enrollment, Facts};
use crate::oracle::{self, Event, Id, Logic, Passage, Workflow};
use crate::tenant::{Enrolling, Tenant};

/// Exits as a subscriber got them: per enrollment the ids of its messages, with how often each came, and a body.
pub type Exits = BTreeMap<Uuid, Vec<(Uuid, usize, Value)>>;

pub fn exits(log: &Log) -> Exits {
    let mut exits = Exits::new();
    for (id, messages) in by_id(log) {
        let body: Value = serde_json::from_str(&messages[0].body).unwrap();
        let enrollment = body["data"]["enrollment_id"].as_str().unwrap().parse().unwrap();
        exits.entry(enrollment).or_default().push((id, messages.len(), body));
    }
    exits
}

/// What was judged, and what is wrong.
#[derive(Debug, Default)]
pub struct Tally {
    pub tenants: usize,
    pub changes: usize,
    pub events: usize,
    /// Events that were on their way while their workflow was changed.
    pub concurrent: usize,
    pub enrollments: usize,
    pub reentries: usize,
    pub achievements: usize,
    pub exits: usize,
    pub ends: usize,
    /// Messages that came again, which is allowed.
    pub repeats: u64,
    pub wrong: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenants, changes, events, concurrent, enrollments, reentries, achievements, exits, ends, .. } = self;
        write!(
            f,
            "{tenants} tenants, {changes} changes, {events} events ({concurrent} beside a change), {enrollments} enrollments \
             ({reentries} once more), {achievements} achievements, {exits} exits, {ends} ends, {} wrong",
            self.wrong.len()
        )
    }
}

impl Tally {
    pub fn assert_all_was_seen(&self) {
        let Self { concurrent, reentries, achievements, exits, ends, .. } = self;
        for seen in [concurrent, reentries, achievements, exits, ends] {
            assert!(*seen > 0, "a test that meets nothing shows nothing: {self}");
        }
    }

    /// One tenant.
    pub fn judge(&mut self, tenant: &Tenant<'_>, facts: &Facts, exits: &Exits) {
        self.tenants += 1;
        let mut wrong = Vec::new();
        let events = self.events(tenant, facts, &mut wrong);
        for enrollment in &facts.enrollments {
            self.enrollment(tenant, (facts, enrollment), &events, &mut wrong);
            self.exit(tenant, enrollment, exits, &mut wrong);
        }
        for enrolling in tenant.enrollings.borrow().iter() {
            let is_there = |id: &Uuid| facts.enrollments.iter().any(|it| it.id == *id);
            if enrolling.made.is_some_and(|id| !is_there(&id)) {
                wrong.push(format!("an enrollment that was answered is lost: {enrolling:?}"));
            }
        }
        for ending in tenant.endings.borrow().iter() {
            let status = facts.enrollments.iter().find(|it| it.id == ending.enrollment).map(|it| it.status.as_str());
            if status != Some(if ending.ended { "removed" } else { "completed_goal" }) {
                wrong.push(format!("{ending:?} left {status:?}"));
            }
        }
        self.changes += tenant.flows.borrow().iter().map(|flow| flow.changes.len()).sum::<usize>();
        self.wrong.extend(wrong.into_iter().map(|it| format!("{}: {it}", tenant.id)));
    }

    /// Every event that was sent is stored once, at a time that its answer allows; each with its contact and its span.
    fn events(
        &mut self,
        tenant: &Tenant<'_>,
        facts: &Facts,
        wrong: &mut Vec<String>,
    ) -> Vec<(&'static str, Span, Event)> {
        let mut stored: BTreeMap<Id, Vec<(i64, i64)>> = BTreeMap::new();
        for (id, at, received_at) in &facts.events {
            stored.entry(*id).or_default().push((*at, *received_at));
        }
        if stored.len() != tenant.events.len() {
            wrong.push(format!("{} events were sent, {} are stored", tenant.events.len(), stored.len()));
        }
        let (spans, flows) = (tenant.spans.borrow(), tenant.flows.borrow());
        let mut events = Vec::new();
        for (contact, event) in &tenant.events {
            let Some([(at, received_at)]) = stored.get(&event.id).map(Vec::as_slice) else {
                wrong.push(format!("{event:?} is stored as {:?}", stored.get(&event.id)));
                continue;
            };
            let span = spans[&event.id];
            if *at != event.at {
                wrong.push(format!("{event:?} is stored with the time {at}"));
            }
            let changes = || flows.iter().flat_map(|flow| &flow.changes);
            if changes().any(|change| {
                (change.span.answered < span.asked && *received_at < change.clock.0)
                    || (span.answered < change.span.asked && change.clock.1 < *received_at)
            }) {
                wrong.push(format!("{event:?}, sent at {span:?}, is stored at {received_at}"));
            }
            let is_beside =
                |change: &allowed::Change| span.asked < change.span.answered && change.span.asked < span.answered;
            self.concurrent += usize::from(changes().any(is_beside));
            events.push((*contact, span, Event { received_at: *received_at, ..event.clone() }));
        }
        self.events += events.len();
        events
    }

    fn enrollment(
        &mut self,
        tenant: &Tenant<'_>,
        (facts, enrollment): (&Facts, &Enrollment),
        events: &[(&'static str, Span, Event)],
        wrong: &mut Vec<String>,
    ) {
        let enrollings = tenant.enrollings.borrow();
        // One that nobody was told of was made by an attempt without an answer.
        let asked = enrollings.iter().find(|it| it.enrolled_at == enrollment.enrolled_at);
        let is_sound =
            |it: &&Enrolling| it.contact == enrollment.contact && (it.made == Some(enrollment.id) || it.attempts > 1);
        let Some(asked) = asked.filter(is_sound) else {
            wrong.push(format!("nobody asked for {enrollment:?}"));
            return;
        };
        let Some(outcome) = outcome(facts, enrollment) else {
            wrong.push(format!("nobody ends so: {enrollment:?}"));
            return;
        };
        self.enrollments += 1;
        self.achievements += outcome.achieved.len();
        self.exits += usize::from(matches!(outcome.end, End::Goal(_)));
        self.ends += usize::from(outcome.end == End::Asked);
        let flows = tenant.flows.borrow();
        let flow = &flows[asked.flow];
        let goals = || flow.changes.iter().flat_map(|change| &change.to.goals);
        let is_wanted = |event: &Event| goals().any(|goal| oracle::meets(&goal.wish, event));
        let events = events.iter().filter(|(contact, _, event)| *contact == enrollment.contact && is_wanted(event));
        let passage = passage(facts, enrollment);
        self.reentries += usize::from(passage.closed_before.is_some());
        if passage.closed_before.is_some() && !flow.allows_reentry {
            wrong.push(format!("{enrollment:?} is there once more"));
        }
        let endings = tenant.endings.borrow();
        let chronicle = Chronicle {
            workflow: Workflow { live: false, logic: Logic::Any, goals: Vec::new() },
            changes: flow.changes.clone(),
            events: events.map(|(_, span, event)| (*span, event.clone())).collect(),
            enrolled: asked.span,
            ends: endings.iter().filter(|it| it.enrollment == enrollment.id).map(|it| it.span).collect(),
            passage,
        };
        if !is_allowed(&chronicle, &outcome) {
            wrong.push(format!("{enrollment:?}:\n{outcome:#?}\nis not allowed of\n{chronicle:#?}"));
        }
    }

    /// Actions, and what a subscriber was told of it.
    fn exit(&mut self, tenant: &Tenant<'_>, enrollment: &Enrollment, exits: &Exits, wrong: &mut Vec<String>) {
        let is_active = enrollment.status == "active";
        if (is_active && enrollment.cancelled > 0) || (!is_active && enrollment.pending > 0) {
            wrong.push(format!("actions that should be otherwise: {enrollment:?}"));
        }
        let told = exits.get(&enrollment.id).map_or(&[][..], Vec::as_slice);
        self.repeats += told.iter().map(|(_, times, _)| *times as u64 - 1).sum::<u64>();
        if told.len() != usize::from(enrollment.status == "completed_goal") {
            wrong.push(format!("{enrollment:?} has exits {told:?}"));
        }
        for (_, _, body) in told {
            let data = &body["data"];
            let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
            let given =
                (text("tenant_id"), text("workflow_id"), text("contact_id"), data["cancelled_actions"].as_i64());
            let workflow = enrollment.workflow.to_string();
            if given != (tenant.id.clone(), workflow, enrollment.contact.clone(), Some(enrollment.cancelled)) {
                wrong.push(format!("{enrollment:?} is told of as {data}"));
            }
        }
    }
}

/// What is stored of an enrollment's end and achievements.
fn outcome(facts: &Facts, enrollment: &Enrollment) -> Option<Outcome> {
    let achieved: Vec<Recorded> = facts
        .achievements
        .iter()
        .filter(|it| it.enrollment == enrollment.id)
        .map(|it| Recorded { goal: it.goal, version: it.version, event: it.event, recorded_at: it.recorded_at })
        .collect();
    let goals: BTreeSet<Id> = achieved.iter().map(|it| it.goal).collect();
    let end = match enrollment.status.as_str() {
        "active" => End::None,
        "removed" => End::Asked,
        "completed_goal" => End::Goal(enrollment.reached_at?),
        _ => return None,
    };
    (goals.len() == achieved.len()).then_some(Outcome { achieved, end })
}

/// An enrollment with what came before it.
fn passage(facts: &Facts, enrollment: &Enrollment) -> Passage {
    let pair = |it: &Enrollment| (it.workflow, it.contact.clone());
    let earlier: Vec<&Enrollment> = facts
        .enrollments
        .iter()
        .take_while(|it| it.id != enrollment.id)
        .filter(|it| pair(it) == pair(enrollment))
        .collect();
    let of_earlier = |id: Uuid| earlier.iter().any(|it| it.id == id);
    Passage {
        enrolled_at: enrollment.enrolled_at,
        created_at: enrollment.created_at,
        already: Vec::new(),
        closed_before: earlier.iter().filter_map(|it| it.exited_at).max(),
        credited: facts.achievements.iter().filter(|it| of_earlier(it.enrollment)).map(|it| it.event).collect(),
        active: true,
    }
}
