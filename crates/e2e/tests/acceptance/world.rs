//! What a scenario knows: its tenant, its workflows and goals by name, who is enrolled in them, what was sent last.

use std::collections::BTreeMap;
use std::str::FromStr;

use reqwest::Method;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::installation::{Answer, Installation};
use crate::steps::commands::Asker;

/// Enrollments begin here, unless a step says when.
pub const ENROLLED_AT: &str = "2026-01-01T00:00:00Z";
/// The first event of a scenario happens here, the next ones a minute later each, unless a step says when.
const FIRST_EVENT_AT: OffsetDateTime = datetime!(2026-01-02 00:00 UTC);

#[derive(Debug)]
pub struct Tenant {
    pub id: String,
    pub write_token: String,
    pub api_key: String,
}

#[derive(Debug)]
pub struct Workflow {
    pub id: String,
    /// In the order in which they were made.
    pub goals: Vec<String>,
}

#[derive(Debug, cucumber::World)]
#[world(init = Self::new)]
pub struct World {
    pub place: &'static Installation,
    /// Who does what is done.
    pub tenant: Tenant,
    /// While another does it.
    pub first_tenant: Option<Tenant>,
    pub workflows: BTreeMap<String, Workflow>,
    /// The name of the workflow that was spoken of last.
    current: String,
    /// By workflow and contact, the latest last.
    pub enrollments: BTreeMap<(String, String), Vec<String>>,
    /// By enrollment and type.
    pub actions: BTreeMap<(String, String), String>,
    /// The name and the text of the event that was sent last.
    pub sent: (String, String),
    /// Who asks over the bus.
    pub asker: Asker,
    /// What ingest answered last.
    pub answer: Option<Answer>,
    /// Statistics that were looked at.
    pub statistics: Value,
    /// How many events have happened.
    events: i64,
    /// Whether something was done that the services may still be at work on.
    pub is_moving: bool,
}

impl World {
    async fn new() -> Self {
        let place = Installation::of_all();
        Self {
            place,
            tenant: Tenant::new(place).await,
            first_tenant: None,
            workflows: BTreeMap::new(),
            current: String::new(),
            enrollments: BTreeMap::new(),
            actions: BTreeMap::new(),
            sent: (String::new(), String::new()),
            asker: Asker::default(),
            answer: None,
            statistics: Value::Null,
            events: 0,
            is_moving: false,
        }
    }

    /// As the tenant's admin.
    pub async fn api(&mut self, method: Method, at: (&str, &str), body: Option<&str>) -> Answer {
        self.is_moving |= method != Method::GET && at.0 == "evaluator";
        self.place.ask(&self.tenant.api_key, method, at, body).await
    }

    /// Reads, once the services are at rest.
    pub async fn read(&mut self, service: &str, path: &str) -> Value {
        self.settle().await;
        self.api(Method::GET, (service, path), None).await.good()
    }

    /// Waits until the services are at rest, if anything was done since they were.
    pub async fn settle(&mut self) {
        if std::mem::take(&mut self.is_moving) {
            self.place.rest().await;
        }
    }

    /// From now on, this workflow is spoken of. Without a name, and as `it`, the one that was.
    pub fn speak_of(&mut self, name: &str) -> &mut Workflow {
        if !["", "it"].contains(&name) {
            name.clone_into(&mut self.current);
        }
        let unknown = format!("no workflow {}", self.current);
        self.workflows.get_mut(&self.current).unwrap_or_else(|| panic!("{unknown}"))
    }

    /// A path of the workflow that is spoken of.
    pub fn path(&mut self, rest: &str) -> String {
        format!("/api/v1/workflows/{}{rest}", self.speak_of("").id)
    }

    /// The goal that was made as this one, counted from 1, of the workflow that is spoken of.
    pub fn goal_path(&mut self, number: usize) -> String {
        let goal = self.speak_of("").goals[number - 1].clone();
        self.path(&format!("/goals/{goal}"))
    }

    pub fn made_workflow(&mut self, name: &str, id: String) {
        self.workflows.insert(name.to_owned(), Workflow { id, goals: Vec::new() });
        self.speak_of(name);
    }

    pub fn enrolled(&mut self, contact: &str, id: String) {
        self.enrollments.entry((self.current.clone(), contact.to_owned())).or_default().push(id);
    }

    /// The contact's latest enrollment in the workflow that is spoken of.
    pub fn enrollment(&self, contact: &str) -> String {
        let enrollments = self.enrollments.get(&(self.current.clone(), contact.to_owned()));
        let latest = enrollments.and_then(|all| all.last());
        latest.unwrap_or_else(|| panic!("{contact} was never enrolled in {}", self.current)).clone()
    }

    pub fn action(&self, contact: &str, action_type: &str) -> String {
        let action = self.actions.get(&(self.enrollment(contact), action_type.to_owned()));
        action.unwrap_or_else(|| panic!("{contact} has no {action_type}")).clone()
    }

    /// When the next event happens.
    pub fn next_time(&mut self) -> String {
        self.events += 1;
        let at = FIRST_EVENT_AT + Duration::minutes(self.events);
        at.format(&Rfc3339).unwrap()
    }
}

impl Tenant {
    /// A new one, through the operator's API; its key is an admin's.
    pub async fn new(place: &Installation) -> Self {
        let id = format!("t-{}", Uuid::now_v7());
        let made = async |path: String, body: Value| {
            place.ask(place.operator_key(), Method::POST, ("goals", &path), Some(&body.to_string())).await.good()
        };
        made("/api/v1/tenants".to_owned(), json!({"tenant_id": id})).await;
        let token = made(format!("/api/v1/tenants/{id}/write-tokens"), json!({})).await;
        let key = made(format!("/api/v1/tenants/{id}/api-keys"), json!({"role": "admin"})).await;
        let text = |secret: &Value| secret.as_str().unwrap().to_owned();
        Self { id, write_token: text(&token["token"]), api_key: text(&key["key"]) }
    }
}

/// What a step says of a goal or an event: `purchase_made {…}`, and of a goal further members, `with {…}`.
#[derive(Debug)]
pub struct Said {
    pub name: String,
    /// As it is written.
    pub object: String,
    pub with: String,
}

impl FromStr for Said {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, object) = text.split_once(' ').ok_or_else(|| format!("{text} says nothing"))?;
        let (object, with) = match object.split_once("} with {") {
            Some((object, with)) => (format!("{object}}}"), format!("{{{with}")),
            None => (object.to_owned(), String::new()),
        };
        Ok(Self { name: name.to_owned(), object, with })
    }
}

/// A moment as a step names it: a time, or `now`.
pub fn moment(text: &str) -> String {
    match text {
        "now" => OffsetDateTime::now_utc().format(&Rfc3339).unwrap(),
        time => time.to_owned(),
    }
}

/// An object with further members, all as they are written.
pub fn joined(object: &str, more: &str) -> String {
    let inner = |text: &str| text.trim().strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or("").to_owned();
    let parts = [inner(object), inner(more)].into_iter().filter(|part| !part.trim().is_empty());
    format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
}
