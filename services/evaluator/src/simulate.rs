//! What a goal that nobody has made yet would have done: the same compilation, the same judge, over the same stored events, with nothing
//! written and nothing locked.
//!
//! A simulation is of one moment, though it is read in many short snapshots: stored events never change, what was stored or made later is
//! left out, and an end that came later counts as none. So no snapshot is held for long, and only a part of the events is held here.

use crate::configuration::{self, needed};
use crate::error::Error;
use crate::reading::Reading;
use crate::settings::SimulationSettings;
use crate::store::configuration::{self as store, LiveGoal};
use crate::store::histories::{self, History, Made, Span};
use crate::store::{planning, workflows};
use domain::enrollment::ExitReason;
use domain::fault::Fault;
use domain::goal::{Criteria, EnrollmentFacts, StoredEvent, Within, judge};
use domain::ids::{ContactId, EnrollmentId, EventId, TenantId, WorkflowId};
use domain::workflow::{GoalLogic, Workflow, WorkflowStatus};
use futures_util::StreamExt;
use pg::{Db, Scope, Tx};
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Enrollments listed by one statement.
const PAGE: usize = 4_096;
/// Enrollments whose events are read side by side.
const PART: usize = 256;
/// Parts at once: while one is read, the other is judged.
const PARTS_AT_ONCE: usize = 2;

/// The goal as it would be.
#[derive(Clone, Debug)]
pub struct Draft {
    pub criteria: Criteria,
    pub within: Option<Within>,
}

/// Whom it is tried on.
#[derive(Clone, Copy, Debug)]
pub struct Whom {
    pub workflow_id: WorkflowId,
    /// Enrolled at or after.
    pub from: Option<OffsetDateTime>,
    /// Enrolled before.
    pub to: Option<OffsetDateTime>,
    /// How many of those who would have exited are named.
    pub limit: usize,
}

/// An enrollment that the goal would have ended. In the order in which they are named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WouldExit {
    /// The event's time.
    pub at: OffsetDateTime,
    pub enrollment_id: EnrollmentId,
    pub contact_id: ContactId,
    pub event_id: EventId,
}

/// What the goal would have done.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The moment it is of (database clock).
    pub as_of: OffsetDateTime,
    pub considered: u64,
    pub would_exit: u64,
    /// The earliest.
    pub exits: Vec<WouldExit>,
}

/// Runs simulations, and only so many at once.
pub struct Simulations {
    db: Db,
    turns: Semaphore,
    limit: Duration,
}

impl Simulations {
    pub fn new(db: Db, settings: SimulationSettings) -> Self {
        let limit = Duration::from_secs(settings.limit_seconds);
        Self { db, turns: Semaphore::new(settings.at_once), limit }
    }

    /// Simulates a goal. A caller that goes away ends it.
    pub async fn run(&self, tenant: TenantId, draft: Draft, whom: Whom) -> Result<Simulated, Error> {
        let _turn = self.turns.try_acquire().map_err(|_| Error::TooManySimulations)?;
        let simulated = simulate(&self.db, tenant, draft, whom);
        tokio::time::timeout(self.limit, simulated).await.map_err(|_| Error::SimulationTooLarge)?
    }
}

async fn simulate(db: &Db, tenant: TenantId, draft: Draft, whom: Whom) -> Result<Simulated, Error> {
    let (goal, as_of) = prepared(db, tenant.clone(), draft, whom.workflow_id).await?;
    let trying = Arc::new(Trying { tenant, goal, as_of });
    let mut simulated = Simulated { as_of, considered: 0, would_exit: 0, exits: Vec::new() };
    let mut first: BinaryHeap<WouldExit> = BinaryHeap::new();
    let mut after = None;
    loop {
        let span = Span { from: whom.from, to: whom.to, as_of, after, limit: i64::try_from(PAGE).unwrap_or(i64::MAX) };
        let page = trying.listed(db, span).await?;
        let Some(last) = page.last() else { break };
        (after, simulated.considered) = (Some((last.created_at, last.id)), simulated.considered + count(page.len()));
        let parts = page.chunks(PART).map(|part| Arc::clone(&trying).part(db.clone(), part.into()));
        let mut parts = futures_util::stream::iter(parts.collect::<Vec<_>>()).buffer_unordered(PARTS_AT_ONCE);
        while let Some(exits) = parts.next().await {
            for exit in exits? {
                simulated.would_exit += 1;
                first.push(exit);
                if first.len() > whom.limit {
                    first.pop();
                }
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    simulated.exits = first.into_sorted_vec();
    Ok(simulated)
}

/// The goal, checked and compiled as it would be on creation, alone in the workflow; and the moment that all is seen as of.
async fn prepared(
    db: &Db,
    tenant: TenantId,
    draft: Draft,
    workflow: WorkflowId,
) -> Result<(Workflow, OffsetDateTime), Error> {
    let scope = Scope::Tenant(tenant.clone());
    db.run_snapshot("prepare_simulation", scope, move |tx| {
        let (tenant, draft) = (tenant.clone(), draft.clone());
        Box::pin(async move {
            workflows::find(tx, &tenant, workflow).await?.ok_or(Error::WorkflowNotFound)?;
            let head = store::head(tx, &tenant).await?.ok_or(Error::WorkflowNotFound)?;
            check(tx, &tenant, &draft.criteria, &head.currency).await?;
            let as_of = tx.now().await?;
            let goal = as_stored(&draft, workflow, as_of);
            let directory = store::directory(tx, &tenant, &needed(std::slice::from_ref(&goal))).await?;
            let directory = configuration::directory(directory);
            let goal = configuration::compiled(goal, &directory, &head.currency).map_err(pg::Error::Decode)?;
            let goals = vec![goal];
            Ok((Workflow { id: workflow, status: WorkflowStatus::Active, logic: GoalLogic::Any, goals }, as_of))
        })
    })
    .await
}

/// Refuses what the goals service refuses.
async fn check(tx: &Tx, tenant: &TenantId, criteria: &Criteria, currency: &str) -> Result<(), Error> {
    let known = store::references(tx, tenant, &criteria.references()).await?;
    if let Some(missing) = criteria.missing_reference(&known) {
        let (kind, id) = (missing.kind, missing.id);
        let fault = Fault::new("reference_not_found", format!("the directory has no such {kind}: {id}"));
        return Err(Error::ReferenceNotFound { kind, fault: fault.within("criteria") });
    }
    criteria.check_currency(currency).map_err(|fault| Error::Invalid(fault.within("criteria")))
}

/// The draft as it would be stored, every stored event counting.
fn as_stored(draft: &Draft, workflow_id: WorkflowId, created_at: OffsetDateTime) -> LiveGoal {
    LiveGoal {
        workflow_id,
        workflow_status: WorkflowStatus::Active.to_string(),
        goal_logic: "\"any\"".to_owned(),
        goal_id: Uuid::nil(),
        goal_type: draft.criteria.goal_type().to_string(),
        criteria: draft.criteria.to_json().to_text(),
        within_seconds: draft.within.map(|within| within.seconds),
        on_enroll: "ignore".to_owned(),
        position: 1,
        version: 1,
        created_at,
        effective_from: None,
    }
}

/// What is the same for every enrollment.
struct Trying {
    tenant: TenantId,
    /// The workflow, with the goal.
    goal: Workflow,
    as_of: OffsetDateTime,
}

/// An enrollment, and when it would have ended.
struct Case<'m> {
    made: &'m Made,
    facts: EnrollmentFacts,
    /// Events that were stored from then on do not count.
    until: Option<OffsetDateTime>,
    exit: Option<WouldExit>,
}

impl Trying {
    async fn listed(self: &Arc<Self>, db: &Db, span: Span) -> Result<Vec<Made>, Error> {
        let (trying, scope) = (Arc::clone(self), Scope::Tenant(self.tenant.clone()));
        db.run_snapshot("list_simulated", scope, move |tx| {
            let (trying, span) = (Arc::clone(&trying), span.clone());
            Box::pin(async move {
                planning::anew(tx).await?;
                Ok(histories::made(tx, &trying.tenant, trying.goal.id, &span).await?)
            })
        })
        .await
    }

    /// Which of these enrollments would have ended.
    async fn part(self: Arc<Self>, db: Db, part: Arc<[Made]>) -> Result<Vec<WouldExit>, Error> {
        let scope = Scope::Tenant(self.tenant.clone());
        db.run_snapshot("simulate", scope, move |tx| {
            let (trying, part) = (Arc::clone(&self), Arc::clone(&part));
            Box::pin(async move {
                planning::once(tx).await?;
                let mut cases = trying.cases(tx, &part).await?;
                trying.judge(tx, &mut cases).await?;
                Ok(cases.into_iter().filter_map(|case| case.exit).collect())
            })
        })
        .await
    }

    async fn cases<'m>(&self, tx: &Tx, part: &'m [Made]) -> Result<Vec<Case<'m>>, Error> {
        let places: Vec<_> = part.iter().map(|made| (made.id, &made.contact_id, made.created_at)).collect();
        let mut histories = histories::histories(tx, &self.tenant, self.goal.id, &places).await?;
        let case = |made: &'m Made| self.case(made, histories.remove(&made.id).unwrap_or_default());
        Ok(part.iter().map(case).collect())
    }

    /// As the judge would have it, had no goal ended the enrollment: until the contact came again, if it did.
    fn case<'m>(&self, made: &'m Made, history: History) -> Case<'m> {
        let until = match made.end {
            Some((_, ExitReason::GoalAchieved)) => history.next_at,
            Some((exited_at, _)) => Some(exited_at),
            None => None,
        };
        let facts = EnrollmentFacts {
            id: made.id,
            enrolled_at: made.enrolled_at,
            created_at: made.created_at,
            already: Vec::new(),
            catch_up: true,
            closed_before: history.closed_before,
            credited: history.credited,
            active: true,
        };
        Case { made, facts, until, exit: None }
    }

    /// Reads the stored events of every contact, each only until all is known of it.
    async fn judge(&self, tx: &Tx, cases: &mut [Case<'_>]) -> Result<(), Error> {
        let mut of_contact: BTreeMap<ContactId, Vec<usize>> = BTreeMap::new();
        for (place, case) in cases.iter().enumerate() {
            of_contact.entry(case.made.contact_id.clone()).or_default().push(place);
        }
        let mut reading = Reading::default();
        for (contact, places) in &of_contact {
            let since = places.iter().map(|&place| cases[place].facts.enrolled_at).min();
            let names = self.goal.goals.iter().map(|goal| goal.event_name());
            reading.add(contact.clone(), since.unwrap_or(self.as_of), names);
        }
        while reading.is_open() {
            for (contact, mut events) in reading.next(tx, &self.tenant).await? {
                events.retain(|event| event.received_at <= self.as_of && self.meets(event));
                let places = of_contact.get(&contact).map_or(&[][..], Vec::as_slice);
                for &place in places {
                    self.judge_case(&mut cases[place], &events);
                }
                if places.iter().all(|&place| cases[place].exit.is_some()) {
                    reading.close(&contact);
                }
            }
        }
        Ok(())
    }

    fn meets(&self, event: &StoredEvent) -> bool {
        self.goal.goals.iter().any(|goal| goal.verdict(&event.event_name, &event.properties).is_ok())
    }

    fn judge_case(&self, case: &mut Case<'_>, events: &[StoredEvent]) {
        if case.exit.is_some() || events.is_empty() {
            return;
        }
        let in_time = |event: &&StoredEvent| case.until.is_none_or(|until| event.received_at < until);
        let events: Vec<StoredEvent> = events.iter().filter(in_time).cloned().collect();
        let judgement = judge(&case.facts, &self.goal, &events);
        case.exit = judgement.achievements.first().map(|achieved| WouldExit {
            at: achieved.achieved_at,
            enrollment_id: case.made.id,
            contact_id: case.made.contact_id.clone(),
            event_id: achieved.event,
        });
    }
}

fn count(enrollments: usize) -> u64 {
    u64::try_from(enrollments).unwrap_or(u64::MAX)
}
