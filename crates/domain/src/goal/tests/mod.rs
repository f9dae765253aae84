//! Goals from the outside: criteria, matching, judging, the index. Builders here, cases beside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod criteria;
mod explaining;
mod judging;
mod judging_properties;
mod matching;
mod rules;

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::*;
use crate::ids::{EnrollmentId, EventId, GoalId, WorkflowId};
use crate::json::{Json, Limits};
use crate::workflow::{GoalLogic, Workflow, WorkflowStatus};

/// A moment, in seconds after an arbitrary start.
pub(super) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::seconds(seconds)
}

pub(super) fn json(text: &str) -> Json {
    Json::parse(text, &Limits::WIRE).unwrap()
}

pub(super) fn criteria(goal_type: &str, text: &str) -> Criteria {
    Criteria::parse(goal_type.parse().unwrap(), &json(text)).unwrap()
}

pub(super) fn goal_id(number: u128) -> GoalId {
    Uuid::from_u128(0x600_0000 + number).into()
}

pub(super) fn event_id(number: u128) -> EventId {
    Uuid::from_u128(0xe00_0000 + number).into()
}

/// An active goal at that position, in force from the beginning.
pub(super) fn goal(position: i16, goal_type: &str, text: &str) -> Goal {
    Goal {
        id: goal_id(u128::try_from(position).unwrap()),
        goal_type: goal_type.parse().unwrap(),
        criteria: criteria(goal_type, text),
        within: None,
        position,
        version: 1,
        created_at: at(-1_000),
        effective_from: None,
        active: true,
    }
}

pub(super) fn compiled(goal: Goal) -> CompiledGoal {
    goal.compile(&Directory::default(), "USD")
}

pub(super) fn workflow(logic: GoalLogic, goals: Vec<Goal>) -> Workflow {
    Workflow {
        id: WorkflowId::from(Uuid::from_u128(1)),
        status: WorkflowStatus::Active,
        logic,
        goals: goals.into_iter().map(compiled).collect(),
    }
}

/// An enrollment at second 0.
pub(super) fn facts() -> EnrollmentFacts {
    EnrollmentFacts {
        id: EnrollmentId::from(Uuid::from_u128(7)),
        enrolled_at: at(0),
        created_at: at(0),
        already: Vec::new(),
        catch_up: false,
        closed_before: None,
        credited: std::collections::HashSet::new(),
        active: true,
    }
}

/// An event received when it happened.
pub(super) fn event(number: u128, seconds: i64, name: &str, properties: &str) -> StoredEvent {
    StoredEvent {
        event_id: event_id(number),
        event_name: name.to_owned(),
        event_time: at(seconds),
        received_at: at(seconds),
        properties: json(properties),
    }
}

pub(super) fn tag(number: u128, seconds: i64, name: &str) -> StoredEvent {
    event(number, seconds, "contact.tag.added", &format!(r#"{{"tag_name":"{name}"}}"#))
}

pub(super) fn payment(number: u128, seconds: i64, amount: &str) -> StoredEvent {
    event(number, seconds, "payment.completed", &format!(r#"{{"amount":{amount}}}"#))
}
