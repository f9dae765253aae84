//! The installation that all scenarios share: its services, its bus, and the subscriber who hears every fact.

use std::sync::OnceLock;
use std::time::Instant;

use bus::{Message, Subscription};
use load::finish::Servers;
use load::progress::Progress;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::dev::Dev;

const FACTS: &str = "goalpost.workflow";
/// Nobody else binds this; it tells the subscriber that all that came before has been heard.
const MARK: &str = "acceptance.mark";

const TABLES: &str = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped \
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1";

static INSTALLATION: OnceLock<Installation> = OnceLock::new();

pub struct Installation {
    http: Client,
    place: Value,
    database: tokio_postgres::Client,
    subscriber: Mutex<Subscriber>,
    progress: Progress,
}

/// Its queue is its own, bound to all facts.
struct Subscriber {
    subscription: Subscription,
    heard: Vec<Message>,
    /// The services were at rest then, and all facts of the time before are heard.
    rested: Option<Instant>,
}

/// What a service answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub what: String,
    pub status: u16,
    pub text: String,
    pub body: Value,
}

impl Installation {
    /// Looks at what runs, and listens from now on.
    pub async fn open(dev: &Dev) {
        let (database, connection) = tokio_postgres::connect(dev.text("/database_url"), NoTls).await.unwrap();
        tokio::spawn(connection);
        let subscription = Subscription::open(dev.text("/amqp_url"), FACTS, "#").await.unwrap();
        let installation = Self {
            http: Client::builder().no_proxy().build().unwrap(),
            place: dev.place().clone(),
            database,
            subscriber: Mutex::new(Subscriber { subscription, heard: Vec::new(), rested: None }),
            progress: Progress::silent(),
        };
        assert!(INSTALLATION.set(installation).is_ok(), "one installation for all");
    }

    pub fn of_all() -> &'static Self {
        INSTALLATION.get().unwrap()
    }

    pub fn operator_key(&self) -> &str {
        self.text("/operator_key")
    }

    fn text(&self, pointer: &str) -> &str {
        self.place.pointer(pointer).and_then(Value::as_str).unwrap()
    }

    /// A request to a service; the body goes out as it is written, so that amounts keep their digits.
    pub async fn ask(&self, secret: &str, method: Method, at: (&str, &str), body: Option<&str>) -> Answer {
        let (service, path) = at;
        let url = format!("{}{path}", self.text(&format!("/services/{service}/url")));
        let what = format!("{method} {path} {}", body.unwrap_or_default());
        let mut request = self.http.request(method, url).bearer_auth(secret);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { what, status, text, body }
    }

    /// Publishes a domain event, as another system of the tenant does.
    pub async fn publish_event(&self, event_name: &str, event: &str) {
        let routed = self.publish("goalpost.domain", event_name, event, plain()).await;
        assert!(routed, "nobody takes {event_name} from the bus");
    }

    /// Answers once the queues that it goes to have it.
    pub async fn publish(&self, exchange: &str, routing_key: &str, payload: &str, properties: Value) -> bool {
        let url = format!("{}/api/exchanges/%2f/{exchange}/publish", self.text("/amqp_management_url"));
        let message = json!({"routing_key": routing_key, "payload": payload, "payload_encoding": "string",
            "properties": properties});
        let request = self.http.post(url).header("content-type", "application/json").body(message.to_string());
        let answer = request.send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["routed"].as_bool().unwrap_or_else(|| panic!("{exchange}: {answer}"))
    }

    /// A queue for replies.
    pub async fn replies(&self) -> Subscription {
        Subscription::open(self.text("/amqp_url"), FACTS, "acceptance.nothing").await.unwrap()
    }

    /// Waits until everything that has been sent is worked off, and the subscriber has heard what came of it. Scenarios
    /// wait together: one rest serves all who asked before it.
    pub async fn rest(&self) {
        let asked = Instant::now();
        let mut subscriber = self.subscriber.lock().await;
        if subscriber.rested.is_some_and(|rested| rested > asked) {
            return;
        }
        let management_url = self.text("/amqp_management_url");
        let servers = Servers { database: &self.database, management_url, vhost: "/" };
        let since = servers.finish(&self.progress).await.unwrap();
        let mark = Uuid::now_v7().to_string();
        assert!(self.publish(FACTS, MARK, &mark, plain()).await, "the subscriber's queue is gone");
        loop {
            let message = subscriber.subscription.next().await.expect("the subscription ended");
            if message.body == mark.as_bytes() {
                break;
            }
            subscriber.heard.push(message);
        }
        subscriber.rested = Some(since);
    }

    /// The rows of a tenant, by table, in which a text stands somewhere: in any column, its bytes in those of bytes.
    pub async fn rows_with(&self, tenant: &str, text: &str) -> Vec<String> {
        let tables = self.database.query(TABLES, &[]).await.unwrap();
        assert!(tables.len() > 20, "the catalogue was read");
        let mut rows = Vec::new();
        for table in tables {
            let table: String = table.get(0);
            let asked = format!(
                "SELECT t::text FROM {table} t WHERE t.tenant_id = $1 AND (strpos(t::text, $2) > 0 \
                 OR strpos(t::text, encode(convert_to($2, 'UTF8'), 'hex')) > 0)"
            );
            let found = self.database.query(&asked, &[&tenant, &text]).await.unwrap();
            rows.extend(found.iter().map(|row| format!("{table}: {}", row.get::<_, String>(0))));
        }
        rows
    }

    /// The facts of this kind that the subscriber has heard.
    pub async fn all_facts(&self, kind: &str) -> Vec<Value> {
        let subscriber = self.subscriber.lock().await;
        let of_kind = subscriber.heard.iter().filter(|message| message.routing_key == kind);
        of_kind.map(|message| serde_json::from_slice(&message.body).unwrap()).collect()
    }

    /// The tables in some row of which this stands, as text or as bytes.
    pub async fn tables_with(&self, text: &str) -> Vec<String> {
        let tables = "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'r' \
             AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')";
        let mut found = Vec::new();
        for table in self.database.query(tables, &[]).await.unwrap() {
            let table: String = table.get(0);
            let sql = format!(
                "SELECT EXISTS (SELECT FROM {table} t WHERE strpos(lower(t::text), lower($1)) > 0 \
                 OR strpos(t::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0)"
            );
            if self.database.query_one(&sql, &[&text]).await.unwrap().get(0) {
                found.push(table);
            }
        }
        found
    }

    /// The facts of this kind about an enrollment that the subscriber has heard.
    pub async fn facts(&self, kind: &str, enrollment: &str) -> Vec<(Message, Value)> {
        let subscriber = self.subscriber.lock().await;
        let of_kind = subscriber.heard.iter().filter(|message| message.routing_key == kind);
        let read = of_kind.map(|message| (message.clone(), serde_json::from_slice(&message.body).unwrap()));
        read.filter(|(_, fact): &(Message, Value)| fact["data"]["enrollment_id"] == enrollment).collect()
    }
}

/// The properties of a message that asks for nothing.
fn plain() -> Value {
    json!({"delivery_mode": 2, "content_type": "application/json"})
}

impl std::fmt::Debug for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Installation")
    }
}

impl Answer {
    /// Fails where it is none of success.
    #[track_caller]
    pub fn good(self) -> Value {
        assert!((200..300).contains(&self.status), "{} was answered {} {}", self.what, self.status, self.text);
        self.body
    }

    /// Refused with this status; `why` is the code, or the message.
    #[track_caller]
    pub fn is_refused(&self, status: u16, why: &str) {
        let is_so = self.status == status && (self.body["code"] == why || self.body["message"] == why);
        assert!(is_so, "{} was answered {} {}", self.what, self.status, self.text);
    }
}
