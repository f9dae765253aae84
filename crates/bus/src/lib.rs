//! RabbitMQ: topology, supervisor, confirmed publisher, consumer loop, relay.
#![doc = include_str!("../README.md")]

mod consumer;
mod depth;
mod dial;
mod error;
mod link;
mod message;
mod metrics;
mod patience;
mod publisher;
mod relay;
mod settings;
mod subscription;
mod topology;
mod worker;

use std::sync::Arc;

use domain::dead_letter::DeadLetters;
use domain::outbox::Publish;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

pub use consumer::Consume;
pub use error::Error;
pub use message::{Action, Handler, Message};
pub use relay::Relay;
pub use settings::Settings;
pub use subscription::Subscription;
pub use topology::{ExchangeType, Queue, exchanges};

use consumer::Consumer;
use link::{Live, Supervisor};
use metrics::Metrics;
use publisher::Publisher;
use worker::{Work, Worker};

/// Letters taken from a `*.dead` queue ahead of their storing.
const DRAIN_PREFETCH: u16 = 32;

/// A service's two connections to the broker: one to publish, one to consume. A broker that blocks
/// publishers stops reading from their connections, acknowledgements included.
#[derive(Clone)]
pub struct Bus {
    settings: Arc<Settings>,
    cancel: CancellationToken,
    metrics: Arc<Metrics>,
    queues: &'static [Queue],
    publish: Line,
    /// Stays empty in a service that consumes nothing.
    consume: Line,
    alone: Arc<Mutex<()>>,
}

type Line = watch::Sender<Option<Arc<Live>>>;

impl Bus {
    /// Returns at once; the connections come, and come back, by themselves. `queues` are those
    /// this service consumes: it declares them, with their dead-letter queues. After `cancel`
    /// nothing is built any more; what stands is closed when its consumers have finished and its
    /// publishers are dropped, after 30 s in any case.
    #[must_use]
    pub fn connect(settings: Settings, queues: &'static [Queue], cancel: CancellationToken, handle: Handle) -> Self {
        let settings = Arc::new(settings);
        let metrics = Arc::new(Metrics::new());
        let start = |role, queues, live: &Line| {
            let supervisor = Supervisor {
                role,
                settings: Arc::clone(&settings),
                queues,
                handle: handle.clone(),
                cancel: cancel.clone(),
                metrics: Arc::clone(&metrics),
                live: live.clone(),
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "the supervisor survives its own panics, and `ready` shows its state"
            )]
            handle.spawn(supervisor.run());
        };
        let (publish, consume) = (Line::new(None), Line::new(None));
        start("publish", &[], &publish);
        if !queues.is_empty() {
            start("consume", queues, &consume);
        }
        Self { settings, cancel, metrics, queues, publish, consume, alone: Arc::default() }
    }

    /// Whether every connection this service needs is up.
    #[must_use]
    pub fn ready(&self) -> bool {
        let up = |line: &Line| line.borrow().is_some();
        up(&self.publish) && (self.queues.is_empty() || up(&self.consume))
    }

    /// A publisher with a channel of its own. Calls on one publisher wait for each other.
    #[must_use]
    pub fn publisher(&self) -> Arc<dyn Publish> {
        Arc::new(Publisher::new(
            self.publish.subscribe(),
            self.settings.call_timeout(),
            self.settings.confirm_timeout(),
            Arc::clone(&self.metrics),
        ))
    }

    /// Consumes a queue until cancelled. Run it as a supervised task; several on the same queue
    /// share its messages.
    pub fn consume(
        &self,
        consume: Consume,
        handler: Arc<dyn Handler>,
        dead_letters: Arc<dyn DeadLetters>,
    ) -> impl Future<Output = ()> + Send + use<> {
        debug_assert!(self.queues.contains(&consume.queue), "a queue nobody declares");
        let prefetch = match consume.prefetch {
            0 => self.settings.prefetch,
            prefetch => prefetch,
        };
        let worker = self.worker(consume.queue.name().to_owned(), Work::Handle(handler), dead_letters);
        self.consumer(worker, consume.max_messages.max(1), prefetch)
    }

    /// Moves what the broker has given up from the queue's `*.dead` queue into `dead_letters`,
    /// with the broker's reason as code, until cancelled.
    pub fn drain_dead(
        &self,
        queue: Queue,
        dead_letters: Arc<dyn DeadLetters>,
    ) -> impl Future<Output = ()> + Send + use<> {
        debug_assert!(self.queues.contains(&queue), "a queue nobody declares");
        let worker = self.worker(queue.dead_name(), Work::Drain, dead_letters);
        self.consumer(worker, 1, DRAIN_PREFETCH)
    }

    fn worker(&self, queue: String, work: Work, dead_letters: Arc<dyn DeadLetters>) -> Worker {
        let call_timeout = self.settings.call_timeout();
        Worker { queue, work, dead_letters, call_timeout, metrics: Arc::clone(&self.metrics) }
    }

    fn consumer(&self, worker: Worker, max_messages: usize, prefetch: u16) -> impl Future<Output = ()> + Send + use<> {
        let consumer = Consumer {
            max_messages,
            prefetch,
            hold: self.settings.hold(),
            link: self.consume.subscribe(),
            alone: Arc::clone(&self.alone),
            cancel: self.cancel.clone(),
            worker,
        };
        consumer.run()
    }
}
