//! Activation and deactivation hold from their answer on. Lanes of a workflow each activate and deactivate over and over, while
//! another tenant's events, with matches, go through the same services. What is before and what is after is said by the clock
//! and the snapshots of the database.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::api::{Api, Request};
use crate::cluster::Cluster;
use crate::cluster::rest::rest;
use crate::oracle::Moment;
use crate::{number, seed};

const LANES: u64 = 8;
const TENANTS: u64 = 4;
/// Far longer than an exit takes. One that takes longer does not come.
const LIMIT: Duration = Duration::from_secs(60);
const LOADED_EVENTS: usize = 20;
const BETWEEN_LOADS: Duration = Duration::from_millis(100);

/// A tenant's secrets.
struct Caller<'a> {
    api: &'a Api,
    id: String,
    token: String,
    key: String,
}

/// What came of the events that were sent beside a deactivation, and what else was seen.
#[derive(Debug, Default)]
struct Seen {
    rounds: u64,
    judged_before: u64,
    not_judged: u64,
    wrong: Vec<String>,
}

/// Whom a round leaves behind: they must stay as they were when the deactivation had been answered.
struct Left {
    contact: String,
    achieved: bool,
    /// The database clock after the answer.
    answered_at: Moment,
}

#[tokio::test(flavor = "multi_thread")]
async fn activation_and_deactivation_hold_from_their_answer_on() {
    let (seed, rounds) = (seed(), number("ROUNDS", (100, 1_000)));
    println!("SEED={seed} ROUNDS={rounds}");
    let mut cluster = Cluster::start(false).await;
    cluster.scale("evaluator", 2).await;
    let api = Api::of(&cluster).await;
    let callers = join_all((0..TENANTS).map(|_| Caller::make(&api, &cluster.operator_key))).await;
    let other = Caller::make(&api, &cluster.operator_key).await;
    let (left, finished) = (Cell::new(rounds), Cell::new(false));
    let lanes = (0..LANES).map(|lane| {
        let caller = &callers[usize::try_from(lane % TENANTS).unwrap()];
        lane_of(caller, &left, StdRng::seed_from_u64(seed ^ (lane << 32)))
    });
    let lanes = async {
        let seen = join_all(lanes).await;
        finished.set(true);
        seen
    };
    let (seen, loaded) = tokio::join!(lanes, load(&other, &finished));
    rest(&cluster, "").await;
    let mut all = Seen::default();
    for (seen, (caller, left)) in seen {
        all.rounds += seen.rounds;
        all.judged_before += seen.judged_before;
        all.not_judged += seen.not_judged;
        all.wrong.extend(seen.wrong);
        for left in &left {
            all.wrong.extend(changed(caller, left).await);
        }
    }
    let matched = other.count().await;
    println!("{all:?}; beside {loaded} events of another tenant, {matched} of them achievements");
    cluster.stop().await;
    assert!(all.wrong.is_empty(), "SEED={seed}:\n{}", all.wrong.join("\n"));
    assert_eq!((all.rounds, all.judged_before + all.not_judged), (rounds, rounds));
    assert!(all.judged_before > 0 && all.not_judged > 0, "only one end of the race was seen: {all:?}");
    assert_eq!(matched, i64::try_from(loaded / 2).unwrap(), "the other tenant's matches");
}

/// What is different from what it was when the deactivation had been answered.
async fn changed(caller: &Caller<'_>, left: &Left) -> Option<String> {
    let Left { contact, achieved, answered_at } = left;
    let achievement = caller.achieved(contact).await;
    if achievement.is_some() != *achieved || achievement.is_some_and(|at| at >= *answered_at) {
        return Some(format!(
            "{contact}: achieved={achieved} at the answer, {answered_at}; in the end {achievement:?}"
        ));
    }
    None
}

/// One workflow that is activated and deactivated until all rounds are done.
async fn lane_of<'c, 'a>(
    caller: &'c Caller<'a>,
    rounds: &Cell<u64>,
    rng: StdRng,
) -> (Seen, (&'c Caller<'a>, Vec<Left>)) {
    let workflow = caller.workflow().await;
    let rng = RefCell::new(rng);
    let mut lane = Lane { caller, workflow, delay: 0.02, seen: Seen::default(), left: Vec::new() };
    while rounds.get() > 0 {
        rounds.set(rounds.get() - 1);
        lane.round(&rng).await;
    }
    (lane.seen, (caller, lane.left))
}

struct Lane<'c, 'a> {
    caller: &'c Caller<'a>,
    workflow: Uuid,
    /// How long an event has before the deactivation is asked for, in seconds: so that each is the first about as often.
    delay: f64,
    seen: Seen,
    left: Vec<Left>,
}

impl Lane<'_, '_> {
    async fn round(&mut self, rng: &RefCell<StdRng>) {
        let (caller, workflow, round) = (self.caller, self.workflow, self.seen.rounds);
        let [before, beside, after] = ["before", "beside", "after"].map(|who| format!("{workflow}-{round}-{who}"));
        caller.enroll(workflow, &[before.clone(), beside.clone(), after.clone()]).await;

        caller.set(workflow, "activate").await;
        caller.pay(&before).await;
        if !caller.exits(workflow, &before).await {
            self.seen.wrong.push(format!("{before}: an event after the answer of an activation is not judged by it"));
        }

        let delay = self.delay * rng.borrow_mut().random_range(0.5..1.5);
        let deactivate = async {
            tokio::time::sleep(Duration::from_secs_f64(delay)).await;
            caller.set(workflow, "deactivate").await;
            caller.committed(&beside).await
        };
        // What has committed by now is all that there may ever be.
        let ((achieved, answered_at), ()) = tokio::join!(deactivate, caller.pay(&beside));
        caller.pay(&after).await;
        self.left.push(Left { contact: beside, achieved, answered_at });
        self.left.push(Left { contact: after, achieved: false, answered_at });
        self.seen.rounds += 1;
        if achieved {
            self.seen.judged_before += 1;
            self.delay *= 0.8;
        } else {
            self.seen.not_judged += 1;
            self.delay = self.delay * 1.25 + 0.001;
        }
    }
}

/// Enrolls new contacts and lets something happen to each, of which every second one leaves.
async fn load(caller: &Caller<'_>, finished: &Cell<bool>) -> usize {
    let workflow = caller.workflow().await;
    caller.set(workflow, "activate").await;
    let mut sent = 0;
    while !finished.get() {
        let begin = Instant::now();
        let contacts: Vec<String> = (sent..sent + LOADED_EVENTS).map(|number| format!("other-{number}")).collect();
        caller.enroll(workflow, &contacts).await;
        let events = contacts.iter().zip((0..2).cycle()).map(|(contact, half)| (contact.as_str(), half * 100));
        caller.send(&events.collect::<Vec<_>>()).await;
        sent += LOADED_EVENTS;
        tokio::time::sleep(BETWEEN_LOADS.saturating_sub(begin.elapsed())).await;
    }
    sent
}

impl<'a> Caller<'a> {
    async fn make(api: &'a Api, operator_key: &str) -> Self {
        let id = format!("activation-{}", Uuid::now_v7().simple());
        let post = async |path: &str, body: serde_json::Value| {
            api.insist(("goals", Method::POST, path, operator_key, &body.to_string())).await.sound()
        };
        post("/api/v1/tenants", json!({"tenant_id": id})).await;
        let token = post(&format!("/api/v1/tenants/{id}/write-tokens"), json!({"kind": "server"})).await;
        let key = post(&format!("/api/v1/tenants/{id}/api-keys"), json!({"role": "editor"})).await;
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        Self { api, id, token: text(&token["token"]), key: text(&key["key"]) }
    }

    async fn post(
        &self,
        service: &'static str,
        path: &str,
        secret: &str,
        body: &serde_json::Value,
    ) -> serde_json::Value {
        let body = body.to_string();
        let request: Request<'_> = (service, Method::POST, path, secret, &body);
        self.api.insist(request).await.sound()
    }

    /// A draft that waits for a purchase of 100 or more.
    async fn workflow(&self) -> Uuid {
        let made = self.post("goals", "/api/v1/workflows", &self.key, &json!({"name": "on and off"})).await;
        let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
        let goal = json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100}});
        self.post("goals", &format!("/api/v1/workflows/{id}/goals"), &self.key, &goal).await;
        id
    }

    async fn set(&self, workflow: Uuid, to: &str) {
        self.post("goals", &format!("/api/v1/workflows/{workflow}/{to}"), &self.key, &json!({})).await;
    }

    async fn enroll(&self, workflow: Uuid, contacts: &[String]) {
        let item = |contact: &String| json!({"contact_id": contact, "enrolled_at": "2026-01-01T00:00:00Z"});
        let body = json!({"enrollments": contacts.iter().map(item).collect::<Vec<_>>()});
        let path = format!("/api/v1/workflows/{workflow}/enrollments/batch");
        let answer = self.post("evaluator", &path, &self.key, &body).await;
        assert_eq!(answer["created"], contacts.len(), "{answer}");
    }

    /// A purchase that meets the goal.
    async fn pay(&self, contact: &str) {
        self.send(&[(contact, 100)]).await;
    }

    async fn send(&self, purchases: &[(&str, i32)]) {
        let event = |(contact, amount): &(&str, i32)| {
            json!({"event_id": Uuid::now_v7(), "event_name": "payment.completed", "occurred_at": "2026-01-03T10:00:00Z",
                "contact_id": contact, "properties": {"amount": amount}})
        };
        let body = json!({"events": purchases.iter().map(event).collect::<Vec<_>>()});
        let answer = self.post("ingest", "/api/v1/events", &self.token, &body).await;
        assert_eq!(answer["accepted"], purchases.len(), "{answer}");
    }

    /// Waits for the exit of a contact.
    async fn exits(&self, workflow: Uuid, contact: &str) -> bool {
        const EXITED: &str = "SELECT count(*) FROM evaluator.enrollments WHERE tenant_id = $1 AND workflow_id = $2 \
             AND contact_id = $3 AND status = 'completed_goal'";
        let limit = Instant::now() + LIMIT;
        while Instant::now() < limit {
            let row = self.api.database.query_one(EXITED, &[&self.id, &workflow, &contact]).await.unwrap();
            if row.get::<_, i64>(0) == 1 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// When an achievement of a contact was recorded, if it has committed.
    async fn achieved(&self, contact: &str) -> Option<Moment> {
        const ACHIEVED: &str = "SELECT (extract(epoch FROM recorded_at) * 1000000)::bigint \
             FROM evaluator.workflow_goal_achievements WHERE tenant_id = $1 AND contact_id = $2";
        let row = self.api.database.query_opt(ACHIEVED, &[&self.id, &contact]).await.unwrap();
        row.map(|row| row.get(0))
    }

    /// Whether an achievement of a contact has committed, and the database clock.
    async fn committed(&self, contact: &str) -> (bool, Moment) {
        const COMMITTED: &str = "SELECT EXISTS (SELECT FROM evaluator.workflow_goal_achievements \
             WHERE tenant_id = $1 AND contact_id = $2), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let row = self.api.database.query_one(COMMITTED, &[&self.id, &contact]).await.unwrap();
        (row.get(0), row.get(1))
    }

    /// All achievements.
    async fn count(&self) -> i64 {
        const COUNT: &str = "SELECT count(*) FROM evaluator.workflow_goal_achievements WHERE tenant_id = $1";
        self.api.database.query_one(COUNT, &[&self.id]).await.unwrap().get(0)
    }
}
