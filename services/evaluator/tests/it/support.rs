//! A service with a database and a vhost of its own, and what tests do to it.

use bus::{Bus, Message, Subscription};
use domain::contract::{EventStored, EventsStored, exchange};
use domain::goal::{Criteria, GoalType};
use domain::ids::TenantId;
use domain::json::{Json, Limits};
use domain::outbox::{NewMessage, OutboxMessage, Publish};
use domain::workflow::lock_key;
use goalpost_evaluator::{DEFAULTS, Settings, start};
use reqwest::Method;
use runtime::settings::{Environment, load};
use runtime::{Context, Running};
use serde_json::{Value, json};
use std::borrow::Cow;
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

/// A goal as a test wants it.
pub struct Goal {
    pub goal_type: String,
    pub criteria: Value,
    pub position: i16,
    pub within_seconds: Option<i64>,
    pub on_enroll: &'static str,
    /// Added to the time at which it is made; none: every stored event counts.
    pub effective_after_seconds: Option<i64>,
}

/// A goal that listens from the moment it is made.
pub fn goal(goal_type: &str, criteria: Value) -> Goal {
    Goal {
        goal_type: goal_type.to_owned(),
        criteria,
        position: 1,
        within_seconds: None,
        on_enroll: "ignore",
        effective_after_seconds: Some(0),
    }
}

/// An event as a test wants it.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: Uuid,
    pub name: String,
    pub contact: Option<String>,
    /// Text, so that numbers stay as they are written.
    pub properties: String,
    /// Added to the database clock.
    pub time_seconds: f64,
    pub received_seconds: f64,
    pub traceparent: Option<String>,
}

/// An event that happens now.
pub fn event(contact: &str, name: &str, properties: impl ToString) -> Event {
    Event {
        id: Uuid::now_v7(),
        name: name.to_owned(),
        contact: Some(contact.to_owned()),
        properties: properties.to_string(),
        time_seconds: 0.0,
        received_seconds: 0.0,
        traceparent: None,
    }
}

pub fn tag(contact: &str, name: &str) -> Event {
    event(contact, "contact.tag.added", json!({ "tag_name": name }))
}

pub fn purchase(contact: &str, amount: &str) -> Event {
    event(contact, "payment.completed", format!(r#"{{"amount":{amount}}}"#))
}

impl Event {
    /// The same event, so many seconds later (or earlier).
    pub fn at(mut self, seconds: f64) -> Self {
        self.time_seconds = seconds;
        self
    }
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

    // ---- configuration, as the goals service writes it

    pub async fn workflow(&self, status: &str, logic: Value) -> Uuid {
        self.workflow_of("demo", status, logic).await
    }

    pub async fn workflow_of(&self, tenant: &str, status: &str, logic: Value) -> Uuid {
        let id = Uuid::now_v7();
        let insert = "INSERT INTO goals.workflows (tenant_id, id, name, status, goal_logic, created_by) VALUES ($1, $2, 'w', $3, $4, 'test')";
        self.sql.execute(insert, &[&tenant, &id, &status, &logic]).await.unwrap();
        self.raise_epoch(tenant).await;
        id
    }

    /// An active workflow with the logic `any` and one goal.
    pub async fn listening(&self, goal: Goal) -> Uuid {
        let workflow = self.workflow("active", json!("any")).await;
        self.add_goal(workflow, goal).await;
        workflow
    }

    pub async fn add_goal(&self, workflow: Uuid, goal: Goal) -> Uuid {
        let id = Uuid::now_v7();
        let goal_type: GoalType = goal.goal_type.parse().unwrap();
        let criteria = goal.criteria.to_string();
        let parsed = Criteria::parse(goal_type, &Json::parse(&criteria, &Limits::CRITERIA).unwrap()).unwrap();
        let insert = "INSERT INTO goals.goals (tenant_id, id, workflow_id, goal_type, event_name, criteria, criteria_hash, within_seconds, \
                      on_enroll, position, effective_from, created_by) \
                      SELECT w.tenant_id, $1, w.id, $3, $4, $5::text::jsonb, uuid_send($1), $6, $7, $8, \
                      clock_timestamp() + $9::float8 * interval '1 s', 'test' FROM goals.workflows w WHERE w.id = $2";
        let effective = goal.effective_after_seconds.map(|seconds| f64::from(i32::try_from(seconds).unwrap()));
        let binds: [&(dyn ToSql + Sync); 9] = [
            &id,
            &workflow,
            &goal.goal_type,
            &parsed.event_name(),
            &criteria,
            &goal.within_seconds,
            &goal.on_enroll,
            &goal.position,
            &effective,
        ];
        assert_eq!(self.sql.execute(insert, &binds).await.unwrap(), 1);
        self.raise_epoch_of_workflow(workflow).await;
        id
    }

    pub async fn put_tag(&self, id: &str, name: &str) {
        let insert = "INSERT INTO goals.directory (tenant_id, kind, ref_id, name, name_folded) VALUES ('demo', 'tag', $1, $2, $3)";
        self.sql.execute(insert, &[&id, &name, &domain::goal::fold_name(name)]).await.unwrap();
        self.raise_epoch("demo").await;
    }

    pub async fn put_stage(&self, id: &str, pipeline: &str, position: i32) {
        let insert = "INSERT INTO goals.directory (tenant_id, kind, ref_id, name, pipeline_id, position) VALUES ('demo', 'stage', $1, $1, $2, $3)";
        self.sql.execute(insert, &[&id, &pipeline, &position]).await.unwrap();
        self.raise_epoch("demo").await;
    }

    pub async fn change_workflow(&self, workflow: Uuid, change: &str) {
        self.sql.execute(&format!("UPDATE goals.workflows SET {change} WHERE id = $1"), &[&workflow]).await.unwrap();
        self.raise_epoch_of_workflow(workflow).await;
    }

    pub async fn change_goal(&self, goal: Uuid, change: &str) {
        self.sql.execute(&format!("UPDATE goals.goals SET {change} WHERE id = $1"), &[&goal]).await.unwrap();
        self.raise_epoch("demo").await;
    }

    async fn raise_epoch(&self, tenant: &str) {
        self.sql.execute(RAISE_EPOCH, &[&tenant]).await.unwrap();
    }

    async fn raise_epoch_of_workflow(&self, workflow: Uuid) {
        let sql = "UPDATE goals.epochs SET epoch = epoch + 1 WHERE tenant_id = (SELECT tenant_id FROM goals.workflows WHERE id = $1)";
        self.sql.execute(sql, &[&workflow]).await.unwrap();
    }

    // ---- events, as ingest stores and tells them

    /// Stores events and tells them, in one chunk.
    pub async fn happen(&self, events: &[Event]) {
        self.happen_to("demo", events).await;
    }

    pub async fn happen_to(&self, tenant: &str, events: &[Event]) {
        let chunk = self.store(tenant, events).await;
        self.tell(chunk).await;
    }

    /// Stores events; the chunk that tells of them.
    pub async fn store(&self, tenant: &str, events: &[Event]) -> EventsStored<'static> {
        let insert = "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, \
                      contact_id, properties) SELECT clock_timestamp() + $1::float8 * interval '1 s', t.at, t.at, $3, false, $4, $5, $6, \
                      $7::text::jsonb FROM (SELECT clock_timestamp() + $2::float8 * interval '1 s' AS at) AS t \
                      RETURNING event_time, received_at";
        let mut stored = Vec::new();
        for event in events {
            let binds: [&(dyn ToSql + Sync); 7] = [
                &event.received_seconds,
                &event.time_seconds,
                &event.id,
                &tenant,
                &event.name,
                &event.contact,
                &event.properties,
            ];
            let row = self.sql.query_one(insert, &binds).await.unwrap();
            stored.push(EventStored {
                event_id: event.id.into(),
                event_name: event.name.clone().into(),
                event_time: row.get(0),
                received_at: row.get(1),
                project_id: None,
                contact_id: event.contact.as_ref().map(|contact| Cow::Owned(contact.parse().unwrap())),
                user_id: None,
                session_id: None,
                properties: Cow::Owned(Json::parse(&event.properties, &Limits::WIRE).unwrap()),
                traceparent: event.traceparent.clone().map(Cow::Owned),
            });
        }
        EventsStored { version: Default::default(), tenant_id: TenantId::parse(tenant).unwrap(), events: stored }
    }

    pub async fn tell(&self, chunk: EventsStored<'_>) {
        self.publish(chunk.into_message()).await;
    }

    /// Publishes, and waits for the broker's confirmation.
    pub async fn publish(&self, message: NewMessage) {
        let message = OutboxMessage {
            id: 0,
            exchange: message.exchange.to_owned(),
            routing_key: message.routing_key.to_owned(),
            mandatory: message.mandatory,
            message_id: message.message_id,
            content_type: message.content_type.to_owned(),
            payload: message.payload,
            traceparent: message.traceparent,
            correlation_id: None,
            reply_to: None,
        };
        let confirmed = self.publisher.publish(vec![message].into()).await.unwrap();
        assert_eq!(confirmed, [domain::outbox::Delivery::Confirmed]);
    }

    /// Bytes that are no message of ours.
    pub async fn publish_bytes(&self, exchange: &'static str, routing_key: &'static str, payload: &[u8]) {
        let tenant_id = TenantId::parse("demo").unwrap();
        let (message_id, content_type) = (Uuid::now_v7(), "application/json");
        let payload = payload.to_vec();
        let (mandatory, traceparent, events) = (true, None, 0);
        self.publish(NewMessage {
            tenant_id,
            exchange,
            routing_key,
            mandatory,
            message_id,
            content_type,
            payload,
            traceparent,
            events,
        })
        .await;
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

const RAISE_EPOCH: &str = "UPDATE goals.epochs SET epoch = epoch + 1 WHERE tenant_id = $1";

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

/// Begins to change a workflow's status as the goals service does: its fence first, the epoch last. The change is there when the
/// transaction commits.
pub async fn begin_status(tx: &Transaction<'_>, workflow: Uuid, status: &str) {
    let key = lock_key(&TenantId::parse("demo").unwrap(), workflow.into());
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&key]).await.unwrap();
    tx.execute("UPDATE goals.workflows SET status = $2 WHERE id = $1", &[&workflow, &status]).await.unwrap();
    tx.execute(RAISE_EPOCH, &[&"demo"]).await.unwrap();
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
