//! The same things in the types of `goalpost-domain`.

use domain::goal::{self, CompiledGoal, Criteria, Directory, EnrollmentFacts, Judgement, StoredEvent, Within};
use domain::ids::{EventId, GoalId};
use domain::json::{Json, Limits};
use domain::workflow::{self, GoalLogic, WorkflowStatus};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::oracle::{self, CURRENCY, Moment, STAGES, TAGS};
use crate::random::properties_json;

pub fn at(moment: Moment) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(moment) * 1_000).unwrap()
}

fn moment(at: OffsetDateTime) -> Moment {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap()
}

fn json(text: &str) -> Json {
    Json::parse(text, &Limits::WIRE).unwrap()
}

pub fn directory() -> Directory {
    let mut directory = Directory::default();
    for (id, name) in TAGS {
        directory.add_tag(id, name);
    }
    for (id, pipeline, position) in STAGES {
        directory.add_stage(id, pipeline, position.map(|it| i32::try_from(it).unwrap()));
    }
    directory
}

pub fn workflow(
    number: u128,
    of: &oracle::Workflow,
    status: WorkflowStatus,
    directory: &Directory,
) -> workflow::Workflow {
    let logic = match of.logic {
        oracle::Logic::Any => GoalLogic::Any,
        oracle::Logic::All => GoalLogic::All,
        oracle::Logic::AtLeast(count) => GoalLogic::AtLeast(count),
    };
    let goals = of.goals.iter().map(|goal| compiled(goal, directory)).collect();
    workflow::Workflow { id: Uuid::from_u128(number).into(), status, logic, goals }
}

fn compiled(of: &oracle::Goal, directory: &Directory) -> CompiledGoal {
    let goal_type = of.wish.goal_type().parse().unwrap();
    let goal = goal::Goal {
        id: GoalId::from(Uuid::from_u128(of.id)),
        goal_type,
        criteria: Criteria::parse(goal_type, &json(&of.wish.json())).unwrap(),
        within: of.within.map(|within| Within { seconds: within / 1_000_000 }),
        position: of.position,
        version: of.version,
        created_at: at(of.created_at),
        effective_from: of.effective_from.map(at),
        active: of.active,
    };
    goal.compile(directory, CURRENCY)
}

pub fn event(of: &oracle::Event) -> StoredEvent {
    StoredEvent {
        event_id: EventId::from(Uuid::from_u128(of.id)),
        event_name: of.name.to_owned(),
        event_time: at(of.at),
        received_at: at(of.received_at),
        properties: json(&properties_json(&of.properties)),
    }
}

pub fn facts(of: &oracle::Passage) -> EnrollmentFacts {
    EnrollmentFacts {
        id: Uuid::from_u128(7).into(),
        enrolled_at: at(of.enrolled_at),
        created_at: at(of.created_at),
        already: of.already.iter().map(|(goal, met)| (Uuid::from_u128(*goal).into(), at(*met))).collect(),
        catch_up: false,
        closed_before: of.closed_before.map(at),
        credited: of.credited.iter().map(|id| Uuid::from_u128(*id).into()).collect(),
        active: of.active,
    }
}

/// Whether a judgement is what was decided. Of achievements of before that are enough, whichever came last completes the set.
pub fn assert_same(judgement: &Judgement, decision: &oracle::Decision, passage: &oracle::Passage) {
    let number = |id: &GoalId| id.as_uuid().as_u128();
    let achieved: Vec<oracle::Achieved> = judgement
        .achievements
        .iter()
        .map(|it| oracle::Achieved {
            goal: number(&it.goal),
            version: it.goal_version,
            event: it.event.as_uuid().as_u128(),
            at: moment(it.achieved_at),
            also: it.also_matched.iter().map(number).collect(),
        })
        .collect();
    assert_eq!(achieved, decision.achieved, "achievements of {passage:?}");
    let exit = judgement.exit.map(|exit| (moment(exit.reached_at), number(&exit.completing_goal)));
    assert_eq!(exit.map(|exit| exit.0), decision.exit.map(|exit| exit.reached_at), "the exit of {passage:?}");
    if let (Some((reached_at, goal)), Some(decided)) = (exit, decision.exit) {
        match decided.completing {
            Some(completing) => assert_eq!(goal, completing, "the completing goal"),
            None => assert!(passage.already.contains(&(goal, reached_at)), "the goal that came last"),
        }
    }
}
