//! The checker is no yes-man: whatever is taken away from a faultless run, added to it or changed in it, it says so.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::checker::{Expected, Judgement, judge};
use crate::cluster::shadow::{Log, Message};
use crate::facts::{Achievement, Action, Enrollment, Facts};
use crate::ledger::{Answer, Kind, Ledger, Sending, Sent, Verdict};
use crate::purchases::{Aim, Purchase, first_days, of_first};

const TENANT: &str = "t";

/// A run in which everything went as it must, made by hand from the file.
struct Run {
    purchases: Vec<Purchase>,
    workflows: Vec<(Aim, Uuid)>,
    goals: Vec<(Aim, Vec<Uuid>)>,
    statistics: Vec<(Aim, Value)>,
    ledger: Ledger,
    facts: Facts,
    log: Log,
}

fn id(text: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
}

fn fact(key: &str, message: &str, enrollment: Uuid, data: &[(&str, Value)]) -> Message {
    let mut body = json!({"id": id(message), "tenantid": TENANT, "data": {"enrollment_id": enrollment}});
    for (name, value) in data {
        body["data"][name] = value.clone();
    }
    Message { routing_key: key.to_owned(), message_id: Some(id(message)), body: body.to_string() }
}

impl Run {
    fn faultless() -> Self {
        let purchases = of_first(150);
        let workflows: Vec<_> = Aim::ALL.map(|aim| (aim, id(&format!("{aim:?}")))).into();
        let goals: Vec<_> = Aim::ALL
            .map(|aim| (aim, (0..aim.criteria().len()).map(|goal| id(&format!("{aim:?}{goal}"))).collect()))
            .into();
        let mut run = Self {
            purchases,
            workflows,
            goals,
            statistics: Vec::new(),
            ledger: Ledger::default(),
            facts: Facts::default(),
            log: Log::new(),
        };
        for aim in Aim::ALL {
            run.enroll_all(aim);
        }
        for purchase in &run.purchases {
            run.ledger.sendings.push(sending(purchase.event_id, Kind::Sound, Some("accepted")));
            run.facts.stored.insert(purchase.event_id, (1, purchase.amount.clone()));
        }
        run.facts.keys = i64::try_from(run.purchases.len()).unwrap();
        run
    }

    fn enroll_all(&mut self, aim: Aim) {
        let workflow = id(&format!("{aim:?}"));
        let (mut enrolled, mut left, mut achieved) = (0, 0, 0);
        for contact in first_days(&self.purchases).into_keys() {
            let name = format!("{aim:?} {contact}");
            let mut met = 0;
            for goal in 0..aim.criteria().len() {
                let by = self.purchases.iter().find(|it| it.customer == contact && aim.meets(goal, it.cents));
                let Some(by) = by else { continue };
                met += 1;
                let goal = id(&format!("{aim:?}{goal}"));
                self.facts.people.achievements.push(Achievement { enrollment: id(&name), goal, event: by.event_id });
                let data = [("goal_id", json!(goal))];
                self.log.push(fact("goal.achieved", &format!("{name} {goal}"), id(&name), &data));
            }
            let has_left = met == aim.criteria().len();
            let version = if has_left { 2 } else { 1 };
            let status = if has_left { "completed_goal" } else { "active" }.to_owned();
            let enrollment = Enrollment { workflow, contact, status, version, pending_actions: 0 };
            self.facts.people.enrollments.insert(id(&name), enrollment);
            let at = |version: i64| [("enrollment_version", json!(version))];
            self.log.push(fact("workflow.enrollment.created", &format!("{name} created"), id(&name), &at(1)));
            if has_left {
                self.log.push(fact("workflow.exit.goal", &format!("{name} exit"), id(&name), &at(2)));
            }
            (enrolled, left, achieved) = (enrolled + 1, left + usize::from(has_left), achieved + met);
        }
        self.statistics.push((aim, json!({"total_enrolled": enrolled, "goals_achieved": left})));
        if aim == Aim::Frozen {
            self.ledger.at_deactivation = Some(i64::try_from(achieved).unwrap());
        }
    }

    fn judged(&self) -> Judgement {
        let expected = Expected {
            tenant: TENANT,
            purchases: &self.purchases,
            customers: first_days(&self.purchases).len(),
            workflows: &self.workflows,
            goals: &self.goals,
            statistics: self.statistics.clone(),
            dead_letters: 0,
        };
        judge(&expected, &self.ledger, &self.facts, &self.log)
    }

    /// The place of the first message of this kind.
    fn place(&self, key: &str) -> usize {
        self.log.iter().position(|message| message.routing_key == key).unwrap()
    }

    fn somebody_who_left(&mut self) -> &mut Enrollment {
        self.facts.people.enrollments.values_mut().find(|it| it.status == "completed_goal").unwrap()
    }
}

fn sending(event_id: Uuid, kind: Kind, status: Option<&str>) -> Sending {
    let answer = match status {
        Some(status) => Answer::Verdicts(vec![Verdict { index: 0, status: status.to_owned() }]),
        None => Answer::Unknown,
    };
    Sending { events: vec![Sent { event_id, kind }], answer }
}

/// Spoils a faultless run; the checker must name the promise.
fn finds(promise: &str, spoil: impl FnOnce(&mut Run)) -> Judgement {
    let mut run = Run::faultless();
    spoil(&mut run);
    let judgement = run.judged();
    assert!(
        judgement.wrong.iter().any(|wrong| wrong.contains(promise)),
        "{promise} is not among {:?}",
        judgement.wrong
    );
    judgement
}

#[test]
fn a_faultless_run_is_faultless() {
    let run = Run::faultless();
    let judgement = run.judged();
    assert_eq!(judgement.wrong, Vec::<String>::new());
    assert_eq!((judgement.ok, judgement.lost, judgement.duplicated), (run.purchases.len(), 0, 0));
    assert!(run.log.iter().any(|message| message.routing_key == "workflow.exit.goal"));
}

#[test]
fn a_lost_event_is_found() {
    let judgement = finds("I1", |run| {
        let event = run.purchases[3].event_id;
        run.facts.stored.remove(&event);
        run.facts.keys -= 1;
    });
    assert_eq!(judgement.lost, 1);
}

#[test]
fn a_doubled_event_is_found() {
    let twice = |run: &mut Run| run.facts.stored.get_mut(&run.purchases[3].event_id).unwrap().0 = 2;
    assert_eq!(finds("I3", twice).duplicated, 1);
    let event = |run: &Run| run.purchases[3].event_id;
    finds("I3", |run| run.ledger.sendings.push(sending(event(run), Kind::Sound, Some("accepted"))));
    finds("I3", |run| run.ledger.sendings[3] = sending(event(run), Kind::Sound, Some("duplicate")));
}

#[test]
fn what_nobody_sent_or_what_was_refused_is_found() {
    finds("never sent", |run| drop(run.facts.stored.insert(id("foreign"), (1, "1.00".to_owned()))));
    let refused = |run: &mut Run| {
        run.ledger.sendings.push(sending(id("bad"), Kind::Bad, Some("rejected")));
        run.facts.stored.insert(id("bad"), (1, String::new()));
    };
    finds("I2", refused);
    finds("I4, I5", |run| run.ledger.sendings.push(sending(id("bad"), Kind::Bad, Some("accepted"))));
    finds("I4", |run| run.facts.stored.get_mut(&run.purchases[3].event_id).unwrap().1 = "123456.78".to_owned());
    finds("I5", |run| run.ledger.sendings.push(sending(run.purchases[3].event_id, Kind::Sound, Some("rejected"))));
}

#[test]
fn a_verdict_too_few_is_found() {
    finds("I6", |run| run.ledger.sendings[0].answer = Answer::Verdicts(Vec::new()));
}

#[test]
fn what_was_stored_without_an_answer_is_recovered() {
    let mut run = Run::faultless();
    let event = run.purchases[3].event_id;
    run.ledger.sendings[3] = sending(event, Kind::Sound, None);
    run.ledger.sendings.push(sending(event, Kind::Sound, Some("duplicate")));
    let judgement = run.judged();
    assert_eq!((judgement.recovered, judgement.wrong), (1, Vec::new()));
}

#[test]
fn a_doubled_achievement_or_exit_is_found() {
    finds("I9", |run| run.facts.people.achievements.push(run.facts.people.achievements[0].clone()));
    finds("I12", |run| {
        let exit = &run.log[run.place("workflow.exit.goal")];
        let mut other: Value = serde_json::from_str(&exit.body).unwrap();
        other["id"] = json!(id("other"));
        let key = exit.routing_key.clone();
        run.log.push(Message { routing_key: key, message_id: Some(id("other")), body: other.to_string() });
    });
    finds("I10", |run| {
        let left = run.facts.people.enrollments.iter().find(|it| it.1.status == "completed_goal").unwrap();
        run.facts.people.exits_in_outbox = vec![*left.0; 2];
    });
}

#[test]
fn a_missing_message_is_found() {
    finds("I12", |run| drop(run.log.remove(run.place("workflow.exit.goal"))));
    finds("messages of them", |run| drop(run.log.remove(run.place("goal.achieved"))));
}

#[test]
fn the_same_message_again_is_allowed_and_other_bytes_are_not() {
    let mut run = Run::faultless();
    run.log.push(run.log[run.place("workflow.exit.goal")].clone());
    let judgement = run.judged();
    assert_eq!((judgement.repeats, judgement.wrong), (1, Vec::new()));
    finds("different bytes", |run| {
        let mut again = run.log[run.place("workflow.exit.goal")].clone();
        again.body.push(' ');
        run.log.push(again);
    });
}

#[test]
fn a_missed_goal_is_found() {
    finds("I13", |run| {
        let achievement = run.facts.people.achievements.remove(0);
        let enrollment = run.facts.people.enrollments.get_mut(&achievement.enrollment).unwrap();
        (enrollment.status, enrollment.version) = ("active".to_owned(), 1);
    });
    finds("was achieved by", |run| run.facts.people.achievements[0].event = id("no purchase"));
}

#[test]
fn half_an_exit_is_found() {
    finds("I10", |run| run.somebody_who_left().pending_actions = 1);
    finds("I10", |run| run.somebody_who_left().status = "active".to_owned());
    finds("I15", |run| {
        let place = run.place("workflow.enrollment.created");
        run.log.remove(place);
    });
}

#[test]
fn an_action_after_the_exit_is_found() {
    let action = |status: &str, late| Action {
        id: id("action"),
        enrollment: id("someone"),
        status: status.to_owned(),
        started_too_late: late,
        is_announced: false,
    };
    finds("I11", |run| run.facts.actions.push(action("running", true)));
    finds("is lost", |run| run.ledger.actions.push(id("action")));
    finds("answered started", |run| {
        run.ledger.started.push(id("action"));
        run.facts.actions.push(action("pending", false));
    });
}

#[test]
fn an_announcement_too_much_or_too_few_is_found() {
    let action = |is_announced| Action {
        id: id("action"),
        enrollment: id("someone"),
        status: "pending".to_owned(),
        started_too_late: false,
        is_announced,
    };
    let told = |message: &str, version: i64| {
        let data = [("action_id", json!(id("action"))), ("enrollment_version", json!(version))];
        fact("workflow.action.due", message, id("someone"), &data)
    };
    finds("I12", |run| run.facts.actions.push(action(true)));
    finds("I12", |run| run.log.push(told("due", 1)));
    finds("I12", |run| {
        run.facts.actions.push(action(false));
        run.log.push(told("due", 1));
    });
    for messages in [vec![told("due", 1), told("due again", 1)], vec![told("due", 2)]] {
        finds("I12", |run| {
            run.facts.actions.push(action(true));
            run.log.extend(messages);
        });
    }
}

#[test]
fn an_achievement_after_the_deactivation_is_found() {
    finds("I14", |run| run.ledger.at_deactivation = Some(0));
    finds("I14", |run| run.ledger.at_deactivation = None);
}

#[test]
fn wrong_statistics_and_dead_letters_are_found() {
    finds("I17", |run| run.statistics[1].1["goals_achieved"] = json!(1));
    finds("I16", |run| run.facts.dead_letters.push(("q".into(), "c".into(), "why".into())));
    finds("nobody may get", |run| run.ledger.strange.push("500".to_owned()));
}

#[test]
fn histories_tell_of_every_sending() {
    let mut ledger = Ledger::default();
    ledger.sendings.push(sending(id("e"), Kind::Sound, None));
    ledger.sendings.push(sending(id("e"), Kind::Sound, Some("duplicate")));
    let expected: BTreeMap<_, _> =
        [(id("e"), vec![(Kind::Sound, None), (Kind::Sound, Some("duplicate"))])].into_iter().collect();
    assert_eq!(ledger.histories(), expected);
}
