//! Knows when the work has ended: nothing waits in an outbox, nothing in a queue, and nobody is working on a message.
//!
//! A message goes from an outbox to a queue, and is acknowledged after what follows from it is committed to an
//! outbox again. So each look is at the outboxes, then at the queues. It takes three in a row that find nothing, and nothing
//! added to an outbox since the first: the second sees what a transaction that was open during the first has committed,
//! the third what followed from that. This tells only that work has ended, never what came of it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use devstack::broker::{QueueTotal, queue_totals};
use tokio_postgres::Client;

use crate::outboxes::{Outbox, due, outboxes};
use crate::progress::Progress;

/// Far more than the work takes. What takes longer hangs.
const LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(100);
const QUIET_LOOKS: u32 = 3;

/// What waits at one moment.
struct Look {
    due: i64,
    outboxes: Vec<Outbox>,
    queues: Vec<QueueTotal>,
}

impl Look {
    fn is_empty(&self) -> bool {
        self.due == 0 && self.in_outboxes() == 0 && self.in_queues() == 0
    }

    fn in_outboxes(&self) -> i64 {
        self.outboxes.iter().map(|outbox| outbox.waiting).sum()
    }

    fn in_queues(&self) -> u64 {
        self.queues.iter().map(|queue| queue.ready + queue.unacked).sum()
    }

    /// Whether no outbox got a message between the two.
    fn added_nothing_since(&self, earlier: &Self) -> bool {
        let last = |look: &Self| look.outboxes.iter().map(|outbox| outbox.last_id).collect::<Vec<_>>();
        last(self) == last(earlier)
    }

    /// Where the work hangs.
    fn tell(&self) -> String {
        let mut text = String::new();
        for outbox in self.outboxes.iter().filter(|outbox| outbox.waiting > 0) {
            let cause = outbox.last_error.as_deref().unwrap_or("no error yet");
            let _ = write!(text, "\n  {}.outbox: {} messages wait ({cause})", outbox.schema, outbox.waiting);
        }
        for queue in self.queues.iter().filter(|queue| queue.ready + queue.unacked > 0) {
            let _ = write!(
                text,
                "\n  queue {}: {} messages wait, {} are being handled",
                queue.name, queue.ready, queue.unacked
            );
        }
        text
    }
}

/// The two places where messages wait.
pub struct Servers<'a> {
    pub database: &'a Client,
    pub management_url: &'a str,
    /// The virtual host of the queues.
    pub vhost: &'a str,
}

impl Servers<'_> {
    /// Waits until everything that was sent has been worked off; since when it was seen to be.
    pub async fn finish(&self, progress: &Progress) -> anyhow::Result<Instant> {
        let limit = Instant::now() + LIMIT;
        let mut first: Option<(Look, Instant)> = None;
        let mut quiet = 0;
        loop {
            let look = self.look().await?;
            progress.say(&format!("{} in outboxes, {} in queues", look.in_outboxes(), look.in_queues()));
            if look.is_empty() && first.as_ref().is_none_or(|(first, _)| look.added_nothing_since(first)) {
                quiet += 1;
                let (_, since) = first.get_or_insert_with(|| (look, Instant::now()));
                if quiet == QUIET_LOOKS {
                    return Ok(*since);
                }
                continue;
            }
            (first, quiet) = (None, 0);
            if Instant::now() > limit {
                bail!(
                    "after {} s the work has not ended; the logs of the services say why:{}",
                    LIMIT.as_secs(),
                    look.tell()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn look(&self) -> anyhow::Result<Look> {
        let due = due(self.database).await.context("cannot look at what is due")?;
        let outboxes = outboxes(self.database).await.context("cannot look at the outboxes")?;
        let queues = queue_totals(self.management_url, self.vhost).await.context("cannot look at the queues")?;
        Ok(Look { due, outboxes, queues })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(waiting: i64, last_id: i64, ready: u64, unacked: u64) -> Look {
        let outbox = Outbox { schema: "ingest".into(), waiting, last_id: Some(last_id), last_error: None };
        let queue = QueueTotal { name: "evaluator.events".into(), ready, unacked };
        Look { due: 0, outboxes: vec![outbox], queues: vec![queue] }
    }

    #[test]
    fn a_message_anywhere_is_work() {
        assert!(look(0, 7, 0, 0).is_empty());
        let due = Look { due: 1, ..look(0, 7, 0, 0) };
        for busy in [look(1, 7, 0, 0), look(0, 7, 1, 0), look(0, 7, 0, 1), due] {
            assert!(!busy.is_empty());
        }
    }

    #[test]
    fn what_passed_through_an_outbox_in_between_is_work() {
        assert!(look(0, 7, 0, 0).added_nothing_since(&look(0, 7, 0, 0)));
        assert!(!look(0, 8, 0, 0).added_nothing_since(&look(0, 7, 0, 0)));
    }

    #[test]
    fn it_is_told_where_the_work_hangs() {
        let told = look(3, 9, 2, 1).tell();
        assert!(told.contains("ingest.outbox: 3 messages wait (no error yet)"), "{told}");
        assert!(told.contains("queue evaluator.events: 2 messages wait, 1 are being handled"), "{told}");
    }
}
