//! A service with a database and a vhost of its own, and what tests ask of it.

use std::time::Duration;

use goalpost_ingest::{DEFAULTS, Settings, start};
use reqwest::StatusCode;
use runtime::settings::{Environment, load};
use runtime::{Context, Running};
use serde_json::{Value, json};
use testkit::{Database, Seeded, Vhost};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// One running service and everything around it.
pub struct World {
    pub url: String,
    pub admin_url: String,
    pub tenant: Seeded,
    pub http: reqwest::Client,
    pub sql: tokio_postgres::Client,
    pub database: Database,
    pub vhost: Vhost,
    running: Running,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answered {
    pub status: StatusCode,
    pub retry_after: Option<String>,
    pub body: Value,
}

impl World {
    /// A service with the built-in settings, and the tenant `demo`.
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
        let sql = database.superuser().await.unwrap();
        let world = Self { url, admin_url, tenant, http: reqwest::Client::new(), sql, database, vhost, running };
        world.until_ready().await;
        world
    }

    async fn until_ready(&self) {
        let ready = format!("{}/health/ready", self.admin_url);
        eventually("the service is ready", async || {
            self.http.get(&ready).send().await.is_ok_and(|a| a.status() == 200)
        })
        .await;
    }

    /// Posts events as the tenant `demo`.
    pub async fn post(&self, events: &[Value]) -> Answered {
        self.post_as(&self.tenant.write_token, &json!({ "events": events }).to_string()).await
    }

    /// Posts a body with a token.
    pub async fn post_as(&self, token: &str, body: &str) -> Answered {
        let request = self.http.post(format!("{}/api/v1/events", self.url)).bearer_auth(token);
        answered(request.header("content-type", "application/json").body(body.to_owned())).await
    }

    /// The statuses of an answer that has to be 200, or a 400 with `results`.
    pub async fn statuses(&self, events: &[Value]) -> Vec<String> {
        let answer = self.post(events).await;
        statuses(&answer)
    }

    /// A single value, seen past row level security.
    pub async fn value<T>(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> T
    where
        T: for<'r> tokio_postgres::types::FromSql<'r>,
    {
        self.sql.query_one(sql, parameters).await.unwrap().get(0)
    }

    /// How many events are stored, and how many ids the ledger has; which must be the same.
    pub async fn stored(&self) -> i64 {
        // In one statement, as the service may be storing meanwhile.
        let sql = "SELECT ARRAY[(SELECT count(*) FROM ingest.events_raw), (SELECT count(*) FROM ingest.event_keys), \
                   (SELECT count(*) FROM ingest.event_keys k JOIN ingest.events_raw e USING (tenant_id, event_id, received_at))]";
        let counts: Vec<i64> = self.value(sql, &[]).await;
        assert_eq!(counts, [counts[0]; 3], "one row and one key for every event");
        counts[0]
    }

    /// How many messages wait in the outbox.
    pub async fn outbox(&self) -> i64 {
        self.value("SELECT count(*) FROM ingest.outbox", &[]).await
    }

    /// A counter of `/metrics`, summed over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.http.get(format!("{}/metrics", self.admin_url)).send().await.unwrap().text().await.unwrap();
        let of_name = |line: &&str| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']);
        text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Ends the service as SIGTERM does.
    pub async fn stop(&self) {
        self.running.stop().await.unwrap();
    }
}

/// The built-in settings, on free ports and these servers.
pub fn settings(database: &Database, vhost: &Vhost) -> Settings {
    let logins = database.settings("ingest");
    let environment: Environment = [
        ("GOALPOST__DATABASE__URL", logins.url.as_str()),
        ("GOALPOST__DATABASE__SYSTEM_URL", &logins.system_url),
        ("GOALPOST__DATABASE__POOL_SIZE", "4"),
        ("GOALPOST__BUS__URL", vhost.amqp_url()),
        ("GOALPOST__HTTP__PORT", "0"),
        ("GOALPOST__HTTP__ADMIN_PORT", "0"),
    ]
    .into_iter()
    .collect();
    load(DEFAULTS, None, &environment).unwrap().settings
}

/// Starts a service in this process; its two addresses, and the handle to end it by.
pub async fn launch(mut settings: Settings) -> (String, String, Running) {
    let directory = tempfile::tempdir().unwrap();
    let announced = directory.path().join("ingest.json");
    settings.http.announce_file = Some(announced.clone());
    let context = Context::for_test(settings);
    let running = context.running();
    start(context).await.unwrap();
    eventually("the ports are announced", async || announced.exists()).await;
    let text = std::fs::read_to_string(&announced).unwrap();
    let addresses: Value = serde_json::from_str(&text).unwrap();
    let address = |key: &str| addresses[key].as_str().unwrap().to_owned();
    (address("url"), address("admin_url"), running)
}

/// Sends a request.
pub async fn answered(request: reqwest::RequestBuilder) -> Answered {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let text = answer.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
    Answered { status, retry_after, body }
}

/// The statuses of the results, with the code where there is one.
pub fn statuses(answer: &Answered) -> Vec<String> {
    let results = answer.body["results"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
    let status = |result: &Value| match result["code"].as_str() {
        Some(code) => code.to_owned(),
        None => result["status"].as_str().unwrap().to_owned(),
    };
    results.iter().map(status).collect()
}

/// Waits, for at most ten seconds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 10 s: {what}");
}

/// A new id.
pub fn id() -> String {
    Uuid::now_v7().to_string()
}

/// A page view of a visitor.
pub fn view(event_id: &str) -> Value {
    json!({
        "event_id": event_id,
        "event_name": "page_viewed",
        "occurred_at": "2026-01-03T10:00:00Z",
        "user_id": "visitor-1",
        "properties": { "path": "/prices" },
    })
}

/// `view` with some fields replaced; `null` removes one.
pub fn view_with(event_id: &str, fields: Value) -> Value {
    let mut event = view(event_id);
    for (key, value) in fields.as_object().unwrap() {
        event[key] = value.clone();
    }
    event.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    event
}

/// Keeps everybody from storing anything until the transaction is rolled back.
#[expect(clippy::disallowed_methods, reason = "a test that stands in the way of the service")]
pub async fn hold_ledger(client: &mut tokio_postgres::Client) -> tokio_postgres::Transaction<'_> {
    let transaction = client.transaction().await.unwrap();
    transaction.execute("LOCK TABLE ingest.event_keys IN ACCESS EXCLUSIVE MODE", &[]).await.unwrap();
    transaction
}
