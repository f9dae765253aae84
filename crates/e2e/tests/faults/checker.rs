//! Decides whether what was promised holds. It reads the client's ledger, what PostgreSQL holds and what the subscriber got; the
//! figures it compares with come from the file of purchases alone.
//!
//! | promise | decided by |
//! |---|---|
//! | I1, I2, I3, I4, I5, I6 | `events`: every verdict of the ledger against the stored rows |
//! | I8, I13 | `people`: each customer's goals are exactly those that the file gives, none missed; and the run came to rest |
//! | I9, I10 | `snapshot`: at the end, and many times while faults happen |
//! | I11 | `actions` |
//! | I12, I15 | `facts`: what the subscriber got, by message id and by version |
//! | I14 | `frozen` |
//! | I16 | the poison runs (`poison.rs`) with `dead_letters` here; `crates/bus/tests/it/poison.rs` |
//! | I17 | `statistics` |
//! | I7, I27, I28 | `services/ingest/tests`, `crates/runtime`, `tests/shutdown` |
//! | I18, I20 | `maintenance`, `clock`: all of the above holds beside retention, and while clocks are a day off |
//! | erasure | `people` |
//! | I19 | an unknown version is parked: the poison runs |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;
use uuid::Uuid;

use crate::cluster::shadow::{Log, by_id};
use crate::facts::{Facts, People};
use crate::ledger::{Kind, Ledger};
use crate::purchases::{Aim, Purchase, reached};

/// What must come out.
pub struct Expected<'a> {
    pub tenant: &'a str,
    pub purchases: &'a [Purchase],
    pub customers: usize,
    pub workflows: &'a [(Aim, Uuid)],
    pub goals: &'a [(Aim, Vec<Uuid>)],
    /// Per workflow, what `GET …/goals/stats` said.
    pub statistics: Vec<(Aim, Value)>,
    /// How many messages are to be found among the dead letters.
    pub dead_letters: usize,
}

/// Events by class, as in a check of a total queue, and everything that is wrong.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    pub ok: usize,
    pub lost: usize,
    /// Stored although no answer said so: the sender asked again and was told.
    pub recovered: usize,
    pub unexpected: usize,
    pub duplicated: usize,
    /// Messages that came more than once, which is allowed.
    pub repeats: usize,
    pub wrong: Vec<String>,
}

impl Judgement {
    fn say(&mut self, what: String) {
        self.wrong.push(what);
    }
}

/// Everything, when the work has ended.
pub fn judge(expected: &Expected<'_>, ledger: &Ledger, facts: &Facts, log: &Log) -> Judgement {
    let mut judgement = Judgement::default();
    for strange in &ledger.strange {
        judgement.say(format!("an answer that nobody may get: {strange}"));
    }
    events(&mut judgement, expected, ledger, facts);
    for wrong in snapshot(expected.workflows, expected.goals, &facts.people) {
        judgement.say(wrong);
    }
    people(&mut judgement, expected, facts);
    frozen(&mut judgement, expected, ledger, facts);
    actions(&mut judgement, ledger, facts);
    messages(&mut judgement, expected, facts, log);
    statistics(&mut judgement, expected, facts);
    if facts.dead_letters.len() != expected.dead_letters {
        judgement.say(format!("I16: {} dead letters were expected: {:?}", expected.dead_letters, facts.dead_letters));
    }
    judgement
}

/// I1 to I6: each verdict against what is stored.
fn events(judgement: &mut Judgement, expected: &Expected<'_>, ledger: &Ledger, facts: &Facts) {
    for sending in &ledger.sendings {
        if let crate::ledger::Answer::Verdicts(verdicts) = &sending.answer {
            let in_order = verdicts.iter().enumerate().all(|(place, verdict)| verdict.index == place);
            if verdicts.len() != sending.events.len() || !in_order {
                judgement.say(format!("I6: {} events, verdicts {verdicts:?}", sending.events.len()));
            }
        }
    }
    let purchases: BTreeMap<Uuid, &Purchase> = expected.purchases.iter().map(|it| (it.event_id, it)).collect();
    for (event, history) in ledger.histories() {
        let rows = facts.stored.get(&event).map_or(0, |stored| stored.0);
        let sound: Vec<Option<&str>> = history.iter().filter(|it| it.0 == Kind::Sound).map(|it| it.1).collect();
        let told = |status: &str| sound.iter().filter(|it| **it == Some(status)).count();
        let promised = told("accepted") + told("duplicate") > 0;
        if history.iter().any(|it| it.0 != Kind::Sound && it.1.is_some_and(|told| told != "rejected")) {
            judgement.say(format!("I4, I5: event {event} had to be rejected: {history:?}"));
        }
        if told("rejected") > 0 {
            judgement.say(format!("I5: sound event {event} was rejected: {history:?}"));
        }
        if rows > 1 || told("accepted") > 1 {
            judgement.duplicated += 1;
            judgement.say(format!("I3: event {event} is there {rows} times: {history:?}"));
        } else if promised && rows == 0 {
            judgement.lost += 1;
            judgement.say(format!("I1: event {event} is lost: {history:?}"));
        } else if !promised && rows > 0 && sound.is_empty() {
            judgement.unexpected += 1;
            judgement.say(format!("I2: rejected event {event} is stored: {history:?}"));
        } else if promised && told("accepted") == 0 {
            // Somebody must have stored it, and it was a request that was never answered.
            judgement.recovered += 1;
            if !sound.contains(&None) && !sound.contains(&Some("retry")) {
                judgement.say(format!("I3: event {event} was a duplicate of nothing: {history:?}"));
            }
        } else if promised {
            judgement.ok += 1;
        }
        if let (Some(purchase), Some(stored)) = (purchases.get(&event), facts.stored.get(&event))
            && stored.1 != purchase.amount
        {
            judgement.say(format!("I4: event {event} of {} is stored with {}", purchase.amount, stored.1));
        }
    }
    for event in facts.stored.keys().filter(|event| !purchases.contains_key(event)) {
        judgement.unexpected += 1;
        judgement.say(format!("event {event} was never sent so"));
    }
    let stored = i64::try_from(facts.stored.len()).unwrap();
    if stored != facts.keys || facts.stored.len() != expected.purchases.len() {
        let (rows, sent) = (facts.stored.len(), expected.purchases.len());
        judgement.say(format!("I1: {sent} events were sent, {rows} are stored, {} in the ledger", facts.keys));
    }
}

/// I9, I10 in one snapshot, whenever it was taken.
pub fn snapshot(workflows: &[(Aim, Uuid)], goals: &[(Aim, Vec<Uuid>)], people: &People) -> Vec<String> {
    let mut wrong = Vec::new();
    let aims: BTreeMap<Uuid, Aim> = workflows.iter().map(|(aim, workflow)| (*workflow, *aim)).collect();
    let goals: BTreeMap<Aim, &Vec<Uuid>> = goals.iter().map(|(aim, goals)| (*aim, goals)).collect();
    let mut achieved: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
    for achievement in &people.achievements {
        achieved.entry(achievement.enrollment).or_default().push(achievement.goal);
    }
    let mut there: BTreeSet<(Uuid, &str)> = BTreeSet::new();
    for (id, enrollment) in &people.enrollments {
        let aim = aims[&enrollment.workflow];
        let met = achieved.remove(id).unwrap_or_default();
        let different: BTreeSet<&Uuid> = met.iter().collect();
        if different.len() != met.len() || !met.iter().all(|goal| goals[&aim].contains(goal)) {
            wrong.push(format!("I9: enrollment {id} ({aim:?}) achieved {met:?}"));
        }
        if !there.insert((enrollment.workflow, &enrollment.contact)) {
            wrong.push(format!("contact {} is enrolled twice in {aim:?}", enrollment.contact));
        }
        // One goal is enough under `any`, and there is but one; `all` needs each.
        let is_met = different.len() == goals[&aim].len();
        let has_left = enrollment.status == "completed_goal";
        if is_met != has_left || (!has_left && enrollment.status != "active") {
            wrong.push(format!("I10: enrollment {id} ({aim:?}) is {} with {} goals", enrollment.status, met.len()));
        }
        if has_left && enrollment.pending_actions > 0 {
            wrong.push(format!("I10: enrollment {id} has left, {} actions wait", enrollment.pending_actions));
        }
    }
    if !achieved.is_empty() {
        wrong.push(format!("I9: achievements of nobody: {achieved:?}"));
    }
    let mut told: BTreeSet<Uuid> = BTreeSet::new();
    for exit in &people.exits_in_outbox {
        let has_left = people.enrollments.get(exit).is_some_and(|it| it.status == "completed_goal");
        if !told.insert(*exit) || !has_left {
            wrong.push(format!("I10: an exit in the outbox of {exit}, which has left: {has_left}"));
        }
    }
    wrong
}

/// I8, I13: everybody was judged by everything, and nothing else came of it.
fn people(judgement: &mut Judgement, expected: &Expected<'_>, facts: &Facts) {
    let purchases: BTreeMap<Uuid, &Purchase> = expected.purchases.iter().map(|it| (it.event_id, it)).collect();
    for (aim, workflow) in expected.workflows {
        let goals = &expected.goals.iter().find(|it| it.0 == *aim).unwrap().1;
        let should = reached(*aim, expected.purchases);
        let enrolled: BTreeMap<_, _> =
            facts.people.enrollments.iter().filter(|(_, it)| it.workflow == *workflow).collect();
        if enrolled.len() != expected.customers {
            judgement.say(format!("{aim:?}: {} of {} are enrolled", enrolled.len(), expected.customers));
        }
        let mut met: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for achievement in &facts.people.achievements {
            let Some(enrollment) = enrolled.get(&achievement.enrollment) else { continue };
            let Some(goal) = goals.iter().position(|goal| *goal == achievement.goal) else { continue };
            met.entry(&enrollment.contact).or_default().insert(goal);
            let by = purchases.get(&achievement.event);
            if !by.is_some_and(|it| it.customer == enrollment.contact && aim.meets(goal, it.cents)) {
                let contact = &enrollment.contact;
                judgement.say(format!("{aim:?}: goal {goal} of {contact} was achieved by {by:?}"));
            }
        }
        for enrollment in enrolled.values() {
            let contact = enrollment.contact.as_str();
            let should: BTreeSet<usize> = should.get(contact).into_iter().flatten().copied().collect();
            let did = met.remove(contact).unwrap_or_default();
            let missed = if *aim == Aim::Frozen { !did.is_subset(&should) } else { did != should };
            if missed {
                judgement.say(format!("I13: {aim:?}: {contact} must achieve {should:?} and did {did:?}"));
            }
        }
    }
}

/// I14: nothing after the deactivation was answered.
fn frozen(judgement: &mut Judgement, expected: &Expected<'_>, ledger: &Ledger, facts: &Facts) {
    let workflow = expected.workflows.iter().find(|it| it.0 == Aim::Frozen).unwrap().1;
    let of_it = |enrollment: &Uuid| facts.people.enrollments.get(enrollment).is_some_and(|it| it.workflow == workflow);
    let now = facts.people.achievements.iter().filter(|it| of_it(&it.enrollment)).count();
    let now = i64::try_from(now).unwrap();
    match ledger.at_deactivation {
        Some(then) if then == now => {}
        then => judgement.say(format!("I14: {then:?} achievements at the deactivation, {now} in the end")),
    }
}

/// I11.
fn actions(judgement: &mut Judgement, ledger: &Ledger, facts: &Facts) {
    for action in facts.actions.iter().filter(|action| action.started_too_late) {
        judgement.say(format!("I11: action {} started after the exit of {}", action.id, action.enrollment));
    }
    let status: BTreeMap<Uuid, &str> = facts.actions.iter().map(|it| (it.id, it.status.as_str())).collect();
    for started in ledger.started.iter().filter(|action| status.get(*action) != Some(&"running")) {
        judgement.say(format!("action {started} was answered started and is {:?}", status.get(started)));
    }
    for made in ledger.actions.iter().filter(|action| !status.contains_key(*action)) {
        judgement.say(format!("action {made} was answered made and is lost"));
    }
}

/// I12, I15, and the rest of I10: what went out.
fn messages(judgement: &mut Judgement, expected: &Expected<'_>, facts: &Facts, log: &Log) {
    let mut exits: BTreeMap<Uuid, (Uuid, i64)> = BTreeMap::new();
    let mut created: BTreeMap<Uuid, i64> = BTreeMap::new();
    let mut achieved: BTreeSet<(Uuid, Uuid)> = BTreeSet::new();
    let mut due: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (id, copies) in by_id(log) {
        judgement.repeats += copies.len() - 1;
        let first = copies[0];
        if copies.iter().any(|copy| copy.body != first.body || copy.routing_key != first.routing_key) {
            judgement.say(format!("I12: message {id} came with different bytes"));
        }
        let Ok(body) = serde_json::from_str::<Value>(&first.body) else { continue };
        if body["tenantid"].as_str() != Some(expected.tenant) {
            continue;
        }
        if body["id"].as_str() != Some(id.to_string().as_str()) {
            judgement.say(format!("I12: message_id {id}, id {}", body["id"]));
        }
        let uuid = |name: &str| body["data"][name].as_str().and_then(|text| text.parse::<Uuid>().ok());
        let Some(enrollment) = uuid("enrollment_id") else { continue };
        let version = body["data"]["enrollment_version"].as_i64().unwrap_or_default();
        match first.routing_key.as_str() {
            "workflow.exit.goal" => {
                if let Some(other) = exits.insert(enrollment, (id, version)) {
                    judgement.say(format!("I12: two exits of {enrollment}: {} and {id}", other.0));
                }
            }
            "workflow.enrollment.created" => {
                created.insert(enrollment, version);
            }
            "goal.achieved" => {
                achieved.extend(uuid("goal_id").map(|goal| (enrollment, goal)));
            }
            "workflow.action.due" => {
                let action = uuid("action_id").unwrap_or_default();
                if due.insert(action, version).is_some() {
                    judgement.say(format!("I12: action {action} was announced twice"));
                }
            }
            _ => {}
        }
    }
    announcements(judgement, facts, due);
    let (mut text, mut missing) = (String::new(), 0);
    for (id, enrollment) in &facts.people.enrollments {
        let has_left = enrollment.status == "completed_goal";
        let exit = exits.remove(id);
        if has_left != exit.is_some() || exit.is_some_and(|exit| exit.1 != enrollment.version) {
            missing += 1;
            let _ = write!(text, " {id} is {} at {}, told {exit:?};", enrollment.status, enrollment.version);
        }
        if created.get(id).is_none_or(|version| exit.is_some_and(|exit| exit.1 <= *version)) {
            judgement.say(format!("I15: {id}: created at version {:?}, exit at {exit:?}", created.get(id)));
        }
    }
    if missing > 0 || !exits.is_empty() {
        judgement.say(format!("I10, I12: {missing} exits differ from the messages, {} of nobody:{text}", exits.len()));
    }
    let should: BTreeSet<_> = facts.people.achievements.iter().map(|it| (it.enrollment, it.goal)).collect();
    if should != achieved {
        judgement.say(format!("{} achievements, {} messages of them", should.len(), achieved.len()));
    }
}

/// I12, of due actions; each was announced before its enrollment left.
fn announcements(judgement: &mut Judgement, facts: &Facts, mut told: BTreeMap<Uuid, i64>) {
    for action in &facts.actions {
        let told = told.remove(&action.id);
        if told.is_some() != action.is_announced || told.is_some_and(|version| version != 1) {
            judgement.say(format!("I12: action {} is announced: {}, told {told:?}", action.id, action.is_announced));
        }
    }
    if !told.is_empty() {
        judgement.say(format!("I12: announcements of nothing: {told:?}"));
    }
}

/// I17.
fn statistics(judgement: &mut Judgement, expected: &Expected<'_>, facts: &Facts) {
    for (aim, said) in &expected.statistics {
        let workflow = expected.workflows.iter().find(|it| it.0 == *aim).unwrap().1;
        let of_it: Vec<_> = facts.people.enrollments.values().filter(|it| it.workflow == workflow).collect();
        let left = of_it.iter().filter(|it| it.status == "completed_goal").count();
        let same = said["total_enrolled"] == of_it.len() && said["goals_achieved"] == left;
        if !same {
            judgement.say(format!("I17: {aim:?}: {} enrolled, {left} left, and said {said}", of_it.len()));
        }
    }
}
