//! Which workflows, goals and contacts a load is about, and which event meets whose goal. Everything follows from numbers, so that
//! whoever configures and whoever sends need not tell each other anything.

use std::io::Write as _;

use time::OffsetDateTime;

use crate::clock::Clock;
use crate::mix::{Kind, Mix};

/// What is configured in every tenant: workflows with three goals each (a product bought, a tag added, a form submitted; any of
/// them ends the enrollment), and contacts `c-0`, `c-1`, … of which `c-n` is enrolled in workflow `n mod workflows`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    pub tenants: u64,
    pub workflows: u64,
    pub enrollments: u64,
}

/// A goal's type, and its criteria as JSON.
pub type GoalText = (&'static str, String);

impl Scenario {
    /// The goals of a workflow.
    pub fn goals(workflow: u64) -> [GoalText; 3] {
        [
            ("purchase_made", format!(r#"{{"product_ids":["p-{workflow}"]}}"#)),
            ("tag_added", format!(r#"{{"tag_name":"tag-{workflow}"}}"#)),
            ("form_submitted", format!(r#"{{"form_ids":["f-{workflow}"]}}"#)),
        ]
    }
}

/// What the events of a load are.
#[derive(Clone, Debug)]
pub struct Contents {
    pub scenario: Scenario,
    pub mix: Mix,
    /// Of a million events, how many meet a goal of an enrolled contact: of `c-0`, `c-1`, … in turn.
    pub matching_ppm: u64,
    /// Of a million events, how many meet a goal and are of contacts that are not enrolled.
    pub strangers_ppm: u64,
}

/// Contacts whose events meet no goal; those of them that are enrolled stay so.
const OTHER_CONTACTS: u64 = 100_000;

/// A million.
pub const PPM: u64 = 1_000_000;

impl Contents {
    /// How many of the first events of a tenant meet a goal of an enrolled contact.
    pub fn matching(&self, events: u64) -> u64 {
        (events * self.matching_ppm / PPM).min(self.scenario.enrollments)
    }

    /// The same of contacts that are not enrolled; begun half way, so that the two do not fall on the same events.
    fn strangers(&self, events: u64) -> u64 {
        (events * self.strangers_ppm + PPM / 2) / PPM
    }

    /// Writes one request: the events of a tenant from the number `first` on, `count` of them. How many of them match.
    pub fn write(&self, body: &mut Vec<u8>, (first, count): (u64, u64), sent: Sent<'_>) -> u64 {
        let occurred_at = time_text(sent.intended_us);
        body.push(b'[');
        for event in first..first + count {
            if event > first {
                body.push(b',');
            }
            let id = sent.clock.event_id(sent.intended_us, event * self.scenario.tenants + sent.tenant);
            // Writing to a vector does not fail.
            let _ = write!(body, r#"{{"event_id":"{id}","occurred_at":"{occurred_at}","#);
            self.write_rest(body, event);
        }
        body.push(b']');
        self.matching(first + count) - self.matching(first)
    }

    fn write_rest(&self, body: &mut Vec<u8>, event: u64) {
        let before = self.matching(event);
        let strangers = self.strangers(event);
        if self.matching(event + 1) > before {
            write_matching(body, before, before % self.scenario.workflows, 'c');
        } else if self.strangers(event + 1) > strangers {
            write_matching(body, strangers, strangers % self.scenario.workflows, 's');
        } else {
            self.write_other(body, event);
        }
    }

    /// An event that meets no goal, of some contact.
    fn write_other(&self, body: &mut Vec<u8>, event: u64) {
        let kind = self.mix.kind(event);
        let contact = event.wrapping_mul(7_919) % OTHER_CONTACTS;
        let some = event.wrapping_mul(104_729) % 1_000;
        let name = kind.name();
        let _ = write!(body, r#""event_name":"{name}","contact_id":"c-{contact}","properties":"#);
        let _ = match kind {
            Kind::PageViewed => {
                write!(
                    body,
                    r#"{{"url":"https://shop.example/products/{some}","title":"Product {some}","referrer":"https://search.example/"}}}}"#
                )
            }
            Kind::Payment => write!(
                body,
                r#"{{"amount":{some}.{:02},"currency":"USD","product_id":"other-{some}","order_id":"o-{event}"}}}}"#,
                some % 100
            ),
            Kind::Tag => write!(body, r#"{{"tag_name":"other-{some}","already_present":false}}}}"#),
            Kind::Form => write!(body, r#"{{"form_id":"other-{some}"}}}}"#),
            Kind::Stage => write!(body, r#"{{"stage_id":"other-{some}","pipeline_id":"other"}}}}"#),
            Kind::Appointment => write!(body, r#"{{"calendar_id":"other-{some}"}}}}"#),
        };
    }
}

/// An event that meets a goal of that workflow: each of its three in turn.
fn write_matching(body: &mut Vec<u8>, number: u64, workflow: u64, contact: char) {
    let _ = match number % 3 {
        0 => write!(
            body,
            r#""event_name":"payment.completed","contact_id":"{contact}-{number}","properties":{{"amount":49.90,"currency":"USD","product_id":"p-{workflow}"}}}}"#
        ),
        1 => write!(
            body,
            r#""event_name":"contact.tag.added","contact_id":"{contact}-{number}","properties":{{"tag_name":"tag-{workflow}"}}}}"#
        ),
        _ => write!(
            body,
            r#""event_name":"form.submitted","contact_id":"{contact}-{number}","properties":{{"form_id":"f-{workflow}"}}}}"#
        ),
    };
}

/// Who sends, and when it was to be.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    pub clock: &'a Clock,
    pub tenant: u64,
    pub intended_us: u64,
}

fn time_text(us: u64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1_000);
    at.map(domain::time_format::to_text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::HashSet;

    use domain::event::{Admission, Defaults, Event, Taxonomy};
    use domain::goal::{Criteria, Directory, Goal, TenantRules};
    use domain::ids::TenantId;
    use domain::json::{Json, Limits};
    use domain::workflow::{GoalLogic, Workflow, WorkflowStatus};
    use serde_json::value::RawValue;
    use uuid::Uuid;

    use super::*;

    const CONTENTS: fn() -> Contents = || Contents {
        scenario: Scenario { tenants: 2, workflows: 4, enrollments: 50 },
        mix: Mix::default(),
        matching_ppm: 50_000,
        strangers_ppm: 20_000,
    };

    fn rules(scenario: Scenario) -> TenantRules {
        let compiled = |(position, (goal_type, criteria)): (usize, GoalText)| {
            let goal_type = goal_type.parse().unwrap();
            let goal = Goal {
                id: Uuid::from_u128(position as u128).into(),
                goal_type,
                criteria: Criteria::parse(goal_type, &Json::parse(&criteria, &Limits::CRITERIA).unwrap()).unwrap(),
                within: None,
                position: i16::try_from(position + 1).unwrap(),
                version: 1,
                created_at: OffsetDateTime::UNIX_EPOCH,
                effective_from: None,
                active: true,
            };
            goal.compile(&Directory::default(), "USD")
        };
        let workflow = |number: u64| Workflow {
            id: Uuid::from_u128(u128::from(number)).into(),
            status: WorkflowStatus::Active,
            logic: GoalLogic::Any,
            goals: Scenario::goals(number).into_iter().enumerate().map(compiled).collect(),
        };
        TenantRules::build((0..scenario.workflows).map(workflow).collect())
    }

    /// Every event is one that ingest takes, and those that are said to match nominate the workflow of their contact.
    #[test]
    fn events_are_sound_and_match_whom_they_are_said_to() {
        let contents = CONTENTS();
        let clock = Clock::start();
        let mut body = Vec::new();
        let mut said = 0;
        for batch in 0..20 {
            body.push(b'\n');
            let sent = Sent { clock: &clock, tenant: 1, intended_us: clock.now_us() };
            said += contents.write(&mut body, (batch * 100, 100), sent);
        }
        let rules = rules(contents.scenario);
        let tenant = TenantId::parse("a").unwrap();
        let defaults = Defaults::default();
        let admission = Admission {
            tenant: &tenant,
            taxonomy: Taxonomy::Strict,
            own_types: &(),
            max_properties_bytes: 2_048,
            defaults: &defaults,
        };
        let (mut exits, mut strangers, mut ids) = (HashSet::new(), 0, HashSet::new());
        for request in std::str::from_utf8(&body).unwrap().lines().filter(|line| !line.is_empty()) {
            for raw in serde_json::from_str::<Vec<&RawValue>>(request).unwrap() {
                let event = Event::parse(raw.get(), &admission).unwrap();
                assert!(ids.insert(event.event_id));
                let mut nominated = Vec::new();
                rules.nominate(&event.event_name, &event.properties, &mut nominated);
                let contact = event.contact_id.unwrap();
                let (whose, number) = contact.as_str().split_once('-').unwrap();
                let number: u64 = number.parse().unwrap();
                match nominated.as_slice() {
                    [] => {}
                    [workflow] if whose == "c" => {
                        assert_eq!(workflow.as_uuid().as_u128(), u128::from(number % contents.scenario.workflows));
                        assert!(exits.insert(number));
                    }
                    [_] => strangers += 1,
                    more => panic!("{more:?}"),
                }
            }
        }
        assert_eq!(exits, (0..50).collect());
        assert_eq!((said, strangers, ids.len()), (50, 40, 2_000));
    }
}
