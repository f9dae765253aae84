//! The configuration of tenants in memory: compiled, indexed, and never older than the last epoch read. It says which events are
//! worth a look; what is judged is read again under the workflow's fence.

use crate::error::Error;
use crate::metrics::Metrics;
use crate::store::configuration::{self as store, Entry, Head, LiveGoal, Needed};
use crate::store::planning;
use domain::goal::{CompiledGoal, Criteria, Directory, Goal, GoalStatus, GoalType, TenantRules, Within, fold_name};
use domain::ids::{TenantId, WorkflowId};
use domain::json::{Json, Limits};
use domain::workflow::Workflow;
use futures_util::StreamExt;
use pg::{Db, Scope, Tx};
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// Tenants whose configuration is loaded at once.
const LOADS_AT_ONCE: usize = 4;

/// Locks that tenants share, so that none has to be kept for each.
const LOCKS: usize = 64;

/// One tenant's configuration as of one epoch.
pub struct Configuration {
    epoch: i64,
    pub rules: TenantRules,
}

/// The configurations of the tenants that events came for.
pub struct Configurations {
    db: Db,
    metrics: Metrics,
    most_tenants: usize,
    known: Mutex<Known>,
    /// Whoever loads a tenant holds its lock: consumers that find a tenant moved at the same moment load it once.
    loading: [tokio::sync::Mutex<()>; LOCKS],
}

#[derive(Default)]
struct Known {
    tenants: HashMap<TenantId, (u64, Arc<Configuration>)>,
    /// Counts look-ups, to tell which tenant was not asked for the longest.
    looked: u64,
}

impl Known {
    fn get(&mut self, tenant: &TenantId, epoch: i64) -> Option<Arc<Configuration>> {
        self.looked += 1;
        let (used, configuration) = self.tenants.get_mut(tenant)?;
        *used = self.looked;
        (configuration.epoch == epoch).then(|| Arc::clone(configuration))
    }

    fn put(&mut self, tenant: TenantId, configuration: Arc<Configuration>, most: usize) {
        self.looked += 1;
        self.tenants.insert(tenant, (self.looked, configuration));
        while self.tenants.len() > most.max(1) {
            let oldest = self.tenants.iter().min_by_key(|(_, (used, _))| *used).map(|(tenant, _)| tenant.clone());
            if let Some(oldest) = oldest {
                self.tenants.remove(&oldest);
            }
        }
    }
}

/// What is known of each tenant that was asked for: its configuration, or why it could not be loaded. A tenant that does not
/// exist is not among them.
pub type Fresh = HashMap<TenantId, Result<Arc<Configuration>, Error>>;

impl Configurations {
    pub fn new(db: Db, metrics: Metrics, most_tenants: usize) -> Self {
        Self {
            db,
            metrics,
            most_tenants,
            known: Mutex::default(),
            loading: std::array::from_fn(|_| Default::default()),
        }
    }

    /// The configurations of tenants, as of now: one read of their epochs, and a load of those that moved. Call it after the
    /// last message that it is to judge has arrived.
    pub async fn fresh(&self, tenants: BTreeSet<TenantId>) -> Result<Fresh, Error> {
        let epochs = self.epochs(tenants.into_iter().collect()).await?;
        let mut fresh = Fresh::new();
        let mut moved = Vec::new();
        for (tenant, epoch) in epochs {
            match self.known(&tenant, epoch) {
                Some(configuration) => drop(fresh.insert(tenant, Ok(configuration))),
                None => moved.push((tenant, epoch)),
            }
        }
        let mut loads = futures_util::stream::iter(moved)
            .map(|(tenant, epoch)| async move { (tenant.clone(), self.load_once(tenant, epoch).await) })
            .buffer_unordered(LOADS_AT_ONCE);
        while let Some((tenant, loaded)) = loads.next().await {
            match loaded {
                Ok(None) => {}
                Ok(Some(configuration)) => drop(fresh.insert(tenant, Ok(configuration))),
                Err(error) => drop(fresh.insert(tenant, Err(error))),
            }
        }
        Ok(fresh)
    }

    async fn epochs(&self, tenants: Vec<TenantId>) -> Result<HashMap<TenantId, i64>, Error> {
        let tenants: Arc<[TenantId]> = tenants.into();
        self.db
            .run_select("read_epochs", "epochs of a micro-batch's tenants", move |tx| {
                let tenants = Arc::clone(&tenants);
                Box::pin(async move {
                    let tenants: Vec<&str> = tenants.iter().map(TenantId::as_str).collect();
                    Ok(store::epochs(tx, &tenants).await?)
                })
            })
            .await
    }

    fn known(&self, tenant: &TenantId, epoch: i64) -> Option<Arc<Configuration>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(tenant, epoch)
    }

    /// Loads a tenant, unless somebody else has done so meanwhile.
    async fn load_once(&self, tenant: TenantId, epoch: i64) -> Result<Option<Arc<Configuration>>, Error> {
        let mut hasher = DefaultHasher::new();
        tenant.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or_default();
        let _loading = self.loading[place].lock().await;
        if let Some(configuration) = self.known(&tenant, epoch) {
            return Ok(Some(configuration));
        }
        // What is there is out of date for everybody: two of a large tenant need not be held at once.
        self.known.lock().unwrap_or_else(PoisonError::into_inner).tenants.remove(&tenant);
        self.load(tenant).await
    }

    async fn load(&self, tenant: TenantId) -> Result<Option<Arc<Configuration>>, Error> {
        let scope = Scope::Tenant(tenant.clone());
        let of = tenant.clone();
        let loaded = self
            .db
            .run_snapshot("load_configuration", scope, move |tx| {
                let tenant = of.clone();
                Box::pin(async move {
                    let Some(head) = store::head(tx, &tenant).await? else {
                        return Ok(None);
                    };
                    let goals = store::live_goals(tx, &tenant).await?;
                    let directory = store::directory(tx, &tenant, &needed(&goals)).await?;
                    Ok::<_, Error>(Some((head, goals, directory)))
                })
            })
            .await?;
        let Some((head, goals, entries)) = loaded else {
            return Ok(None);
        };
        let (metrics, of) = (self.metrics.clone(), tenant.clone());
        // A tenant may have 100,000 goals: too long for a thread that others wait for.
        let configuration = tokio::task::spawn_blocking(move || {
            let workflows = compile(&of, goals, &directory(entries), &head.currency, &metrics);
            Configuration { epoch: head.epoch, rules: TenantRules::build(workflows) }
        });
        let configuration = Arc::new(configuration.await.map_err(|_| pg::Error::Panicked("load_configuration"))?);
        tracing::debug!(%tenant, epoch = configuration.epoch, workflows = configuration.rules.workflows().len(), "configuration loaded");
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(tenant, Arc::clone(&configuration), self.most_tenants);
        Ok(Some(configuration))
    }
}

/// Workflows as they are under their fences. Those that are not live are not among them.
pub enum Fenced<'k> {
    /// Nothing has changed since they were loaded.
    Known(&'k TenantRules),
    Read(HashMap<WorkflowId, Workflow>),
}

impl Fenced<'_> {
    pub fn get(&self, workflow: WorkflowId) -> Option<&Workflow> {
        match self {
            Self::Known(rules) => rules.workflow(workflow),
            Self::Read(workflows) => workflows.get(&workflow),
        }
    }
}

/// The workflows for a transaction that has read the tenant's head while it held their fences: as they are known where the epoch is,
/// because every change raises it; else read, and compiled anew.
pub async fn under_fence<'k>(
    tx: &Tx,
    (tenant, workflows): (&TenantId, &[WorkflowId]),
    head: Option<Head>,
    known: &'k Configuration,
    metrics: &Metrics,
) -> Result<Fenced<'k>, Error> {
    let Some(head) = head else {
        return Ok(Fenced::Read(HashMap::new()));
    };
    if head.epoch == known.epoch {
        return Ok(Fenced::Known(&known.rules));
    }
    // Of these no one plan is good for every tenant.
    planning::anew(tx).await?;
    let goals = store::live_goals_of(tx, tenant, workflows).await?;
    let directory = directory(store::directory(tx, tenant, &needed(&goals)).await?);
    planning::once(tx).await?;
    let workflows = compile(tenant, goals, &directory, &head.currency, metrics);
    Ok(Fenced::Read(workflows.into_iter().map(|workflow| (workflow.id, workflow)).collect()))
}

/// What goals need of the directory.
pub fn needed(goals: &[LiveGoal]) -> Needed {
    let mut needed = Needed::default();
    for goal in goals {
        let Ok(criteria) = Json::parse(&goal.criteria, &Limits::CRITERIA) else {
            continue;
        };
        let text = |key: &str| criteria.get(key).and_then(Json::as_str);
        match goal.goal_type.parse() {
            Ok(GoalType::TagAdded) => {
                needed.tag_ids.extend(text("tag_id").map(str::to_owned));
                needed.folded_tag_names.extend(text("tag_name").map(fold_name));
                needed.all_tags |= text("tag_pattern").is_some();
            }
            Ok(GoalType::PipelineStageReached) => needed.stage_ids.extend(text("stage_id").map(str::to_owned)),
            _ => {}
        }
    }
    needed
}

pub fn directory(entries: Vec<Entry>) -> Directory {
    let mut directory = Directory::default();
    for entry in entries {
        match entry {
            Entry::Tag { id, name } => directory.add_tag(&id, &name),
            Entry::Stage { id, pipeline_id, position } => directory.add_stage(&id, &pipeline_id, position),
        }
    }
    directory
}

/// Compiles goals, by workflow. A workflow with a goal that this version cannot read is left out whole: without that goal,
/// `all` would be met too early.
fn compile(
    tenant: &TenantId,
    goals: Vec<LiveGoal>,
    directory: &Directory,
    currency: &str,
    metrics: &Metrics,
) -> Vec<Workflow> {
    let mut by_workflow: HashMap<WorkflowId, Vec<LiveGoal>> = HashMap::new();
    for goal in goals {
        by_workflow.entry(goal.workflow_id).or_default().push(goal);
    }
    let mut workflows = Vec::with_capacity(by_workflow.len());
    for (id, goals) in by_workflow {
        match workflow(id, goals, directory, currency) {
            Ok(workflow) => workflows.push(workflow),
            Err(reason) => {
                metrics.unreadable_workflow();
                tracing::error!(%tenant, workflow = %id, reason, "a workflow cannot be read, and is not judged");
            }
        }
    }
    workflows
}

fn workflow(id: WorkflowId, goals: Vec<LiveGoal>, directory: &Directory, currency: &str) -> Result<Workflow, String> {
    let first = goals.first().ok_or("it has no goals")?;
    let status = first.workflow_status.parse().map_err(|error| format!("status: {error}"))?;
    let logic = serde_json::from_str(&first.goal_logic).map_err(|error| format!("goal_logic: {error}"))?;
    let goals = goals.into_iter().map(|goal| compiled(goal, directory, currency)).collect::<Result<_, _>>()?;
    Ok(Workflow { id, status, logic, goals })
}

pub fn compiled(goal: LiveGoal, directory: &Directory, currency: &str) -> Result<CompiledGoal, String> {
    Ok(read(goal)?.compile(directory, currency))
}

fn read(goal: LiveGoal) -> Result<Goal, String> {
    let of_goal = |what: &str, why: &dyn std::fmt::Display| format!("goal {}, {what}: {why}", goal.goal_id);
    let goal_type = goal.goal_type.parse().map_err(|error| of_goal("type", &error))?;
    let criteria = Json::parse(&goal.criteria, &Limits::CRITERIA).map_err(|fault| of_goal("criteria", &fault))?;
    let criteria = Criteria::parse(goal_type, &criteria).map_err(|fault| of_goal("criteria", &fault))?;
    let within =
        goal.within_seconds.map(Within::from_seconds).transpose().map_err(|fault| of_goal("within", &fault))?;
    Ok(Goal {
        id: goal.goal_id.into(),
        goal_type,
        criteria,
        within,
        position: goal.position,
        version: goal.version,
        created_at: goal.created_at,
        effective_from: goal.effective_from,
        active: true,
    })
}

/// A workflow with all its goals that are not deleted, whatever its status and theirs; compiled as `under_fence` does it. `None`: it
/// has none.
pub async fn whole(tx: &Tx, tenant: &TenantId, id: WorkflowId) -> Result<Option<Workflow>, Error> {
    let (goals, statuses): (Vec<LiveGoal>, Vec<GoalStatus>) =
        store::goals_of(tx, tenant, id).await?.into_iter().unzip();
    let Some(head) = store::head(tx, tenant).await?.filter(|_| !goals.is_empty()) else {
        return Ok(None);
    };
    let directory = directory(store::directory(tx, tenant, &needed(&goals)).await?);
    let whole = workflow(id, goals, &directory, &head.currency).map(|workflow| {
        let goals = workflow.goals.iter().zip(statuses).map(|(goal, status)| {
            let goal = Goal { active: status == GoalStatus::Active, ..goal.goal().clone() };
            goal.compile(&directory, &head.currency)
        });
        Workflow { goals: goals.collect(), ..workflow }
    });
    whole.map(Some).map_err(|reason| {
        tracing::warn!(%tenant, workflow = %id, reason, "a workflow cannot be read, and is not explained");
        Error::GoalsUnreadable
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    fn configuration(epoch: i64) -> Arc<Configuration> {
        Arc::new(Configuration { epoch, rules: TenantRules::build(Vec::new()) })
    }

    #[test]
    fn only_the_epoch_that_was_read_is_known() {
        let mut known = Known::default();
        known.put(tenant("a"), configuration(3), 10);
        assert!(known.get(&tenant("a"), 3).is_some());
        assert!(known.get(&tenant("a"), 4).is_none());
        assert!(known.get(&tenant("a"), 2).is_none(), "a restored database counts from an earlier one");
        assert!(known.get(&tenant("b"), 3).is_none());
    }

    #[test]
    fn the_tenant_that_was_not_asked_for_the_longest_makes_room() {
        let mut known = Known::default();
        for name in ["a", "b"] {
            known.put(tenant(name), configuration(1), 2);
        }
        assert!(known.get(&tenant("a"), 1).is_some());
        known.put(tenant("c"), configuration(1), 2);
        assert!(known.get(&tenant("b"), 1).is_none());
        assert!(known.get(&tenant("a"), 1).is_some() && known.get(&tenant("c"), 1).is_some());
    }
}
