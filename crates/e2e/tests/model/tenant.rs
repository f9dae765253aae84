//! One tenant: changes, enrollments and ends one after the other, each until it is answered, while its events fly beside them.
//! What was asked for and answered is kept.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use domain::time_format;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::allowed::Span;
use crate::api::{Answer, Api};
use crate::changing::Flow;
use crate::cluster::publisher::Publisher;
use crate::history::{Change, Configured, SECOND};
use crate::oracle::{self, Event, Id, Moment, STAGES, TAGS};
use crate::random::{OTHER_REFERENCES, any_deed, any_logic, properties_json};

const CONTACTS: [&str; 3] = ["a", "b", "c"];
const EVENTS: usize = 18;
const STEPS: usize = 16;
const SENDERS: usize = 2;
/// 2026-01-01, from when contacts are enrolled.
const BEGIN: Moment = 1_767_225_600 * SECOND;
/// The span of an event that nobody answers for.
const NEVER: u64 = u64::MAX;

pub struct Tenant<'a> {
    pub id: String,
    api: &'a Api,
    publisher: &'a Publisher,
    token: String,
    key: String,
    rng: RefCell<StdRng>,
    pub flows: RefCell<Vec<Flow>>,
    pub enrollings: RefCell<Vec<Enrolling>>,
    pub endings: RefCell<Vec<Ending>>,
    /// Contact and event, as they are sent.
    pub events: Vec<(&'static str, Event)>,
    /// When each was sent first, and answered first.
    pub spans: RefCell<BTreeMap<Id, Span>>,
    /// Each is one request or message.
    packets: RefCell<VecDeque<Vec<usize>>>,
}

/// A request to enroll; no two have the same `enrolled_at`.
#[derive(Debug)]
pub struct Enrolling {
    pub flow: usize,
    pub contact: &'static str,
    pub enrolled_at: Moment,
    pub span: Span,
    /// The enrollment that an answer told of.
    pub made: Option<Uuid>,
    pub attempts: u32,
}

/// A request to end an enrollment.
#[derive(Debug)]
pub struct Ending {
    pub enrollment: Uuid,
    pub span: Span,
    /// It ended so; otherwise it had exited.
    pub ended: bool,
}

impl<'a> Tenant<'a> {
    /// A new tenant with one or two workflows, which are mostly active.
    pub async fn make(api: &'a Api, publisher: &'a Publisher, operator_key: &str, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let id = format!("model-{seed:016x}");
        let post = async |path: &str, body: Value| {
            api.insist(("goals", Method::POST, path, operator_key, &body.to_string())).await.sound()
        };
        post("/api/v1/tenants", json!({"tenant_id": id})).await;
        let token = post(&format!("/api/v1/tenants/{id}/write-tokens"), json!({"kind": "server"})).await;
        let key = post(&format!("/api/v1/tenants/{id}/api-keys"), json!({"role": "editor"})).await;
        let now = api.clock().await;
        let events: Vec<_> = (0..EVENTS).map(|_| any_event(&mut rng, now)).collect();
        let packets = packets(&mut rng);
        api.planned.fetch_add(packets.len() as u64, std::sync::atomic::Ordering::SeqCst);
        let tenant = Self {
            id,
            api,
            publisher,
            token: token["token"].as_str().unwrap().to_owned(),
            key: key["key"].as_str().unwrap().to_owned(),
            rng: RefCell::new(rng),
            flows: RefCell::default(),
            enrollings: RefCell::default(),
            endings: RefCell::default(),
            events,
            spans: RefCell::default(),
            packets: RefCell::new(packets),
        };
        let body = json!({"items": references()}).to_string();
        api.insist(("goals", Method::PUT, "/api/v1/references", &tenant.key, &body)).await.sound();
        let workflows = tenant.rng.borrow_mut().random_range(1..3);
        for _ in 0..workflows {
            tenant.make_workflow().await;
        }
        tenant
    }

    async fn make_workflow(&self) {
        let mut rng = StdRng::seed_from_u64(self.rng.borrow_mut().random());
        let (logic, allows_reentry) = (any_logic(&mut rng), rng.random_bool(0.7));
        let body = format!(r#"{{"name": "one", "goal_logic": {}, "allow_reentry": {allows_reentry}}}"#, logic.json());
        let made = self.api.insist(("goals", Method::POST, "/api/v1/workflows", &self.key, &body)).await.sound();
        let id = made["id"].as_str().unwrap().parse().unwrap();
        let mut flow = Flow { id, allows_reentry, configured: Configured::new(logic), changes: Vec::new() };
        for _ in 0..rng.random_range(1..4) {
            if let Some(goal) = flow.configured.any_goal(&mut rng) {
                flow.change(self.api, (&self.id, &self.key), &goal).await;
            }
        }
        if rng.random_bool(0.9) {
            flow.change(self.api, (&self.id, &self.key), &Change::Activate { catch_up: false }).await;
        }
        self.flows.borrow_mut().push(flow);
    }

    /// The whole history.
    pub async fn run(&self) {
        let senders = futures_util::future::join_all((0..SENDERS).map(|_| self.send()));
        tokio::join!(self.steps(), senders);
    }

    async fn steps(&self) {
        for step in 0..STEPS {
            let choice = self.rng.borrow_mut().random_range(0..20);
            match choice {
                _ if step < 3 => self.enroll().await,
                0..=8 => self.change().await,
                9..=16 => self.enroll().await,
                _ => self.end().await,
            }
        }
    }

    fn any_flow(&self) -> usize {
        self.rng.borrow_mut().random_range(0..self.flows.borrow().len())
    }

    async fn change(&self) {
        let flow = self.any_flow();
        let change = self.flows.borrow()[flow].configured.any_change(&mut self.rng.borrow_mut());
        if let Some(change) = change {
            // Nobody else changes it: all steps are one after the other.
            let mut changing = self.flows.borrow_mut().swap_remove(flow);
            changing.change(self.api, (&self.id, &self.key), &change).await;
            let mut flows = self.flows.borrow_mut();
            flows.push(changing);
            let last = flows.len() - 1;
            flows.swap(flow, last);
        }
    }

    async fn enroll(&self) {
        let flow = self.any_flow();
        let contact = *CONTACTS.choose(&mut *self.rng.borrow_mut()).unwrap();
        let enrolled_at = BEGIN + Moment::try_from(self.enrollings.borrow().len()).unwrap();
        let workflow = self.flows.borrow()[flow].id;
        let path = format!("/api/v1/workflows/{workflow}/enrollments");
        let body = json!({"contact_id": contact, "enrolled_at": text(enrolled_at)}).to_string();
        let answer = self.api.insist(("evaluator", Method::POST, &path, &self.key, &body)).await;
        let Answer { status, body, span, attempts } = answer;
        assert!(status == StatusCode::CREATED || status == StatusCode::CONFLICT, "{status} {body}");
        let made = (status == StatusCode::CREATED).then(|| body["id"].as_str().unwrap().parse().unwrap());
        self.enrollings.borrow_mut().push(Enrolling { flow, contact, enrolled_at, span, made, attempts });
        if let Some(enrollment) = made {
            let path = format!("/api/v1/enrollments/{enrollment}/actions");
            let body = json!({"action_type": "wait", "scheduled_at": "2099-01-01T00:00:00Z"}).to_string();
            let Answer { status, body, .. } =
                self.api.insist(("evaluator", Method::POST, &path, &self.key, &body)).await;
            assert!(status == StatusCode::CREATED || body["code"] == "enrollment_exited", "{status} {body}");
        }
    }

    async fn end(&self) {
        let known: Vec<Uuid> = self.enrollings.borrow().iter().filter_map(|it| it.made).collect();
        let Some(enrollment) = known.choose(&mut *self.rng.borrow_mut()).copied() else {
            return;
        };
        let path = format!("/api/v1/enrollments/{enrollment}/end");
        let body = r#"{"status": "removed"}"#;
        let Answer { status, body, span, .. } =
            self.api.insist(("evaluator", Method::POST, &path, &self.key, body)).await;
        assert!(status.is_success() || body["code"] == "enrollment_exited", "{status} {body}");
        self.endings.borrow_mut().push(Ending { enrollment, span, ended: status.is_success() });
    }

    async fn send(&self) {
        loop {
            let packet = self.packets.borrow_mut().pop_front();
            let Some(packet) = packet else { return };
            // From other systems come the types that Goalpost knows.
            let is_known = domain::catalogue::builtin(self.events[packet[0]].1.name).is_some();
            if packet.len() == 1 && is_known && self.rng.borrow_mut().random_bool(0.3) {
                self.publish(packet[0]).await;
            } else {
                self.post(&packet).await;
            }
            self.api.done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }

    async fn post(&self, packet: &[usize]) {
        let events: Vec<String> = packet.iter().map(|place| self.text_of(*place, "")).collect();
        let body = format!(r#"{{"events": [{}]}}"#, events.join(", "));
        loop {
            let answer = self.api.insist(("ingest", Method::POST, "/api/v1/events", &self.token, &body)).await;
            let (span, attempts) = (answer.span, answer.attempts);
            let verdicts = answer.sound()["results"].as_array().cloned().unwrap_or_default();
            let statuses: Vec<&str> = verdicts.iter().filter_map(|verdict| verdict["status"].as_str()).collect();
            assert_eq!(statuses.len(), packet.len(), "{verdicts:?}");
            let mut spans = self.spans.borrow_mut();
            for (place, status) in packet.iter().zip(&statuses) {
                let known = spans.entry(self.events[*place].1.id).or_insert(Span { answered: NEVER, ..span });
                known.asked = known.asked.min(span.asked);
                match *status {
                    "accepted" | "duplicate" => known.answered = known.answered.min(span.answered),
                    "retry" => {}
                    other => panic!("{other}: {verdicts:?} {body}"),
                }
            }
            if !statuses.contains(&"retry") {
                if attempts > 1 && statuses.iter().all(|status| *status == "duplicate") {
                    self.api.note_found_done();
                }
                return;
            }
        }
    }

    /// By the way of other systems: nobody answers.
    async fn publish(&self, place: usize) {
        let event = &self.events[place].1;
        let asked = self.api.tick();
        let body = self.text_of(place, &format!(r#""tenant_id": "{}", "#, self.id));
        self.publisher.publish("goalpost.domain", event.name, &body, None).await;
        let mut spans = self.spans.borrow_mut();
        let known = spans.entry(event.id).or_insert(Span { asked, answered: NEVER });
        known.asked = known.asked.min(asked);
    }

    fn text_of(&self, place: usize, more: &str) -> String {
        let (contact, event) = &self.events[place];
        let (id, name, at) = (Uuid::from_u128(event.id), event.name, text(event.at));
        format!(
            r#"{{{more}"event_id": "{id}", "event_name": "{name}", "occurred_at": "{at}", "contact_id": "{contact}",
                "properties": {}}}"#,
            properties_json(&event.properties)
        )
    }
}

/// Around the enrollments, or some minutes ahead: later than the end of a passage that is ended meanwhile.
fn any_event(rng: &mut StdRng, now: Moment) -> (&'static str, Event) {
    let (name, properties) = any_complete_deed(rng);
    let ahead = rng.random_bool(0.4);
    let at = if ahead { now + rng.random_range(60..240) * SECOND } else { BEGIN + rng.random_range(-5..40) * SECOND };
    let event = Event { id: rng.random(), name, properties, at, received_at: 0 };
    (CONTACTS[rng.random_range(0..CONTACTS.len())], event)
}

/// One that ingest takes: with all that its type requires.
fn any_complete_deed(rng: &mut StdRng) -> (&'static str, Vec<(&'static str, oracle::Value)>) {
    loop {
        let (name, properties) = any_deed(rng);
        let required = domain::catalogue::builtin(name).map_or(&[][..], |known| known.required);
        if required.iter().all(|key| properties.iter().any(|(given, _)| given == key)) {
            return (name, properties);
        }
    }
}

/// Every event in some packet, in any order; some twice.
fn packets(rng: &mut StdRng) -> VecDeque<Vec<usize>> {
    let mut order: Vec<usize> = (0..EVENTS).collect();
    order.shuffle(rng);
    let mut packets = VecDeque::new();
    while !order.is_empty() {
        let rest = order.split_off(order.len().min(rng.random_range(1..3)));
        packets.push_back(order);
        order = rest;
    }
    for _ in 0..2 {
        let again = packets[rng.random_range(0..packets.len())].clone();
        packets.push_back(again);
    }
    packets
}

fn references() -> Vec<Value> {
    let tags = TAGS.iter().map(|(id, name)| json!({"kind": "tag", "id": id, "name": name}));
    let stages = STAGES.iter().map(|(id, pipeline, position)| {
        json!({"kind": "stage", "id": id, "name": id, "pipeline_id": pipeline, "position": position})
    });
    let others =
        OTHER_REFERENCES.iter().rev().flat_map(|(kind, ids)| ids.iter().map(move |id| json!({"kind": kind, "id": id})));
    others.chain(tags).chain(stages).collect()
}

/// A moment in the text of the wire.
pub fn text(moment: Moment) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(moment) * 1_000).unwrap();
    time_format::to_text(at)
}
