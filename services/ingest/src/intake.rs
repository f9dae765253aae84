//! The way from the doors to the committers: a queue bounded in bytes and events. What does not fit
//! is turned away at once, and what is in it is answered.

use std::sync::Arc;

use pg::Db;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::batch::Verdict;
use crate::candidate::Candidate;
use crate::metrics;

/// The queue is full, or closed; or too much waits to be handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no room")]
pub struct Full;

/// What is stored and waits for the bus. While the broker is away it grows, and the database's disk is not endless.
#[derive(Clone)]
pub struct Spool {
    db: Db,
    max_bytes: u64,
}

impl Spool {
    /// The outbox of `db`, in which at most so many bytes are to wait.
    pub fn new(db: Db, max_bytes: u64) -> Self {
        Self { db, max_bytes }
    }

    fn is_full(&self) -> bool {
        self.db.outbox_bytes() >= self.max_bytes
    }
}

/// What one request wants stored, and whom to tell.
pub struct Job {
    pub candidates: Vec<Candidate>,
    pub bytes: usize,
    pub reply: Reply,
}

/// Answers a request, and then gives up its place in the queue.
pub struct Reply {
    verdicts: oneshot::Sender<Vec<Verdict>>,
    _room: Room,
}

impl Reply {
    /// A sender that has gone away meanwhile will ask again, and is told then.
    pub fn send(self, verdicts: Vec<Verdict>) {
        let _ = self.verdicts.send(verdicts);
    }
}

/// Place in the queue, held from before the events are parsed until they are answered.
#[derive(Debug)]
pub struct Room {
    bytes: usize,
    _byte_permits: OwnedSemaphorePermit,
    _event_permits: Option<OwnedSemaphorePermit>,
}

/// The door's end of the queue. Clones share it.
#[derive(Clone)]
pub struct Intake {
    jobs: mpsc::UnboundedSender<Job>,
    bytes: Arc<Semaphore>,
    events: Arc<Semaphore>,
    spool: Spool,
}

impl Intake {
    /// A queue for at most so many bytes of bodies and so many events, and the committers' end of it.
    pub fn new(max_bytes: usize, max_events: usize, spool: Spool) -> (Self, mpsc::UnboundedReceiver<Job>) {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let bytes = Arc::new(Semaphore::new(max_bytes));
        let free = Arc::clone(&bytes);
        metrics::observe_queue(move || max_bytes.saturating_sub(free.available_permits()));
        (Self { jobs, bytes, events: Arc::new(Semaphore::new(max_events)), spool }, receiver)
    }

    /// Whether there is any room at all: asked before a body is read.
    pub fn has_room(&self) -> bool {
        !self.spool.is_full()
            && !self.jobs.is_closed()
            && self.bytes.available_permits() > 0
            && self.events.available_permits() > 0
    }

    /// Takes room for a body of this size, or says at once that there is none.
    pub fn reserve(&self, bytes: usize) -> Result<Room, Full> {
        if self.spool.is_full() {
            return Err(Full);
        }
        let byte_permits = permits(&self.bytes, bytes)?;
        Ok(Room { bytes, _byte_permits: byte_permits, _event_permits: None })
    }

    /// Hands the candidates of one request to the committers. The receiver gets one verdict per
    /// candidate, in their order; dropping it changes nothing about what is stored.
    pub fn submit(&self, candidates: Vec<Candidate>, room: Room) -> Result<oneshot::Receiver<Vec<Verdict>>, Full> {
        let events = permits(&self.events, candidates.len())?;
        let room = Room { _event_permits: Some(events), ..room };
        let (reply, verdicts) = oneshot::channel();
        let job = Job { bytes: room.bytes, candidates, reply: Reply { verdicts: reply, _room: room } };
        self.jobs.send(job).map_err(|_| Full)?;
        Ok(verdicts)
    }
}

fn permits(semaphore: &Arc<Semaphore>, count: usize) -> Result<OwnedSemaphorePermit, Full> {
    let count = u32::try_from(count).map_err(|_| Full)?;
    Arc::clone(semaphore).try_acquire_many_owned(count).map_err(|_| Full)
}
