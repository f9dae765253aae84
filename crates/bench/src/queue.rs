//! The drain rate of the bare queue: chunks as ingest writes them, through the same queue and the same consumer loop, with a
//! handler that does nothing. In a virtual host of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::ensure;
use bus::{Action, Bus, Consume, Handler, Message, Queue};
use domain::dead_letter::{DeadLetter, DeadLetters};
use domain::outbox::{BoxError, BoxFuture, Delivery, OutboxMessage, Publish};
use reqwest::{Client, Url};
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::run::per_second;
use crate::stand::Stand;

const VHOST: &str = "bench";
const CHUNK: u64 = 200;
const QUEUES: &[Queue] = &[Queue::EvaluatorEvents];
const LIMIT: Duration = Duration::from_secs(60);

/// Events a second that two consumers take and acknowledge.
pub async fn drain_rate(stand: &Stand, messages: u64) -> anyhow::Result<f64> {
    let management = Url::parse(stand.place.management_url()?)?;
    let http = Client::builder().no_proxy().build()?;
    let user = management.username().to_owned();
    let api = |path: String| management.join(&path);
    http.put(api(format!("api/vhosts/{VHOST}"))?).header("content-length", 0).send().await?.error_for_status()?;
    let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
    http.put(api(format!("api/permissions/{VHOST}/{user}"))?).json(&all).send().await?.error_for_status()?;
    let mut url = Url::parse(&stand.place.amqp_url)?;
    url.set_path(VHOST);
    let cancel = CancellationToken::new();
    let rate = measure(url.as_str(), messages, &cancel).await;
    cancel.cancel();
    http.delete(api(format!("api/vhosts/{VHOST}"))?).send().await?.error_for_status()?;
    rate
}

async fn measure(url: &str, messages: u64, cancel: &CancellationToken) -> anyhow::Result<f64> {
    let bus = Bus::connect(bus::Settings::new(url), QUEUES, cancel.clone(), Handle::current());
    let limit = Instant::now() + LIMIT;
    let publisher = bus.publisher();
    while !bus.ready() || !publisher.ready() {
        ensure!(Instant::now() < limit, "the broker does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fill(publisher.as_ref(), messages).await?;
    let taken = Arc::new(Nothing { taken: AtomicU64::new(0) });
    let consume = Consume { queue: Queue::EvaluatorEvents, max_messages: 64, prefetch: 128 };
    let began = Instant::now();
    let consumers = (0..2).map(|_| bus.consume(consume, Arc::clone(&taken) as Arc<dyn Handler>, Arc::new(NoLetters)));
    let drained = async {
        while taken.taken.load(SeqCst) < messages && Instant::now() < limit {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    };
    let took = tokio::select! {
        _ = futures_util::future::join_all(consumers) => anyhow::bail!("the consumers ended"),
        took = drained => took,
    };
    ensure!(taken.taken.load(SeqCst) >= messages, "the bare queue was not drained");
    Ok(per_second(messages * CHUNK, took))
}

/// Publishes chunks of about the size of real ones, confirmed.
async fn fill(publisher: &dyn Publish, messages: u64) -> anyhow::Result<()> {
    let event = r#"{"event_id":"0190b8a0-0000-7000-8000-000000000000","event_name":"page_viewed","event_time":"2026-01-03T10:00:00Z","received_at":"2026-01-03T10:00:00Z","contact_id":"c-1","properties":{"url":"https://shop.example/products/1","title":"Product 1","referrer":"https://search.example/"}}"#;
    let events = vec![event; usize::try_from(CHUNK)?].join(",");
    let payload = format!(r#"{{"version":1,"tenant_id":"bench","events":[{events}]}}"#).into_bytes();
    let message = |id: u64| OutboxMessage {
        id: i64::try_from(id).unwrap_or_default(),
        exchange: "goalpost.events".to_owned(),
        routing_key: "events.stored".to_owned(),
        mandatory: true,
        message_id: Uuid::now_v7(),
        content_type: "application/json".to_owned(),
        traceparent: None,
        correlation_id: None,
        reply_to: None,
        payload: payload.clone(),
    };
    let all: Vec<OutboxMessage> = (0..messages).map(message).collect();
    for window in all.chunks(256) {
        let outcomes = publisher.publish(window.into()).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        let all = outcomes.iter().all(|outcome| matches!(outcome, Delivery::Confirmed));
        ensure!(all, "the broker did not take a chunk");
    }
    Ok(())
}

struct Nothing {
    taken: AtomicU64,
}

impl Handler for Nothing {
    fn handle<'a>(&'a self, messages: &'a [Message]) -> BoxFuture<'a, Vec<Action>> {
        self.taken.fetch_add(messages.len() as u64, SeqCst);
        Box::pin(async move { vec![Action::Ack; messages.len()] })
    }
}

/// Nothing dies here: the handler acknowledges everything.
struct NoLetters;

impl DeadLetters for NoLetters {
    fn store(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), BoxError>> {
        Box::pin(async move { Err(BoxError::from(format!("a chunk died: {}", letter.cause))) })
    }
}
