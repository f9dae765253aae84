//! Announcing: an action that has come due is told as `workflow.action.due`, once, and stays pending, so that an exit still cancels it.
//!
//! A look finds the sources of due actions; of each a page is announced, in a transaction of its own. The page is read without a lock;
//! then come the fences of its workflows, then its enrollments, then, in later statements, what decides: whether the workflow is
//! active, the enrollment active, the action still to be announced. No lock is waited for: what somebody else has is passed over, and
//! found again by the next look. So evaluators side by side share the work, and a pause waits for one short transaction at most.

use crate::error::Error;
use crate::metrics::Metrics;
use crate::settings::AnnouncingSettings;
use crate::store::due::{self, Announced, Claimed, Place, Seen, Source};
use crate::store::{judged, planning};
use domain::contract::{ActionDue, Fact};
use domain::ids::{ActionId, EnrollmentId, TenantId, WorkflowId};
use domain::json::{Json, Limits};
use futures_util::StreamExt;
use pg::{Db, Scope, Tx};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// Announces what comes due, again and again.
#[derive(Clone)]
pub struct Announcer {
    db: Db,
    metrics: Metrics,
    settings: AnnouncingSettings,
}

/// What a transaction did with a page.
#[derive(Clone, Debug, Default)]
struct Done {
    /// How late each was that came due while its workflow was active, at the clock that is in its announcement.
    lateness: Vec<Duration>,
    announced: usize,
    held: u64,
    /// When that clock was read.
    read_at: Option<Instant>,
    /// Where the page ended, if there may be more.
    next: Option<Place>,
}

impl Announcer {
    pub fn new(db: Db, metrics: Metrics, settings: AnnouncingSettings) -> Self {
        Self { db, metrics, settings }
    }

    /// Looks for due actions until `stop`; not at all if the settings say so.
    pub async fn run(self, stop: CancellationToken) {
        if self.settings.poll_ms == 0 {
            return stop.cancelled().await;
        }
        let looking = async {
            loop {
                if let Err(error) = self.look().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "due actions could not be looked for");
                }
                tokio::time::sleep(Duration::from_millis(self.settings.poll_ms)).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = looking => {}
        }
    }

    /// A page of every source; then the next of those that have more, beside what has come due meanwhile. So a tenant with much
    /// to announce keeps nobody waiting for longer than a page.
    async fn look(&self) -> Result<(), Error> {
        let mut places: HashMap<Source, Place> = HashMap::new();
        loop {
            let sources = self.db.run_tx("find_due", Scope::System("find due actions"), |tx| {
                Box::pin(async move {
                    planning::anew(tx).await?;
                    Ok::<_, Error>(due::sources(tx).await?)
                })
            });
            let work = sources.await?.into_iter().map(|source| {
                let after = places.get(&source).copied();
                async move { Some((source.clone(), self.page(source, after).await?)) }
            });
            // In a vector, because the compiler cannot see of a lazy map that what it gives is Send.
            let work: Vec<_> = work.collect();
            let pages = futures_util::stream::iter(work).buffer_unordered(self.settings.at_once.max(1));
            places = pages.filter_map(|next| async move { next }).collect().await;
            if places.is_empty() {
                return Ok(());
            }
        }
    }

    /// Announces a page; where it ended, if there may be more. What fails is left to the next look.
    async fn page(&self, source: Source, after: Option<Place>) -> Option<Place> {
        let tenant = source.tenant.clone();
        match self.transaction(source, after).await {
            Ok(done) => {
                self.note(&done);
                done.next
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%tenant, error, "due actions could not be announced");
                None
            }
        }
    }

    async fn transaction(&self, source: Source, after: Option<Place>) -> Result<Done, Error> {
        let (db, batch) = (self.db.clone(), self.settings.batch);
        let scope = Scope::Tenant(source.tenant.clone());
        self.db
            .run_tx("announce", scope, move |tx| {
                let (db, source) = (db.clone(), source.clone());
                Box::pin(async move { announce((&db, tx), &source, after, batch).await })
            })
            .await
    }

    fn note(&self, done: &Done) {
        self.metrics.announced(done.announced, done.held);
        let since = done.read_at.map(|read_at| read_at.elapsed()).unwrap_or_default();
        done.lateness.iter().for_each(|late| self.metrics.lateness(*late + since));
    }
}

/// Announces what can be of a page, and lays aside what a workflow holds back.
async fn announce((db, tx): (&Db, &Tx), source: &Source, after: Option<Place>, batch: u16) -> Result<Done, Error> {
    let tenant = &source.tenant;
    planning::anew(tx).await?;
    let seen = due::page(tx, source, after, batch.into()).await?;
    let is_full = seen.len() >= usize::from(batch);
    let next = seen.last().filter(|_| is_full).map(|last| (last.scheduled_at, last.id));
    let claim = claim(tx, tenant, &seen).await?;
    if claim.actions.is_empty() {
        return Ok(Done { next, ..Done::default() });
    }
    crash::point!("evaluator.before_announcing");
    let (to_announce, to_hold): (Vec<&Seen>, Vec<&Seen>) =
        claim.actions.iter().copied().partition(|action| claim.active.contains(&action.workflow_id));
    // What a workflow held back already, it holds back still.
    let to_hold: Vec<(ActionId, WorkflowId)> = match source.held_by {
        None => to_hold.iter().map(|action| (action.id, action.workflow_id)).collect(),
        Some(_) => Vec::new(),
    };
    let held = if to_hold.is_empty() { 0 } else { due::hold(tx, tenant, &to_hold).await? };
    let (now, read_at) = (judged::clock(tx).await?, Instant::now());
    let ids: Vec<ActionId> = to_announce.iter().map(|action| action.id).collect();
    let announced = if ids.is_empty() { Vec::new() } else { due::announce(tx, tenant, now, &ids).await? };
    let workflows: HashMap<ActionId, WorkflowId> =
        to_announce.iter().map(|action| (action.id, action.workflow_id)).collect();
    let mut messages = Vec::with_capacity(announced.len());
    for action in &announced {
        if let Some((workflow, enrollment)) =
            workflows.get(&action.id).zip(claim.enrollments.get(&action.enrollment_id))
        {
            messages.push(fact(tenant, (action, *workflow, enrollment), now)?.into_message(None));
        }
    }
    db.add_to_outbox(tx, messages).await?;
    crash::point!("evaluator.after_announcing");
    let late = |action: &Announced| Duration::try_from(now - action.scheduled_at.max(action.created_at));
    let lateness = match source.held_by {
        None => announced.iter().map(|action| late(action).unwrap_or_default()).collect(),
        Some(_) => Vec::new(),
    };
    Ok(Done { lateness, announced: announced.len(), held, read_at: Some(read_at), next })
}

/// What a transaction has locked of a page.
#[derive(Default)]
struct Claim<'s> {
    actions: Vec<&'s Seen>,
    enrollments: HashMap<EnrollmentId, Claimed>,
    /// The active ones of the workflows: read after their fences were taken.
    active: HashSet<WorkflowId>,
}

async fn claim<'s>(tx: &Tx, tenant: &TenantId, seen: &'s [Seen]) -> Result<Claim<'s>, Error> {
    if seen.is_empty() {
        return Ok(Claim::default());
    }
    let workflows: BTreeSet<WorkflowId> = seen.iter().map(|action| action.workflow_id).collect();
    let fenced = due::try_fences(tx, tenant, &workflows).await?;
    let behind = seen.iter().filter(|action| fenced.contains(&action.workflow_id));
    let wanted: BTreeSet<EnrollmentId> = behind.clone().map(|action| action.enrollment_id).collect();
    let enrollments = due::claim(tx, tenant, &wanted.into_iter().collect::<Vec<_>>()).await?;
    let active = due::active(tx, tenant, &fenced).await?;
    let actions = behind.filter(|action| enrollments.contains_key(&action.enrollment_id)).collect();
    Ok(Claim { actions, enrollments, active })
}

fn fact(
    tenant: &TenantId,
    (action, workflow_id, enrollment): (&Announced, WorkflowId, &Claimed),
    announced_at: OffsetDateTime,
) -> Result<ActionDue, Error> {
    let read = |text: &String| {
        Json::parse(text, &Limits::WIRE).map_err(|fault| pg::Error::Decode(format!("payload: {fault}")))
    };
    Ok(ActionDue {
        tenant_id: tenant.clone(),
        workflow_id,
        enrollment_id: action.enrollment_id,
        contact_id: enrollment.contact_id.clone(),
        action_id: action.id,
        action_type: action.action_type.clone(),
        scheduled_at: action.scheduled_at,
        announced_at,
        payload: action.payload.as_ref().map(read).transpose()?,
        enrollment_version: i64::from(enrollment.version),
    })
}
