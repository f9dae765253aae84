//! Every route but those of analytics, `simulate` and `erase` (which waits for all services), one request after the other, while events are stored and judged. Which routes
//! there are, the documents of the services say.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use load::generator::{Pace, Percentiles, histogram};
use load::http::client;
use load::scenario::Scenario;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio_postgres::Client as Database;
use uuid::Uuid;

use crate::Times;
use crate::report::Row;
use crate::run::{Shape, run};
use crate::stand::Stand;
use crate::statements::Statements;
use crate::store;

const BACKGROUND: f64 = 1_000.0;
const LONGEST: Duration = Duration::from_secs(15);

/// The p95 of each route.
pub async fn api(stand: &Stand, times: Times) -> anyhow::Result<Row> {
    let lasts = times.load.min(LONGEST);
    let mut row = Row::new(
        "api",
        "every route but those of analytics, simulate and erase, one request at a time, while 1,000 events/s are stored and 5 % of them end an enrollment",
    );
    let enrollments = Shape::enough(BACKGROUND * lasts.as_secs_f64() * 0.05);
    let scenario = Scenario { tenants: 1, workflows: 10, enrollments };
    store::prepare(&stand.database, stand.tenants(1), scenario).await?;
    let shape = Shape::new(scenario, Pace::Open { events_per_second: BACKGROUND }, lasts).matching(5);
    let mut caller = Caller::new(stand)?;
    let before = caller.statements(stand).await?;
    let calls = async {
        let began = Instant::now();
        let mut round = 0;
        while began.elapsed() < lasts {
            caller.round(round).await?;
            round += 1;
        }
        anyhow::Ok(())
    };
    // The exits of the callers' own contacts are none: no event is theirs.
    let (outcome, calls) = tokio::join!(run(stand, &shape), calls);
    calls?;
    let not_asked = caller.not_asked().await?;
    let statements = caller.statements(stand).await?.since(&before);
    let outcome = outcome?;
    row.faults.extend(outcome.faults);
    let events = Percentiles::from(&outcome.sending.latency);
    let mut each: Vec<(String, Percentiles, u64)> =
        caller.took.iter().map(|(route, of)| (route.clone(), Percentiles::from(of), of.len())).collect();
    each.push(("POST /events (100)".to_owned(), events, outcome.sending.latency.len()));
    each.sort_by(|a, b| b.1.p95_ms.total_cmp(&a.1.p95_ms));
    let (all, of_goals) = (each.len(), each.iter().filter(|(route, ..)| is_of_goals(route)).count());
    if let Some((route, worst, _)) = each.iter().find(|(route, ..)| is_of_goals(route)) {
        row.at_most(format!("the slowest of {of_goals} routes of goals, p95 ({route})"), worst.p95_ms, "ms", 20.0);
    }
    if let Some((route, worst, _)) = each.first() {
        row.at_most(format!("the slowest of {all} routes, p95 ({route})"), worst.p95_ms, "ms", 20.0);
    }
    let statements = statements.p95_ms();
    if let Some((transaction, worst, _)) = statements.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
        row.at_most(format!("the slowest statement, p95 (in {transaction})"), *worst, "ms", 5.0);
    }
    for route in not_asked {
        row.at_most(format!("asked for nothing: {route}"), 1.0, "route", 0.0);
    }
    let told = |(route, of, count): (String, Percentiles, u64)| (route, json!({"calls": count, "ms": of}));
    row.details = Value::Object(each.into_iter().map(told).collect());
    let told = |(name, ms, count): &(&str, f64, f64)| ((*name).to_owned(), json!({"statements": count, "p95_ms": ms}));
    row.details["statements by transaction"] = Value::Object(statements.iter().map(told).collect());
    Ok(row)
}

/// What the routes of ingest have in them.
const OF_INGEST: [&str; 3] = ["identify", "users", "erasures"];

/// Whether a route, with or without its method, is of the configuration API.
fn is_of_goals(route: &str) -> bool {
    let of_others = ["enrollments", "actions", "achievements", "recheck", "events"];
    !route.split(['/', '?', ' ']).any(|part| of_others.contains(&part) || OF_INGEST.contains(&part))
}

/// Whether the path of a document is that of a route as it is asked: `/references/{kind}/{ref_id}`, `/references/product/{}`.
fn is_path_of(path: &str, route: &str) -> bool {
    let asked = route.split('?').next().unwrap_or_default();
    let (described, asked) = (path.split('/'), asked.split('/'));
    described.clone().count() == asked.clone().count()
        && described.zip(asked).all(|(part, asked)| part == asked || part.starts_with('{') && !asked.is_empty())
}

struct Caller<'s> {
    database: &'s Database,
    http: Client,
    goals: String,
    evaluator: String,
    ingest: String,
    tenant: String,
    key: String,
    operator: String,
    /// Tells the tenants that this run makes from another's.
    run: Uuid,
    took: BTreeMap<String, Histogram<u64>>,
}

impl<'s> Caller<'s> {
    fn new(stand: &'s Stand) -> anyhow::Result<Self> {
        let tenant = &stand.tenants[0];
        Ok(Self {
            database: &stand.database,
            http: client()?,
            goals: stand.place.services.goals.url.clone(),
            evaluator: stand.place.services.evaluator.url.clone(),
            ingest: stand.place.services.ingest.url.clone(),
            tenant: tenant.id.to_string(),
            key: tenant.api_key.clone(),
            operator: stand.place.operator_key.clone(),
            run: Uuid::now_v7(),
            took: BTreeMap::new(),
        })
    }

    /// One request; `route` is written with `{}` for each of `ids`.
    async fn ask(&mut self, call: (Method, &str, &[&str]), body: Option<Value>) -> anyhow::Result<Value> {
        let named = format!("{} {}", call.0, call.1);
        let (answer, us) = self.send(call, body).await?;
        self.took.entry(named).or_insert_with(histogram).saturating_record(us.max(1));
        Ok(answer)
    }

    /// The answer to a request, and after how many microseconds.
    async fn send(&self, call: (Method, &str, &[&str]), body: Option<Value>) -> anyhow::Result<(Value, u64)> {
        let (method, route, ids) = call;
        let is_of_ingest = route.split('/').any(|part| OF_INGEST.contains(&part));
        let base = match is_of_goals(route) {
            true => &self.goals,
            false if is_of_ingest => &self.ingest,
            false => &self.evaluator,
        };
        let is_operators = route.starts_with("/tenants") || route.starts_with("/dead-letters");
        let secret = if is_operators { &self.operator } else { &self.key };
        let path = ids.iter().fold(route.to_owned(), |path, id| path.replacen("{}", id, 1));
        let request = self.http.request(method.clone(), format!("{base}/api/v1{path}")).bearer_auth(secret);
        let request = match body {
            Some(body) => request.json(&body),
            None if method == Method::POST => request.json(&json!({})),
            None => request,
        };
        let began = Instant::now();
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        let us = u64::try_from(began.elapsed().as_micros())?;
        ensure!(status.is_success(), "{method} {path}: {status} {text}");
        let answer = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
        Ok((answer, us))
    }

    /// Every route once, in the order in which a workflow lives.
    async fn round(&mut self, number: u64) -> anyhow::Result<()> {
        self.operators(number).await?;
        let (workflow, goal) = self.configured(number).await?;
        self.enrolled(&workflow, number).await?;
        let workflow = workflow.as_str();
        self.ask((Method::POST, "/workflows/{}/recheck", &[workflow]), None).await?;
        self.ask((Method::POST, "/workflows/{}/pause", &[workflow]), None).await?;
        self.ask((Method::POST, "/workflows/{}/deactivate", &[workflow]), None).await?;
        self.ask((Method::DELETE, "/workflows/{}/goals/{}", &[workflow, &goal]), None).await?;
        self.ask((Method::GET, "/audit?limit=50", &[]), None).await?;
        self.people(number).await
    }

    async fn people(&mut self, number: u64) -> anyhow::Result<()> {
        let (user, contact) = (format!("visitor-{number}"), format!("api-{number}-0"));
        let link = json!({"user_id": user, "contact_id": contact});
        self.ask((Method::POST, "/identify", &[]), Some(link)).await?;
        self.ask((Method::POST, "/users/{}/export?limit=50", &[&contact]), None).await?;
        self.ask((Method::DELETE, "/identify/{}", &[&user]), None).await?;
        let (receipt, _) = self.send((Method::POST, "/users/{}/erase", &[&contact]), None).await?;
        self.ask((Method::GET, "/erasures/{}", &[&text(&receipt, "request_id")?]), None).await?;
        Ok(())
    }

    /// What the services have said of their statements so far.
    async fn statements(&self, stand: &Stand) -> anyhow::Result<Statements> {
        let services = &stand.place.services;
        Statements::read(&self.http, &[&services.goals.admin_url, &services.evaluator.admin_url]).await
    }

    /// What the documents of goals, the evaluator and ingest have, `simulate`, `erase` and the door for events apart, and was not asked for.
    async fn not_asked(&self) -> anyhow::Result<Vec<String>> {
        let mut missing = Vec::new();
        let apart = ["/simulate", "/erase", "/events"];
        for base in [&self.goals, &self.evaluator, &self.ingest] {
            let document: Value = self.http.get(format!("{base}/openapi.json")).send().await?.json().await?;
            for (path, item) in document["paths"].as_object().into_iter().flatten() {
                let Some(path) =
                    path.strip_prefix("/api/v1").filter(|path| !apart.iter().any(|end| path.ends_with(end)))
                else {
                    continue;
                };
                for method in item.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase()) {
                    let asked = |route: &String| {
                        route.split_once(' ').is_some_and(|(of, route)| of == method && is_path_of(path, route))
                    };
                    if !self.took.keys().any(asked) {
                        missing.push(format!("{method} {path}"));
                    }
                }
            }
        }
        Ok(missing)
    }

    async fn operators(&mut self, number: u64) -> anyhow::Result<()> {
        self.letters().await?;
        let new = json!({"tenant_id": format!("api-{}-{number}", self.run)});
        self.ask((Method::POST, "/tenants", &[]), Some(new)).await?;
        let tenant = self.tenant.clone();
        let one: [&str; 1] = [&tenant];
        self.ask((Method::GET, "/tenants/{}", &one), None).await?;
        self.ask((Method::PATCH, "/tenants/{}", &one), Some(json!({"name": format!("Round {number}")}))).await?;
        let kinds = [
            ("/tenants/{}/write-tokens", json!({"kind": "server"})),
            ("/tenants/{}/api-keys", json!({"role": "viewer"})),
        ];
        for (route, body) in kinds {
            let made = self.ask((Method::POST, route, &one), Some(body)).await?;
            self.ask((Method::GET, route, &one), None).await?;
            let id = text(&made, "id")?;
            self.ask((Method::DELETE, &format!("{route}/{{}}"), &[&tenant, &id]), None).await?;
        }
        Ok(())
    }

    /// Nothing consumes what dies of goals here, so it is thrown away and not given again.
    async fn letters(&mut self) -> anyhow::Result<()> {
        let number = store::keep_letter(self.database, &self.tenant).await?;
        self.ask((Method::GET, "/dead-letters?limit=50", &[]), None).await?;
        self.ask((Method::GET, "/dead-letters/goals/{}", &[&number.to_string()]), None).await?;
        let mut which = json!({"ids": [{"schema": "goals", "id": number}], "dry_run": true});
        self.ask((Method::POST, "/dead-letters/requeue", &[]), Some(which.clone())).await?;
        which["dry_run"] = false.into();
        self.ask((Method::POST, "/dead-letters/discard", &[]), Some(which)).await?;
        Ok(())
    }

    async fn configured(&mut self, number: u64) -> anyhow::Result<(String, String)> {
        let made = self.ask((Method::POST, "/workflows", &[]), Some(json!({"name": format!("Api {number}")}))).await?;
        let workflow = text(&made, "id")?;
        let one: [&str; 1] = [&workflow];
        self.ask((Method::GET, "/workflows?limit=50", &[]), None).await?;
        self.ask((Method::GET, "/workflows/{}", &one), None).await?;
        self.ask((Method::PATCH, "/workflows/{}", &one), Some(json!({"name": "Another name"}))).await?;
        let product = format!("api-{number}");
        let items = json!({"items": [{"kind": "product", "id": product}, {"kind": "form", "id": product}]});
        self.ask((Method::PUT, "/references", &[]), Some(items)).await?;
        self.ask((Method::PUT, "/references/product/{}", &[&product]), Some(json!({"name": "A product"}))).await?;
        self.ask((Method::GET, "/references/product/{}", &[&product]), None).await?;
        self.ask((Method::GET, "/references?kind=product&limit=50", &[]), None).await?;
        let event_type = format!("api.n{number}");
        let schema = json!({"schema": {"type": "object", "properties": {"grade": {"type": "integer"}}}});
        self.ask((Method::PUT, "/event-types/{}", &[&event_type]), Some(schema)).await?;
        self.ask((Method::GET, "/event-types/{}", &[&event_type]), None).await?;
        self.ask((Method::GET, "/event-types?limit=50", &[]), None).await?;
        self.ask((Method::DELETE, "/event-types/{}", &[&event_type]), None).await?;
        let goal = json!({"goal_type": "purchase_made", "criteria": {"product_ids": [product]}});
        let made = self.ask((Method::POST, "/workflows/{}/goals", &one), Some(goal)).await?;
        let goal = text(&made, "id")?;
        self.ask((Method::GET, "/workflows/{}/goals", &one), None).await?;
        self.ask((Method::GET, "/workflows/{}/goals/{}", &[&workflow, &goal]), None).await?;
        self.ask((Method::PATCH, "/workflows/{}/goals/{}", &[&workflow, &goal]), Some(json!({"within": "7d"}))).await?;
        self.ask((Method::POST, "/workflows/{}/activate", &one), None).await?;
        self.ask((Method::GET, "/workflows/{}/listeners", &one), None).await?;
        self.ask((Method::GET, "/listeners?limit=50", &[]), None).await?;
        self.ask((Method::DELETE, "/references/form/{}", &[&product]), None).await?;
        Ok((workflow, goal))
    }

    async fn enrolled(&mut self, workflow: &str, number: u64) -> anyhow::Result<()> {
        let contact = json!({"contact_id": format!("api-{number}")});
        let made = self.ask((Method::POST, "/workflows/{}/enrollments", &[workflow]), Some(contact)).await?;
        let enrollment = text(&made, "id")?;
        let contacts: Vec<Value> = (0..100).map(|at| json!({"contact_id": format!("api-{number}-{at}")})).collect();
        let batch = json!({"enrollments": contacts});
        self.ask((Method::POST, "/workflows/{}/enrollments/batch", &[workflow]), Some(batch)).await?;
        self.ask((Method::GET, "/workflows/{}/enrollments?limit=50", &[workflow]), None).await?;
        let one: [&str; 1] = [&enrollment];
        self.ask((Method::GET, "/enrollments/{}", &one), None).await?;
        self.ask((Method::GET, "/enrollments/{}/explain", &one), None).await?;
        let action = json!({"action_type": "email", "scheduled_at": "2026-01-01T00:00:00Z"});
        let made = self.ask((Method::POST, "/enrollments/{}/actions", &one), Some(action)).await?;
        let action = text(&made, "id")?;
        self.ask((Method::GET, "/enrollments/{}/actions", &one), None).await?;
        self.ask((Method::POST, "/actions/{}/start", &[&action]), None).await?;
        self.ask((Method::POST, "/actions/{}/finish", &[&action]), Some(json!({"status": "done"}))).await?;
        self.ask((Method::POST, "/enrollments/{}/end", &one), Some(json!({"status": "removed"}))).await?;
        self.ask((Method::GET, "/workflows/{}/achievements?limit=50", &[workflow]), None).await?;
        Ok(())
    }
}

fn text(value: &Value, key: &str) -> anyhow::Result<String> {
    value[key].as_str().map(str::to_owned).with_context(|| format!("no {key} in {value}"))
}
