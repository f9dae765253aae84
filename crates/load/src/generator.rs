//! Sends requests of events at a rate that does not wait for answers, or as fast as answers come; and counts.
//!
//! Open loop: each request has a time at which it is meant to leave, whatever became of those before, and its latency is counted from
//! that time. So a slow answer makes all that had to wait for a connection slow as well, as it would for those who wait.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::scenario::{Contents, Sent};
use crate::wire::{Connection, Target};

/// A request that leaves this much after its time is counted as late: there was no connection for it.
const LATE: Duration = Duration::from_millis(5);
/// An answer that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Latencies are kept up to here, to three digits.
const MOST_US: u64 = 120_000_000;

/// When requests leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many events a second, whatever becomes of them.
    Open { events_per_second: f64 },
    /// Each connection sends again when it has its answer.
    Closed,
}

/// What to send where.
#[derive(Clone, Debug)]
pub struct Load {
    /// The ingest service, `http://host:port`.
    pub url: String,
    /// A write token of each tenant, in the order of their numbers.
    pub tokens: Vec<String>,
    pub contents: Contents,
    pub pace: Pace,
    pub duration: Duration,
    /// Events of one request.
    pub batch: u64,
    pub connections: usize,
}

/// What was answered.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// Events that were sent.
    pub sent: u64,
    pub accepted: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub retry: u64,
    /// Events of requests that were not answered with verdicts.
    pub unknown: u64,
    /// Of the accepted ones, those that meet a goal of an enrolled contact. A request that was not accepted whole counts none.
    pub matching: u64,
    pub requests: u64,
    /// Requests that left over 5 ms after their time, because every connection was busy.
    pub late_requests: u64,
    /// What was wrong, with how often it was.
    pub trouble: BTreeMap<String, u64>,
}

impl Tally {
    /// Whether everything that was sent was stored.
    pub fn is_clean(&self) -> bool {
        self.accepted == self.sent
    }

    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
        self.retry += other.retry;
        self.unknown += other.unknown;
        self.matching += other.matching;
        self.requests += other.requests;
        self.late_requests += other.late_requests;
        for (what, often) in &other.trouble {
            *self.trouble.entry(what.clone()).or_default() += often;
        }
    }
}

/// A load that was sent.
pub struct Sending {
    pub tally: Tally,
    /// Microseconds from the intended time of a request to its answer.
    pub latency: Histogram<u64>,
    /// From the first intended time to the last answer.
    pub took: Duration,
}

impl Sending {
    /// Events stored per second.
    pub fn events_per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let accepted = self.tally.accepted as f64;
        accepted / self.took.as_secs_f64().max(f64::EPSILON)
    }
}

/// An empty histogram of microseconds.
pub fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants that fit")]
    Histogram::new_with_bounds(1, MOST_US, 3).expect("the bounds fit")
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

impl From<&Histogram<u64>> for Percentiles {
    fn from(of: &Histogram<u64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let ms = |us: u64| us as f64 / 1_000.0;
        let at = |quantile: f64| ms(of.value_at_quantile(quantile));
        Self { p50_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99), p999_ms: at(0.999), max_ms: ms(of.max()) }
    }
}

/// Sends it, from a thread of its own. `clock` is the run's; `sent` is told how many events were answered, now and then.
pub async fn send(load: Load, clock: Clock, answered: impl Fn(u64) + Send + 'static) -> anyhow::Result<Sending> {
    if load.tokens.is_empty() || load.batch == 0 || load.batch > 500 || load.connections == 0 {
        bail!("a load needs a token, 1 to 500 events per request, and a connection");
    }
    let (done, result) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("load".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let sending = runtime.map_err(anyhow::Error::from);
        let sending = sending.and_then(|runtime| runtime.block_on(Running::new(load, clock, &answered)?.all()));
        // Whoever asked has gone: then nobody wants to know.
        let _ = done.send(sending);
    });
    thread.context("no thread for the load")?;
    result.await.context("the thread of the load ended")?
}

struct Running<'a> {
    load: Load,
    target: Target,
    heads: Vec<String>,
    clock: Clock,
    /// The number of the next request.
    next: Cell<u64>,
    answered: &'a (dyn Fn(u64) + Send),
}

/// The counts of one connection.
struct Counts {
    tally: Tally,
    latency: Histogram<u64>,
}

impl<'a> Running<'a> {
    fn new(load: Load, clock: Clock, answered: &'a (dyn Fn(u64) + Send)) -> anyhow::Result<Self> {
        let target =
            Target::events_of(&load.url).with_context(|| format!("{} is not like http://host:port", load.url))?;
        let heads = load.tokens.iter().map(|token| target.head(token)).collect();
        Ok(Self { load, target, heads, clock: clock.from_now(), next: Cell::new(0), answered })
    }

    async fn all(self) -> anyhow::Result<Sending> {
        let connecting = (0..self.load.connections).map(|_| Connection::open(&self.target));
        let connections: Vec<Connection> = join_all(connecting).await.into_iter().collect::<Result<_, _>>()?;
        // Connecting is not part of it.
        let running = Running { clock: self.clock.from_now(), ..self };
        let counts = join_all(connections.into_iter().map(|connection| running.one(connection))).await;
        let took = running.clock.began().elapsed();
        let mut all = Counts { tally: Tally::default(), latency: histogram() };
        for one in counts {
            all.tally.add(&one.tally);
            all.latency.add(&one.latency)?;
        }
        Ok(Sending { tally: all.tally, latency: all.latency, took })
    }

    /// The next request, and when it is meant to leave; none at the end.
    fn take(&self) -> Option<(u64, Duration)> {
        let number = self.next.get();
        let intended = match self.load.pace {
            Pace::Open { events_per_second } => {
                #[expect(clippy::cast_precision_loss, reason = "numbers of requests are far below 2^52")]
                let events = (number * self.load.batch) as f64;
                Duration::from_secs_f64(events / events_per_second.max(f64::EPSILON))
            }
            Pace::Closed => self.clock.began().elapsed(),
        };
        if intended >= self.load.duration {
            return None;
        }
        self.next.set(number + 1);
        Some((number, intended))
    }

    /// What one connection sends, until the end.
    async fn one(&self, mut connection: Connection) -> Counts {
        let mut counts = Counts { tally: Tally::default(), latency: histogram() };
        let (mut body, mut request) = (Vec::new(), Vec::new());
        while let Some((number, intended)) = self.take() {
            let tenants = u64::try_from(self.load.tokens.len()).unwrap_or(1);
            let (tenant, first) = (number % tenants, number / tenants * self.load.batch);
            let intended_at = self.clock.began() + intended;
            body.clear();
            let sent = Sent { clock: &self.clock, tenant, intended_us: self.clock.at_us(intended) };
            let matching = self.load.contents.write(&mut body, (first, self.load.batch), sent);
            self.fill(&mut request, tenant, &body);
            if self.load.pace != Pace::Closed {
                sleep_until(intended_at.into()).await;
                counts.tally.late_requests += u64::from(intended_at.elapsed() > LATE);
            }
            counts.tally.sent += self.load.batch;
            counts.tally.requests += 1;
            let verdicts = self.ask(&mut connection, &request, &mut counts.tally).await;
            counts.note(verdicts, (self.load.batch, matching), intended_at);
            (self.answered)(self.load.batch);
        }
        counts
    }

    fn fill(&self, request: &mut Vec<u8>, tenant: u64, body: &[u8]) {
        request.clear();
        let head = usize::try_from(tenant).ok().and_then(|tenant| self.heads.get(tenant));
        request.extend_from_slice(head.map(String::as_bytes).unwrap_or_default());
        request.extend_from_slice(body.len().to_string().as_bytes());
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(body);
    }

    /// One request; none if it was not answered with verdicts. A broken connection is replaced.
    async fn ask(&self, connection: &mut Connection, request: &[u8], tally: &mut Tally) -> Option<Verdicts> {
        let mut trouble = |what: String| *tally.trouble.entry(what).or_default() += 1;
        let broken = match tokio::time::timeout(PATIENCE, connection.ask(request)).await {
            Ok(Ok((200, answer))) => match serde_json::from_slice::<Verdicts>(answer) {
                Ok(verdicts) => {
                    verdicts.results.iter().filter_map(|verdict| verdict.code.clone()).for_each(trouble);
                    return Some(verdicts);
                }
                Err(error) => error.to_string(),
            },
            Ok(Ok((status, _))) => {
                trouble(format!("status {status}"));
                return None;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        trouble(broken);
        if let Ok(fresh) = Connection::open(&self.target).await {
            *connection = fresh;
        }
        None
    }
}

#[derive(Deserialize)]
struct Verdicts {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    retry: u64,
    results: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    code: Option<String>,
}

impl Counts {
    fn note(&mut self, verdicts: Option<Verdicts>, (batch, matching): (u64, u64), intended_at: Instant) {
        match verdicts {
            Some(verdicts) => {
                self.tally.accepted += verdicts.accepted;
                self.tally.duplicates += verdicts.duplicates;
                self.tally.rejected += verdicts.rejected;
                self.tally.retry += verdicts.retry;
                if verdicts.accepted == batch {
                    self.tally.matching += matching;
                }
                let us = u64::try_from(intended_at.elapsed().as_micros()).unwrap_or(MOST_US);
                self.latency.saturating_record(us.max(1));
            }
            None => self.tally.unknown += batch,
        }
    }
}
