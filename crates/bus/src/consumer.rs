//! The consumer loop: takes what has arrived, has it settled, and begins again on every new
//! connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, TryStreamExt};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, within};
use crate::link::{Current, Live, next};
use crate::message::is_suspect;
use crate::metrics::In;
use crate::patience::{Patience, Stop};
use crate::topology::Queue;
use crate::worker::{Group, Settled, Worker};

/// Quorum queues take no higher prefetch.
const MAX_PREFETCH: u16 = 2_000;

/// How long a message that was fetched alone is held. Each time it is given back costs it one of
/// its deliveries, and the broker takes a channel away that holds a message for 30 minutes.
const LONG_HOLD: Duration = Duration::from_secs(15 * 60);

/// Longest wait for the end of a channel.
const GOOD_BYE: Duration = Duration::from_secs(2);

/// What to consume, and how much at once.
#[derive(Clone, Copy, Debug)]
pub struct Consume {
    /// The queue.
    pub queue: Queue,
    /// Most messages in one call of the handler; 1 is one by one.
    pub max_messages: usize,
    /// Most messages that are delivered and not yet acknowledged; 0 is the settings' prefetch.
    pub prefetch: u16,
}

pub(crate) struct Consumer {
    pub(crate) max_messages: usize,
    pub(crate) prefetch: u16,
    pub(crate) hold: Duration,
    pub(crate) link: Current,
    /// Held by the one consumer of this process that has fetched a message alone.
    pub(crate) alone: Arc<Mutex<()>>,
    pub(crate) cancel: CancellationToken,
    pub(crate) worker: Worker,
}

/// How messages are taken.
#[derive(Clone, Copy)]
enum Mode {
    /// As they come, up to the prefetch.
    Flow,
    /// Fetched one by one, so that no other is out of the queue: after what was held was given
    /// back, until the first succeeds; and as long as messages come that may have ended a process.
    Single,
}

impl Consumer {
    /// Consumes until cancelled.
    pub(crate) async fn run(mut self) {
        // Nobody knows yet how the process before this one ended.
        let mut mode = Mode::Single;
        loop {
            let live = tokio::select! {
                () = self.cancel.cancelled() => return,
                live = next(&mut self.link) => live,
            };
            let Some(live) = live else { return };
            match self.session(&live, mode).await {
                Stop::Cancelled => return,
                Stop::Held => mode = Mode::Single,
                Stop::Fresh | Stop::Suspect => mode = Mode::Flow,
                Stop::Broken(reason) => live.fail(format!("{}: {reason}", self.worker.queue)),
            }
        }
    }

    /// One channel, from its opening to its end.
    async fn session(&self, live: &Live, mode: Mode) -> Stop {
        let channel = match live.channel().await {
            Ok(channel) => channel,
            Err(error) => return Stop::broken(error),
        };
        let stop = match mode {
            Mode::Flow => self.flow(live, &channel).await,
            Mode::Single => {
                let Err(stop) = self.fetch(live, &channel).await;
                stop
            }
        };
        if matches!(stop, Stop::Broken(_)) {
            return stop;
        }
        // What is still unacknowledged goes back to the queue with the channel.
        match within(GOOD_BYE, "channel.close", channel.close(200, "OK".into())).await {
            Err(error) if stop != Stop::Cancelled => Stop::broken(error),
            _ => stop,
        }
    }

    async fn flow(&self, live: &Live, channel: &Channel) -> Stop {
        let mut deliveries = match self.open(channel).await {
            Ok(deliveries) => deliveries,
            Err(error) => return Stop::broken(error),
        };
        let Err(stop) = self.take(live, channel, &mut deliveries).await;
        if !matches!(stop, Stop::Broken(_) | Stop::Suspect)
            && let Err(error) = cancel(channel, &deliveries).await
        {
            return Stop::broken(error);
        }
        stop
    }

    async fn open(&self, channel: &Channel) -> Result<lapin::Consumer, Error> {
        let limit = self.worker.call_timeout;
        let prefetch = self.prefetch.clamp(1, MAX_PREFETCH);
        let qos = channel.basic_qos(prefetch, BasicQosOptions { global: false });
        within(limit, "basic.qos", qos).await?;
        let consuming = channel.basic_consume(
            self.worker.queue.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        within(limit, "basic.consume", consuming).await
    }

    async fn take(&self, live: &Live, channel: &Channel, deliveries: &mut lapin::Consumer) -> Result<Infallible, Stop> {
        let mut patience = Patience::new(live, &self.cancel, self.hold);
        let mut settled = Settled::default();
        loop {
            let first = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Stop::Cancelled),
                () = live.broken() => return Err(Stop::Broken("the connection ended".to_owned())),
                first = deliveries.next() => first,
            };
            let mut arrived = self.arrived(first, deliveries)?;
            let suspect = arrived.iter().any(is_suspect);
            if suspect {
                // All others first: if a suspect ends the process, no message is to pay for it. The suspects do not go back in
                // between: that would cost each of them a delivery, and another consumer would do the same to them.
                arrived.append(&mut self.rest(channel, deliveries).await?);
            }
            let (suspects, others): (Vec<_>, Vec<_>) = arrived.into_iter().partition(is_suspect);
            self.settle(others, &mut settled, &mut patience).await?;
            if suspect {
                let _alone = self.alone(live).await?;
                for suspect in suspects {
                    self.settle(vec![suspect], &mut settled, &mut patience).await?;
                }
                return Err(Stop::Suspect);
            }
        }
    }

    /// Waits until no other consumer of this process is busy with a message that may end it. Not for ever: such a message may be
    /// held for long.
    async fn alone(&self, live: &Live) -> Result<Option<MutexGuard<'_, ()>>, Stop> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Stop::Cancelled),
            () = live.broken() => Err(Stop::Broken("the connection ended".to_owned())),
            alone = timeout(self.worker.call_timeout, self.alone.lock()) => Ok(alone.ok()),
        }
    }

    async fn fetch(&self, live: &Live, channel: &Channel) -> Result<Infallible, Stop> {
        let mut patience = Patience::new(live, &self.cancel, LONG_HOLD);
        let mut settled = Settled::default();
        loop {
            // Whoever begins, begins here: if this message ends the process, as it may have ended the one before, then no
            // other consumer has fetched one that goes down with it every time.
            let _alone = self.alone(live).await?;
            let queue = self.worker.queue.as_str();
            let getting = channel.basic_get(queue.into(), BasicGetOptions::default());
            let got = within(self.worker.call_timeout, "basic.get", getting).await;
            let Some(got) = got.map_err(Stop::broken)? else {
                return Err(Stop::Fresh);
            };
            self.count(&got.delivery);
            let suspect = is_suspect(&got.delivery);
            self.settle(vec![got.delivery], &mut settled, &mut patience).await?;
            if !suspect {
                return Err(Stop::Fresh);
            }
        }
    }

    async fn settle(
        &self,
        arrived: Vec<Delivery>,
        settled: &mut Settled,
        patience: &mut Patience<'_>,
    ) -> Result<(), Stop> {
        for group in Group::cut(arrived, self.max_messages) {
            self.worker.settle(&group, settled, patience).await?;
            if self.cancel.is_cancelled() {
                return Err(Stop::Cancelled);
            }
        }
        Ok(())
    }

    /// The first delivery and all others that are here already, up to `max_messages`.
    fn arrived(
        &self,
        first: Option<lapin::Result<Delivery>>,
        deliveries: &mut lapin::Consumer,
    ) -> Result<Vec<Delivery>, Stop> {
        let mut arrived = Vec::new();
        let mut next = Some(first);
        while let Some(delivery) = next {
            match delivery {
                Some(Ok(delivery)) => {
                    self.count(&delivery);
                    arrived.push(delivery);
                }
                // The queue was deleted, or the broker has another reason to end the consumer.
                None => return Err(Stop::Broken("the broker ended the consumer".to_owned())),
                Some(Err(error)) => return Err(Stop::Broken(error.to_string())),
            }
            next = if arrived.len() < self.max_messages { deliveries.next().now_or_never() } else { None };
        }
        Ok(arrived)
    }

    /// Ends the consumer and returns what was still on its way to it.
    async fn rest(&self, channel: &Channel, deliveries: &mut lapin::Consumer) -> Result<Vec<Delivery>, Stop> {
        cancel(channel, deliveries).await.map_err(Stop::broken)?;
        let rest = deliveries.try_collect::<Vec<_>>();
        let rest = within(GOOD_BYE, "basic.cancel", rest).await.map_err(Stop::broken)?;
        rest.iter().for_each(|delivery| self.count(delivery));
        Ok(rest)
    }

    fn count(&self, delivery: &Delivery) {
        self.worker.metrics.took(In::Delivered, &self.worker.queue);
        if delivery.redelivered {
            self.worker.metrics.took(In::Redelivered, &self.worker.queue);
        }
    }
}

/// Always before the channel is closed: a consumer that is dropped cancels itself in the
/// background, and lapin ends the whole connection when its channel closes under that.
async fn cancel(channel: &Channel, deliveries: &lapin::Consumer) -> Result<(), Error> {
    let cancelling = channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default());
    within(GOOD_BYE, "basic.cancel", cancelling).await
}
