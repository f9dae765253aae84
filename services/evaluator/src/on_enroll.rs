//! `on_enroll`: what a tag or stage goal says to a contact for whom it holds already. Read from the tag and stage events that
//! were stored of the contact and lie before the enrollment; later ones are for the judge.

use crate::configuration::{self, needed};
use crate::error::Error;
use crate::reading::Reading;
use crate::store::configuration::{self as store, Entry, LiveGoal};
use domain::goal::{CompiledGoal, GoalType, OnEnroll, StoredEvent};
use domain::ids::{ContactId, GoalId, TenantId, WorkflowId};
use domain::json::Json;
use pg::Tx;
use std::collections::{BTreeMap, HashMap, HashSet};
use time::OffsetDateTime;
use time::macros::datetime;

/// Before every event.
const EVER: OffsetDateTime = datetime!(1900-01-01 00:00 UTC);

/// The goal that holds for a contact, and what it says to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub on_enroll: OnEnroll,
    pub goal_id: GoalId,
}

/// The goals of a workflow that say something to a contact for whom they hold already.
pub async fn goals(tx: &Tx, tenant: &TenantId, workflow: WorkflowId) -> Result<Vec<LiveGoal>, pg::Error> {
    let goals = store::live_goals_of(tx, tenant, &[workflow]).await?;
    Ok(goals.into_iter().filter(says_something).collect())
}

/// For which of these contacts, each with the time of the enrollment, one of [`goals`] holds. Of several goals the first by
/// position, age and id.
pub async fn holding(
    tx: &Tx,
    tenant: &TenantId,
    goals: Vec<LiveGoal>,
    contacts: &[(&ContactId, OffsetDateTime)],
) -> Result<HashMap<ContactId, Held>, Error> {
    if contacts.is_empty() || goals.is_empty() {
        return Ok(HashMap::new());
    }
    let Some(head) = store::head(tx, tenant).await? else {
        return Ok(HashMap::new());
    };
    let entries = store::directory(tx, tenant, &needed(&goals)).await?;
    let rules = Rules::new(goals, entries, &head.currency);

    let mut reading = Reading::default();
    let mut states: HashMap<ContactId, (OffsetDateTime, State)> = HashMap::new();
    for &(contact, enrolled_at) in contacts {
        reading.add(contact.clone(), EVER, rules.event_names());
        states.insert(contact.clone(), (enrolled_at, State::default()));
    }
    while reading.is_open() {
        for (contact, events) in reading.next(tx, tenant).await? {
            let Some((enrolled_at, state)) = states.get_mut(&contact) else {
                continue;
            };
            for event in &events {
                if event.event_time >= *enrolled_at {
                    reading.close(&contact);
                    break;
                }
                state.after(event, &rules);
            }
        }
    }
    let held = |(contact, (_, state)): (ContactId, (OffsetDateTime, State))| Some((contact, rules.first_of(&state)?));
    Ok(states.into_iter().filter_map(held).collect())
}

fn says_something(goal: &LiveGoal) -> bool {
    let of_a_state = matches!(goal.goal_type.parse(), Ok(GoalType::TagAdded | GoalType::PipelineStageReached));
    of_a_state && goal.on_enroll.parse().is_ok_and(|on_enroll: OnEnroll| on_enroll != OnEnroll::Ignore)
}

/// The goals that say something, and what is needed to see whether they hold.
struct Rules {
    /// In the order they are asked.
    goals: Vec<(CompiledGoal, OnEnroll)>,
    /// The pipeline of each stage, where the directory knows it.
    pipelines: HashMap<String, String>,
}

impl Rules {
    fn new(goals: Vec<LiveGoal>, entries: Vec<Entry>, currency: &str) -> Self {
        let pipelines = entries.iter().filter_map(|entry| match entry {
            Entry::Stage { id, pipeline_id, .. } => Some((id.clone(), pipeline_id.clone())),
            Entry::Tag { .. } => None,
        });
        let pipelines = pipelines.collect();
        let directory = configuration::directory(entries);
        let compiled = goals.into_iter().filter_map(|goal| {
            let on_enroll = goal.on_enroll.parse().ok()?;
            Some((configuration::compiled(goal, &directory, currency).ok()?, on_enroll))
        });
        let mut goals: Vec<(CompiledGoal, OnEnroll)> = compiled.collect();
        goals.sort_by_key(|(goal, _)| (goal.goal().position, goal.goal().created_at, goal.id()));
        Self { goals, pipelines }
    }

    fn event_names(&self) -> impl Iterator<Item = &str> {
        self.goals.iter().map(|(goal, _)| goal.event_name())
    }

    fn first_of(&self, state: &State) -> Option<Held> {
        let held: HashSet<GoalId> = state.tags.iter().chain(state.stages.values().flatten()).copied().collect();
        let (goal, on_enroll) = self.goals.iter().find(|(goal, _)| held.contains(&goal.id()))?;
        Some(Held { on_enroll: *on_enroll, goal_id: goal.id() })
    }
}

/// Which goals hold for a contact after some of its events, in their order. Tags are never lost (there is no event for it); of
/// the stages the last one of each pipeline holds.
#[derive(Default)]
struct State {
    tags: HashSet<GoalId>,
    /// By pipeline; stages of which no pipeline is known share one.
    stages: BTreeMap<Option<String>, Vec<GoalId>>,
}

impl State {
    fn after(&mut self, event: &StoredEvent, rules: &Rules) {
        // A tag that was there before, a stage that was not left: for an event it does not count, for the state it does.
        let properties = without(&event.properties, &["already_present", "from_stage_id"]);
        let met = rules.goals.iter().filter(|(goal, _)| goal.verdict(&event.event_name, &properties).is_ok());
        let met = met.map(|(goal, _)| goal.id());
        let text = |key: &str| properties.get(key).and_then(Json::as_str);
        match text("stage_id").filter(|_| event.event_name == "pipeline.stage.changed") {
            None => self.tags.extend(met),
            Some(stage) => {
                let pipeline = text("pipeline_id").or_else(|| rules.pipelines.get(stage).map(String::as_str));
                self.stages.insert(pipeline.map(str::to_owned), met.collect());
            }
        }
    }
}

fn without(properties: &Json, keys: &[&str]) -> Json {
    let members = properties.as_object().unwrap_or_default();
    Json::object(members.iter().filter(|(key, _)| !keys.contains(&key.as_str())).cloned())
}
