//! What the replicas share: a database, a virtual host, a tenant; and what must be in them in the end.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bus::Subscription;
use serde_json::Value;
use testkit::{Database, Seeded, Vhost};
use tokio::task::JoinHandle;

use crate::load::Ledger;

/// Each has two replicas.
pub const SERVICES: [&str; 4] = ["ingest", "goals", "evaluator", "analytics"];

/// How long a balancer has to see that a replica is not ready any more. The built-in 5 s, shortened.
pub const GRACE: Duration = Duration::from_secs(2);

const SETTLE_LIMIT: Duration = Duration::from_secs(90);

pub struct Place {
    pub database: Database,
    pub vhost: Vhost,
    pub tenant: Seeded,
    pub sql: tokio_postgres::Client,
    /// Where replicas announce their ports and write their logs.
    pub directory: tempfile::TempDir,
    /// The contacts of every `workflow.exit.goal` that was seen.
    exits: Arc<Mutex<BTreeSet<String>>>,
    _shadow: JoinHandle<()>,
}

impl Place {
    pub async fn new() -> Self {
        let (database, vhost) = (Database::create().await.unwrap(), Vhost::create().await.unwrap());
        let tenant = database.seed_tenant("demo").await.unwrap();
        let sql = database.superuser().await.unwrap();
        let subscription = Subscription::open(vhost.amqp_url(), "goalpost.workflow", "workflow.exit.goal").await;
        let exits = Arc::new(Mutex::new(BTreeSet::new()));
        let shadow = tokio::spawn(listen(subscription.unwrap(), Arc::clone(&exits)));
        Self { database, vhost, tenant, sql, directory: tempfile::tempdir().unwrap(), exits, _shadow: shadow }
    }

    /// The settings of a replica.
    pub fn environment(&self, service: &str) -> Vec<(&'static str, String)> {
        let logins = self.database.settings(service);
        let mut environment = vec![
            ("GOALPOST__HTTP__PORT", "0".to_owned()),
            ("GOALPOST__HTTP__ADMIN_PORT", "0".to_owned()),
            ("GOALPOST__DATABASE__URL", logins.url),
            ("GOALPOST__DATABASE__SYSTEM_URL", logins.system_url),
            ("GOALPOST__LIFE__GRACE_SECONDS", GRACE.as_secs().to_string()),
            // One caller makes all the load.
            ("GOALPOST__HTTP__RATE_LIMIT__PER_MINUTE", "0".to_owned()),
        ];
        match service {
            "analytics" => {}
            _ => environment.push(("GOALPOST__BUS__URL", self.vhost.amqp_url().to_owned())),
        }
        environment
    }

    async fn count(&self, sql: &str) -> u64 {
        let count: i64 = self.sql.query_one(sql, &[]).await.unwrap().get(0);
        count.unsigned_abs()
    }

    fn exits(&self) -> BTreeSet<String> {
        self.exits.lock().unwrap().clone()
    }

    /// Waits until nothing is on its way any more: judged is what was accepted, outboxes and queues are empty.
    pub async fn settled(&self, ledger: &Ledger) {
        let limit = Instant::now() + SETTLE_LIMIT;
        loop {
            let outboxes = "SELECT (SELECT count(*) FROM ingest.outbox) + (SELECT count(*) FROM goals.outbox) \
                + (SELECT count(*) FROM evaluator.outbox)";
            let (outboxes, waiting) = (self.count(outboxes).await, self.vhost.waiting().await.unwrap());
            let exited = self.exits().len();
            if (outboxes, waiting) == (0, 0) && exited >= ledger.contacts.len() {
                return;
            }
            if Instant::now() > limit {
                let all = ledger.contacts.len();
                panic!("not at rest: {outboxes} in outboxes, {waiting} in queues, {exited} of {all} exits");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What was accepted is stored and judged, each once.
    pub async fn check(&self, ledger: &Ledger) {
        let contacts = u64::try_from(ledger.contacts.len()).unwrap();
        assert_eq!(self.exits(), ledger.contacts, "every contact leaves, and nobody else");
        let expected = [
            ("SELECT count(*) FROM ingest.events_raw", contacts),
            ("SELECT count(*) FROM ingest.event_keys", contacts),
            ("SELECT count(*) FROM evaluator.enrollments", contacts),
            ("SELECT count(*) FROM evaluator.enrollments WHERE status = 'completed_goal'", contacts),
            ("SELECT count(DISTINCT enrollment_id) FROM evaluator.workflow_goal_achievements", contacts),
            ("SELECT count(*) FROM evaluator.workflow_goal_achievements", contacts),
            ("SELECT count(*) FROM goals.workflows", ledger.workflows),
            (
                "SELECT (SELECT count(*) FROM ingest.dead_letters) + (SELECT count(*) FROM goals.dead_letters) \
                    + (SELECT count(*) FROM evaluator.dead_letters)",
                0,
            ),
        ];
        for (sql, count) in expected {
            assert_eq!(self.count(sql).await, count, "{sql}");
        }
    }
}

async fn listen(mut subscription: Subscription, exits: Arc<Mutex<BTreeSet<String>>>) {
    while let Some(message) = subscription.next().await {
        let exit: Value = serde_json::from_slice(&message.body).unwrap();
        let contact = exit["data"]["contact_id"].as_str().unwrap().to_owned();
        exits.lock().unwrap().insert(contact);
    }
}
