//! What must come out, beside what came out. The constants were computed from the file alone (`deploy/demo/README.md`).

use std::collections::{BTreeMap, HashMap};

use domain::ids::EventId;
use domain::money::Amount;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::exits::Exits;
use super::purchases::Purchase;
use super::workload::Pass;
use load::progress::grouped;

/// Rows of the file.
const EVENTS: u64 = 69_659;
/// Customers in the file.
const ENROLLMENTS: u64 = 23_570;
/// Customers with a purchase of 100.00 or more.
const GOALS_ACHIEVED: u64 = 1_809;
const CONVERSION_RATE: &str = "7.7";
const AVERAGE_TIME_TO_GOAL_HOURS: &str = "2465.96";
const MEDIAN_TIME_TO_GOAL_HOURS: &str = "384.0";
const P90_TIME_TO_GOAL_HOURS: &str = "8044.8";
/// An amount that just misses the goal, and how many purchases have it.
const JUST_BELOW: (&str, u64) = ("99.99", 9);
/// The amount that just meets it.
const JUST_ENOUGH: (&str, u64) = ("100.00", 1);

/// One line of the table.
#[derive(Debug, Serialize)]
pub struct Figure {
    pub name: String,
    pub must_be: String,
    pub came_out: String,
    pub holds: bool,
}

/// The part of `GET …/goals/stats` that is looked at; numbers as they are written.
#[derive(Debug, Deserialize)]
pub struct Statistics {
    total_enrolled: u64,
    goals_achieved: u64,
    conversion_rate: Box<RawValue>,
    average_time_to_goal_hours: Box<RawValue>,
    median_time_to_goal_hours: Box<RawValue>,
    p90_time_to_goal_hours: Box<RawValue>,
}

/// All that was observed: through HTTP, and by the subscriber.
pub struct Observed<'a> {
    pub purchases: &'a [Purchase],
    pub first: Pass,
    pub replays: Vec<Pass>,
    pub statistics: Statistics,
    /// How many achievements each event has.
    pub achievements: HashMap<EventId, u64>,
    pub exits: &'a Exits,
}

/// Every figure.
pub fn compare(observed: &Observed<'_>) -> Vec<Figure> {
    let mut figures = Vec::from(of_first_pass(&observed.first));
    figures.extend(of_statistics(&observed.statistics));
    figures.extend(of_exits(observed));
    for (number, replay) in (1..).zip(&observed.replays) {
        figures.extend(of_replay(number, replay));
    }
    figures
}

fn of_first_pass(Pass { events, enrollments, .. }: &Pass) -> [Figure; 5] {
    [
        count("events stored", EVENTS, events.stored),
        count("events that were duplicates", 0, events.duplicates),
        nothing("events refused", &events.refused),
        count("enrollments", ENROLLMENTS, enrollments.created),
        nothing("enrollments refused", &enrollments.refused),
    ]
}

fn of_statistics(statistics: &Statistics) -> [Figure; 6] {
    let Statistics {
        total_enrolled,
        goals_achieved,
        conversion_rate: rate,
        average_time_to_goal_hours: average,
        median_time_to_goal_hours: median,
        p90_time_to_goal_hours: p90,
    } = statistics;
    [
        count("total_enrolled", ENROLLMENTS, *total_enrolled),
        count("goals_achieved", GOALS_ACHIEVED, *goals_achieved),
        number("conversion_rate", CONVERSION_RATE, rate),
        number("average_time_to_goal_hours", AVERAGE_TIME_TO_GOAL_HOURS, average),
        number("median_time_to_goal_hours", MEDIAN_TIME_TO_GOAL_HOURS, median),
        number("p90_time_to_goal_hours", P90_TIME_TO_GOAL_HOURS, p90),
    ]
}

fn of_exits(observed: &Observed<'_>) -> [Figure; 7] {
    let Observed { purchases, achievements, exits, .. } = observed;
    let achieved = |id| achievements.get(&id).copied().unwrap_or_default();
    let sent = |id| exits.by(id);
    let (below, enough) = (JUST_BELOW, JUST_ENOUGH);
    [
        count("achievements listed", GOALS_ACHIEVED, achievements.values().sum()),
        count("different workflow.exit.goal messages", GOALS_ACHIEVED, exits.distinct()),
        count("messages that break the contract", 0, exits.faulty),
        that_left(purchases, "achievements", (below.0, below.1, 0), achieved),
        that_left(purchases, "messages", (below.0, below.1, 0), sent),
        that_left(purchases, "achievements", (enough.0, enough.1, enough.1), achieved),
        that_left(purchases, "messages", (enough.0, enough.1, enough.1), sent),
    ]
}

/// The same again must change nothing.
fn of_replay(number: u32, Pass { events, enrollments, .. }: &Pass) -> [Figure; 6] {
    let name = |what: &str| format!("replay {number}: {what}");
    [
        count(&name("events stored"), 0, events.stored),
        count(&name("duplicates"), EVENTS, events.duplicates),
        nothing(&name("events refused"), &events.refused),
        count(&name("enrollments made"), 0, enrollments.created),
        count(&name("enrolled already"), ENROLLMENTS, enrollments.existing),
        nothing(&name("enrollments refused"), &enrollments.refused),
    ]
}

fn count(name: &str, must_be: u64, came_out: u64) -> Figure {
    Figure { name: name.to_owned(), must_be: grouped(must_be), came_out: grouped(came_out), holds: must_be == came_out }
}

/// Equal as decimals: `384` is `384.0`.
fn number(name: &str, must_be: &str, came_out: &RawValue) -> Figure {
    let exact = |text: &str| Amount::parse(text).ok();
    let came_out = came_out.get();
    Figure {
        name: name.to_owned(),
        must_be: must_be.to_owned(),
        came_out: came_out.to_owned(),
        holds: exact(came_out).is_some_and(|value| Some(value) == exact(must_be)),
    }
}

/// No code may have been answered; those that were are named.
fn nothing(name: &str, codes: &BTreeMap<String, u64>) -> Figure {
    let said: Vec<String> = codes.iter().map(|(code, times)| format!("{} {code}", grouped(*times))).collect();
    Figure {
        name: name.to_owned(),
        must_be: "0".to_owned(),
        came_out: if said.is_empty() { "0".to_owned() } else { said.join(", ") },
        holds: codes.is_empty(),
    }
}

/// Of the purchases of just this amount, how many made their customer leave.
fn that_left(
    purchases: &[Purchase],
    seen_in: &str,
    (amount, of, must_be): (&str, u64, u64),
    exits_by: impl Fn(EventId) -> u64,
) -> Figure {
    let bought = purchases.iter().filter(|purchase| purchase.amount == amount);
    let exits: Vec<u64> = bought.map(|purchase| exits_by(purchase.event_id())).collect();
    let (left, all) = (exits.iter().sum::<u64>(), exits.len() as u64);
    Figure {
        name: format!("exits by a purchase of {amount} ({seen_in})"),
        must_be: format!("{must_be} of {of}"),
        came_out: format!("{left} of {all}"),
        holds: (left, all) == (must_be, of),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::demo::purchases;
    use crate::demo::send::{Enrollments, Events};
    use load::progress::Phase;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn numbers_are_compared_by_value_and_not_by_spelling() {
        for (came_out, holds) in [("384", true), ("384.0", true), ("384.00", true), ("384.01", false), ("null", false)]
        {
            assert_eq!(number("median", "384.0", &raw(came_out)).holds, holds, "{came_out}");
        }
    }

    #[test]
    fn refusals_are_named() {
        let figure = nothing("events refused", &BTreeMap::from([("too_big".to_owned(), 1_200)]));
        assert_eq!((figure.came_out.as_str(), figure.holds), ("1,200 too_big", false));
        assert!(nothing("events refused", &BTreeMap::new()).holds);
    }

    fn pass(events: Events, enrollments: Enrollments) -> Pass {
        let phase = Phase { name: String::new(), took: Duration::ZERO, sent: None };
        Pass { events, enrollments, sending: phase.clone(), enrolling: phase }
    }

    fn observed<'a>(purchases: &'a [Purchase], exits: &'a Exits) -> Observed<'a> {
        let statistics = serde_json::from_str(
            r#"{"total_enrolled": 23570, "goals_achieved": 1809, "conversion_rate": 7.7, "average_time_to_goal_hours": 2465.96,
                "median_time_to_goal_hours": 384, "p90_time_to_goal_hours": 8044.80, "by_status": {}}"#,
        );
        Observed {
            purchases,
            first: pass(
                Events { stored: EVENTS, ..Events::default() },
                Enrollments { created: ENROLLMENTS, ..Enrollments::default() },
            ),
            replays: vec![pass(
                Events { stored: 1, duplicates: EVENTS - 1, ..Events::default() },
                Enrollments { existing: ENROLLMENTS, ..Enrollments::default() },
            )],
            statistics: statistics.unwrap(),
            achievements: HashMap::new(),
            exits,
        }
    }

    #[test]
    fn each_difference_shows_in_its_own_line() {
        let purchases = purchases::read().unwrap();
        let exits = Exits::default();
        let figures = compare(&observed(&purchases, &exits));
        let wrong: Vec<&str> = figures.iter().filter(|it| !it.holds).map(|it| it.name.as_str()).collect();
        let expected = [
            "achievements listed",
            "different workflow.exit.goal messages",
            "exits by a purchase of 100.00 (achievements)",
            "exits by a purchase of 100.00 (messages)",
            "replay 1: events stored",
            "replay 1: duplicates",
        ];
        assert_eq!(wrong, expected);
        let below = figures.iter().find(|it| it.name == "exits by a purchase of 99.99 (messages)").unwrap();
        assert_eq!((below.came_out.as_str(), below.holds), ("0 of 9", true));
    }
}
