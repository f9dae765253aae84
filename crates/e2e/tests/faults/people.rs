//! People who are enrolled over the bus and then forgotten, all the while: in a tenant of their own, beside the purchases of the
//! run. Whatever is asked for is asked for again, under the same id or key, until it is answered.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::{Client, Error};
use uuid::Uuid;

use crate::client::Tenant;
use crate::cluster::publisher::Publisher;
use crate::cluster::{Cluster, connect};
use crate::purchases::Aim;
use crate::workload::Workload;

const PEOPLE: usize = 12;
const PAUSE: Duration = Duration::from_millis(20);
/// One that meets no goal, and one that does.
const AMOUNTS: [f64; 2] = [5.0, 150.0];

/// A person, and what the client knows of them.
struct Person {
    id: String,
    events: usize,
    enrollment: Uuid,
    /// The request to forget them, if there was one.
    erasure: Option<Uuid>,
}

pub struct People {
    tenant: Tenant,
    publisher: Publisher,
    database_url: String,
}

/// What the client knows when all has been sent.
#[derive(Default)]
pub struct Known {
    people: Vec<Person>,
    wrong: Vec<String>,
}

impl People {
    pub async fn make(cluster: &Cluster, panics: bool) -> Self {
        let mut tenant = Tenant::make(cluster).await;
        tenant.panics = panics;
        let database_url = cluster.stack.database_url().to_owned();
        Self { tenant, publisher: Publisher::of(cluster), database_url }
    }

    pub fn tenant(&self) -> &str {
        &self.tenant.id
    }

    /// One after the other, spread over the work; two of three are forgotten.
    pub async fn come_and_go(&self, workload: &Workload) -> Known {
        let mut known = Known::default();
        for number in 0..PEOPLE {
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            let share = number as f64 / PEOPLE as f64;
            while workload.begun() < share {
                tokio::time::sleep(PAUSE).await;
            }
            self.come_and_go_one(number, &mut known).await;
        }
        known
    }

    async fn come_and_go_one(&self, number: usize, known: &mut Known) {
        let id = format!("person-{number}");
        let (enrollment, command) = self.enroll(&id).await;
        let action = json!({"action_type": "wait", "scheduled_at": "2099-01-01T00:00:00Z", "payload": {"of": &id}});
        let path = format!("/api/v1/enrollments/{enrollment}/actions");
        let (status, text) = self.insist("evaluator", &path, &action, &id).await;
        known.expect(status == 201, format!("an action of {id}: {status} {text}"));

        let events = AMOUNTS[..=number % 2].iter().map(|amount| {
            json!({"event_id": Uuid::now_v7(), "event_name": "payment.completed", "occurred_at": "2026-01-01T00:00:00Z",
                "contact_id": &id, "properties": {"amount": amount}})
        });
        let events = json!({"events": events.collect::<Vec<_>>()});
        self.send(&events, &["accepted", "duplicate"], known).await;
        let is_forgotten = number % 3 != 2;
        let erasure = if is_forgotten { self.forget(&id, known).await } else { None };
        // What comes again, as from a sender that saw no answer, brings nothing back.
        self.send(&events, &["duplicate"], known).await;
        self.tell(&command).await;
        known.people.push(Person { id, events: number % 2 + 1, enrollment, erasure });
    }

    /// Sends the command, under one id, until there is an enrollment.
    async fn enroll(&self, contact: &str) -> (Uuid, (String, String)) {
        const FIND: &str = "SELECT id FROM evaluator.enrollments WHERE tenant_id = $1 AND contact_id = $2";
        let command = json!({"version": 1, "tenant_id": self.tenant.id, "workflow_id": self.tenant.workflow(Aim::Big),
            "contact_id": contact, "enrolled_at": "2025-01-01T00:00:00Z"});
        let command = (Uuid::now_v7().to_string(), command.to_string());
        self.tell(&command).await;
        loop {
            let database = connect(&self.database_url).await;
            if let Ok(Some(row)) = database.query_opt(FIND, &[&self.tenant.id, &contact]).await {
                return (row.get(0), command);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Until the broker has it.
    async fn tell(&self, (id, body): &(String, String)) {
        while self.publisher.tries("goalpost.commands", "enroll", body, Some(id.clone())).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn send(&self, events: &Value, may_be_told: &[&str], known: &mut Known) {
        loop {
            let (status, text) = self.insist("ingest", "/api/v1/events", events, "").await;
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            let told: Vec<&str> =
                answer["results"].as_array().into_iter().flatten().filter_map(|it| it["status"].as_str()).collect();
            if told.contains(&"retry") {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let sound = !told.is_empty() && told.iter().all(|status| may_be_told.contains(status));
            known.expect(sound, format!("{events} had to be {may_be_told:?}: {status} {text}"));
            return;
        }
    }

    /// Asks that somebody be forgotten; the number of the request.
    async fn forget(&self, person: &str, known: &mut Known) -> Option<Uuid> {
        let path = format!("/api/v1/users/{person}/erase");
        let (status, text) = self.insist("ingest", &path, &json!({}), person).await;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let request = answer["request_id"].as_str().and_then(|id| id.parse().ok());
        known.expect(status < 300 && request.is_some(), format!("forgetting {person}: {status} {text}"));
        request
    }

    async fn insist(&self, service: &str, path: &str, body: &Value, key: &str) -> (u16, String) {
        let key = (!key.is_empty()).then_some(key);
        let (status, text, _) = self.tenant.insist_under(service, Method::POST, path, (&body.to_string(), key)).await;
        (status.as_u16(), text)
    }
}

impl Known {
    fn expect(&mut self, holds: bool, otherwise: String) {
        if !holds {
            self.wrong.push(otherwise);
        }
    }

    /// Everything that is wrong, when the work has ended.
    pub async fn judge(mut self, tenant: &str, database: &Client) -> Result<Vec<String>, Error> {
        const COUNTS: &str = "SELECT (SELECT count(*) FROM evaluator.enrollments WHERE tenant_id = $1), \
             (SELECT count(*) FROM ingest.erasures WHERE tenant_id = $1)";
        let counts = database.query_one(COUNTS, &[&tenant]).await?;
        let counts: (i64, i64) = (counts.get(0), counts.get(1));
        let forgotten = self.people.iter().filter(|person| person.erasure.is_some()).count();
        let expected = (i64::try_from(PEOPLE).unwrap(), i64::try_from(forgotten).unwrap());
        self.expect(counts == expected, format!("enrollments and erasures: {counts:?}, not {expected:?}"));
        for person in std::mem::take(&mut self.people) {
            let found = person.found(tenant, database).await?;
            let expected = person.expected();
            self.expect(found == expected, format!("{}: {found:?}, not {expected:?}", person.id));
        }
        Ok(self.wrong)
    }
}

/// What PostgreSQL holds of a person.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    events: i64,
    /// Whether the enrollment still names them.
    is_named: bool,
    /// Active, or out by the goal; of who is forgotten it depends on which came first.
    status: Option<String>,
    pending_actions: i64,
    payloads: i64,
    /// Services that have reported; events that ingest says it has deleted.
    receipt: Option<(i64, Option<i64>)>,
}

impl Person {
    async fn found(&self, tenant: &str, database: &Client) -> Result<Found, Error> {
        const FOUND: &str = "SELECT (SELECT count(*) FROM ingest.events_raw WHERE tenant_id = $1 AND contact_id = $2), \
             e.contact_id = $2, e.status, (SELECT count(*) FROM evaluator.scheduled_actions a \
               WHERE a.tenant_id = $1 AND a.enrollment_id = e.id AND a.status = 'pending'), \
             (SELECT count(a.payload) FROM evaluator.scheduled_actions a WHERE a.tenant_id = $1 AND a.enrollment_id = e.id), \
             (SELECT count(*) FROM ingest.erasure_reports r WHERE r.tenant_id = $1 AND r.request_id = $4), \
             (SELECT (r.counts->>'ingest.events_raw')::bigint FROM ingest.erasure_reports r JOIN ingest.erasures d USING (tenant_id, request_id) \
               WHERE r.tenant_id = $1 AND r.request_id = $4 AND r.service = 'ingest' AND d.done_at IS NOT NULL) \
             FROM evaluator.enrollments e WHERE e.tenant_id = $1 AND e.id = $3";
        let row = database.query_one(FOUND, &[&tenant, &self.id, &self.enrollment, &self.erasure]).await?;
        let status: String = row.get(2);
        Ok(Found {
            events: row.get(0),
            is_named: row.get(1),
            status: (self.erasure.is_none() || status == "active").then_some(status),
            pending_actions: row.get(3),
            payloads: row.get(4),
            receipt: self.erasure.map(|_| (row.get(5), row.get(6))),
        })
    }

    fn expected(&self) -> Found {
        let events = i64::try_from(self.events).unwrap();
        if self.erasure.is_some() {
            let receipt = Some((3, Some(events)));
            return Found { events: 0, is_named: false, status: None, pending_actions: 0, payloads: 0, receipt };
        }
        let (status, pending_actions) = if events == 1 { ("active", 1) } else { ("completed_goal", 0) };
        Found { events, is_named: true, status: Some(status.to_owned()), pending_actions, payloads: 1, receipt: None }
    }
}
