//! That `queue_totals` is never behind what the caller already knows.

use std::sync::Arc;
use std::time::Duration;

use bus::{Action, Bus, Consume, Handler, Message, Queue, Settings};
use devstack::broker::{QueueTotal, queue_totals};
use devstack::{Options, Stack};
use domain::contract::{EventsStored, exchange};
use domain::dead_letter::{DeadLetter, DeadLetters};
use domain::outbox::{BoxError, BoxFuture, Delivery, OutboxMessage};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::goalpost::{PROGRAM, enterable_directory};

const QUEUE: Queue = Queue::EvaluatorEvents;
const PREFETCH: u16 = 2;

/// Reports each message, and keeps it unacknowledged until it is released.
struct Holder {
    arrived: mpsc::UnboundedSender<Uuid>,
    released: Semaphore,
}

impl Handler for Holder {
    fn handle<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Action>> {
        Box::pin(async move {
            for message in messages {
                self.arrived.send(message.message_id.unwrap()).unwrap();
                self.released.acquire().await.unwrap().forget();
            }
            vec![Action::Ack; messages.len()]
        })
    }
}

struct NoLetters;

impl DeadLetters for NoLetters {
    fn store(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), BoxError>> {
        Box::pin(async move { Err(format!("no letter was expected: {letter:?}").into()) })
    }
}

fn message() -> OutboxMessage {
    OutboxMessage {
        id: 1,
        exchange: exchange::EVENTS.to_owned(),
        routing_key: EventsStored::ROUTING_KEY.to_owned(),
        mandatory: true,
        message_id: Uuid::now_v7(),
        content_type: "application/json".to_owned(),
        payload: b"{}".to_vec(),
        traceparent: None,
        correlation_id: None,
        reply_to: None,
    }
}

async fn totals(management_url: &str) -> (u64, u64) {
    let all = queue_totals(management_url, "/").await.unwrap();
    let QueueTotal { ready, unacked, .. } = all.into_iter().find(|queue| queue.name == QUEUE.name()).unwrap();
    (ready, unacked)
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_totals_are_of_now() {
    let dir = enterable_directory();
    let options = Options::ephemeral(dir.path().join("home")).with_guard_program(PROGRAM);
    let stack = Stack::start(options).await.unwrap();
    let management = stack.management_url().unwrap();

    let stopping = CancellationToken::new();
    let settings = Settings::new(stack.amqp_url());
    let handle = tokio::runtime::Handle::current();
    let bus = Bus::connect(settings, &[QUEUE], stopping.clone(), handle.clone());
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let holder = Arc::new(Holder { arrived, released: Semaphore::new(0) });
    let consume = Consume { queue: QUEUE, max_messages: 1, prefetch: PREFETCH };
    let consuming = bus.consume(consume, holder.clone(), Arc::new(NoLetters));
    #[expect(clippy::disallowed_methods, reason = "awaited below")]
    let consuming = handle.spawn(consuming);
    let publisher = bus.publisher();
    while !(bus.ready() && publisher.ready()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // A figure from before a confirm, or from before a delivery, would be one too low.
    for _ in 0..8 {
        let one = Arc::from([message()]);
        assert_eq!(publisher.publish(one).await.unwrap(), [Delivery::Confirmed]);
        let (ready, unacked) = totals(management).await;
        assert_eq!(ready + unacked, 1, "confirmed, not acknowledged: {ready} + {unacked}");
        arrivals.recv().await.unwrap();
        assert_eq!(totals(management).await, (0, 1));
        holder.released.add_permits(1);
        let limit = tokio::time::Instant::now() + Duration::from_secs(5);
        while totals(management).await != (0, 0) {
            assert!(tokio::time::Instant::now() < limit, "acknowledged, but still counted");
        }
    }

    // More than the consumer takes: the rest waits, and is counted as waiting.
    let five: Arc<[OutboxMessage]> = (0..5).map(|_| message()).collect();
    publisher.publish(five).await.unwrap();
    arrivals.recv().await.unwrap();
    assert_eq!(totals(management).await, (3, u64::from(PREFETCH)));

    holder.released.add_permits(5);
    for _ in 1..5 {
        arrivals.recv().await.unwrap();
    }
    stopping.cancel();
    consuming.await.unwrap();
    assert_eq!(totals(management).await, (0, 0), "the consumer has acknowledged all and gone");
    drop((publisher, bus));
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_broker_that_is_away_is_an_error_without_its_password() {
    let error = queue_totals("http://user:secret@127.0.0.1:9", "/").await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.starts_with("the broker does not answer"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}
