//! The main job, from a new tenant to the figures: configure, enroll, send, wait, send again, ask.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use domain::ids::{EnrollmentId, EventId, GoalId, TenantId, WorkflowId};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::exits::Exits;
use super::figures::Statistics;
use super::purchases::{Purchase, first_days};
use super::send::{self, Enrollments, Events};
use load::finish::Servers;
use load::http::{Service, client};
use load::place::Place;
use load::progress::{Phase, Progress};

/// The subscriber has everything when it got nothing for this long after the queues were empty.
const SILENCE: Duration = Duration::from_millis(500);

/// A tenant of its own with the one workflow, and the services by that tenant's secrets.
pub struct Workload {
    pub tenant: TenantId,
    pub workflow: WorkflowId,
    ingest: Service,
    goals: Service,
    evaluator: Service,
    analytics: Service,
}

/// What one pass through the file brought.
pub struct Pass {
    pub events: Events,
    pub enrollments: Enrollments,
    pub sending: Phase,
    pub enrolling: Phase,
}

impl Pass {
    /// In the order they came.
    pub fn phases(&self, events_first: bool) -> [&Phase; 2] {
        if events_first { [&self.sending, &self.enrolling] } else { [&self.enrolling, &self.sending] }
    }
}

#[derive(Deserialize)]
struct Made<T> {
    id: T,
}

impl Workload {
    /// Makes the tenant, its secrets and a workflow that is not active yet.
    pub async fn configure(place: &Place) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Tenant {
            tenant_id: TenantId,
        }
        #[derive(Deserialize)]
        struct Token {
            token: String,
        }
        #[derive(Deserialize)]
        struct Key {
            key: String,
        }
        let http = client()?;
        let operator = Service::new(&http, &place.services.goals.url, &place.operator_key);
        let name = "cdnow";
        let again = operator.get::<Tenant>(&format!("/api/v1/tenants/{name}")).await.is_ok();
        let name = if again { format!("{name}-{}", Uuid::now_v7().simple()) } else { name.to_owned() };
        let tenant = json!({"tenant_id": name, "name": "CDNOW purchases"});
        let tenant = operator.post::<Tenant>("/api/v1/tenants", tenant.to_string()).await?.body.tenant_id;
        let of_tenant = format!("/api/v1/tenants/{tenant}");
        let token = json!({"kind": "server"}).to_string();
        let token = operator.post::<Token>(&format!("{of_tenant}/write-tokens"), token).await?.body.token;
        let key = json!({"role": "editor"}).to_string();
        let key = operator.post::<Key>(&format!("{of_tenant}/api-keys"), key).await?.body.key;
        let goals = operator.with_secret(&key);
        let workflow = json!({"name": "Second big order"}).to_string();
        let workflow = goals.post::<Made<WorkflowId>>("/api/v1/workflows", workflow).await?.body.id;
        let goal = r#"{"goal_type": "purchase_made", "criteria": {"min_amount": 100.00}}"#.to_owned();
        goals.post::<Made<GoalId>>(&format!("/api/v1/workflows/{workflow}/goals"), goal).await?;
        Ok(Self {
            tenant,
            workflow,
            ingest: Service::new(&http, &place.services.ingest.url, &token),
            goals,
            evaluator: Service::new(&http, &place.services.evaluator.url, &key),
            analytics: Service::new(&http, &place.services.analytics.url, &key),
        })
    }

    pub async fn activate(&self) -> anyhow::Result<()> {
        let path = format!("/api/v1/workflows/{}/activate", self.workflow);
        self.goals.post::<Made<WorkflowId>>(&path, "{}".to_owned()).await.map(drop)
    }

    /// Enrolls everybody and sends every purchase, in either order; replay 0 is the first pass.
    pub async fn pass(&self, replay: u32, purchases: &[Purchase], events_first: bool) -> anyhow::Result<Pass> {
        let days = first_days(purchases);
        let enroll = async || send::enrollments(&self.evaluator, replay, self.workflow, &days).await;
        let send = async || send::purchases(&self.ingest, replay, purchases).await;
        let ((events, sending), (enrollments, enrolling)) = if events_first {
            let sent = send().await?;
            (sent, enroll().await?)
        } else {
            let enrolled = enroll().await?;
            (send().await?, enrolled)
        };
        Ok(Pass { events, enrollments, sending, enrolling })
    }

    pub async fn statistics(&self) -> anyhow::Result<Statistics> {
        let path = format!("/api/v1/workflows/{}/goals/stats?fresh=true", self.workflow);
        self.analytics.get(&path).await.context("cannot ask for the statistics")
    }

    /// How many achievements there are by each event.
    pub async fn achievements(&self) -> anyhow::Result<HashMap<EventId, u64>> {
        #[derive(Deserialize)]
        struct Page {
            items: Vec<Achievement>,
            next_cursor: Option<String>,
        }
        #[derive(Deserialize)]
        struct Achievement {
            event_id: EventId,
            #[expect(dead_code, reason = "an achievement without an enrollment is not read")]
            enrollment_id: EnrollmentId,
        }
        let path = format!("/api/v1/workflows/{}/achievements?limit=200", self.workflow);
        let mut achievements = HashMap::new();
        let mut cursor = String::new();
        loop {
            let page: Page =
                self.evaluator.get(&format!("{path}{cursor}")).await.context("cannot list the achievements")?;
            for achievement in page.items {
                *achievements.entry(achievement.event_id).or_default() += 1;
            }
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(achievements),
            }
        }
    }
}

/// Waits until the services have worked everything off and the subscriber has got what came of it.
pub async fn finish(name: &str, servers: &Servers<'_>, exits: &RefCell<Exits>) -> anyhow::Result<Phase> {
    let progress = Progress::waiting(name);
    servers.finish(&progress).await?;
    progress.say("the subscriber's last messages");
    let mut received = exits.borrow().received;
    loop {
        tokio::time::sleep(SILENCE).await;
        let now = exits.borrow().received;
        if now == received {
            return Ok(progress.done());
        }
        received = now;
    }
}
