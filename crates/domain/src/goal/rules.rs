//! The goals of one tenant, indexed by event name and discriminating value, so that an event is held
//! against the few goals it may meet and not against all of them.

mod index;

use std::collections::HashMap;

use self::index::{NameIndex, Slot};
use super::CompiledGoal;
use crate::ids::WorkflowId;
use crate::json::Json;
use crate::workflow::Workflow;

/// The active goals of a tenant's live workflows.
#[derive(Debug, Clone, Default)]
pub struct TenantRules {
    workflows: Vec<Workflow>,
    positions: HashMap<WorkflowId, usize>,
    by_name: HashMap<Box<str>, NameIndex>,
}

impl TenantRules {
    /// Indexes the active goals of the live ones among `workflows`. The others are kept, for
    /// [`TenantRules::workflow`], but nominate nothing.
    #[must_use]
    pub fn build(workflows: Vec<Workflow>) -> TenantRules {
        let mut rules = TenantRules {
            positions: workflows.iter().enumerate().map(|(position, workflow)| (workflow.id, position)).collect(),
            workflows,
            by_name: HashMap::new(),
        };
        for (position, workflow) in rules.workflows.iter().enumerate() {
            if !workflow.status.is_live() {
                continue;
            }
            for (goal_position, goal) in workflow.goals.iter().enumerate() {
                if goal.goal().active {
                    let index = rules.by_name.entry(goal.event_name().into()).or_default();
                    index.add(Slot::new(position, goal_position), goal);
                }
            }
        }
        for index in rules.by_name.values_mut() {
            index.finish();
        }
        rules
    }

    /// Whether any goal waits for events of this name.
    #[must_use]
    pub fn listens_to(&self, event_name: &str) -> bool {
        self.by_name.contains_key(event_name)
    }

    /// The event names that goals wait for.
    pub fn event_names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }

    /// Appends the workflows with a goal whose criteria the event meets, each once, in ascending order.
    /// Allocates nothing when nobody listens to the name.
    pub fn nominate(&self, event_name: &str, properties: &Json, nominated: &mut Vec<WorkflowId>) {
        let Some(index) = self.by_name.get(event_name) else {
            return;
        };
        let from = nominated.len();
        index.candidates(properties, &mut |slot| {
            if let Some((workflow, goal)) = self.at(slot)
                && goal.verdict(event_name, properties).is_ok()
            {
                nominated.push(workflow.id);
            }
        });
        if nominated.len() - from > 1 {
            nominated[from..].sort_unstable();
            dedup_tail(nominated, from);
        }
    }

    /// A workflow by its id, with its compiled goals.
    #[must_use]
    pub fn workflow(&self, id: WorkflowId) -> Option<&Workflow> {
        self.workflows.get(*self.positions.get(&id)?)
    }

    /// Every workflow that was given.
    #[must_use]
    pub fn workflows(&self) -> &[Workflow] {
        &self.workflows
    }

    fn at(&self, slot: Slot) -> Option<(&Workflow, &CompiledGoal)> {
        let workflow = self.workflows.get(slot.workflow())?;
        Some((workflow, workflow.goals.get(slot.goal())?))
    }
}

/// Removes repetitions from the sorted tail that begins at `from`.
fn dedup_tail(ids: &mut Vec<WorkflowId>, from: usize) {
    let mut kept = from + 1;
    for at in from + 1..ids.len() {
        if ids[at] != ids[kept - 1] {
            ids[kept] = ids[at];
            kept += 1;
        }
    }
    ids.truncate(kept);
}
