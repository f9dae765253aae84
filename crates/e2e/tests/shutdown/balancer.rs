//! Sends requests in turn to the replicas that say that they are ready, as a load balancer does; and knows which of those that
//! failed should not have.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use crate::place::GRACE;

/// Between two looks at the readiness of a replica.
const LOOK: Duration = Duration::from_millis(100);
/// A service of which no replica is ready for so long is not there.
const NOBODY_LIMIT: Duration = Duration::from_secs(20);

/// Where one process of a service listens.
pub struct Endpoint {
    pub name: String,
    url: String,
    admin_url: String,
    ready: AtomicBool,
    terminated: OnceLock<Instant>,
}

impl Endpoint {
    pub fn new(name: &str, url: String, admin_url: String) -> Self {
        Self { name: name.to_owned(), url, admin_url, ready: AtomicBool::new(false), terminated: OnceLock::new() }
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(SeqCst)
    }

    /// Notes that it is asked to end now.
    pub fn terminated(&self, now: Instant) {
        self.terminated.set(now).unwrap();
    }

    /// Whether a request that was sent then has to be answered.
    fn must_serve(&self, sent: Instant) -> bool {
        self.terminated.get().is_none_or(|terminated| sent < *terminated + GRACE)
    }
}

/// The way to one service.
pub struct Balancer {
    pub service: &'static str,
    endpoints: Mutex<[Option<Arc<Endpoint>>; 2]>,
    turn: AtomicUsize,
    http: Client,
    answered: AtomicU64,
    /// Sent to a replica after its grace, because nobody had looked in time; sent again to the other.
    late: AtomicU64,
    failed: Mutex<Vec<String>>,
}

impl Balancer {
    pub fn of(service: &'static str) -> Self {
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self {
            service,
            endpoints: Mutex::default(),
            turn: AtomicUsize::new(0),
            http,
            answered: AtomicU64::new(0),
            late: AtomicU64::new(0),
            failed: Mutex::default(),
        }
    }

    /// Puts a new process in one of the two places, and looks after it until it is replaced.
    pub fn place(self: &Arc<Self>, place: usize, endpoint: &Arc<Endpoint>) {
        self.endpoints.lock().unwrap()[place] = Some(Arc::clone(endpoint));
        let (balancer, endpoint) = (Arc::clone(self), Arc::clone(endpoint));
        tokio::spawn(async move {
            while balancer.endpoints.lock().unwrap()[place].as_ref().is_some_and(|it| Arc::ptr_eq(it, &endpoint)) {
                let asked = balancer.http.get(format!("{}/health/ready", endpoint.admin_url)).send().await;
                endpoint.ready.store(asked.is_ok_and(|answer| answer.status().is_success()), SeqCst);
                tokio::time::sleep(LOOK).await;
            }
        });
    }

    /// A replica that is ready, in turn.
    async fn next(&self) -> Option<Arc<Endpoint>> {
        let limit = Instant::now() + NOBODY_LIMIT;
        while Instant::now() < limit {
            let turn = self.turn.fetch_add(1, SeqCst);
            let found = {
                let endpoints = self.endpoints.lock().unwrap();
                let mut ready = [turn % 2, (turn + 1) % 2].into_iter().filter_map(|place| endpoints[place].as_ref());
                ready.find(|endpoint| endpoint.is_ready()).cloned()
            };
            if found.is_some() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// Sends a request until it is answered well. What a replica has to answer and does not is noted as failed, and sent again
    /// so that the ledger stays whole.
    pub async fn send(&self, request: impl Fn(&Client, &str) -> RequestBuilder) -> Value {
        loop {
            let endpoint = self.next().await;
            let endpoint = endpoint.unwrap_or_else(|| panic!("no replica of {} is ready", self.service));
            let sent = Instant::now();
            let fault = match answered(request(&self.http, &endpoint.url)).await {
                Ok(answer) => {
                    self.answered.fetch_add(1, SeqCst);
                    return answer;
                }
                Err(fault) => fault,
            };
            if endpoint.must_serve(sent) {
                let after = endpoint.terminated.get().map(|asked| sent.saturating_duration_since(*asked));
                let told = format!("{}, {after:?} after SIGTERM: {fault}", endpoint.name);
                self.failed.lock().unwrap().push(told);
            } else {
                self.late.fetch_add(1, SeqCst);
            }
        }
    }

    pub fn failed(&self) -> Vec<String> {
        self.failed.lock().unwrap().clone()
    }

    /// One line for a reader.
    pub fn told(&self, ended: &[Duration]) -> String {
        let (answered, late, failed) = (self.answered.load(SeqCst), self.late.load(SeqCst), self.failed().len());
        let longest = ended.iter().max().copied().unwrap_or_default();
        let name = self.service;
        let rounds = ended.len();
        format!(
            "{name}: {rounds} × SIGTERM, the longest end {longest:.1?}; {answered} requests, {failed} failed, {late} late"
        )
    }
}

async fn answered(request: RequestBuilder) -> Result<Value, String> {
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
    if !status.is_success() {
        return Err(format!("{status}: {text}"));
    }
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
}
