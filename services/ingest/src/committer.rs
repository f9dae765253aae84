//! Groups what concurrent requests bring into batches, commits each in one transaction, and answers
//! the requests only then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use pg::Db;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batch::{self, Verdict};
use crate::commit;
use crate::intake::Job;
use crate::metrics::Metrics;
use crate::settings::Commit;

/// How often whoever fills a batch looks for what has come meanwhile.
const LOOK: Duration = Duration::from_millis(1);

/// What the committers of a process share. Clones are further committers.
#[derive(Clone)]
pub struct Committer {
    db: Db,
    inbox: Arc<Mutex<Inbox>>,
    others: Arc<Others>,
    metrics: Arc<Metrics>,
}

/// The committers' end of the queue; whoever holds it is filling a batch.
struct Inbox {
    jobs: mpsc::UnboundedReceiver<Job>,
    /// Taken from the queue, and too big for the batch that was being filled then.
    carried: Option<Job>,
    limits: Commit,
}

/// How many committers have a transaction under way; while there are none, nobody waits for a
/// batch to fill.
#[derive(Default)]
struct Others {
    committing: AtomicUsize,
    idle: Notify,
}

#[derive(Default)]
struct Batch {
    jobs: Vec<Job>,
    events: usize,
    bytes: usize,
}

impl Committer {
    /// The first committer of a queue.
    pub fn new(db: Db, jobs: mpsc::UnboundedReceiver<Job>, limits: Commit, metrics: Arc<Metrics>) -> Self {
        let inbox = Inbox { jobs, carried: None, limits };
        Self { db, inbox: Arc::new(Mutex::new(inbox)), others: Arc::default(), metrics }
    }

    /// Commits batches until `cancel` and the queue is empty: what was taken is answered.
    pub async fn run(self, cancel: CancellationToken) {
        loop {
            let mut inbox = self.inbox.lock().await;
            let Some(batch) = inbox.next_batch(&self.others, &cancel).await else {
                return;
            };
            // Counted before the queue is given up, so that the next to fill a batch sees it.
            self.others.committing.fetch_add(1, SeqCst);
            drop(inbox);
            self.commit(batch).await;
            if self.others.committing.fetch_sub(1, SeqCst) == 1 {
                self.others.idle.notify_one();
            }
        }
    }

    async fn commit(&self, batch: Batch) {
        let started = Instant::now();
        let mut told: Vec<Vec<Verdict>> =
            batch.jobs.iter().map(|job| vec![Verdict::Unavailable; job.candidates.len()]).collect();
        let (candidates, replies): (Vec<_>, Vec<_>) =
            batch.jobs.into_iter().map(|job| (job.candidates, job.reply)).unzip();
        let mut folded = batch::fold(candidates);
        crash::point!("ingest.before_store");
        let outcomes = commit::store(&self.db, folded.take_candidates()).await;
        crash::point!("ingest.before_answer");
        for (place, verdict) in folded.verdicts(&outcomes) {
            told[place.request][place.event] = verdict;
        }
        self.metrics.committed(batch.events, started.elapsed());
        self.metrics.verdicts(told.iter().flatten());
        for (reply, verdicts) in replies.into_iter().zip(told) {
            reply.send(verdicts);
        }
    }
}

impl Inbox {
    /// The next batch, or none when the end was asked for and nothing is left.
    async fn next_batch(&mut self, others: &Others, cancel: &CancellationToken) -> Option<Batch> {
        let first = match self.carried.take() {
            Some(job) => job,
            None => self.first(cancel).await?,
        };
        let mut batch = Batch::default();
        batch.add(first);
        let deadline = Instant::now() + Duration::from_millis(self.limits.max_wait_ms);
        loop {
            while let Ok(job) = self.jobs.try_recv() {
                if !batch.has_room_for(&job, &self.limits) {
                    self.carried = Some(job);
                    return Some(batch);
                }
                batch.add(job);
            }
            let is_due = others.committing.load(SeqCst) == 0 || Instant::now() >= deadline;
            if is_due || batch.is_full(&self.limits) {
                return Some(batch);
            }
            // Not woken by each job that comes: that would cost more than to look for them now and then.
            tokio::select! {
                biased;
                () = others.idle.notified() => {}
                () = tokio::time::sleep_until(deadline.min(Instant::now() + LOOK)) => {}
            }
        }
    }

    /// Waits for the first job of a batch.
    async fn first(&mut self, cancel: &CancellationToken) -> Option<Job> {
        tokio::select! {
            biased;
            job = self.jobs.recv() => job,
            () = cancel.cancelled() => {
                self.jobs.close();
                self.jobs.recv().await
            }
        }
    }
}

impl Batch {
    fn add(&mut self, job: Job) {
        self.events += job.candidates.len();
        self.bytes += job.bytes;
        self.jobs.push(job);
    }

    /// A request is never torn apart: one that is bigger than a batch is a batch of its own.
    fn has_room_for(&self, job: &Job, limits: &Commit) -> bool {
        self.events + job.candidates.len() <= limits.max_events && self.bytes + job.bytes <= limits.max_bytes
    }

    fn is_full(&self, limits: &Commit) -> bool {
        self.events >= limits.max_events || self.bytes >= limits.max_bytes
    }
}
