//! The client: sends bytes, sends the very same again until it gets an answer, and writes both into the ledger.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::ledger::{Answer, Ledger, Sending, Sent, Verdict};
use crate::purchases::Aim;

/// Longer than any fault here lasts.
const PATIENCE: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_millis(100);

/// A tenant, its workflows, and the addresses and secrets to speak for it.
pub struct Tenant {
    pub id: String,
    pub workflows: Vec<(Aim, Uuid)>,
    /// Per workflow, its goals in their order.
    pub goals: Vec<(Aim, Vec<Uuid>)>,
    http: Client,
    token: String,
    key: String,
    urls: Vec<(&'static str, String)>,
    /// Handlers are made to panic: an answer of 500 says nothing then, as a broken connection does.
    pub panics: bool,
}

/// A status with its body, or no answer.
type Told = Result<(StatusCode, String), String>;

impl Tenant {
    /// A new tenant with the three workflows, active.
    pub async fn make(cluster: &Cluster) -> Self {
        let urls = cluster.replicas.iter().map(|replica| (replica.service, replica.url.clone())).collect();
        let id = format!("faults-{}", Uuid::now_v7().simple());
        let http = cluster.http.clone();
        let mut tenant = Self {
            id,
            workflows: Vec::new(),
            goals: Vec::new(),
            http,
            token: String::new(),
            key: cluster.operator_key.clone(),
            urls,
            panics: false,
        };
        let id = tenant.id.clone();
        tenant.configure("/api/v1/tenants", &json!({"tenant_id": id})).await;
        let path = format!("/api/v1/tenants/{id}");
        let token = tenant.configure(&format!("{path}/write-tokens"), &json!({"kind": "server"})).await;
        let key = tenant.configure(&format!("{path}/api-keys"), &json!({"role": "editor"})).await;
        tenant.token = token["token"].as_str().unwrap().to_owned();
        tenant.key = key["key"].as_str().unwrap().to_owned();
        for aim in Aim::ALL {
            let workflow = json!({"name": format!("{aim:?}"), "goal_logic": aim.logic()});
            let workflow = tenant.configure("/api/v1/workflows", &workflow).await;
            let workflow: Uuid = workflow["id"].as_str().unwrap().parse().unwrap();
            let path = format!("/api/v1/workflows/{workflow}");
            let mut goals = Vec::new();
            for criteria in aim.criteria() {
                let body = format!(r#"{{"goal_type": "purchase_made", "criteria": {criteria}}}"#);
                let goal = tenant.ask("goals", Method::POST, &format!("{path}/goals"), &body).await;
                goals.push(answered(goal)["id"].as_str().unwrap().parse().unwrap());
            }
            tenant.configure(&format!("{path}/activate"), &json!({})).await;
            tenant.workflows.push((aim, workflow));
            tenant.goals.push((aim, goals));
        }
        tenant
    }

    pub fn workflow(&self, aim: Aim) -> Uuid {
        self.workflows.iter().find(|it| it.0 == aim).unwrap().1
    }

    async fn configure(&self, path: &str, body: &Value) -> Value {
        answered(self.ask("goals", Method::POST, path, &body.to_string()).await)
    }

    /// One attempt, at any replica.
    async fn ask(&self, service: &str, method: Method, path: &str, body: &str) -> Told {
        self.ask_under(service, method, path, (body, None)).await
    }

    /// As `ask`; with a key it is asked for once, however often.
    async fn ask_under(&self, service: &str, method: Method, path: &str, (body, key): (&str, Option<&str>)) -> Told {
        let urls: Vec<&String> = self.urls.iter().filter(|it| it.0 == service).map(|it| &it.1).collect();
        let url = urls[rand::random_range(0..urls.len())];
        let secret = if path == "/api/v1/events" { &self.token } else { &self.key };
        let mut request = self.http.request(method, format!("{url}{path}")).bearer_auth(secret);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.header("content-type", "application/json").body(body.to_owned());
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| error.without_url().to_string())?;
        // The end of a connection on which no request was read in time, as by a process that stood still. A request that was read is
        // answered with a problem.
        if status == StatusCode::REQUEST_TIMEOUT && text.is_empty() {
            return Err("the connection had ended".to_owned());
        }
        Ok((status, text))
    }

    fn is_not_now(&self, status: StatusCode) -> bool {
        matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            || (self.panics && status == StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The same until there is an answer that is not "not now": the answer, and how many attempts it took.
    async fn insist(&self, service: &str, method: Method, path: &str, body: &str) -> (StatusCode, String, u32) {
        self.insist_under(service, method, path, (body, None)).await
    }

    /// As `insist`; with a key each attempt asks for the same thing, once.
    pub async fn insist_under(
        &self,
        service: &str,
        method: Method,
        path: &str,
        asked: (&str, Option<&str>),
    ) -> (StatusCode, String, u32) {
        let limit = Instant::now() + PATIENCE;
        for attempt in 1.. {
            let told = self.ask_under(service, method.clone(), path, asked).await;
            match told {
                Ok((status, text)) if !self.is_not_now(status) => return (status, text, attempt),
                told => assert!(Instant::now() < limit, "{method} {path} is never answered: {told:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        unreachable!()
    }

    /// Sends events until each has a verdict.
    pub async fn send(&self, ledger: &RefCell<Ledger>, events: Vec<Sent>, body: &str) {
        let limit = Instant::now() + PATIENCE;
        loop {
            let told = self.ask("ingest", Method::POST, "/api/v1/events", body).await;
            let answer = match told {
                Ok((status, _)) if self.is_not_now(status) => Answer::Unknown,
                Ok((_, text)) => match verdicts(&text) {
                    Some(verdicts) => Answer::Verdicts(verdicts),
                    None => {
                        ledger.borrow_mut().strange.push(format!("events: {text}"));
                        return;
                    }
                },
                Err(_) => Answer::Unknown,
            };
            let settled = match &answer {
                Answer::Verdicts(verdicts) => verdicts.iter().all(|verdict| verdict.status != "retry"),
                Answer::Unknown => false,
            };
            ledger.borrow_mut().sendings.push(Sending { events: events.clone(), answer });
            if settled {
                return;
            }
            assert!(Instant::now() < limit, "events are never answered");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Enrolls contacts until it is answered.
    pub async fn enroll(&self, ledger: &RefCell<Ledger>, aim: Aim, contacts: &[(String, String)]) {
        let workflow = self.workflow(aim);
        let items = contacts.iter().map(|(contact, day)| json!({"contact_id": contact, "enrolled_at": midnight(day)}));
        let body = json!({"enrollments": items.collect::<Vec<_>>()}).to_string();
        let path = format!("/api/v1/workflows/{workflow}/enrollments/batch");
        let (status, text, attempts) = self.insist("evaluator", Method::POST, &path, &body).await;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let results = answer["results"].as_array().cloned().unwrap_or_default();
        let mut ledger = ledger.borrow_mut();
        if !status.is_success() || results.len() != contacts.len() {
            ledger.strange.push(format!("enrollments: {status} {text}"));
            return;
        }
        for (result, (contact, _)) in results.iter().zip(contacts) {
            let sound = match result["status"].as_str() {
                Some("created") => true,
                // Made by an attempt whose answer was lost; it may even have exited since.
                Some("existing") => attempts > 1,
                Some("rejected") => attempts > 1 && result["code"] == "reentry_not_allowed",
                _ => false,
            };
            if !sound {
                ledger.strange.push(format!("enrollment of {contact} at attempt {attempts}: {result}"));
            }
            if let Some(id) = result["enrollment_id"].as_str() {
                ledger.enrolled.insert((workflow, contact.clone()), id.parse().unwrap());
            }
            ledger.enrollments_answered += 1;
        }
    }

    /// Schedules an action, once: what is not answered may or may not be there.
    pub async fn schedule(&self, ledger: &RefCell<Ledger>, enrollment: Uuid, is_due: bool) {
        let at = if is_due { "2026-01-01T00:00:00Z" } else { "2099-01-01T00:00:00Z" };
        let body = json!({"action_type": "wait", "scheduled_at": at}).to_string();
        let told =
            self.ask("evaluator", Method::POST, &format!("/api/v1/enrollments/{enrollment}/actions"), &body).await;
        let mut ledger = ledger.borrow_mut();
        match told {
            Ok((StatusCode::CREATED, text)) => {
                let action: Value = serde_json::from_str(&text).unwrap();
                ledger.actions.push(action["id"].as_str().unwrap().parse().unwrap());
            }
            Ok((StatusCode::CONFLICT, _)) | Err(_) => {}
            Ok((status, _)) if self.is_not_now(status) => {}
            Ok((status, text)) => ledger.strange.push(format!("an action: {status} {text}")),
        }
    }

    /// Asks for the fence in front of an action.
    pub async fn start(&self, ledger: &RefCell<Ledger>, action: Uuid) {
        let told = self.ask("evaluator", Method::POST, &format!("/api/v1/actions/{action}/start"), "").await;
        let mut ledger = ledger.borrow_mut();
        match told {
            Ok((StatusCode::OK, _)) => ledger.started.push(action),
            Ok((StatusCode::CONFLICT, _)) | Err(_) => {}
            Ok((status, _)) if self.is_not_now(status) => {}
            Ok((status, text)) => ledger.strange.push(format!("a start: {status} {text}")),
        }
    }

    /// Deactivates a workflow until it is answered.
    pub async fn deactivate(&self, ledger: &RefCell<Ledger>, aim: Aim) {
        let path = format!("/api/v1/workflows/{}/deactivate", self.workflow(aim));
        let (status, text, attempts) = self.insist("goals", Method::POST, &path, "{}").await;
        let done_before = attempts > 1 && status == StatusCode::CONFLICT;
        if !status.is_success() && !done_before {
            ledger.borrow_mut().strange.push(format!("the deactivation: {status} {text}"));
        }
    }

    /// The statistics of a workflow, computed afresh.
    pub async fn statistics(&self, aim: Aim) -> Value {
        let path = format!("/api/v1/workflows/{}/goals/stats?fresh=true", self.workflow(aim));
        let (status, text, _) = self.insist("analytics", Method::GET, &path, "").await;
        assert!(status.is_success(), "{status} {text}");
        serde_json::from_str(&text).unwrap()
    }
}

fn answered(told: Told) -> Value {
    let (status, text) = told.unwrap();
    assert!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).unwrap()
}

fn verdicts(text: &str) -> Option<Vec<Verdict>> {
    let answer: Value = serde_json::from_str(text).ok()?;
    let verdict = |it: &Value| {
        let index = usize::try_from(it["index"].as_u64()?).ok()?;
        Some(Verdict { index, status: it["status"].as_str()?.to_owned() })
    };
    answer["results"].as_array()?.iter().map(verdict).collect()
}

pub fn midnight(day: &str) -> String {
    format!("{day}T00:00:00Z")
}
