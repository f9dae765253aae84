//! Criterion benches of the pure parts: matching against a hash look-up, judging, and reading events and JSON.
#![allow(clippy::unwrap_used, reason = "benches")]

// The name that everybody else knows it by.
extern crate goalpost_domain as domain;

mod workload;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use domain::event::{Admission, Defaults, Event, Taxonomy};
use domain::goal::{Criteria, Directory, EnrollmentFacts, Goal, StoredEvent, judge};
use domain::ids::TenantId;
use domain::json::{Json, Limits};
use domain::privacy::{Redaction, Salt};
use domain::workflow::{GoalLogic, Workflow, WorkflowStatus};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

const EVENTS: usize = 10_000;

fn matching(c: &mut Criterion) {
    let mut group = c.benchmark_group("matching");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for goals in [100, 1_000, 10_000, 100_000] {
        let (rules, table) = (workload::rules(goals), workload::table(goals));
        let events = workload::events(EVENTS, goals);
        let mut nominated = Vec::new();
        group.bench_function(BenchmarkId::new("nominate", goals), |b| {
            b.iter(|| {
                nominated.clear();
                for event in &events {
                    rules.nominate(event.name, &event.properties, &mut nominated);
                }
                black_box(&nominated);
            });
        });
        group.bench_function(BenchmarkId::new("hash look-up", goals), |b| {
            b.iter(|| events.iter().filter(|event| table.contains_key(&event.key)).count());
        });
    }
    group.finish();
}

fn a_goal(position: i16, goal_type: &str, criteria: &str) -> Goal {
    let goal_type = goal_type.parse().unwrap();
    Goal {
        id: Uuid::from_u128(u128::try_from(position).unwrap()).into(),
        goal_type,
        criteria: Criteria::parse(goal_type, &Json::parse(criteria, &Limits::CRITERIA).unwrap()).unwrap(),
        within: None,
        position,
        version: 1,
        created_at: OffsetDateTime::UNIX_EPOCH,
        effective_from: None,
        active: true,
    }
}

/// 100 events of a contact, the last of which meets the last goal of `all`.
fn judging(c: &mut Criterion) {
    let at = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let goals = [("purchase_made", r#"{"min_amount":99.50}"#), ("tag_added", r#"{"tag_name":"vip"}"#)];
    let goals = (1_i16..).zip(goals).map(|(position, (kind, criteria))| a_goal(position, kind, criteria));
    let workflow = Workflow {
        id: Uuid::from_u128(1).into(),
        status: WorkflowStatus::Active,
        logic: GoalLogic::All,
        goals: goals.map(|goal| goal.compile(&Directory::default(), "USD")).collect(),
    };
    let facts = EnrollmentFacts {
        id: Uuid::from_u128(7).into(),
        enrolled_at: at,
        created_at: at,
        already: Vec::new(),
        catch_up: false,
        closed_before: None,
        credited: std::collections::HashSet::new(),
        active: true,
    };
    let event = |number: u128| {
        let (event_name, properties) = if number == 99 {
            ("contact.tag.added", r#"{"tag_name":"VIP"}"#.to_owned())
        } else {
            ("payment.completed", format!(r#"{{"amount":{number}.50}}"#))
        };
        let time = at + Duration::seconds(i64::try_from(number).unwrap());
        StoredEvent {
            event_id: Uuid::from_u128(number + 1).into(),
            event_name: event_name.to_owned(),
            event_time: time,
            received_at: time,
            properties: Json::parse(&properties, &Limits::WIRE).unwrap(),
        }
    };
    let events: Vec<StoredEvent> = (0..=99).chain([99]).map(event).collect();
    c.bench_function("judge/100 events", |b| b.iter(|| judge(black_box(&facts), &workflow, &events)));
}

const PROPERTIES: &str =
    r#"{"amount":49.90,"currency":"USD","product_id":"p-1234","order_id":"o-987654","quantity":2}"#;

fn reading(c: &mut Criterion) {
    let raw = format!(
        r#"{{"event_id":"0190b8a0-1234-7000-8000-000000000001","event_name":"payment.completed","occurred_at":"2026-01-03T10:00:00.123Z","contact_id":"c-1234","properties":{PROPERTIES}}}"#
    );
    let tenant = TenantId::parse("demo").unwrap();
    let defaults = Defaults::default();
    let admission = Admission {
        tenant: &tenant,
        taxonomy: Taxonomy::Open,
        own_types: &(),
        max_properties_bytes: 2_048,
        defaults: &defaults,
    };
    let mut group = c.benchmark_group("reading");
    group.throughput(Throughput::Bytes(raw.len() as u64));
    group.bench_function("Event::parse", |b| b.iter(|| Event::parse(black_box(&raw), &admission)));
    let event = Event::parse(&raw, &admission).unwrap();
    group.bench_function("Event::content_text", |b| b.iter(|| black_box(&event).content_text()));
    group.throughput(Throughput::Bytes(PROPERTIES.len() as u64));
    group.bench_function("Json::parse", |b| b.iter(|| Json::parse(black_box(PROPERTIES), &Limits::WIRE)));
    group.bench_function("Json::to_text", |b| {
        b.iter_batched_ref(|| event.properties.clone(), |json| json.to_text(), BatchSize::SmallInput);
    });
    group.finish();
}

/// What a widget sends at most: 2 KiB of properties, with nothing personal but the query of a URL.
fn of_a_widget() -> Event {
    let steps = (0..28).map(|n| {
        format!(r#"{{"step":"opened-{n}","at":"2026-01-03T10:00:{n:02}.123Z","ref":"0190b8a0-1234-7000-8000-0000000000{n:02}"}}"#)
    });
    let steps: Vec<String> = steps.collect();
    event(&format!(
        r#"{{"event_id":"0190b8a0-1234-7000-8000-000000000001","event_name":"widget_opened","occurred_at":"2026-01-03T10:00:00.123Z",
            "user_id":"u-1234","session_id":"0190b8a0-1234-7000-8000-000000000002","properties":{{"steps":[{}]}},
            "context":{{"page":{{"url":"https://shop.example/a?utm_source=news&x=1","title":"A page"}},"locale":"en"}}}}"#,
        steps.join(",")
    ))
}

fn event(raw: &str) -> Event {
    let tenant = TenantId::parse("demo").unwrap();
    let (taxonomy, max_properties_bytes) = (Taxonomy::Open, 4_096);
    let defaults = Defaults::default();
    Event::parse(
        raw,
        &Admission { tenant: &tenant, taxonomy, own_types: &(), max_properties_bytes, defaults: &defaults },
    )
    .unwrap()
}

fn redacting(c: &mut Criterion) {
    let purchase = event(
        r#"{"event_id":"0190b8a0-1234-7000-8000-000000000001","event_name":"payment.completed","occurred_at":"1997-01-12T10:00:00Z",
            "contact_id":"cdnow-00004","properties":{"amount":29.33,"quantity":2}}"#,
    );
    let personal = event(
        r#"{"event_id":"0190b8a0-1234-7000-8000-000000000001","event_name":"form.submitted","occurred_at":"2026-01-03T10:00:00Z",
            "contact_id":"ann@example.com","properties":{"form_id":"f-1","email":"ann@example.com","note":"call +49 30 123456"}}"#,
    );
    let (rules, salt) = (Redaction::default(), Salt::new(&[7; 32]).unwrap());
    let mut group = c.benchmark_group("redacting");
    for (name, event) in
        [("a CDNOW purchase", purchase), ("2 KiB of a widget", of_a_widget()), ("personal data", personal)]
    {
        group.throughput(Throughput::Bytes(event.properties.to_text().len() as u64));
        group.bench_function(name, |b| {
            let apply = |event: &mut Event| rules.apply(event, &salt, &|key| key == "form_id");
            b.iter_batched_ref(|| event.clone(), apply, BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(pure, matching, judging, reading, redacting);
criterion_main!(pure);
