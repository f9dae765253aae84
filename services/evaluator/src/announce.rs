//! Announcing: an action that has come due is told as `workflow.action.due`, once, and stays pending, so that an exit still cancels it.
//!
//! A look finds the sources of due actions; of each a page is announced, in a transaction of its own. The page is read without a lock;
//! then come the fences of its workflows, then its enrollments, then, in later statements, what decides: whether the workflow is
//! active, the enrollment active, the action still to be announced. No lock is waited for: what somebody else has is passed over, and
//! found again by the next look. So evaluators side by side share the work, and a pause waits for one short transaction at most.

use crate::error::Error;
use crate::metrics::Metrics;
use crate::settings::AnnouncingSettings;
use crate::store::due::{self, Announced, Place, Seen, Source};
use crate::store::{judged, planning};
use domain::contract::{ActionDue, Fact};
use domain::ids::{ActionId, TenantId, WorkflowId};
use domain::json::{Json, Limits};
use domain::outbox::NewMessage;
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
            return;
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
    let next = seen.last().filter(|_| seen.len() >= usize::from(batch)).map(|last| (last.scheduled_at, last.id));
    let (claimed, active) = claim(tx, tenant, &seen).await?;
    if claimed.is_empty() {
        return Ok(Done { next, ..Done::default() });
    }
    crash::point!("evaluator.before_announcing");
    let (to_announce, to_hold): (Vec<&Seen>, Vec<&Seen>) =
        claimed.into_iter().partition(|action| active.contains(&action.workflow_id));
    let held = match source.held_by {
        None => {
            let to_hold: Vec<(ActionId, WorkflowId)> =
                to_hold.iter().map(|action| (action.id, action.workflow_id)).collect();
            if to_hold.is_empty() { 0 } else { due::hold(tx, tenant, &to_hold).await? }
        }
        Some(_) => 0,
    };
    let (now, read_at) = (judged::clock(tx).await?, Instant::now());
    let ids: Vec<ActionId> = to_announce.iter().map(|action| action.id).collect();
    let announced = due::announce(tx, tenant, now, &ids).await?;
    let late = |action: &Announced| Duration::try_from(now - action.scheduled_at.max(action.created_at));
    let lateness = match source.held_by {
        None => announced.iter().map(|action| late(action).unwrap_or_default()).collect(),
        Some(_) => Vec::new(),
    };
    let count = announced.len();
    let messages: Vec<NewMessage> =
        announced.into_iter().map(|action| message(tenant, action, now)).collect::<Result<_, _>>()?;
    db.add_to_outbox(tx, &messages).await?;
    crash::point!("evaluator.after_announcing");
    Ok(Done { lateness, announced: count, held, read_at: Some(read_at), next })
}

/// Those of these actions whose workflow and enrollment this transaction has locked, and the active ones of the workflows: read after
/// the locks were taken.
async fn claim<'s>(
    tx: &Tx,
    tenant: &TenantId,
    seen: &'s [Seen],
) -> Result<(Vec<&'s Seen>, HashSet<WorkflowId>), Error> {
    if seen.is_empty() {
        return Ok((Vec::new(), HashSet::new()));
    }
    let workflows: BTreeSet<WorkflowId> = seen.iter().map(|action| action.workflow_id).collect();
    let fenced = due::try_fences(tx, tenant, &workflows).await?;
    let behind: Vec<&Seen> = seen.iter().filter(|action| fenced.contains(&action.workflow_id)).collect();
    let enrollments: BTreeSet<_> = behind.iter().map(|action| action.enrollment_id).collect();
    let claimed = due::claim(tx, tenant, &enrollments.into_iter().collect::<Vec<_>>()).await?;
    let active = due::active(tx, tenant, &fenced).await?;
    Ok((behind.into_iter().filter(|action| claimed.contains(&action.enrollment_id)).collect(), active))
}

fn message(tenant: &TenantId, action: Announced, announced_at: OffsetDateTime) -> Result<NewMessage, Error> {
    let read = |text: String| {
        Json::parse(&text, &Limits::WIRE).map_err(|fault| pg::Error::Decode(format!("payload: {fault}")))
    };
    let fact = ActionDue {
        tenant_id: tenant.clone(),
        workflow_id: action.workflow_id,
        enrollment_id: action.enrollment_id,
        contact_id: action.contact_id,
        action_id: action.id,
        action_type: action.action_type,
        scheduled_at: action.scheduled_at,
        announced_at,
        payload: action.payload.map(read).transpose()?,
        enrollment_version: i64::from(action.enrollment_version),
    };
    Ok(fact.into_message(None))
}
