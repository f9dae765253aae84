//! A recount that shares nothing with the service: the history as a list of changes, counted in whole numbers.

use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A goal of a workflow.
#[derive(Clone, Debug)]
pub struct Goal {
    pub id: Uuid,
    pub goal_type: &'static str,
}

/// A workflow, with its goals by position.
#[derive(Clone, Debug)]
pub struct Workflow {
    pub id: Uuid,
    pub goals: Vec<Goal>,
}

/// One enrollment as it is after some changes.
#[derive(Clone, Debug)]
pub struct Enrollment {
    /// Which of the workflows.
    pub workflow: usize,
    pub enrolled_at: OffsetDateTime,
    pub status: &'static str,
    /// Which of the workflow's goals, and when.
    pub achieved: Vec<(usize, OffsetDateTime)>,
}

impl Enrollment {
    pub fn reached_at(&self) -> Option<OffsetDateTime> {
        let last = self.achieved.iter().map(|(_, at)| *at).max();
        last.filter(|_| self.status == "completed_goal")
    }
}

/// One transaction.
#[derive(Clone, Debug)]
pub enum Change {
    Enroll(Enrollment),
    /// The enrollment, which goals it meets and when, and the status it has after that.
    Move(usize, Vec<(usize, OffsetDateTime)>, &'static str),
}

/// Everything after some changes.
#[derive(Clone, Debug, Default)]
pub struct History(pub Vec<Enrollment>);

impl History {
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Enroll(enrollment) => self.0.push(enrollment.clone()),
            Change::Move(place, achieved, status) => {
                self.0[*place].achieved.extend(achieved);
                self.0[*place].status = status;
            }
        }
    }

    /// The enrollments of a workflow within a span.
    fn of(&self, workflow: usize, (from, to): Span) -> Vec<&Enrollment> {
        let within = |e: &&Enrollment| {
            e.workflow == workflow
                && from.is_none_or(|from| e.enrolled_at >= from)
                && to.is_none_or(|to| e.enrolled_at < to)
        };
        self.0.iter().filter(within).collect()
    }
}

pub type Span = (Option<OffsetDateTime>, Option<OffsetDateTime>);

/// The answer of `/workflows/{id}/goals/stats`, but for `as_of`.
pub fn statistics(history: &History, workflows: &[Workflow], which: usize, span: Span) -> Value {
    let workflow = &workflows[which];
    let asked = history.of(which, span);
    let mut by_status = BTreeMap::from(["active", "completed_goal", "completed", "removed", "failed"].map(|s| (s, 0)));
    let mut by_day: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut by_type: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut by_goal: Vec<Vec<i64>> = vec![Vec::new(); workflow.goals.len()];
    for enrollment in &asked {
        *by_status.get_mut(enrollment.status).unwrap() += 1;
        by_day.entry(enrollment.enrolled_at.date().to_string()).or_default().0 += 1;
        if let Some(reached) = enrollment.reached_at() {
            by_day.entry(reached.date().to_string()).or_default().1 += 1;
        }
        let mut first: BTreeMap<&str, i64> = BTreeMap::new();
        for (goal, at) in &enrollment.achieved {
            let took = seconds(*at - enrollment.enrolled_at);
            by_goal[*goal].push(took);
            first.entry(workflow.goals[*goal].goal_type).and_modify(|least| *least = took.min(*least)).or_insert(took);
        }
        first.into_iter().for_each(|(goal_type, took)| by_type.entry(goal_type).or_default().push(took));
    }
    let of = asked.len();
    let of_goal = |(goal, took): (&Goal, &Vec<i64>)| {
        reached(json!({"goal_id": goal.id, "goal_type": goal.goal_type}), "achieved", took, of)
    };
    let of_type =
        |(goal_type, took): (&&str, &Vec<i64>)| reached(json!({"goal_type": goal_type}), "achieved", took, of);
    let of_day = |(date, (enrolled, achieved)): (&String, &(i64, i64))| json!({"date": date, "enrolled": enrolled, "goals_achieved": achieved});
    let head = json!({
        "workflow_id": workflow.id, "total_enrolled": of, "by_status": by_status,
        "by_goal": workflow.goals.iter().zip(&by_goal).map(of_goal).collect::<Vec<_>>(),
        "by_goal_type": by_type.iter().map(of_type).collect::<Vec<_>>(),
        "by_day": by_day.iter().map(of_day).collect::<Vec<_>>(),
    });
    reached(head, "goals_achieved", &times(&asked), of)
}

/// The items of `/analytics/workflows`; the workflows stand in the order in which they were made, each with its name.
pub fn ranking(history: &History, workflows: &[Workflow], span: Span) -> Vec<Value> {
    let mut ranked: Vec<_> = (0..workflows.len())
        .map(|which| {
            let asked = history.of(which, span);
            let took = times(&asked);
            let rate = rounded(1_000 * took.len() as i128, asked.len() as i128);
            let head = json!({"workflow_id": workflows[which].id, "name": "w", "status": "active", "total_enrolled": asked.len()});
            ((rate, took.len(), which), reached(head, "goals_achieved", &took, asked.len()))
        })
        .collect();
    ranked.sort_by_key(|(place, _)| Reverse(*place));
    ranked.into_iter().map(|(_, item)| item).collect()
}

fn times(asked: &[&Enrollment]) -> Vec<i64> {
    asked.iter().filter_map(|e| Some(seconds(e.reached_at()? - e.enrolled_at))).collect()
}

fn seconds(duration: Duration) -> i64 {
    duration.whole_seconds()
}

/// Adds to an object how many of `of` took how many seconds each.
fn reached(mut object: Value, count: &str, took: &[i64], of: usize) -> Value {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    let sum: i128 = sorted.iter().map(|took| i128::from(*took)).sum();
    // Of percentiles in twentieths: value × 20.
    let percentile = |twentieths: usize| {
        let place = twentieths * sorted.len().checked_sub(1)?;
        let (low, rest) = (place / 20, (place % 20) as i128);
        let high = sorted.get(low + 1).unwrap_or(&sorted[low]);
        Some(rounded((i128::from(sorted[low]) * (20 - rest) + i128::from(*high) * rest) * 100, 20 * 3_600))
    };
    let average = (!sorted.is_empty()).then(|| rounded(sum * 100, sorted.len() as i128 * 3_600));
    let hours = |hundredths: Option<i128>| hundredths.map(|hundredths| hundredths as f64 / 100.0);
    object[count] = json!(sorted.len());
    object["conversion_rate"] = json!(rounded(1_000 * sorted.len() as i128, of as i128) as f64 / 10.0);
    object["average_time_to_goal_hours"] = json!(hours(average));
    object["median_time_to_goal_hours"] = json!(hours(percentile(10)));
    object["p90_time_to_goal_hours"] = json!(hours(percentile(18)));
    object["p95_time_to_goal_hours"] = json!(hours(percentile(19)));
    object
}

/// The quotient, half away from zero; nothing of nothing is 0.
fn rounded(dividend: i128, divisor: i128) -> i128 {
    if divisor == 0 { 0 } else { (2 * dividend + divisor) / (2 * divisor) }
}
