//! A tenant that has some of everything, at least two of what is listed.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::dev::Dev;
use crate::operations::Tenant;
use crate::rows::{database, rest};
use crate::slots::Ids;
use crate::work::ask_as;

/// The kinds of the directory.
pub const KINDS: [&str; 7] = ["tag", "form", "calendar", "service", "product", "pipeline", "stage"];

pub struct World {
    pub tenant: Tenant,
    pub ids: Ids,
}

impl World {
    /// A new tenant; `mark` tells its things from another's.
    pub async fn new(dev: &Dev, mark: &str) -> Self {
        let tenant = format!("tenant-{mark}");
        let mut ids = Ids::of(&[("tenants", &tenant), ("contact", &format!("contact-{mark}-1"))]);
        for of in ["user", "session", "project"] {
            ids.put(of, &format!("{of}-{mark}"));
        }
        let operator = async |path: &str, body: Value| {
            ask_as(dev, dev.text("/operator_key"), ("goals", Method::POST, path), body).await
        };
        operator("/api/v1/tenants", json!({"tenant_id": tenant})).await;
        let path = format!("/api/v1/tenants/{tenant}");
        let admin = operator(&format!("{path}/api-keys"), json!({"role": "admin"})).await;
        let key = operator(&format!("{path}/api-keys"), json!({"role": "viewer"})).await;
        ids.put("api-keys", text(&key, "id"));
        let mut write_token = String::new();
        for _ in 0..2 {
            let token = operator(&format!("{path}/write-tokens"), json!({"kind": "server"})).await;
            ids.put("write-tokens", text(&token, "id"));
            token["token"].as_str().unwrap().clone_into(&mut write_token);
        }
        let tenant = Tenant { id: tenant, admin: text(&admin, "key").to_owned(), write_token };
        let mut world = Self { tenant, ids };
        world.configure(dev, mark).await;
        world.enroll(dev, mark).await;
        world.lose(dev).await;
        world.forget(dev, mark).await;
        world
    }

    async fn post(&self, dev: &Dev, service: &str, path: &str, body: Value) -> Value {
        let secret = if service == "ingest" { &self.tenant.write_token } else { &self.tenant.admin };
        ask_as(dev, secret, (service, Method::POST, path), body).await
    }

    /// The directory, event types, an active workflow with two goals, and a draft without any.
    async fn configure(&mut self, dev: &Dev, mark: &str) {
        let mut items = Vec::new();
        for kind in KINDS {
            let id = format!("{kind}-{mark}");
            items.push(json!({"kind": kind, "id": id}));
            items.push(json!({"kind": kind, "id": format!("{id}-too")}));
            self.ids.put(kind, &id);
        }
        let request = ("goals", Method::PUT, "/api/v1/references");
        ask_as(dev, &self.tenant.admin, request, json!({"items": items})).await;
        for name in [format!("course.{mark}"), format!("course.{mark}.too")] {
            let path = format!("/api/v1/event-types/{name}");
            let request = ("goals", Method::PUT, path.as_str());
            ask_as(dev, &self.tenant.admin, request, json!({"schema": {"type": "object"}})).await;
        }
        self.ids.put("event-types", &format!("course.{mark}"));
        for (of, name) in [("draft", "Draft"), ("workflows", "Live")] {
            let workflow = self.post(dev, "goals", "/api/v1/workflows", json!({"name": name})).await;
            self.ids.put(of, text(&workflow, "id"));
        }
        let path = format!("/api/v1/workflows/{}", self.ids.get("workflows"));
        let tag = self.ids.get("tag").to_owned();
        let bought = json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100}});
        self.post(dev, "goals", &format!("{path}/goals"), bought).await;
        let tagged = json!({"goal_type": "tag_added", "criteria": {"tag_id": tag}});
        let goal = self.post(dev, "goals", &format!("{path}/goals"), tagged).await;
        self.ids.put("goals", text(&goal, "id"));
        self.post(dev, "goals", &format!("{path}/activate"), json!({})).await;
    }

    /// Three contacts: two buy and leave; one buys too little and stays, with two actions to come.
    async fn enroll(&mut self, dev: &Dev, mark: &str) {
        let path = format!("/api/v1/workflows/{}/enrollments", self.ids.get("workflows"));
        for number in [1, 2, 3] {
            let contact = format!("contact-{mark}-{number}");
            let new = json!({"contact_id": contact, "enrolled_at": "2026-01-01T00:00:00Z"});
            let enrollment = self.post(dev, "evaluator", &path, new).await;
            let event = Uuid::now_v7();
            let amount = if number < 3 { 150 } else { 50 };
            let paid = json!({"event_id": event, "event_name": "payment.completed", "contact_id": contact,
                "occurred_at": "2026-01-03T10:00:00Z", "properties": {"amount": amount}, "user_id": self.ids.get("user"),
                "session_id": self.ids.get("session"), "project_id": self.ids.get("project")});
            let answer = self.post(dev, "ingest", "/api/v1/events", json!([paid])).await;
            assert_eq!(answer["accepted"], 1, "{answer}");
            self.ids.put("event", &event.to_string());
            if number < 3 {
                continue;
            }
            self.ids.put("enrollments", text(&enrollment, "id"));
            let path = format!("/api/v1/enrollments/{}/actions", text(&enrollment, "id"));
            for action_type in ["send_email", "wait"] {
                let action = json!({"action_type": action_type, "scheduled_at": "2099-01-01T00:00:00Z"});
                let action = self.post(dev, "evaluator", &path, action).await;
                self.ids.put("actions", text(&action, "id"));
            }
        }
    }

    /// Somebody whom there never was.
    async fn forget(&mut self, dev: &Dev, mark: &str) {
        let path = format!("/api/v1/users/gone-{mark}/erase");
        let receipt = ask_as(dev, &self.tenant.admin, ("ingest", Method::POST, &path), json!({})).await;
        self.ids.put("erasures", text(&receipt, "request_id"));
    }

    /// Two messages that nobody can take. Their letters have long numbers, which stand for nothing else in an answer.
    async fn lose(&mut self, dev: &Dev) {
        let database = database(dev).await;
        let long = "SELECT setval(pg_get_serial_sequence('ingest.dead_letters', 'id'), 4000000000) \
             WHERE NOT EXISTS (SELECT FROM ingest.dead_letters WHERE id > 4000000000)";
        database.query(long, &[]).await.unwrap();
        let url = format!("{}/api/exchanges/%2f/goalpost.domain/publish", dev.text("/amqp_management_url"));
        let payload = json!({"tenant_id": self.tenant.id, "event_name": "payment.completed"}).to_string();
        let message = json!({"routing_key": "payment.completed", "payload": payload, "payload_encoding": "string", "properties": {}});
        for _ in 0..2 {
            let answer = Client::new().post(&url).json(&message).send().await.unwrap().error_for_status().unwrap();
            assert_eq!(answer.json::<Value>().await.unwrap()["routed"], true);
        }
        rest(dev, &database).await;
        let lost = "SELECT max(id)::text FROM ingest.dead_letters WHERE tenant_id = $1 HAVING count(*) = 2";
        let lost = database.query_one(lost, &[&self.tenant.id]).await.unwrap();
        self.ids.put("dead-letters", lost.get(0));
    }
}

/// What is shown to the holder of this secret; it has to be there.
pub async fn shown(http: &Client, secret: &str, url: &str) -> Value {
    let answer = http.get(url).bearer_auth(secret).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{url} of its own is not there: {text}");
    serde_json::from_str(&text).unwrap()
}

fn text<'a>(answer: &'a Value, member: &str) -> &'a str {
    answer[member].as_str().unwrap_or_else(|| panic!("no {member} in {answer}"))
}
