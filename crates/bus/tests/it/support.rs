//! What the tests share: a site (vhost, bus, tasks), a scripted handler, a shelf for dead letters.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::dead_letter::{DeadLetter, DeadLetters};
use domain::outbox::{BoxError, BoxFuture, Delivery, OutboxMessage};
use goalpost_bus::{Action, Bus, Consume, Handler, Message, Queue, Settings};
use lapin::options::{BasicGetOptions, BasicRejectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use testkit::Vhost;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const COMMANDS: &str = "goalpost.commands";
pub const DOMAIN: &str = "goalpost.domain";
pub const EVENTS: &str = "goalpost.events";
pub const WORKFLOW: &str = "goalpost.workflow";

/// A bus in a vhost of its own, with the tasks that use it.
pub struct Site {
    pub bus: Bus,
    pub cancel: CancellationToken,
    pub tasks: JoinSet<()>,
    pub shelf: Arc<Shelf>,
    pub vhost: Vhost,
}

impl Site {
    pub async fn up(queues: &'static [Queue]) -> Self {
        Self::with(queues, |_| {}).await
    }

    pub async fn with(queues: &'static [Queue], change: impl FnOnce(&mut Settings)) -> Self {
        let site = Self::start(queues, change).await;
        until("the bus is ready", || site.bus.ready()).await;
        site
    }

    /// Does not wait for the connections.
    pub async fn start(queues: &'static [Queue], change: impl FnOnce(&mut Settings)) -> Self {
        let vhost = Vhost::create().await.unwrap();
        let mut settings = Settings::new(vhost.amqp_url());
        change(&mut settings);
        let cancel = CancellationToken::new();
        let bus = Bus::connect(settings, queues, cancel.clone(), Handle::current());
        Self { bus, cancel, tasks: JoinSet::new(), shelf: Arc::default(), vhost }
    }

    pub fn consume(&mut self, queue: Queue, max_messages: usize, handler: Arc<dyn Handler>) {
        let consume = Consume { queue, max_messages, prefetch: 50 };
        self.tasks.spawn(self.bus.consume(consume, handler, self.shelf.clone()));
    }

    pub async fn publish(&self, messages: Vec<OutboxMessage>) -> Vec<Delivery> {
        self.bus.publisher().publish(messages.into()).await.unwrap()
    }

    /// Publishes texts as commands; all must be confirmed.
    pub async fn send(&self, bodies: impl IntoIterator<Item = impl Into<String>>) {
        let messages: Vec<_> = bodies.into_iter().map(|body| message(COMMANDS, "enroll", &body.into())).collect();
        let deliveries = self.publish(messages).await;
        assert!(deliveries.iter().all(|delivery| *delivery == Delivery::Confirmed));
    }

    /// Messages in the queue that nobody has been given, asked of the queue itself (the figures of
    /// the management API are seconds old).
    pub async fn waiting(&self, queue: &str) -> u32 {
        let url = self.vhost.amqp_url();
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let found = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
        let count = found.unwrap().message_count();
        connection.close(200, "OK".into()).await.unwrap();
        count
    }

    /// Waits until this many messages wait in the queue.
    pub async fn waits(&self, queue: &str, expected: u32) {
        let start = Instant::now();
        loop {
            let found = self.waiting(queue).await;
            if found == expected {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{found} wait in {queue}, not {expected}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Takes the message at the head of the queue and rejects it, `times` times.
    pub async fn reject(&self, queue: &str, requeue: bool, times: usize) {
        let url = self.vhost.amqp_url();
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let start = Instant::now();
        let mut rejected = 0;
        while rejected < times {
            assert!(start.elapsed() < PATIENCE, "{queue} is empty");
            let got = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap();
            if let Some(got) = got {
                assert!(got.delivery.reject(BasicRejectOptions { requeue }).await.unwrap());
                rejected += 1;
            }
        }
        connection.close(200, "OK".into()).await.unwrap();
    }

    /// Cuts every connection whose client gave it this role.
    pub async fn cut_connections(&self) {
        let start = Instant::now();
        loop {
            // The broker needs a moment to list a new connection.
            let names = self.vhost.connections().await.unwrap();
            if names.len() >= 2 {
                for name in names {
                    self.vhost.close_connection(&name).await.unwrap();
                }
                return;
            }
            assert!(start.elapsed() < PATIENCE, "the broker lists no connections");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops everything and waits for the tasks.
    pub async fn stop(&mut self) {
        self.cancel.cancel();
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.unwrap();
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, all).await;
        in_time.expect("the tasks did not end");
    }

    /// Stops everything. What was not acknowledged is then in its queue again.
    pub async fn stop_with(&mut self, queue: &str, left: u32) {
        self.stop().await;
        self.waits(queue, left).await;
    }
}

/// Longer than anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "it never came to pass that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn message(exchange: &str, routing_key: &str, body: &str) -> OutboxMessage {
    OutboxMessage {
        id: 0,
        exchange: exchange.to_owned(),
        routing_key: routing_key.to_owned(),
        mandatory: true,
        message_id: Uuid::now_v7(),
        content_type: "application/json".to_owned(),
        payload: body.as_bytes().to_vec(),
        traceparent: None,
        correlation_id: None,
        reply_to: None,
    }
}

pub fn body(message: &Message) -> String {
    String::from_utf8(message.body.to_vec()).unwrap()
}

/// A handler that begins, and waits for a permit before it answers.
pub struct Slow {
    calls: Mutex<Vec<Vec<Message>>>,
    pub permits: Semaphore,
}

impl Slow {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { calls: Mutex::default(), permits: Semaphore::new(0) })
    }

    pub fn calls(&self) -> Vec<Vec<Message>> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits until this many calls have begun.
    pub async fn begins(&self, calls: usize) {
        until("the call begins", || self.calls().len() >= calls).await;
    }
}

impl Handler for Slow {
    fn handle<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Action>> {
        Box::pin(async move {
            self.calls.lock().unwrap().push(messages.to_vec());
            self.permits.acquire().await.unwrap().forget();
            vec![Action::Ack; messages.len()]
        })
    }
}

type Answer = dyn Fn(&[Message]) -> Vec<Action> + Send + Sync;

/// A handler that answers by a closure and remembers what it was given, call by call.
pub struct Script {
    answer: Box<Answer>,
    calls: Mutex<Vec<Vec<Message>>>,
}

impl Script {
    pub fn new(answer: impl Fn(&[Message]) -> Vec<Action> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), calls: Mutex::default() })
    }

    /// Answers for each message by itself.
    pub fn each(answer: impl Fn(&Message) -> Action + Send + Sync + 'static) -> Arc<Self> {
        Self::new(move |messages| messages.iter().map(&answer).collect())
    }

    pub fn acks() -> Arc<Self> {
        Self::each(|_| Action::Ack)
    }

    /// Remembers a message that another handler was given.
    pub fn note(&self, message: &Message) {
        self.calls.lock().unwrap().push(vec![message.clone()]);
    }

    pub fn calls(&self) -> Vec<Vec<Message>> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits until it was given every one of these bodies.
    pub async fn saw<T: ToString>(&self, bodies: impl IntoIterator<Item = T>) {
        let wanted: Vec<String> = bodies.into_iter().map(|body| body.to_string()).collect();
        until("the handler saw them all", || {
            let seen = self.bodies();
            wanted.iter().all(|body| seen.contains(body))
        })
        .await;
    }

    /// Every body it was given, in order.
    pub fn bodies(&self) -> Vec<String> {
        self.calls().iter().flatten().map(body).collect()
    }
}

impl Handler for Script {
    fn handle<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Action>> {
        Box::pin(async move {
            self.calls.lock().unwrap().push(messages.to_vec());
            // A panic of the closure is one inside of the future.
            tokio::task::yield_now().await;
            (self.answer)(messages)
        })
    }
}

/// Keeps dead letters in memory, or refuses to.
#[derive(Default)]
pub struct Shelf {
    letters: Mutex<Vec<DeadLetter>>,
    pub away: AtomicBool,
}

impl Shelf {
    /// Waits for the first letter.
    pub async fn letter(&self) -> DeadLetter {
        until("a letter is on the shelf", || !self.letters().is_empty()).await;
        self.letters().remove(0)
    }

    pub fn letters(&self) -> Vec<DeadLetter> {
        self.letters.lock().unwrap().clone()
    }
}

impl DeadLetters for Shelf {
    fn store(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), BoxError>> {
        Box::pin(async move {
            if self.away.load(Ordering::SeqCst) {
                return Err("the shelf is away".into());
            }
            self.letters.lock().unwrap().push(letter);
            Ok(())
        })
    }
}
