//! Publishes with confirms: a message counts as taken when the broker has said so and has not
//! handed it back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::outbox::{BoxError, BoxFuture, Delivery, OutboxMessage, Publish};
use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel};
use tokio::sync::Mutex;
use tracing::Span;

use crate::error::{Error, within};
use crate::link::{Current, Live, current};
use crate::metrics::{Metrics, Out};
use crate::topology::exchanges;

/// Messages that may be unconfirmed at once. Each answer for several makes lapin look through all
/// that are pending.
const WINDOW: usize = 512;

const PERSISTENT: u8 = 2;

/// The largest message RabbitMQ 4.x takes; it closes the channel for a larger one.
const MAX_PAYLOAD_BYTES: usize = 16 * 1024 * 1024;

/// A publisher on the publishing connection, one window at a time.
pub(crate) struct Publisher {
    link: Current,
    lane: Mutex<Option<Lane>>,
    call_timeout: Duration,
    confirm_timeout: Duration,
    metrics: Arc<Metrics>,
}

/// A channel on which nothing is unconfirmed. One with open confirms is never used again: a late
/// return could be taken by a confirm of the window before, and its message would count as routed.
/// Nor can it be closed: lapin sends the close ahead of the publishes that still wait, and the
/// broker answers those by closing the connection. So the connection goes with it.
struct Lane {
    live: Arc<Live>,
    channel: Channel,
}

/// Spoils the connection unless every confirm has come, also when the future is dropped.
struct Unconfirmed<'a>(Option<&'a Live>);

impl Drop for Unconfirmed<'_> {
    fn drop(&mut self) {
        if let Some(live) = self.0 {
            live.spoil("a publish was abandoned");
        }
    }
}

impl Publisher {
    pub(crate) fn new(link: Current, call_timeout: Duration, confirm_timeout: Duration, metrics: Arc<Metrics>) -> Self {
        Self { link, lane: Mutex::default(), call_timeout, confirm_timeout, metrics }
    }

    async fn publish_all(&self, messages: &[OutboxMessage]) -> Result<Vec<Delivery>, Error> {
        let mut kept = self.lane.lock().await;
        let live = current(&self.link).ok_or(Error::Down)?;
        if live.blocked() {
            return Err(Error::Blocked);
        }
        let lane = kept.take().filter(|lane| Arc::ptr_eq(&lane.live, &live));
        let mut unconfirmed = Unconfirmed(Some(&live));
        let (lane, deliveries) = self
            .publish_on(lane, &live, messages)
            .await
            .inspect_err(|error| live.spoil(format!("publishing: {error}")))?;
        unconfirmed.0 = None;
        drop(unconfirmed);
        *kept = Some(lane);
        Ok(deliveries)
    }

    async fn publish_on(
        &self,
        lane: Option<Lane>,
        live: &Arc<Live>,
        messages: &[OutboxMessage],
    ) -> Result<(Lane, Vec<Delivery>), Error> {
        let lane = match lane {
            Some(lane) => lane,
            None => self.open(live).await?,
        };
        let mut deliveries = Vec::with_capacity(messages.len());
        for window in messages.chunks(WINDOW) {
            deliveries.extend(self.window(&lane.channel, window).await?);
        }
        Ok((lane, deliveries))
    }

    async fn open(&self, live: &Arc<Live>) -> Result<Lane, Error> {
        let channel = live.channel().await?;
        let selecting = channel.confirm_select(ConfirmSelectOptions::default());
        within(self.call_timeout, "confirm.select", selecting).await?;
        Ok(Lane { live: Arc::clone(live), channel })
    }

    /// Publishes one window and waits for all of its confirms together.
    async fn window(&self, channel: &Channel, messages: &[OutboxMessage]) -> Result<Vec<Delivery>, Error> {
        let sending = join_all(messages.iter().map(|message| send(channel, message)));
        let answers = within(self.confirm_timeout, "basic.publish", async {
            sending.await.into_iter().collect::<lapin::Result<Vec<Answer>>>()
        })
        .await?;
        // lapin hands a returned message to whichever confirm completes next, so the returns of
        // the whole window are gathered and found again by what they carry.
        let (answers, returned): (Vec<_>, Vec<_>) =
            answers.into_iter().map(|answer| (answer.outcome, answer.returned)).unzip();
        let returned: HashSet<Address> = returned.into_iter().flatten().collect();
        let verdicts = messages.iter().zip(answers);
        Ok(verdicts.map(|(message, outcome)| self.verdict(message, outcome, &returned)).collect())
    }

    fn verdict(&self, message: &OutboxMessage, outcome: Outcome, returned: &HashSet<Address>) -> Delivery {
        let exchange = &message.exchange;
        let delivery = match outcome {
            Outcome::NotSent(why) => Delivery::Refused(why.to_owned()),
            Outcome::Nacked => Delivery::Refused("the broker could not take it".to_owned()),
            Outcome::Acked if returned.contains(&Address::of(message)) => Delivery::Returned,
            Outcome::Acked => Delivery::Confirmed,
        };
        if !matches!(outcome, Outcome::NotSent(_)) {
            self.metrics.out(Out::Published, exchange);
        }
        let out = match delivery {
            Delivery::Confirmed => Out::Confirmed,
            Delivery::Returned => Out::Returned,
            Delivery::Refused(_) => Out::Refused,
        };
        self.metrics.out(out, exchange);
        delivery
    }
}

impl Publish for Publisher {
    fn ready(&self) -> bool {
        current(&self.link).is_some_and(|live| !live.blocked())
    }

    fn publish(&self, messages: Arc<[OutboxMessage]>) -> BoxFuture<'_, Result<Vec<Delivery>, BoxError>> {
        Box::pin(async move { self.publish_all(&messages).await.map_err(BoxError::from) })
    }
}

/// What identifies a message when it comes back.
#[derive(PartialEq, Eq, Hash)]
struct Address {
    message_id: String,
    exchange: String,
    routing_key: String,
}

impl Address {
    fn of(message: &OutboxMessage) -> Self {
        Self {
            message_id: message.message_id.to_string(),
            exchange: message.exchange.clone(),
            routing_key: straight(message).map_or(message.routing_key.as_str(), |(_, key)| key).to_owned(),
        }
    }
}

#[derive(Clone, Copy)]
enum Outcome {
    Acked,
    Nacked,
    NotSent(&'static str),
}

struct Answer {
    outcome: Outcome,
    /// A message that came back with this confirm: this one or any other of the window.
    returned: Option<Address>,
}

async fn send(channel: &Channel, message: &OutboxMessage) -> lapin::Result<Answer> {
    let came = message.traceparent.as_deref();
    // Only what belongs to a trace opens a span: a relay's round is nobody's.
    let span = if came.is_some() { span_of(message) } else { Span::none() };
    let traceparent = trace::passed_on(&span, came);
    let (exchange, routing_key, properties) = match checked(message, traceparent) {
        Ok(parts) => parts,
        Err(why) => {
            return Ok(Answer { outcome: Outcome::NotSent(why), returned: None });
        }
    };
    let options = BasicPublishOptions { mandatory: message.mandatory, immediate: false };
    #[expect(clippy::disallowed_methods, reason = "this is where the bus publishes")]
    let confirm = channel.basic_publish(exchange, routing_key, options, &message.payload, properties).await?;
    crash::point!("publisher.after_publish", &message.routing_key);
    let confirmation = confirm.await?;
    let outcome = if confirmation.is_ack() { Outcome::Acked } else { Outcome::Nacked };
    drop(span);
    let returned = confirmation.take_message().map(|message| Address {
        message_id: message.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default(),
        exchange: message.exchange.to_string(),
        routing_key: message.routing_key.to_string(),
    });
    Ok(Answer { outcome, returned })
}

/// The span of one publish, up to its confirm, in the trace of what caused the message.
fn span_of(message: &OutboxMessage) -> Span {
    let span = tracing::debug_span!(
        target: trace::TARGET,
        "publish",
        otel.name = format!("publish {}", message.routing_key),
        otel.kind = "producer",
        messaging.system = "rabbitmq",
        messaging.destination.name = message.exchange,
        messaging.message.id = %message.message_id,
    );
    trace::continued(span, message.traceparent.as_deref())
}

/// A message for one queue alone, past every exchange, and the key it is delivered with: its exchange is empty, and its routing
/// key is the queue's name, a space and that key.
fn straight(message: &OutboxMessage) -> Option<(&str, &str)> {
    if message.exchange.is_empty() { message.routing_key.split_once(' ') } else { None }
}

type Parts = (ShortString, ShortString, BasicProperties);

/// What the broker would answer by closing the channel is refused here, for this message alone.
fn checked(message: &OutboxMessage, traceparent: Option<String>) -> Result<Parts, &'static str> {
    let known = message.exchange.is_empty() || exchanges().iter().any(|&(exchange, _)| exchange == message.exchange);
    if !known {
        return Err("the exchange is not one of Goalpost's");
    }
    if message.payload.len() > MAX_PAYLOAD_BYTES {
        return Err("the payload is over 16 MiB");
    }
    let short = |text: &str| ShortString::try_new(text).map_err(|_| "an address is over 255 bytes");
    let mut headers = FieldTable::default();
    if let Some(traceparent) = traceparent {
        headers.insert("traceparent".into(), AMQPValue::LongString(traceparent.into()));
    }
    let mut routing_key = message.routing_key.as_str();
    if let Some((queue, key)) = straight(message) {
        // The broker routes by this too, and takes it off: what arrives is as it was when it was published first.
        let queues = vec![AMQPValue::LongString(queue.into())];
        headers.insert("BCC".into(), AMQPValue::FieldArray(queues.into()));
        routing_key = key;
    }
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type(short(&message.content_type)?)
        .with_message_id(message.message_id.to_string().into());
    if !headers.inner().is_empty() {
        properties = properties.with_headers(headers);
    }
    if let Some(id) = &message.correlation_id {
        properties = properties.with_correlation_id(short(id)?);
    }
    if let Some(queue) = &message.reply_to {
        properties = properties.with_reply_to(short(queue)?);
    }
    Ok((short(&message.exchange)?, short(routing_key)?, properties))
}
