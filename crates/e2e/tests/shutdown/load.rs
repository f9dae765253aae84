//! Work for every service while its replicas come and go: contacts are enrolled, buy, and leave; workflows are made and read;
//! statistics are asked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::Seeded;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::balancer::Balancer;
use crate::place::Place;

/// Customers at once. The machine runs eight processes and two servers besides.
const CUSTOMERS: usize = 6;
const PAUSE: Duration = Duration::from_millis(20);

/// What was answered, and so has to be there.
#[derive(Debug, Default)]
pub struct Ledger {
    pub contacts: BTreeSet<String>,
    pub workflows: u64,
}

/// The ways to the services, and in whose name.
struct Ways {
    ingest: Arc<Balancer>,
    goals: Arc<Balancer>,
    evaluator: Arc<Balancer>,
    analytics: Arc<Balancer>,
    tenant: Seeded,
    over: AtomicBool,
    workflows: AtomicU64,
}

pub struct Load {
    ways: Arc<Ways>,
    customers: JoinSet<BTreeSet<String>>,
    others: JoinSet<()>,
}

impl Load {
    /// Makes a workflow whose goal is a purchase, and begins.
    pub async fn start(place: &Place, balancers: &[Arc<Balancer>; 4]) -> Self {
        let [ingest, goals, evaluator, analytics] = balancers.clone();
        let (tenant, over, workflows) = (place.tenant.clone(), AtomicBool::new(false), AtomicU64::new(0));
        let ways = Arc::new(Ways { ingest, goals, evaluator, analytics, tenant, over, workflows });
        let workflow = ways.workflow("under load").await;
        let path = format!("/api/v1/workflows/{workflow}");
        let goal = json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100}});
        ways.configure(&format!("{path}/goals"), goal).await;
        ways.configure(&format!("{path}/activate"), json!({})).await;

        let (mut customers, mut others) = (JoinSet::new(), JoinSet::new());
        for _ in 0..CUSTOMERS {
            customers.spawn(Arc::clone(&ways).buy(workflow.clone()));
        }
        others.spawn(Arc::clone(&ways).edit());
        others.spawn(Arc::clone(&ways).read(workflow));
        Self { ways, customers, others }
    }

    /// Lets everybody finish what was begun.
    pub async fn stop(self) -> Ledger {
        self.ways.over.store(true, SeqCst);
        let contacts = self.customers.join_all().await.into_iter().flatten().collect();
        self.others.join_all().await;
        Ledger { contacts, workflows: self.ways.workflows.load(SeqCst) }
    }
}

impl Ways {
    fn goes_on(&self) -> bool {
        !self.over.load(SeqCst)
    }

    async fn post(&self, to: &Balancer, key: &str, path: &str, body: Value) -> Value {
        to.send(|http, url| http.post(format!("{url}{path}")).bearer_auth(key).json(&body)).await
    }

    async fn get(&self, to: &Balancer, path: &str) -> Value {
        to.send(|http, url| http.get(format!("{url}{path}")).bearer_auth(&self.tenant.viewer_key)).await
    }

    async fn configure(&self, path: &str, body: Value) -> Value {
        self.post(&self.goals, &self.tenant.editor_key, path, body).await
    }

    /// Makes a workflow; its id.
    async fn workflow(&self, name: &str) -> String {
        let made = self.configure("/api/v1/workflows", json!({"name": name, "goal_logic": "any"})).await;
        self.workflows.fetch_add(1, SeqCst);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Contact after contact is enrolled and buys.
    async fn buy(self: Arc<Self>, workflow: String) -> BTreeSet<String> {
        let mut contacts = BTreeSet::new();
        while self.goes_on() {
            let contact = format!("contact-{}", Uuid::now_v7());
            let enrollment = json!({"contact_id": contact, "enrolled_at": "2026-01-01T00:00:00Z"});
            let path = format!("/api/v1/workflows/{workflow}/enrollments");
            self.post(&self.evaluator, &self.tenant.editor_key, &path, enrollment).await;
            let event = json!({
                "event_id": Uuid::now_v7(), "event_name": "payment.completed", "occurred_at": "2026-01-03T10:00:00Z",
                "contact_id": contact, "properties": {"amount": 100, "currency": "USD"}
            });
            let body = json!({"events": [event]});
            let answer = self.post(&self.ingest, &self.tenant.write_token, "/api/v1/events", body).await;
            // A duplicate where it was sent again.
            assert_eq!(answer["accepted"].as_u64().unwrap() + answer["duplicates"].as_u64().unwrap(), 1, "{answer}");
            contacts.insert(contact);
            tokio::time::sleep(PAUSE).await;
        }
        contacts
    }

    /// Workflows are made and found again.
    async fn edit(self: Arc<Self>) {
        while self.goes_on() {
            let workflow = self.workflow("made under load").await;
            let found = self.get(&self.goals, &format!("/api/v1/workflows/{workflow}")).await;
            assert_eq!(found["id"], workflow.as_str());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Statistics are asked for.
    async fn read(self: Arc<Self>, workflow: String) {
        let path = format!("/api/v1/workflows/{workflow}/goals/stats?fresh=true");
        while self.goes_on() {
            self.get(&self.analytics, &path).await;
            tokio::time::sleep(PAUSE).await;
        }
    }
}
