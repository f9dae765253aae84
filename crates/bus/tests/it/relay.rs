//! The relay moves everything, and only while somebody can take it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::outbox::{BoxError, BoxFuture, Delivery, Outbox, OutboxMessage, Publish, Round};
use goalpost_bus::{Bus, Queue, Relay, Settings};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::support::{COMMANDS, Script, Site, message, until};

const QUEUE: Queue = Queue::EvaluatorCommands;

/// The rules of the real one, in memory: a row stays until it is confirmed.
#[derive(Default)]
struct Memory {
    rows: Mutex<HashMap<i64, (OutboxMessage, Option<Instant>)>>,
    rounds: AtomicUsize,
    failures: AtomicUsize,
    returned: AtomicUsize,
    woken: Notify,
}

impl Memory {
    fn add(&self, messages: impl IntoIterator<Item = OutboxMessage>) {
        let mut rows = self.rows.lock().unwrap();
        for mut message in messages {
            message.id = i64::try_from(rows.len()).unwrap() + 1_000;
            while rows.contains_key(&message.id) {
                message.id += 1;
            }
            rows.insert(message.id, (message, None));
        }
        self.woken.notify_one();
    }

    fn left(&self) -> usize {
        self.rows.lock().unwrap().len()
    }

    async fn round(&self, limit: usize, to: Arc<dyn Publish>) -> Result<Round, BoxError> {
        self.rounds.fetch_add(1, Ordering::SeqCst);
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err("the database is away".into());
        }
        let now = Instant::now();
        let claimed: Vec<OutboxMessage> = {
            let rows = self.rows.lock().unwrap();
            let due = rows.values().filter(|(_, not_before)| not_before.is_none_or(|t| t <= now));
            due.take(limit).map(|(message, _)| message.clone()).collect()
        };
        if claimed.is_empty() {
            return Ok(Round::default());
        }
        let deliveries = to.publish(claimed.clone().into()).await?;
        let mut confirmed = 0;
        let mut rows = self.rows.lock().unwrap();
        for (message, delivery) in claimed.iter().zip(deliveries) {
            if delivery == Delivery::Confirmed {
                rows.remove(&message.id);
                confirmed += 1;
            } else {
                self.returned.fetch_add(1, Ordering::SeqCst);
                rows.get_mut(&message.id).unwrap().1 = Some(now + Duration::from_millis(100));
            }
        }
        Ok(Round { claimed: claimed.len(), more: claimed.len() >= limit, unfilled: 0, confirmed })
    }
}

impl Outbox for Memory {
    fn relay_round(&self, limit: usize, to: Arc<dyn Publish>) -> BoxFuture<'_, Result<Round, BoxError>> {
        Box::pin(self.round(limit, to))
    }

    fn woken(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.woken.notified())
    }
}

fn commands(from: usize, to: usize) -> impl Iterator<Item = OutboxMessage> {
    (from..to).map(|n| message(COMMANDS, "enroll", &n.to_string()))
}

#[tokio::test]
async fn everything_is_delivered_and_what_was_returned_waits_for_its_queue() {
    let mut site = Site::up(&[QUEUE]).await;
    let outbox = Arc::new(Memory::default());
    outbox.add(commands(0, 1_000));
    outbox.add([message(COMMANDS, "put_reference", "early")]);
    site.tasks.spawn(Relay::run(outbox.clone(), site.bus.publisher(), site.cancel.clone()));

    until("all but the returned one are gone", || outbox.left() == 1).await;
    site.waits("evaluator.commands", 1_000).await;
    until("it was tried again", || outbox.returned.load(Ordering::SeqCst) >= 3).await;

    // The service that consumes it starts for the first time.
    let goals = Bus::connect(
        Settings::new(site.vhost.amqp_url()),
        &[Queue::GoalsCommands],
        site.cancel.clone(),
        Handle::current(),
    );
    until("its queue is there", || goals.ready()).await;
    until("it is gone too", || outbox.left() == 0).await;
    site.waits("goals.commands", 1).await;
    site.stop().await;
}

#[tokio::test]
async fn what_is_added_later_wakes_the_relay() {
    let mut site = Site::up(&[QUEUE]).await;
    let outbox = Arc::new(Memory::default());
    site.tasks.spawn(Relay::run(outbox.clone(), site.bus.publisher(), site.cancel.clone()));
    for n in 0..10 {
        tokio::time::sleep(Duration::from_millis(30 * n)).await;
        outbox.add(commands(0, 3));
        until("they are gone", || outbox.left() == 0).await;
    }
    site.waits("evaluator.commands", 30).await;
    site.stop().await;
}

#[tokio::test]
async fn nothing_is_claimed_while_there_is_no_broker() {
    let mut site = Site::start(&[], |settings| {
        settings.url = "amqp://127.0.0.1:9/%2f".into();
    })
    .await;
    let outbox = Arc::new(Memory::default());
    outbox.add(commands(0, 10));
    site.tasks.spawn(Relay::run(outbox.clone(), site.bus.publisher(), site.cancel.clone()));
    tokio::time::sleep(Duration::from_millis(600)).await;
    site.stop().await;
    assert_eq!(outbox.rounds.load(Ordering::SeqCst), 0);
    assert_eq!(outbox.left(), 10);
}

#[tokio::test]
async fn failed_rounds_are_repeated() {
    let mut site = Site::up(&[QUEUE]).await;
    let outbox = Arc::new(Memory::default());
    outbox.failures.store(3, Ordering::SeqCst);
    outbox.add(commands(0, 10));
    site.tasks.spawn(Relay::run(outbox.clone(), site.bus.publisher(), site.cancel.clone()));
    until("they are gone", || outbox.left() == 0).await;
    assert!(outbox.rounds.load(Ordering::SeqCst) >= 4);
    site.stop().await;
}

#[tokio::test]
async fn a_stop_empties_the_outbox_before_the_connection_goes() {
    let mut site = Site::up(&[QUEUE]).await;
    let handler = Script::acks();
    site.consume(QUEUE, 10, handler);
    let outbox = Arc::new(Memory::default());
    outbox.add(commands(0, 2_000));
    let relay = Relay::run(outbox.clone(), site.bus.publisher(), site.cancel.clone());
    site.cancel.cancel();
    relay.await;
    assert_eq!(outbox.left(), 0);
    site.stop().await;
}

#[tokio::test]
async fn a_stop_ends_a_relay_whose_outbox_never_empties() {
    struct Endless(Memory);
    impl Outbox for Endless {
        fn relay_round(&self, limit: usize, to: Arc<dyn Publish>) -> BoxFuture<'_, Result<Round, BoxError>> {
            self.0.add(commands(0, 1));
            self.0.relay_round(limit, to)
        }

        fn woken(&self) -> BoxFuture<'_, ()> {
            self.0.woken()
        }
    }
    let mut site = Site::up(&[QUEUE]).await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let start = Instant::now();
    Relay::run(Arc::new(Endless(Memory::default())), site.bus.publisher(), cancel).await;
    assert!(start.elapsed() < Duration::from_secs(7));
    site.stop().await;
}
