//! A running service with two tenants and an operator, and a client that speaks for any of them.

use goalpost_goals::{ListenerSettings, Settings};
use reqwest::Method;
use runtime::{Context, Life, Running};
use serde_json::{Value, json};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};
use testkit::{Database, Seeded, Vhost};
use uuid::Uuid;

/// Nobody listens there: the outbox keeps what the service has to tell.
const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";

/// A running service.
pub struct Service {
    pub database: Database,
    pub vhost: Option<Vhost>,
    pub url: String,
    pub admin_url: String,
    pub running: Running,
    /// The tenant that tests work in.
    pub a: Seeded,
    /// The other one.
    pub b: Seeded,
    pub operator_key: String,
}

impl Service {
    /// Without a broker.
    pub async fn start() -> Self {
        Self::run(None, web::IdentitySettings::default()).await
    }

    /// Without a broker, with other ways to be known.
    pub async fn known_by(identity: web::IdentitySettings) -> Self {
        Self::run(None, identity).await
    }

    /// With a broker of its own.
    pub async fn with_bus() -> Self {
        Self::run(Some(Vhost::create().await.unwrap()), web::IdentitySettings::default()).await
    }

    async fn run(vhost: Option<Vhost>, identity: web::IdentitySettings) -> Self {
        let database = Database::create().await.unwrap();
        let (a, b) = (database.seed_tenant("a").await.unwrap(), database.seed_tenant("b").await.unwrap());
        let operator_key = database.seed_operator().await.unwrap();
        let announced = std::env::temp_dir().join(format!("goals-{}.json", Uuid::now_v7()));
        let settings = Settings {
            http: web::HttpSettings {
                port: 0,
                admin_port: 0,
                announce_file: Some(announced.clone()),
                ..web::HttpSettings::default()
            },
            identity,
            life: Life::default(),
            telemetry: runtime::Telemetry::default(),
            database: database.settings("goals"),
            bus: bus::Settings::new(vhost.as_ref().map_or(NO_BROKER, Vhost::amqp_url)),
            listeners: ListenerSettings { count_every_seconds: NonZeroU64::MIN },
        };
        let context = Context::for_test(settings);
        let running = context.running();
        goalpost_goals::start(context).await.unwrap();
        let text = eventually("the announcement", async || std::fs::read_to_string(&announced).ok()).await;
        std::fs::remove_file(&announced).unwrap();
        let addresses: Value = serde_json::from_str(&text).unwrap();
        let address = |name: &str| addresses[name].as_str().unwrap().to_owned();
        let (url, admin_url) = (address("url"), address("admin_url"));
        Self { database, vhost, url, admin_url, running, a, b, operator_key }
    }

    pub fn client(&self, key: &str) -> Client {
        Client { http: reqwest::Client::new(), base: self.url.clone(), key: Some(key.to_owned()), condition: None }
    }

    pub fn anonymous(&self) -> Client {
        Client { key: None, ..self.client("") }
    }

    pub fn viewer(&self) -> Client {
        self.client(&self.a.viewer_key)
    }

    pub fn editor(&self) -> Client {
        self.client(&self.a.editor_key)
    }

    pub fn admin(&self) -> Client {
        self.client(&self.a.admin_key)
    }

    pub fn operator(&self) -> Client {
        self.client(&self.operator_key)
    }

    /// An editor of the other tenant.
    pub fn stranger(&self) -> Client {
        self.client(&self.b.editor_key)
    }

    /// The configuration epoch of tenant `a`.
    pub async fn epoch(&self) -> i64 {
        self.number("SELECT epoch FROM goals.epochs WHERE tenant_id = 'a'").await
    }

    /// A number that the superuser reads.
    pub async fn number(&self, sql: &str) -> i64 {
        self.database.superuser().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
    }

    /// What the superuser does.
    pub async fn execute(&self, sql: &str) {
        self.database.superuser().await.unwrap().execute(sql, &[]).await.unwrap();
    }
}

/// Speaks for the holder of one key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
    condition: Option<(&'static str, String)>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    what: String,
}

impl Client {
    /// The same client, whose requests have a condition: `if-match` or `if-none-match`.
    pub fn when(&self, header: &'static str, tags: &str) -> Self {
        Self { condition: Some((header, tags.to_owned())), ..self.clone() }
    }

    /// A request with a raw body, as JSON. Every request has the same id, so that equal answers are equal byte for byte.
    pub async fn raw(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        let what = format!("{method} {path} {}", body.as_deref().unwrap_or_default());
        let mut request = self.http.request(method, format!("{}{path}", self.base)).header("x-request-id", "same");
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some((header, tags)) = &self.condition {
            request = request.header(*header, tags);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        answered(request, what).await.unwrap()
    }

    /// The same caller, at another address of the service.
    pub fn at(&self, url: &str) -> Self {
        Self { base: url.to_owned(), ..self.clone() }
    }

    /// A POST with an `Idempotency-Key`.
    pub async fn named(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.try_named(key, path, body).await.unwrap()
    }

    /// The same, where there may be no answer.
    pub async fn try_named(&self, key: &str, path: &str, body: &Value) -> reqwest::Result<Answer> {
        let what = format!("POST {path} {body} under {key}");
        let request = self.http.post(format!("{}{path}", self.base)).header("idempotency-key", key).json(body);
        answered(self.key.iter().fold(request, |request, key| request.bearer_auth(key)), what).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.raw(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.raw(Method::POST, path, Some(body.to_string())).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.raw(Method::PATCH, path, Some(body.to_string())).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.raw(Method::PUT, path, Some(body.to_string())).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.raw(Method::DELETE, path, None).await
    }

    /// What is at a path.
    pub async fn show(&self, path: &str) -> Value {
        self.get(path).await.json(200)
    }

    /// What a POST made.
    pub async fn make(&self, path: &str, body: Value) -> Value {
        self.post(path, body).await.json(201)
    }

    /// What a PATCH made of it.
    pub async fn edit(&self, path: &str, body: Value) -> Value {
        self.patch(path, body).await.json(200)
    }

    /// A workflow after it was activated, paused or deactivated.
    pub async fn act(&self, workflow: &str, action: &str) -> Value {
        self.post(&format!("{workflow}/{action}"), json!({})).await.json(200)
    }

    /// All items of a list, read in pages of `limit`.
    pub async fn walk(&self, path: &str, limit: u8) -> Vec<Value> {
        let path = format!("{path}{}limit={limit}", if path.contains('?') { '&' } else { '?' });
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.show(&format!("{path}&cursor={cursor}")).await;
            let found = page["items"].as_array().unwrap();
            assert!(found.len() <= usize::from(limit));
            items.extend(found.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return items,
            }
        }
    }

    /// A new workflow's path.
    pub async fn workflow(&self) -> String {
        let made = self.post("/api/v1/workflows", json!({"name": "Welcome"})).await.json(201);
        format!("/api/v1/workflows/{}", made["id"].as_str().unwrap())
    }

    /// Adds a goal to the workflow at this path; the goal's path.
    pub async fn goal(&self, workflow: &str, goal_type: &str, criteria: Value) -> String {
        let body = json!({"goal_type": goal_type, "criteria": criteria});
        let made = self.post(&format!("{workflow}/goals"), body).await.json(201);
        format!("{workflow}/goals/{}", made["id"].as_str().unwrap())
    }

    pub async fn reference(&self, kind: &str, id: &str, body: Value) {
        self.put(&format!("/api/v1/references/{kind}/{id}"), body).await.json(200);
    }
}

async fn answered(request: reqwest::RequestBuilder, what: String) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let content_type = headers.get("content-type").map_or("", |t| t.to_str().unwrap()).to_owned();
    Ok(Answer { status, content_type, headers, text: response.text().await?, what })
}

impl Answer {
    /// The version in the header `ETag`, as it stands there.
    pub fn etag(&self) -> &str {
        self.headers.get("etag").map_or("", |tag| tag.to_str().unwrap())
    }

    /// The body of an answer that has to have this status.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}: not JSON: {}", self.what, self.text))
    }

    /// Checks that there is nothing in an answer that has to be 204.
    #[track_caller]
    pub fn nothing(&self) {
        assert_eq!((self.status, self.text.as_str()), (204, ""), "{}", self.what);
    }

    /// The problem document of a refusal that has to have this status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let problem = self.json(status);
        assert_eq!(self.content_type, "application/problem+json", "{}", self.what);
        assert_eq!(problem["code"], code, "{}: {}", self.what, self.text);
        assert_eq!(problem["message"], problem["detail"], "{}", self.what);
        assert_eq!(problem["status"], status);
        problem
    }
}

/// The id of the object at this path.
pub fn id_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// The members called `key` of a list's items.
pub fn each(items: &[Value], key: &str) -> Vec<Value> {
    items.iter().map(|item| item[key].clone()).collect()
}

/// A table: a line per case, columns separated by ` | `.
pub fn table<const N: usize>(text: &'static str) -> Vec<[&'static str; N]> {
    let cells = |line: &'static str| line.split(" | ").map(str::trim).collect::<Vec<_>>();
    let row = |line| cells(line).try_into().unwrap_or_else(|_| panic!("not {N} columns: {line}"));
    text.lines().filter(|line| !line.trim().is_empty()).map(row).collect()
}

/// JSON of a table's cell.
pub fn parsed(cell: &str) -> Value {
    serde_json::from_str(cell).unwrap_or_else(|error| panic!("{error}: {cell}"))
}

/// Asks until there is something, for ten seconds.
pub async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
