//! The logins of analysts: `goalpost tenant add-reader`, and what they see.

use testkit::Database;
use tokio_postgres::{Client, Transaction};

use crate::operator::{connect, goalpost};

/// Makes tenants with a workflow each, of the same name.
async fn with_workflows(database: &Database, tenants: &[&str]) {
    const WORKFLOW: &str = "INSERT INTO goals.workflows (tenant_id, id, name, created_by) \
         VALUES ($1, gen_random_uuid(), $1, 'test')";
    let superuser = database.superuser().await.unwrap();
    for tenant in tenants {
        let create = ["tenant", "create", tenant, "--json"];
        goalpost(&database.superuser_url(), &create).json();
        superuser.execute(WORKFLOW, &[tenant]).await.unwrap();
    }
}

/// A tenant of this test alone: its reader's login belongs to the server.
fn own_tenant() -> String {
    format!("mine-{}", uuid::Uuid::now_v7().simple())
}

async fn workflow_names(reader: &Client) -> Vec<String> {
    let names = "SELECT workflow_name FROM reporting.goal_conversions";
    let rows = reader.query(names, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn drop_role(superuser: &Client, login: &str) {
    superuser.execute(&format!("DROP ROLE {login}"), &[]).await.unwrap();
}

#[tokio::test]
async fn a_reader_sees_one_tenant_and_writes_nothing() {
    let database = Database::create().await.unwrap();
    let tenant = own_tenant();
    with_workflows(&database, &[&tenant, "other"]).await;
    let made = goalpost(&database.superuser_url(), &["tenant", "add-reader", &tenant, "--json"]).json();

    let reader = connect(made["url"].as_str().unwrap()).await;
    assert_eq!(workflow_names(&reader).await, [tenant.as_str()]);
    reader.execute("SET app.tenant_id = 'other'", &[]).await.unwrap();
    assert_eq!(workflow_names(&reader).await, [tenant.as_str()], "whatever it SETs");

    reader.execute("SET default_transaction_read_only = off", &[]).await.unwrap();
    for forbidden in [
        "SELECT 1 FROM platform.tenants",
        "SELECT 1 FROM goals.workflows",
        "SELECT 1 FROM reporting.readers",
        "INSERT INTO reporting.readers (tenant_id, role_name) VALUES ('other', current_user)",
        "CREATE TABLE reporting.mine (x int)",
        "SET ROLE goalpost_reporting",
        "SET ROLE goalpost_owner",
    ] {
        let refused = reader.execute(forbidden, &[]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "{forbidden}: {refused}");
    }
    drop(reader);
    drop_role(&database.superuser().await.unwrap(), made["login"].as_str().unwrap()).await;
}

#[tokio::test]
async fn a_reader_is_bounded_and_made_once_by_a_superuser() {
    let database = Database::create().await.unwrap();
    let (url, tenant) = (database.superuser_url(), own_tenant());
    let bounds = ["--connections", "2", "--statement-timeout-seconds", "7", "--json"];
    let add = [&["tenant", "add-reader", &tenant][..], &bounds].concat();
    let unknown = goalpost(&url, &add);
    assert!(unknown.err.contains("goalpost tenant create"), "{}", unknown.err);
    with_workflows(&database, &[&tenant]).await;
    let powerless = goalpost(&database.url("goalpost_goals_system"), &add);
    assert!(powerless.err.contains("superuser"), "{}", powerless.err);

    let made = goalpost(&url, &add).json();
    let login = made["login"].as_str().unwrap();
    assert_eq!(login, format!("reader_{}", tenant.replace('-', "_")));
    let again = goalpost(&url, &add);
    assert!(again.err.contains("--login"), "{}", again.err);
    let reader = connect(made["url"].as_str().unwrap()).await;
    for (setting, value) in [("statement_timeout", "7s"), ("default_transaction_read_only", "on")] {
        let row = reader.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), value, "{setting}");
    }
    let superuser = database.superuser().await.unwrap();
    let limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = $1";
    let limit = superuser.query_one(limit, &[&login]).await.unwrap();
    assert_eq!(limit.get::<_, i32>(0), 2);
    drop(reader);
    drop_role(&superuser, login).await;
}

/// A transaction in which a test arranges what it then looks at.
#[expect(clippy::disallowed_methods, reason = "a superuser's, in a test")]
async fn begin(superuser: &mut Client) -> Transaction<'_> {
    superuser.transaction().await.unwrap()
}

/// What a login reads in the midst of a superuser's transaction, each row as one text.
async fn seen(tx: &Transaction<'_>, login: &str, sql: &str) -> Vec<String> {
    tx.batch_execute(&format!("SAVEPOINT look; SET LOCAL SESSION AUTHORIZATION {login}")).await.unwrap();
    let rows = tx.query(&format!("SELECT t::text FROM ({sql}) AS t"), &[]).await.unwrap();
    tx.batch_execute("ROLLBACK TO look; RELEASE look").await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// A tenant with a reader, beside another one; in the days of the first time zone of the world.
async fn tenant_with_reader(database: &Database) -> (String, String) {
    let tenant = own_tenant();
    with_workflows(database, &[&tenant, "other"]).await;
    let made = goalpost(&database.superuser_url(), &["tenant", "add-reader", &tenant, "--json"]).json();
    let zone = "UPDATE platform.tenants SET time_zone = 'Pacific/Kiritimati' WHERE tenant_id = $1";
    database.superuser().await.unwrap().execute(zone, &[&tenant]).await.unwrap();
    (tenant, made["login"].as_str().unwrap().to_owned())
}

/// Stores an event of a tenant at an instant, an expression of SQL; what has not come yet is received now.
async fn happened(tx: &Transaction<'_>, tenant: &str, name: &str, at: &str, properties: &str) {
    let insert = format!(
        "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, properties) \
         SELECT least(at, now()), at, at, gen_random_uuid(), false, '{tenant}', '{name}', '{properties}' FROM (SELECT {at} AS at) AS t"
    );
    tx.batch_execute(&insert).await.unwrap();
}

/// In one transaction, so that it is the same instant for all.
#[tokio::test]
async fn tiles_count_minutes_and_the_days_of_the_tenant() {
    let database = Database::create().await.unwrap();
    let (tenant, login) = tenant_with_reader(&database).await;
    let mut superuser = database.superuser().await.unwrap();
    let tx = begin(&mut superuser).await;

    tx.batch_execute("SAVEPOINT minutes").await.unwrap();
    const MINUTE: &str = "date_trunc('minute', now())";
    for (ago, tenant) in [
        ("0", &tenant[..]),
        ("30 minutes", &tenant),
        ("29 minutes 1 millisecond", &tenant),
        ("59 minutes", &tenant),
        ("59 minutes 1 millisecond", &tenant),
        ("30 minutes", "other"),
    ] {
        happened(&tx, tenant, "page_viewed", &format!("{MINUTE} - interval '{ago}'"), "{}").await;
    }
    let tile = "reporting.events_per_minute_last_hour";
    let past = format!("SELECT ({MINUTE} - minute)::text AS ago, events FROM {tile} WHERE events > 0 ORDER BY minute");
    assert_eq!(seen(&tx, &login, &past).await, ["(00:59:00,1)", "(00:30:00,2)", "(00:00:00,1)"]);
    let all = format!("SELECT count(*), min(tenant_id) = '{tenant}', sum(events) FROM {tile}");
    assert_eq!(seen(&tx, &login, &all).await, ["(60,t,4)"], "minutes without an event are there too");
    tx.batch_execute("ROLLBACK TO minutes").await.unwrap();

    let midnight = "date_trunc('day', now() AT TIME ZONE 'Pacific/Kiritimati') AT TIME ZONE 'Pacific/Kiritimati'";
    for (name, at, tenant) in [
        ("cta_clicked", midnight, &tenant[..]),
        ("cta_clicked", "now()", &tenant),
        ("widget_seen", "now()", &tenant),
        ("widget_seen", &format!("{midnight} - interval '1 millisecond'"), &tenant),
        ("widget_seen", &format!("{midnight} + interval '1 day'"), &tenant),
        ("widget_seen", "now()", "other"),
    ] {
        happened(&tx, tenant, name, at, "{}").await;
    }
    let today = "SELECT event_name, events FROM reporting.events_by_name_today ORDER BY 1";
    assert_eq!(seen(&tx, &login, today).await, ["(cta_clicked,2)", "(widget_seen,1)"]);
    drop(tx);
    drop_role(&superuser, &login).await;
}

#[tokio::test]
async fn conversations_and_enrollments_are_counted_once() {
    let database = Database::create().await.unwrap();
    let (tenant, login) = tenant_with_reader(&database).await;
    let mut superuser = database.superuser().await.unwrap();
    let tx = begin(&mut superuser).await;

    // Noon in Kiritimati is 22:00 UTC of the day before.
    let (noon, next) = ("timestamptz '2026-03-01 22:00Z'", "timestamptz '2026-03-02 09:59:59.999Z'");
    for (name, at, conversation) in [
        ("conversation_started", noon, "a"),
        ("conversation_started", "now()", "a"),
        ("conversation_started", next, "b"),
        ("conversation_started", next, "c"),
        ("escalation_triggered", "now()", "b"),
        ("escalation_triggered", "now()", "b"),
        ("escalation_triggered", noon, "never started"),
        ("conversation_started", "timestamptz '2026-03-02 10:00Z'", "d"),
    ] {
        happened(&tx, &tenant, name, at, &format!(r#"{{"conversationId":"{conversation}"}}"#)).await;
    }
    happened(&tx, "other", "conversation_started", noon, r#"{"conversationId":"a"}"#).await;
    let days = "SELECT day, conversations, escalated FROM reporting.conversations_per_day ORDER BY day";
    assert_eq!(seen(&tx, &login, days).await, ["(2026-03-02,3,1)", "(2026-03-03,1,0)"]);
    let rates = "SELECT day, escalation_rate FROM reporting.escalation_rate ORDER BY day";
    assert_eq!(seen(&tx, &login, rates).await, ["(2026-03-02,33.3)", "(2026-03-03,0.0)"]);

    let enrolled = "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, status, enrolled_at, created_at, exited_at, \
             goal_reached_at, exit_reason) SELECT w.tenant_id, gen_random_uuid(), w.id, s.status, s.status, now(), now(), s.exited_at, \
             s.reached_at, s.reason FROM goals.workflows w, (VALUES ('active', NULL, NULL, NULL), ('completed_goal', now(), now(), 'goal_achieved'), \
             ('removed', now(), NULL, 'removed'), ('failed', now(), NULL, 'failed'), ('completed', now(), NULL, 'completed')) \
             AS s (status, exited_at, reached_at, reason); \
         INSERT INTO goals.goals (tenant_id, id, workflow_id, goal_type, event_name, criteria, criteria_hash, position, created_by) \
             SELECT w.tenant_id, gen_random_uuid(), w.id, 'form_submitted', 'form.submitted', '{\"any_form\": true}', p::text::bytea, p, 'test' \
             FROM goals.workflows w, generate_series(1, 2) AS p; \
         INSERT INTO evaluator.workflow_goal_achievements (tenant_id, id, workflow_id, enrollment_id, contact_id, goal_id, goal_type, \
             goal_version, event_id, event_name, achieved_at, recorded_at, criteria, trigger_event) \
             SELECT e.tenant_id, gen_random_uuid(), e.workflow_id, e.id, e.contact_id, g.id, g.goal_type, 1, gen_random_uuid(), g.event_name, \
             now(), now(), '{}', '{}' FROM evaluator.enrollments e JOIN goals.goals g USING (tenant_id, workflow_id) \
             WHERE e.status = 'completed_goal' OR e.status = 'removed' AND g.position = 1";
    tx.batch_execute(enrolled).await.unwrap();
    let funnel = "SELECT workflow_name, enrolled, achieved_a_goal, exited_by_goal, active, completed, removed, failed \
                  FROM reporting.enrollment_funnel";
    assert_eq!(seen(&tx, &login, funnel).await, [format!("({tenant},5,2,1,1,1,1,1)")]);
    drop(tx);
    drop_role(&superuser, &login).await;
}

/// What others have stored costs nobody anything: no view looks at the rows of all.
#[tokio::test]
async fn a_reader_looks_at_the_rows_of_its_tenant_alone() {
    let database = Database::create().await.unwrap();
    let (_, login) = tenant_with_reader(&database).await;
    let mut superuser = database.superuser().await.unwrap();
    let tx = begin(&mut superuser).await;
    tx.batch_execute(
        "INSERT INTO platform.tenants (tenant_id, content_key) SELECT 'other-' || n, decode(repeat('00', 32), 'hex') FROM generate_series(1, 60) AS n; \
         INSERT INTO goals.workflows (tenant_id, id, name, created_by) SELECT tenant_id, gen_random_uuid(), 'w', 'test' FROM platform.tenants; \
         INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, contact_id, properties) \
             SELECT now(), at, at, gen_random_uuid(), false, t.tenant_id, 'page_viewed', 'c', '{}' FROM platform.tenants t, \
             (SELECT now() - n * interval '10 minutes' AS at FROM generate_series(1, 600) AS n) AS n; \
         INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at) \
             SELECT w.tenant_id, gen_random_uuid(), w.id, n::text, now(), now() FROM goals.workflows w, generate_series(1, 200) AS n; \
         ANALYZE ingest.events_raw, evaluator.enrollments, goals.workflows, platform.tenants",
    )
    .await
    .unwrap();
    let filled: String =
        tx.query_one("SELECT tableoid::regclass::text FROM ingest.events_raw LIMIT 1", &[]).await.unwrap().get(0);
    let filled = filled.trim_start_matches("ingest.");
    for view in [
        "events_per_minute_last_hour",
        "events_by_name_today",
        "goal_conversions",
        "goal_time_to_goal",
        "goal_achievements",
        "enrollment_funnel",
        "events_raw WHERE event_time > now() - interval '1 hour'",
        "events_raw WHERE event_name = 'cta_clicked'",
        "events_raw WHERE contact_id = 'd'",
    ] {
        tx.batch_execute(&format!("SAVEPOINT look; SET LOCAL SESSION AUTHORIZATION {login}")).await.unwrap();
        let rows = tx.query(&format!("EXPLAIN SELECT * FROM reporting.{view}"), &[]).await.unwrap();
        tx.batch_execute("ROLLBACK TO look; RELEASE look").await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let of_all =
            |line: &String| [filled, "enrollments"].iter().any(|table| line.contains(&format!("Seq Scan on {table} ")));
        assert!(!plan.iter().any(of_all), "{view}: {}", plan.join("\n"));
    }
    drop(tx);
    drop_role(&superuser, &login).await;
}

/// The page says of every view what it has, and what it tells to type works.
#[tokio::test]
async fn the_page_for_analysts_has_every_view_and_its_columns() {
    const PAGE: &str = include_str!("../../../../docs/analysts.md");
    let database = Database::create().await.unwrap();
    let (_, login) = tenant_with_reader(&database).await;
    let mut superuser = database.superuser().await.unwrap();
    let columns = "SELECT c.relname::text, string_agg(a.attname, ' ') FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
                   WHERE c.relnamespace = 'reporting'::regnamespace AND c.relkind = 'v' GROUP BY 1";
    let views = superuser.query(columns, &[]).await.unwrap();
    assert_eq!(views.len(), 9);
    for view in views {
        let (name, columns): (String, String) = (view.get(0), view.get(1));
        let line = PAGE.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let line = line.unwrap_or_else(|| panic!("{name} is not on the page"));
        for column in columns.split(' ').filter(|column| *column != "tenant_id") {
            assert!(line.contains(&format!("`{column}`")), "{name}: {column} is not in {line}");
        }
    }
    let tx = begin(&mut superuser).await;
    let queries: Vec<&str> =
        PAGE.split("```sql\n").skip(1).map(|block| block.split(";\n```").next().unwrap()).collect();
    assert_eq!(queries.len(), 3);
    for query in queries {
        seen(&tx, &login, query).await;
    }
    drop(tx);
    drop_role(&superuser, &login).await;
}
