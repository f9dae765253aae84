//! Goals of every type and events that about one in a hundred of them meets, the same at every run: what the Criterion benches
//! of this crate and the rows of the bench are held against.
#![allow(clippy::expect_used, reason = "constants that are sound")]

use std::collections::HashMap;

use domain::goal::{Criteria, Directory, Goal, TenantRules};
use domain::json::{Json, Limits};
use domain::workflow::{GoalLogic, Workflow, WorkflowStatus};
use time::OffsetDateTime;
use uuid::Uuid;

/// An event as the index sees it.
pub struct Event {
    pub name: &'static str,
    pub properties: Json,
    /// What a hash look-up would be asked for.
    pub key: String,
}

/// The `number`-th of `goals` goals: 35 % tags (one in ten a prefix), 25 % purchases (half by product, half by an amount that few
/// pay), 15 % appointments, 15 % forms, 10 % stages.
fn goal(number: usize) -> (&'static str, String) {
    match number % 20 {
        0 if number.is_multiple_of(200) => ("tag_added", format!(r#"{{"tag_pattern":"prefix-{number}-*"}}"#)),
        0..7 => ("tag_added", format!(r#"{{"tag_name":"tag-{number}"}}"#)),
        7..10 => ("purchase_made", format!(r#"{{"product_id":"p-{number}"}}"#)),
        10..12 => ("purchase_made", format!(r#"{{"min_amount":{}}}"#, 100_000 + number)),
        12..15 => ("appointment_booked", format!(r#"{{"calendar_id":"c-{number}"}}"#)),
        15..18 => ("form_submitted", format!(r#"{{"form_id":"f-{number}"}}"#)),
        _ => ("pipeline_stage_reached", format!(r#"{{"stage_id":"s-{number}"}}"#)),
    }
}

/// The rules of a tenant with so many goals, up to three in a workflow.
pub fn rules(goals: usize) -> TenantRules {
    let numbers: Vec<usize> = (0..goals).collect();
    let workflows = numbers.chunks(3).map(|numbers| Workflow {
        id: id(numbers[0]).into(),
        status: WorkflowStatus::Active,
        logic: GoalLogic::Any,
        goals: (1_i16..).zip(numbers).map(|(position, number)| compiled(*number, position)).collect(),
    });
    TenantRules::build(workflows.collect())
}

fn compiled(number: usize, position: i16) -> domain::goal::CompiledGoal {
    let (goal_type, criteria) = goal(number);
    let goal_type = goal_type.parse().expect("a type");
    let criteria = Json::parse(&criteria, &Limits::CRITERIA).expect("JSON");
    let goal = Goal {
        id: id(number).into(),
        goal_type,
        criteria: Criteria::parse(goal_type, &criteria).expect("criteria"),
        within: None,
        position,
        version: 1,
        created_at: OffsetDateTime::UNIX_EPOCH,
        effective_from: None,
        active: true,
    };
    goal.compile(&Directory::default(), "USD")
}

fn id(number: usize) -> Uuid {
    Uuid::from_u128(number as u128 + 1)
}

/// Events, one in a hundred of which is about a value that one of so many goals names.
pub fn events(count: usize, goals: usize) -> Vec<Event> {
    let one = |at: usize| {
        let number = at.wrapping_mul(7_919);
        let value =
            if at.is_multiple_of(100) { (number % goals).to_string() } else { format!("other-{}", number % 5_000) };
        let (name, key, text) = match at % 10 {
            0..4 => (
                "contact.tag.added",
                format!("tag-{value}"),
                format!(r#"{{"tag_name":"tag-{value}","already_present":false}}"#),
            ),
            4..6 => (
                "payment.completed",
                format!("p-{value}"),
                format!(
                    r#"{{"amount":{}.90,"currency":"USD","product_id":"p-{value}","order_id":"o-{at}","quantity":1}}"#,
                    number % 500
                ),
            ),
            6 => (
                "appointment.booked",
                format!("c-{value}"),
                format!(r#"{{"calendar_id":"c-{value}","service_id":"x"}}"#),
            ),
            7..9 => ("form.submitted", format!("f-{value}"), format!(r#"{{"form_id":"f-{value}"}}"#)),
            _ => (
                "pipeline.stage.changed",
                format!("s-{value}"),
                format!(r#"{{"stage_id":"s-{value}","pipeline_id":"sales"}}"#),
            ),
        };
        Event { name, properties: Json::parse(&text, &Limits::WIRE).expect("JSON"), key }
    };
    (0..count).map(one).collect()
}

/// What a hash look-up per event would be made on: as many keys as there are goals.
pub fn table(goals: usize) -> HashMap<String, usize> {
    let key = |number: usize| match number % 20 {
        0..7 => format!("tag-{number}"),
        7..12 => format!("p-{number}"),
        12..15 => format!("c-{number}"),
        15..18 => format!("f-{number}"),
        _ => format!("s-{number}"),
    };
    (0..goals).map(|number| (key(number), number)).collect()
}
