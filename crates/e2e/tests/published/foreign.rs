//! Another tenant's ids answer as ids that nobody has, on every route: every operation of every document is asked by every kind
//! of caller once with the one and once with the other, in its path, its query and its body, and the two answers have to be
//! equal. Nothing of the other tenant is changed by all that.

use std::collections::BTreeMap;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::dev::Dev;
use crate::operations::{Callers, Described, SERVICES, callers};
use crate::provider::Provider;
use crate::rows::{database, digest, rest};
use crate::slots::{Ids, Slot, beside, filled, slots};
use crate::told::Told;
use crate::world::{World, shown};

/// Pairs of answers that a walk has, at least: fewer would be a walk past most operations.
const LEAST_PAIRS: usize = 1_500;
const ADD_GOAL: &str = "/api/v1/workflows/{id}/goals";

struct Walk {
    http: Client,
    /// Whose credentials are used.
    own: World,
    foreign: World,
    nobodys: Ids,
    callers: Callers,
    /// What is older was not made by the walk.
    since: OffsetDateTime,
    pairs: usize,
}

/// An operation, and where it is.
struct Asked<'a> {
    described: &'a Described,
    service: &'a str,
    path: &'a str,
    method: &'a str,
    operation: &'a Value,
}

pub async fn another_tenants_ids_are_unknown_ones(dev: &Dev, provider: &Provider) {
    let http = Client::new();
    let (own, foreign) = (World::new(dev, "own").await, World::new(dev, "foreign").await);
    let callers = callers(dev, (&http, provider), &own.tenant).await;
    let database = database(dev).await;
    rest(dev, &database).await;
    let before = digest(&database, &foreign.tenant.id).await;
    assert!(before.values().filter(|(rows, _)| *rows > 0).count() > 10, "{before:?}");

    let nobodys = foreign.ids.nobodys();
    let since = OffsetDateTime::now_utc();
    let mut walk = Walk { http, own, foreign, nobodys, callers, since, pairs: 0 };
    let mut described = BTreeMap::new();
    for service in SERVICES {
        described.insert(service, Described::fetch(dev, &walk.http, service).await);
    }
    let mut places: Vec<Place> = in_bodies(&walk.foreign.ids, &walk.own.ids).into_iter().map(|case| case.0).collect();
    places.dedup();
    // What points at something goes first, while its own tenant has nothing of that name; what puts something there goes last.
    let (pointing, putting): (Vec<Place>, Vec<Place>) =
        places.into_iter().partition(|place| place.2.contains("/goals"));
    walk.in_bodies(&described, &pointing).await;
    for (service, described) in &described {
        for (path, item) in described.document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                walk.operation(&Asked { described, service, path, method, operation }).await;
            }
        }
    }
    walk.in_bodies(&described, &putting).await;
    assert!(walk.pairs > LEAST_PAIRS, "{} pairs", walk.pairs);
    rest(dev, &database).await;
    assert_eq!(before, digest(&database, &walk.foreign.tenant.id).await);
    println!("{} pairs of answers are equal", walk.pairs);
}

impl Walk {
    async fn in_bodies(&mut self, described: &BTreeMap<&str, Described>, places: &[Place]) {
        for &(service, method, path) in places {
            let described = &described[service];
            let operation = &described.document["paths"][path][method];
            assert!(operation.is_object(), "{service} has no {method} {path}");
            self.bodies(&Asked { described, service, path, method, operation }).await;
        }
    }

    async fn operation(&mut self, asked: &Asked<'_>) {
        let slots = asked.slots();
        asked.sends_every_id(&in_bodies(&self.foreign.ids, &self.own.ids));
        self.is_there(asked, &slots).await;
        let bodies = bodies(asked.operation);
        // Every choice of slots that have another's id, while the others have an own one or none.
        for choice in 1..(1_usize << slots.len()) {
            let is_foreign = |index: usize| choice & (1 << index) != 0;
            for body in &bodies {
                let foreign = (self.url(asked, &slots, &self.foreign.ids, &is_foreign), body.clone());
                let nobodys = (self.url(asked, &slots, &self.nobodys, &is_foreign), body.clone());
                let of_tenant = slots.iter().enumerate().any(|(index, slot)| slot.of == "tenants" && is_foreign(index));
                self.alike(asked, of_tenant, [foreign, nobodys]).await;
            }
        }
    }

    /// What both tenants have is shown to their own admins: so the walk asks for what there is. Finds the cursors of lists.
    async fn is_there(&mut self, asked: &Asked<'_>, slots: &[Slot]) {
        if asked.method != "get" || slots.is_empty() {
            return;
        }
        let path_of = |ids: &Ids| {
            let id = |index: usize| (!slots[index].is_in_query()).then(|| ids.get(slots[index].of).to_owned());
            format!("{}{}", asked.described.url, filled(asked.path, slots, id))
        };
        // What is an operator's alone is shown to him; it has both tenants' things in it.
        let is_operators = asked.operation["x-goalpost-role"] == "operator";
        let secret = |world: &World| match is_operators {
            true => self.callers["operator"].clone(),
            false => world.tenant.admin.clone(),
        };
        for world in [&self.own, &self.foreign] {
            shown(&self.http, &secret(world), &path_of(&world.ids)).await;
        }
        if slots.iter().any(|slot| slot.of == "cursor") {
            let url = format!("{}?limit=1", path_of(&self.foreign.ids));
            let page = shown(&self.http, &secret(&self.foreign), &url).await;
            let cursor = page["next_cursor"].as_str();
            let cursor = cursor.unwrap_or_else(|| panic!("{url}: too few are listed for a cursor"));
            self.foreign.ids.put("cursor", cursor);
            self.nobodys.put("cursor", &beside(cursor));
        }
    }

    /// Where to ask, with ids `of` somebody in the chosen slots, and own ones in the others of the path.
    fn url(&self, asked: &Asked<'_>, slots: &[Slot], of: &Ids, is_foreign: &dyn Fn(usize) -> bool) -> String {
        let id = |index: usize| {
            let slot = &slots[index];
            let own = || (!slot.is_in_query()).then(|| self.own.ids.get(slot.of).to_owned());
            if is_foreign(index) { Some(of.get(slot.of).to_owned()) } else { own() }
        };
        format!("{}{}", asked.described.url, filled(asked.path, slots, id))
    }

    /// Asks as everybody for another's and for nobody's, and compares.
    async fn alike(&mut self, asked: &Asked<'_>, of_tenant: bool, requests: [(String, Option<String>); 2]) {
        let role = asked.operation["x-goalpost-role"].as_str().unwrap();
        let everybody = self.callers.iter().map(|(caller, secret)| (*caller, Some(secret)));
        for (caller, secret) in everybody.chain([("nobody", None)]) {
            // An operator has every tenant; to him none is another's, and of what is his alone nothing is.
            let has_all = role == "operator" || of_tenant && role.contains("operator");
            if has_all && caller.starts_with("operator") {
                continue;
            }
            let mut told = Vec::new();
            for (url, body) in &requests {
                let method = Method::from_bytes(asked.method.to_uppercase().as_bytes()).unwrap();
                let request = self.http.request(method, url).header("content-type", "application/json");
                let request = secret.into_iter().fold(request, |request, secret| request.bearer_auth(secret));
                let request = body.iter().fold(request, |request, body| request.body(body.clone()));
                told.push(Told::of(request.send().await.unwrap()).await);
            }
            let foreign = told[0].plain(&self.foreign.ids, self.since);
            let nobodys = told[1].plain(&self.nobodys, self.since);
            assert_eq!(foreign, nobodys, "{} {requests:?} as {caller}", asked.method);
            assert!(foreign.status < 500 && foreign.status != 429, "{} {requests:?}: {foreign:?}", asked.method);
            self.pairs += 1;
        }
    }

    /// The same with ids in the body.
    async fn bodies(&mut self, asked: &Asked<'_>) {
        let (place, slots) = (asked.place(), asked.slots());
        let cases_of =
            |ids: &Ids| in_bodies(ids, &self.own.ids).into_iter().filter(|case| case.0 == place).collect::<Vec<_>>();
        let (foreign, nobodys) = (cases_of(&self.foreign.ids), cases_of(&self.nobodys));
        // A goal is added to the draft, which has none.
        let is_added = place == ("goals", "post", ADD_GOAL);
        let id = |index: usize| {
            let of = if is_added { "draft" } else { slots[index].of };
            (!slots[index].is_in_query()).then(|| self.own.ids.get(of).to_owned())
        };
        let url = format!("{}{}", asked.described.url, filled(asked.path, &slots, id));
        for ((_, foreign), (_, nobodys)) in foreign.into_iter().zip(nobodys) {
            let requests = [foreign, nobodys].map(|body| (url.clone(), Some(body.to_string())));
            self.alike(asked, place.2 == "/api/v1/tenants", requests).await;
        }
    }
}

impl Asked<'_> {
    fn place(&self) -> (&str, &str, &str) {
        (self.service, self.method, self.path)
    }

    fn slots(&self) -> Vec<Slot> {
        let parameters = self.operation.get("parameters").and_then(Value::as_array);
        let parameters = parameters.into_iter().flatten().map(|parameter| self.described.resolved(parameter));
        slots(self.path, &parameters.collect::<Vec<_>>())
    }

    /// Every field of its body that is an id has a case.
    fn sends_every_id(&self, cases: &[Case]) {
        let mut fields = Vec::new();
        if let Some(body) = self.operation.get("requestBody") {
            id_fields(self.described, &body["content"]["application/json"]["schema"], &mut fields);
        }
        for field in fields {
            let mut sent = cases.iter().filter(|case| case.0 == self.place()).map(|case| case.1.to_string());
            let is_sent = sent.any(|body| body.contains(&format!("\"{field}\":")));
            assert!(is_sent, "the walk sends no foreign {field} in the body of {:?}", self.place());
        }
    }
}

/// What is sent: nothing to an operation that takes nothing, else an empty object and each of its examples.
fn bodies(operation: &Value) -> Vec<Option<String>> {
    let Some(body) = operation.get("requestBody") else {
        return vec![None];
    };
    let examples = body["content"]["application/json"]["examples"].as_object();
    let examples = examples.into_iter().flatten().map(|(_, example)| Some(example["value"].to_string()));
    std::iter::once(Some("{}".to_owned())).chain(examples).collect()
}

/// The names of the fields of a body that are ids.
fn id_fields(described: &Described, schema: &Value, found: &mut Vec<String>) {
    let schema = described.resolved(schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if name == "id" || name.ends_with("_id") || name.ends_with("_ids") {
            found.push(name.clone());
        }
        id_fields(described, field, found);
    }
    for part in ["oneOf", "allOf", "anyOf"].iter().filter_map(|part| schema[part].as_array()).flatten() {
        id_fields(described, part, found);
    }
    if schema["items"].is_object() {
        id_fields(described, &schema["items"], found);
    }
}

/// Service, method and path.
type Place = (&'static str, &'static str, &'static str);
type Case = (Place, Value);

/// Every body with an id of somebody else in it, which is not sent to a path of his.
fn in_bodies(of: &Ids, own: &Ids) -> Vec<Case> {
    let edit = "/api/v1/workflows/{id}/goals/{goal_id}";
    let mut cases: Vec<Case> = Vec::new();
    let criteria = [
        ("tag_added", json!({"tag_id": of.get("tag")})),
        ("purchase_made", json!({"product_id": of.get("product")})),
        ("purchase_made", json!({"product_ids": [of.get("product"), own.get("product")], "min_amount": 1})),
        ("appointment_booked", json!({"calendar_id": of.get("calendar")})),
        ("appointment_booked", json!({"calendar_id": own.get("calendar"), "service_id": of.get("service")})),
        ("form_submitted", json!({"form_id": of.get("form")})),
        ("form_submitted", json!({"form_ids": [own.get("form"), of.get("form")]})),
        ("pipeline_stage_reached", json!({"stage_id": of.get("stage")})),
        ("pipeline_stage_reached", json!({"stage_id": own.get("stage"), "pipeline_id": of.get("pipeline")})),
    ];
    for (goal_type, criteria) in criteria {
        cases.push((("goals", "post", ADD_GOAL), json!({"goal_type": goal_type, "criteria": criteria})));
    }
    cases.push((("goals", "patch", edit), json!({"criteria": {"tag_id": of.get("tag")}})));
    cases.push((("goals", "post", "/api/v1/tenants"), json!({"tenant_id": of.get("tenants")})));
    let pipeline = of.get("pipeline");
    let items =
        json!([{"kind": "form", "id": of.get("form")}, {"kind": "stage", "id": "won", "pipeline_id": pipeline}]);
    cases.push((("goals", "put", "/api/v1/references"), json!({"items": items})));
    cases.push((("goals", "put", "/api/v1/references/{kind}/{ref_id}"), json!({"pipeline_id": pipeline})));
    let letter: u64 = of.get("dead-letters").parse().unwrap();
    for path in ["/api/v1/dead-letters/requeue", "/api/v1/dead-letters/discard"] {
        cases.push((("goals", "post", path), json!({"ids": [{"schema": "ingest", "id": letter}]})));
        cases.push((("goals", "post", path), json!({"filter": {"tenant_id": of.get("tenants")}})));
    }
    let path = "/api/v1/workflows/{workflow_id}/enrollments";
    cases.push((("evaluator", "post", path), json!({"contact_id": of.get("contact")})));
    let path = "/api/v1/workflows/{workflow_id}/enrollments/batch";
    cases.push((("evaluator", "post", path), json!({"enrollments": [{"contact_id": of.get("contact")}]})));
    // The event of a user who is linked by then: what follows goes last.
    let identify = json!({"user_id": of.get("user"), "contact_id": of.get("contact")});
    cases.push((("ingest", "post", "/api/v1/identify"), identify));
    let event = json!({"event_id": of.get("event"), "event_name": "page_viewed", "occurred_at": "2026-01-03T10:00:00Z",
        "contact_id": of.get("contact"), "user_id": of.get("user"), "session_id": of.get("session"),
        "project_id": of.get("project")});
    let mut elsewhere = event.clone();
    elsewhere["tenant_id"] = of.get("tenants").into();
    let defaults = json!({"project_id": of.get("project"), "user_id": of.get("user"), "events": [event]});
    for path in ["/events", "/api/v1/events"] {
        cases.push((("ingest", "post", path), defaults.clone()));
        cases.push((("ingest", "post", path), json!([elsewhere])));
    }
    cases
}
