//! Requests with a clock of their own: each is asked and answered at a tick, and is sent again until it is answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::allowed::Span;
use crate::cluster::Cluster;
use crate::oracle::Moment;

/// Longer than any fault here lasts.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(50);
const AT_ONCE: usize = 48;

pub struct Api {
    http: Client,
    urls: Vec<(&'static str, String)>,
    pub database: tokio_postgres::Client,
    gate: Semaphore,
    ticks: AtomicU64,
    underway: AtomicU64,
    /// Requests that had been carried out by an attempt whose answer was lost.
    found_done: AtomicU64,
    /// Work with events: all there is, and what has been done of it.
    pub planned: AtomicU64,
    pub done: AtomicU64,
}

/// An answer, and when.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
    pub span: Span,
    pub attempts: u32,
}

/// A request: service, method, path, secret, body.
pub type Request<'a> = (&'static str, Method, &'a str, &'a str, &'a str);

impl Api {
    pub async fn of(cluster: &Cluster) -> Self {
        Self {
            http: cluster.http.clone(),
            urls: cluster.replicas.iter().map(|replica| (replica.service, replica.url.clone())).collect(),
            database: cluster.database().await,
            gate: Semaphore::new(AT_ONCE),
            ticks: AtomicU64::new(1),
            underway: AtomicU64::new(0),
            found_done: AtomicU64::new(0),
            planned: AtomicU64::new(0),
            done: AtomicU64::new(0),
        }
    }

    /// Now, by the client's clock: a later call has a later tick.
    pub fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// Now, by the clock of the database.
    pub async fn clock(&self) -> Moment {
        const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        self.database.query_one(CLOCK, &[]).await.unwrap().get(0)
    }

    pub fn is_underway(&self) -> bool {
        self.underway.load(Ordering::SeqCst) > 0
    }

    /// How much of the work with events has been done, from 0 to 1.
    pub fn progress(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = |count: &AtomicU64| count.load(Ordering::SeqCst) as f64;
        share(&self.done) / share(&self.planned)
    }

    pub fn note_found_done(&self) {
        self.found_done.fetch_add(1, Ordering::SeqCst);
    }

    pub fn found_done(&self) -> u64 {
        self.found_done.load(Ordering::SeqCst)
    }

    /// The same until there is an answer that is not "not now".
    pub async fn insist(&self, request: Request<'_>) -> Answer {
        let _one_of_those_at_once = self.gate.acquire().await.unwrap();
        self.underway.fetch_add(1, Ordering::SeqCst);
        let (asked, limit) = (self.tick(), Instant::now() + PATIENCE);
        for attempts in 1.. {
            match self.ask(&request).await {
                Ok((status, text)) if !is_not_now(status) => {
                    self.underway.fetch_sub(1, Ordering::SeqCst);
                    let span = Span { asked, answered: self.tick() };
                    return Answer { status, body: serde_json::from_str(&text).unwrap_or_default(), span, attempts };
                }
                told => assert!(Instant::now() < limit, "{request:?} is never answered: {told:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        unreachable!()
    }

    async fn ask(&self, (service, method, path, secret, body): &Request<'_>) -> Result<(StatusCode, String), String> {
        let urls: Vec<&String> = self.urls.iter().filter(|it| it.0 == *service).map(|it| &it.1).collect();
        let url = urls[rand::random_range(0..urls.len())];
        let request = self.http.request(method.clone(), format!("{url}{path}")).bearer_auth(secret);
        let request = request.header("content-type", "application/json").body((*body).to_owned());
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        let status = answer.status();
        Ok((status, answer.text().await.map_err(|error| error.without_url().to_string())?))
    }
}

fn is_not_now(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

impl Answer {
    /// The body of a success.
    pub fn sound(self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.body
    }
}
