//! What nobody keeps any longer goes, and nothing else: by each tenant's policy, whole months at once, in batches, however often it is ended.

use crate::goals;
use pg::maintain::{Options, Report, partitions, run};
use std::time::Duration;
use testkit::Database;
use tokio::runtime::Handle;
use tokio_postgres::Client;

const AT_ONCE: Options = Options { months_ahead: 3, pause: Duration::ZERO, dry_run: false };

/// An event with its key: tenant, name, category, days since its receipt.
type Kept = (String, String, Option<String>, i32);

/// A database with the tenants `a` and `b` and these policies, whoever may look at everything, and the maintainer.
async fn kept_by(policies: [(&str, &str); 2]) -> (Database, Client, Client) {
    let (database, _) = goals().await;
    let superuser = database.superuser().await.unwrap();
    for (tenant, events_days) in policies {
        keep(&superuser, tenant, events_days).await;
    }
    let maintainer = database.login("goalpost_maintainer").await.unwrap();
    (database, superuser, maintainer)
}

async fn keep(superuser: &Client, tenant: &str, events_days: &str) {
    let set = "UPDATE platform.tenants SET retention = jsonb_build_object('events_days', $2::text::jsonb) WHERE tenant_id = $1";
    assert_eq!(superuser.execute(set, &[&tenant, &events_days]).await.unwrap(), 1);
}

/// Stores `count` equal events that were received so many days and a minute ago.
async fn store(superuser: &Client, (tenant, name, category): (&str, &str, Option<&str>), days: i32, count: i32) {
    let store = "WITH stored AS (INSERT INTO ingest.events_raw \
         (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, event_category, contact_id, properties) \
         SELECT now() - interval '1 minute' - $4 * interval '24 hours', now(), now(), gen_random_uuid(), false, $1, $2, $3, 'c', '{}' \
         FROM generate_series(1, $5) RETURNING received_at, event_id, tenant_id) \
         INSERT INTO ingest.event_keys (received_at, event_id, content_hash, tenant_id) SELECT received_at, event_id, 'x', tenant_id FROM stored";
    superuser.execute(store, &[&tenant, &name, &category, &f64::from(days), &count]).await.unwrap();
}

async fn left(superuser: &Client) -> Vec<Kept> {
    let events = "SELECT tenant_id, event_name, event_category, floor(extract(epoch FROM now() - received_at) / 86400)::integer \
                  FROM ingest.events_raw ORDER BY 1, 2, 3, 4";
    let rows = superuser.query(events, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
}

/// For how many days the ledger knows keys of the tenant.
async fn keys(superuser: &Client, tenant: &str) -> Vec<i32> {
    let keys = "SELECT floor(extract(epoch FROM now() - received_at) / 86400)::integer FROM ingest.event_keys WHERE tenant_id = $1 ORDER BY 1";
    superuser.query(keys, &[&tenant]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn maintained_at(superuser: &Client) -> i64 {
    superuser.query_one("SELECT last_value FROM ingest.maintained_at", &[]).await.unwrap().get(0)
}

/// The month of so many days ago.
async fn month(superuser: &Client, days: i32) -> String {
    let month = "SELECT date_trunc('month', (now() - interval '1 minute' - $1 * interval '24 hours') AT TIME ZONE 'UTC')::date::text";
    superuser.query_one(month, &[&f64::from(days)]).await.unwrap().get(0)
}

fn kept(of: &[(&str, &str, Option<&str>, i32)]) -> Vec<Kept> {
    of.iter()
        .map(|(tenant, name, category, days)| {
            ((*tenant).to_owned(), (*name).to_owned(), category.map(str::to_owned), *days)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_kept_as_long_as_its_category_and_its_key_as_long_as_any() {
    let policies = [("a", r#"{"default": 30}"#), ("b", r#"{"widget": 30, "learning": 60, "default": null}"#)];
    let (_database, superuser, maintainer) = kept_by(policies).await;
    let own = "INSERT INTO goals.event_types (tenant_id, name, schema, category, subject, browser, sampling_rate, created_by) \
               VALUES ('b', 'course.finished', '{}', 'learning', 'user', false, 1, 'test')";
    superuser.execute(own, &[]).await.unwrap();
    let all = [
        ("a", "course.finished", None, 31),
        ("a", "form.submitted", None, 29),
        ("a", "widget_seen", None, 33),
        ("b", "course.finished", None, 40),
        ("b", "course.finished", None, 60),
        ("b", "form.submitted", None, 3_000),
        ("b", "form.submitted", Some("widget"), 40),
        ("b", "widget_seen", Some("system"), 40),
        ("b", "widget_seen", None, 29),
        ("b", "widget_seen", None, 40),
    ];
    for (tenant, name, category, days) in all {
        store(&superuser, (tenant, name, category), days, 1).await;
    }
    partitions(&maintainer, 3).await.unwrap();
    superuser.execute("SELECT setval('ingest.maintained_at', 1)", &[]).await.unwrap();

    let before = left(&superuser).await;
    let said = run(&maintainer, &Options { dry_run: true, ..AT_ONCE }, |_| {}).await.unwrap();
    assert_eq!((left(&superuser).await, maintained_at(&superuser).await), (before, 1), "a dry run changes nothing");

    let done = run(&maintainer, &AT_ONCE, |_| {}).await.unwrap();
    // Which months are emptied only shows when they are.
    let partitions_dropped = done.partitions_dropped.clone();
    assert_eq!(done, Report { dry_run: false, partitions_dropped, ..said }, "and says what a run then does");
    assert_eq!(done.keys_deleted, 1);
    assert!(maintained_at(&superuser).await > 1);
    let expected = [
        ("a", "form.submitted", None, 29),
        ("b", "course.finished", None, 40),
        ("b", "form.submitted", None, 3_000),
        ("b", "widget_seen", Some("system"), 40),
        ("b", "widget_seen", None, 29),
    ];
    assert_eq!(left(&superuser).await, kept(&expected));
    assert_eq!(keys(&superuser, "a").await, [29, 31], "two days longer");
    assert_eq!(keys(&superuser, "b").await.len(), 7, "something of it is kept for ever");
    assert_eq!(run(&maintainer, &AT_ONCE, |_| {}).await.unwrap(), Report::default(), "and nothing is left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_dropped_once_everybody_in_it_allows_that_and_nobody_reads_it() {
    let (database, superuser, maintainer) = kept_by([("a", r#"{"default": 30}"#), ("b", r#"{"default": null}"#)]).await;
    store(&superuser, ("a", "x", None), 200, 1).await;
    store(&superuser, ("a", "x", None), 100, 3).await;
    store(&superuser, ("b", "x", None), 100, 1).await;
    let (only_a, of_both) = (month(&superuser, 200).await, month(&superuser, 100).await);
    let first = run(&maintainer, &AT_ONCE, |_| {}).await.unwrap();
    assert_eq!((&first.partitions_dropped, first.events_deleted, first.keys_deleted), (&vec![only_a.clone()], 3, 4));
    assert_eq!(first.partitions_made, [only_a, of_both.clone()], "from what the default partition had");
    assert_eq!(left(&superuser).await, kept(&[("b", "x", None, 100)]));

    keep(&superuser, "b", r#"{"widget": 300, "default": 30}"#).await;
    let second = run(&maintainer, &AT_ONCE, |_| {}).await.unwrap();
    assert_eq!((second.events_deleted, &second.partitions_dropped), (1, &vec![of_both]), "it was emptied");

    store(&superuser, ("b", "x", None), 100, 1).await;
    keep(&superuser, "b", r#"{"default": 30}"#).await;
    let reader = database.login("goalpost_evaluator").await.unwrap();
    reader.batch_execute("BEGIN; SET LOCAL app.tenant_id = 'b'").await.unwrap();
    let events = "SELECT count(*) FROM ingest.v_contact_events_v1 WHERE tenant_id = 'b' AND contact_id = 'c'";
    let seen = async || -> i64 { reader.query_one(events, &[]).await.unwrap().get(0) };
    partitions(&maintainer, 3).await.unwrap();
    assert_eq!(seen().await, 1);
    let locked = run(&maintainer, &AT_ONCE, |_| {}).await.unwrap();
    assert_eq!((locked.partitions_locked.len(), locked.keys_deleted, locked.is_complete()), (1, 0, false));
    assert_eq!(seen().await, 1);
    reader.batch_execute("COMMIT; BEGIN; SET LOCAL app.tenant_id = 'b'").await.unwrap();
    let dropped = run(&maintainer, &AT_ONCE, |_| {}).await.unwrap();
    assert_eq!((dropped.partitions_dropped.len(), dropped.keys_deleted), (1, 2));
    assert_eq!(seen().await, 0, "who reads goes on reading");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_told_is_not_taken() {
    let (_database, superuser, maintainer) = kept_by([("a", r#"{"default": 30}"#), ("b", r#"{"default": 30}"#)]).await;
    let waits = "INSERT INTO ingest.outbox (message_id, created_at, mandatory, tenant_id, exchange, routing_key, content_type, payload) \
                 VALUES (gen_random_uuid(), now() - interval '50 days', true, 'a', 'e', 'k', 't', 'x')";
    superuser.execute(waits, &[]).await.unwrap();
    for (tenant, days) in [("a", 40), ("a", 50), ("a", 51), ("b", 40)] {
        store(&superuser, (tenant, "x", None), days, 1).await;
    }
    run(&maintainer, &AT_ONCE, |_| {}).await.unwrap();
    assert_eq!(left(&superuser).await, kept(&[("a", "x", None, 40), ("a", "x", None, 50)]));
    assert_eq!(keys(&superuser, "a").await, [40, 50, 51]);
    superuser.execute("DELETE FROM ingest.outbox", &[]).await.unwrap();
    run(&maintainer, &AT_ONCE, |_| {}).await.unwrap();
    assert_eq!((left(&superuser).await.len(), keys(&superuser, "a").await.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_between_two_batches_leaves_the_rest_to_the_next() {
    let (database, superuser, maintainer) = kept_by([("a", r#"{"default": 30}"#), ("b", r#"{"default": null}"#)]).await;
    store(&superuser, ("a", "x", None), 100, 20_001).await;
    store(&superuser, ("b", "x", None), 100, 1).await;
    let pid: i32 = maintainer.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let kill = |_: &Report| {
        tokio::task::block_in_place(|| {
            let kill = "SELECT pg_terminate_backend($1, 5000)";
            Handle::current().block_on(superuser.execute(kill, &[&pid])).unwrap()
        });
    };
    run(&maintainer, &AT_ONCE, kill).await.unwrap_err();
    assert_eq!(left(&superuser).await.len(), 10_002, "one batch is gone");
    let maintainer = database.login("goalpost_maintainer").await.unwrap();
    let mut told = Vec::new();
    let rest =
        run(&maintainer, &AT_ONCE, |report| told.push((report.events_deleted, report.keys_deleted))).await.unwrap();
    assert_eq!((rest.events_deleted, rest.keys_deleted), (10_001, 20_001));
    assert_eq!(told[..2], [(10_000, 0), (10_001, 0)]);
    assert_eq!(told[2..], [5_000, 10_000, 15_000, 20_000, 20_001].map(|keys| (10_001, keys)));
    assert_eq!(left(&superuser).await, kept(&[("b", "x", None, 100)]));
}
