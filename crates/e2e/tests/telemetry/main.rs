//! What the four real services tell: one trace from a request to `workflow.exit.goal`, the metrics that their READMEs promise,
//! and no alert or panel that asks for another.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod collector;
#[path = "../dev/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod dev;
mod promised;
mod queries;
mod scraped;

use std::collections::BTreeSet;
use std::time::Duration;

use bus::{Message, Subscription};
use serde_json::{Value, json};
use uuid::Uuid;

use collector::{Collector, Span};
use dev::Dev;
use scraped::Scraped;

const LIMIT: Duration = Duration::from_secs(20);

/// What is recorded of the event that takes a contact out: service and name of the span.
const PATH: [(&str, &str); 6] = [
    ("goalpost-ingest", "POST /api/v1/events"),
    ("goalpost-ingest", "store"),
    ("goalpost-ingest", "publish events.stored"),
    ("goalpost-evaluator", "judge"),
    ("goalpost-evaluator", "publish goal.achieved"),
    ("goalpost-evaluator", "publish workflow.exit.goal"),
];

/// One installation for all of it: starting one takes longer than the rest.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_services_tell() {
    let collector = Collector::start().await;
    let dev = Dev::start(&[("GOALPOST__TELEMETRY__OTLP_ENDPOINT", collector.url())]);
    one_trace_from_the_request_to_the_exit(&dev, &collector).await;

    let live = Scraped::of_all_services(&dev).await;
    live.keep_for_promtool();
    for service in scraped::SERVICES {
        promised::holds(service, &live.names(service));
    }
    queries::ask_only_for(&live.all_names());

    collector.stop();
    work_goes_on_without_a_collector(&dev).await;
}

async fn work_goes_on_without_a_collector(dev: &Dev) {
    let mut exits = exits(dev).await;
    let purchase = json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100}});
    dev.enrolled(&json!("any"), &[purchase], "another").await;
    for _ in 0..20 {
        dev.happens("page.left", "another", "{}").await;
    }
    dev.happens("payment.completed", "another", r#"{"amount": 100, "currency": "USD"}"#).await;
    let exit: Value = serde_json::from_slice(&next(&mut exits).await.body).unwrap();
    assert_eq!(exit["data"]["contact_id"], "another");
}

async fn exits(dev: &Dev) -> Subscription {
    Subscription::open(dev.text("/amqp_url"), "goalpost.workflow", "workflow.exit.goal").await.unwrap()
}

async fn one_trace_from_the_request_to_the_exit(dev: &Dev, collector: &Collector) {
    let purchase = json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100}});
    dev.enrolled(&json!("any"), &[purchase], "contact").await;
    let mut exits = exits(dev).await;
    let trace_id = Uuid::now_v7().simple().to_string();
    let sender = "00f067aa0ba902b7";
    let bought = r#"{"amount": 100, "currency": "USD"}"#;
    dev.happens("page.left", "contact", "{}").await;
    dev.happens_in(Some(&format!("00-{trace_id}-{sender}-01")), "payment.completed", "contact", bought).await;

    let exit = next(&mut exits).await;
    let fact: Value = serde_json::from_slice(&exit.body).unwrap();
    let of_trace = |text: Option<&str>| text.and_then(|text| text.split('-').nth(1)) == Some(trace_id.as_str());
    assert!(of_trace(fact["traceparent"].as_str()), "{fact}");
    assert!(of_trace(exit.traceparent.as_deref()), "{:?}", exit.traceparent);

    let spans = collector.until(&trace_id, &PATH, LIMIT).await;
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).chain([sender]).collect();
    for Span { service, name, parent, .. } in &spans {
        assert!(ids.contains(parent.as_str()), "{name} of {service} hangs in the air: {spans:#?}");
    }
    let publish = spans.iter().find(|span| span.name == "publish workflow.exit.goal").unwrap();
    assert_eq!(exit.traceparent, Some(format!("00-{trace_id}-{}-01", publish.id)), "consumers go on from the publish");
    let text = format!("{spans:?}");
    assert!(!text.contains("contact"), "no span speaks of a person: {text}");
}

async fn next(subscription: &mut Subscription) -> Message {
    let message = tokio::time::timeout(LIMIT, subscription.next()).await;
    message.expect("no exit came").expect("the subscription ended")
}
