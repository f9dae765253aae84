//! The judgement of some pairs of workflow and contact of one tenant, in one transaction. READ COMMITTED: every lock is taken by a
//! statement of its own, and what it protects is read by a later one.

use crate::configuration::{self, Configuration, Fenced};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::nominations::Cause;
use crate::reading::Reading;
use crate::record;
use crate::store::achievements::{self, Achievement};
use crate::store::configuration::{HEAD, head};
use crate::store::judged::{self, Locked};
use crate::store::{Pair, Pairs, locks, planning};
use domain::goal::{EnrollmentFacts, GoalType, Judgement, StoredEvent, judge};
use domain::ids::{ContactId, GoalId, TenantId, WorkflowId};
use domain::workflow::Workflow;
use pg::{Db, Tx};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;
use time::OffsetDateTime;

/// An enrollment under judgement.
pub struct Case<'w> {
    pub enrollment: Locked,
    pub workflow: &'w Workflow,
    /// What it achieved before.
    pub recorded: Vec<Achievement>,
    facts: EnrollmentFacts,
    pub judgement: Judgement,
    /// Why it is judged.
    pub cause: &'w Cause,
}

impl Case<'_> {
    /// The events that its open goals wait for.
    fn event_names(&self) -> impl Iterator<Item = &str> {
        let open = |id: GoalId| self.recorded.iter().all(|achievement| achievement.goal_id != id);
        self.workflow.goals.iter().filter(move |goal| open(goal.id())).map(|goal| goal.event_name())
    }

    /// Judges over these events, which are all that may count up to the last of them. An exit stands, whatever comes later: the
    /// judge goes by the order of events.
    fn judge(&mut self, events: &[StoredEvent]) {
        self.judgement = judge(&self.facts, self.workflow, events);
    }
}

/// What a transaction did.
#[derive(Clone, Debug, Default)]
pub struct Done {
    pub judged: usize,
    pub exits: usize,
    pub achievements: Vec<GoalType>,
    /// The database clock before the commit, and the moment at which it was read.
    pub clock: Option<(OffsetDateTime, Instant)>,
}

/// One flight: the server takes the fences before it reads what they protect, and the enrollments after them. Prepared ahead,
/// because only what is prepared goes out in the order in which it is given.
const FENCED: [&str; 4] = [planning::ONCE, locks::SHARE_WORKFLOWS, HEAD, judged::LOCK_ACTIVE];

/// Judges the active enrollments of these pairs. Doing it again changes nothing.
pub async fn judge_pairs(
    (db, tx): (&Db, &Tx),
    tenant: &TenantId,
    part: &[(Pair, Cause)],
    known: &Configuration,
    metrics: &Metrics,
) -> Result<Done, Error> {
    let workflows: BTreeSet<WorkflowId> = part.iter().map(|((workflow, _), _)| *workflow).collect();
    let workflows: Vec<WorkflowId> = workflows.into_iter().collect();
    tx.prepare(&FENCED).await?;
    let pairs = Pairs::of(part.iter().map(|(pair, _)| pair));
    let flight = Box::pin(async {
        futures_util::try_join!(
            planning::once(tx),
            locks::share_workflows(tx, tenant, workflows.iter().copied()),
            head(tx, tenant),
            judged::lock_active(tx, tenant, &pairs)
        )
    });
    let ((), (), head, mut locked) = flight.await?;
    let workflows = configuration::under_fence(tx, (tenant, &workflows), head, known, metrics).await?;
    locked.retain(|enrollment| workflows.get(enrollment.workflow_id).is_some());
    if locked.is_empty() {
        return Ok(Done::default());
    }
    crash::point!("evaluator.after_locks");
    let (mut cases, now) = with_history(tx, tenant, locked, (&workflows, part)).await?;
    let clock = Some((now, Instant::now()));
    let events = judge_stored(tx, tenant, &mut cases).await?;
    crash::point!("evaluator.before_writing");
    let (achievements, exits) = record::write((db, tx), tenant, &cases, &events, now).await?;
    crash::point!("evaluator.after_writing");
    Ok(Done { judged: cases.len(), exits, achievements, clock })
}

/// The cases, each with what was before; and the database clock, which is after all the locks.
async fn with_history<'w>(
    tx: &Tx,
    tenant: &TenantId,
    locked: Vec<Locked>,
    (workflows, part): (&'w Fenced<'w>, &'w [(Pair, Cause)]),
) -> Result<(Vec<Case<'w>>, OffsetDateTime), Error> {
    let pairs: Vec<Pair> = locked.iter().map(|locked| (locked.workflow_id, locked.contact_id.clone())).collect();
    let pairs = Pairs::of(&pairs);
    let (achievements, ends, now) = futures_util::try_join!(
        achievements::of_pairs(tx, tenant, &pairs),
        judged::ends(tx, tenant, &pairs),
        judged::clock(tx)
    )?;
    let mut by_pair: HashMap<Pair, Vec<Achievement>> = HashMap::new();
    for achievement in achievements {
        by_pair.entry((achievement.workflow_id, achievement.contact_id.clone())).or_default().push(achievement);
    }
    let causes: HashMap<&Pair, &Cause> = part.iter().map(|(pair, cause)| (pair, cause)).collect();
    let mut cases = Vec::with_capacity(locked.len());
    for enrollment in locked {
        let pair = (enrollment.workflow_id, enrollment.contact_id.clone());
        let (Some(workflow), Some(&cause)) = (workflows.get(enrollment.workflow_id), causes.get(&pair)) else {
            continue;
        };
        let (recorded, earlier): (Vec<_>, Vec<_>) = by_pair
            .remove(&pair)
            .unwrap_or_default()
            .into_iter()
            .partition(|achievement| achievement.enrollment_id == enrollment.id);
        let facts = EnrollmentFacts {
            id: enrollment.id,
            enrolled_at: enrollment.enrolled_at,
            created_at: enrollment.created_at,
            already: recorded.iter().map(|achievement| (achievement.goal_id, achievement.achieved_at)).collect(),
            catch_up: false,
            closed_before: ends.get(&pair).copied(),
            credited: earlier.iter().map(|achievement| achievement.event_id).collect(),
            active: true,
        };
        cases.push(Case { enrollment, workflow, recorded, facts, judgement: Judgement::default(), cause });
    }
    Ok((cases, now))
}

/// The events that met a goal, by contact.
pub type Met = BTreeMap<ContactId, Vec<StoredEvent>>;

/// Judges every case over its contact's stored events.
async fn judge_stored(tx: &Tx, tenant: &TenantId, cases: &mut [Case<'_>]) -> Result<Met, Error> {
    let mut of_contact: BTreeMap<ContactId, Vec<usize>> = BTreeMap::new();
    for (place, case) in cases.iter_mut().enumerate() {
        case.judge(&[]);
        of_contact.entry(case.enrollment.contact_id.clone()).or_default().push(place);
    }
    let mut reading = Reading::default();
    for (contact, places) in &of_contact {
        let open = || places.iter().map(|&place| &cases[place]).filter(|case| case.judgement.exit.is_none());
        if let Some(since) = open().map(|case| case.enrollment.enrolled_at).min() {
            reading.add(contact.clone(), since, open().flat_map(Case::event_names));
        }
    }
    let mut met = Met::new();
    while reading.is_open() {
        for (contact, mut events) in reading.next(tx, tenant).await? {
            let Some(places) = of_contact.get(&contact) else {
                continue;
            };
            // What meets no goal cannot count: it need not be kept while the rest is read.
            events.retain(|event| places.iter().any(|&place| meets(cases[place].workflow, event)));
            let met = met.entry(contact.clone()).or_default();
            met.append(&mut events);
            for &place in places {
                cases[place].judge(met);
            }
            if places.iter().all(|&place| cases[place].judgement.exit.is_some()) {
                reading.close(&contact);
            }
        }
    }
    Ok(met)
}

fn meets(workflow: &Workflow, event: &StoredEvent) -> bool {
    workflow.goals.iter().any(|goal| goal.verdict(&event.event_name, &event.properties).is_ok())
}
