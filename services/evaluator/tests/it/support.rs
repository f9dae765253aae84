//! A service with a database and a vhost of its own, and what tests do to it.

mod configuration;
mod events;

pub use configuration::{Goal, begin_status, goal};
pub use events::{Event, event, purchase, tag};

use bus::{Bus, Message, Subscription};
use domain::contract::exchange;
use domain::outbox::Publish;
use goalpost_evaluator::{DEFAULTS, Settings, start};
use reqwest::Method;
use runtime::settings::{Environment, load};
use runtime::{Context, Running};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::{Database, Seeded, Vhost};
use time::OffsetDateTime;
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Client, Transaction};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// One running service and everything around it.
pub struct World {
    pub url: String,
    pub admin_url: String,
    /// The tenant `demo`.
    pub tenant: Seeded,
    pub http: reqwest::Client,
    pub sql: Client,
    pub database: Database,
    pub vhost: Vhost,
    publisher: Arc<dyn Publish>,
    running: Running,
}

impl World {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A service with other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (database, vhost) = (Database::create().await.unwrap(), Vhost::create().await.unwrap());
        let tenant = database.seed_tenant("demo").await.unwrap();
        let mut settings = settings(&database, &vhost);
        change(&mut settings);
        let (url, admin_url, running) = launch(settings).await;
        let bus = Bus::connect(
            bus::Settings::new(vhost.amqp_url()),
            &[],
            CancellationToken::new(),
            tokio::runtime::Handle::current(),
        );
        let (publisher, sql) = (bus.publisher(), database.superuser().await.unwrap());
        let world =
            Self { url, admin_url, tenant, http: reqwest::Client::new(), sql, database, vhost, publisher, running };
        let ready = format!("{}/health/ready", world.admin_url);
        eventually("the service is ready", async || {
            world.publisher.ready() && world.http.get(&ready).send().await.is_ok_and(|a| a.status() == 200)
        })
        .await;
        world
    }

    /// One more evaluator on the same database and vhost.
    pub async fn another(&self) -> Running {
        launch(settings(&self.database, &self.vhost)).await.2
    }

    /// Ends the service as SIGTERM does.
    pub async fn stop(&self) {
        self.running.stop().await.unwrap();
    }

    // ---- HTTP

    pub async fn call(&self, method: Method, path: &str, key: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}/api/v1{path}", self.url)).bearer_auth(key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")))
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, &self.tenant.editor_key, Some(body)).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, &self.tenant.viewer_key, None).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Enrolls a contact; the enrollment's id.
    pub async fn enroll(&self, workflow: Uuid, contact: &str) -> String {
        self.enroll_with(workflow, json!({ "contact_id": contact })).await
    }

    pub async fn enroll_with(&self, workflow: Uuid, body: Value) -> String {
        let (status, body) = self.post(&format!("/workflows/{workflow}/enrollments"), body).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub async fn enrollment(&self, id: &str) -> Value {
        self.get(&format!("/enrollments/{id}")).await
    }

    /// The enrollment once it has ended.
    pub async fn ended(&self, id: &str) -> Value {
        eventually("the enrollment has ended", async || self.enrollment(id).await["status"] != "active").await;
        self.enrollment(id).await
    }

    /// Nothing is under way any more, and the enrollment is still active.
    pub async fn still_active(&self, id: &str) -> Value {
        self.quiet().await;
        let enrollment = self.enrollment(id).await;
        assert_eq!(enrollment["status"], "active", "{enrollment}");
        enrollment
    }

    /// Looks on at the facts, from now on.
    pub async fn facts(&self, routing_key: &str) -> Facts {
        Facts(Subscription::open(self.vhost.amqp_url(), exchange::WORKFLOW, routing_key).await.unwrap())
    }

    /// Waits until nothing is due, and all queues and the outbox are empty, twice in a row: everything that was told has been judged.
    /// (A message that is on its way from a queue to the outbox, or back, may slip through one look.)
    pub async fn quiet(&self) {
        let mut calm = 0;
        eventually("all is quiet", async || {
            let queued = self.vhost.waiting().await.unwrap();
            let told = "SELECT (SELECT count(*) FROM evaluator.outbox) + (SELECT count(*) FROM evaluator.v_due_v1)";
            let outbox: i64 = self.value(told, &[]).await;
            calm = if queued == 0 && outbox == 0 { calm + 1 } else { 0 };
            calm >= 2
        })
        .await;
    }

    // ---- looking

    /// A single value, seen past row level security.
    pub async fn value<T: for<'r> FromSql<'r>>(&self, sql: &str, binds: &[&(dyn ToSql + Sync)]) -> T {
        self.sql.query_one(sql, binds).await.unwrap().get(0)
    }

    /// A counter of `/metrics`, summed over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.http.get(format!("{}/metrics", self.admin_url)).send().await.unwrap().text().await.unwrap();
        let of_name = |line: &&str| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']);
        text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a metric has come to this: work is counted after its commit, which is where others see it.
    pub async fn comes_to(&self, name: &str, expected: f64) {
        eventually(&format!("{name} is {expected}"), async || {
            (self.metric(name).await - expected).abs() < f64::EPSILON
        })
        .await;
    }

    /// How many connections wait for a lock.
    pub async fn waiting(&self) -> i64 {
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.value(sql, &[]).await
    }

    pub async fn until_waiting(&self, connections: i64) {
        eventually("connections wait for a lock", async || self.waiting().await >= connections).await;
    }
}

/// Facts as they are published.
pub struct Facts(Subscription);

impl Facts {
    /// The next fact, within ten seconds: the message and the CloudEvent in it.
    pub async fn next(&mut self) -> (Message, Value) {
        let next = tokio::time::timeout(Duration::from_secs(10), self.0.next()).await;
        let message = next.expect("a fact within 10 s").expect("a connection");
        let event = serde_json::from_slice(&message.body).unwrap();
        (message, event)
    }

    /// The next fact whose data say so.
    pub async fn of(&mut self, key: &str, value: &str) -> (Message, Value) {
        loop {
            let (message, fact) = self.next().await;
            if fact["data"][key] == value {
                return (message, fact);
            }
        }
    }

    /// No fact has come, nor comes in a while.
    pub async fn none(&mut self) {
        let next = tokio::time::timeout(Duration::from_millis(300), self.0.next()).await;
        assert!(next.is_err(), "{next:?}");
    }
}

/// Opens a transaction that stands in the way of the service.
#[expect(clippy::disallowed_methods, reason = "a test that stands in the way of the service")]
pub async fn hold(client: &mut Client) -> Transaction<'_> {
    client.transaction().await.unwrap()
}

fn settings(database: &Database, vhost: &Vhost) -> Settings {
    let logins = database.settings("evaluator");
    let environment: Environment = [
        ("GOALPOST__DATABASE__URL", logins.url.as_str()),
        ("GOALPOST__DATABASE__SYSTEM_URL", &logins.system_url),
        ("GOALPOST__BUS__URL", vhost.amqp_url()),
        ("GOALPOST__HTTP__PORT", "0"),
        ("GOALPOST__HTTP__ADMIN_PORT", "0"),
    ]
    .into_iter()
    .collect();
    load(DEFAULTS, None, &environment).unwrap().settings
}

/// Starts a service in this process; its two addresses, and the handle to end it by.
async fn launch(mut settings: Settings) -> (String, String, Running) {
    let directory = tempfile::tempdir().unwrap();
    let announced = directory.path().join("evaluator.json");
    settings.http.announce_file = Some(announced.clone());
    let context = Context::for_test(settings);
    let running = context.running();
    start(context).await.unwrap();
    eventually("the ports are announced", async || announced.exists()).await;
    let addresses: Value = serde_json::from_str(&std::fs::read_to_string(&announced).unwrap()).unwrap();
    let address = |key: &str| addresses[key].as_str().unwrap().to_owned();
    (address("url"), address("admin_url"), running)
}

/// Waits, for at most half a minute.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1_500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 30 s: {what}");
}

/// A time of an answer.
pub fn time_of(value: &Value) -> OffsetDateTime {
    domain::time_format::parse(value.as_str().unwrap()).unwrap()
}
