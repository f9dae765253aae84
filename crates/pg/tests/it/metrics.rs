//! What waits is seen, and what is slow.

use crate::{goals, outbox, tenant};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use pg::{Error, Scope};
use uuid::Uuid;

fn metrics() -> prometheus::Registry {
    let registry = prometheus::Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).without_scope_info().build();
    let provider = SdkMeterProvider::builder().with_reader(exporter.unwrap()).build();
    opentelemetry::global::set_meter_provider(provider);
    registry
}

/// The value of a metric with these labels.
fn value(registry: &prometheus::Registry, name_and_labels: &str) -> Option<f64> {
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{name_and_labels} ")))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_seen() {
    let registry = metrics();
    let (database, db) = goals().await;
    outbox::add(&db, "a", (0..3).map(|_| Uuid::now_v7()).collect()).await.unwrap();
    let superuser = database.superuser().await.unwrap();
    superuser.execute("UPDATE goals.outbox SET created_at = created_at - interval '90 s'", &[]).await.unwrap();
    let letter = "INSERT INTO goals.dead_letters (queue, routing_key, code, cause, attempts, payload) VALUES ('q', 'k', 'c', '', 1, '')";
    superuser.execute(letter, &[]).await.unwrap();

    let seen = async {
        while value(&registry, "dead_letters_stored{schema=\"goals\"}").is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), db.clone().watch(seen)).await.unwrap();

    assert_eq!(value(&registry, "dead_letters_stored{schema=\"goals\"}"), Some(1.0));
    assert_eq!(value(&registry, "outbox_messages{schema=\"goals\"}"), Some(3.0));
    assert_eq!(value(&registry, "outbox_events{schema=\"goals\"}"), Some(21.0));
    let age = value(&registry, "outbox_age_seconds{schema=\"goals\"}").unwrap();
    assert!(age > 90.0, "{age}");
    assert_eq!(value(&registry, "db_pool_waiting{pool=\"tenant\"}"), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_statement_is_counted_under_its_transaction() {
    let registry = metrics();
    let (_database, db) = goals().await;
    for (name, sql) in [("nap", "SELECT pg_sleep(0.06)::text"), ("glance", "SELECT 'x'")] {
        db.run_tx(name, Scope::Tenant(tenant("a")), move |tx| {
            Box::pin(async move { tx.query(sql, &[]).await.map(drop) })
        })
        .await
        .unwrap_or_else(|error: Error| panic!("{error}"));
    }
    assert_eq!(value(&registry, "db_statements_slow_total{name=\"nap\"}"), Some(1.0));
    assert_eq!(
        value(&registry, "db_transaction_duration_seconds_count{name=\"glance\",outcome=\"committed\"}"),
        Some(1.0)
    );
    let took = |name: &str| value(&registry, &format!("db_statement_duration_seconds_sum{{name=\"{name}\"}}"));
    assert!(took("nap").is_some_and(|seconds| seconds >= 0.06) && took("glance").is_some());
    assert!(value(&registry, "db_pool_wait_seconds_count{pool=\"tenant\"}").is_some_and(|waits| waits >= 2.0));
}
