//! Every statement is prepared as the login that runs it; the hot ones have the plan they are meant to have.

use goalpost_evaluator::store::{
    achievements, actions, configuration, due, enrollments, erasing, events, histories, judged, locks, planning,
    workflows,
};
use testkit::Database;

#[tokio::test]
async fn every_statement_can_be_prepared_by_its_login() {
    let database = Database::create().await.unwrap();
    let tenant = database.login("goalpost_evaluator").await.unwrap();
    let of_tenant: [&[&str]; 12] = [
        &achievements::STATEMENTS,
        &actions::STATEMENTS,
        &configuration::STATEMENTS[1..],
        &due::STATEMENTS[1..],
        &enrollments::STATEMENTS,
        &erasing::STATEMENTS,
        &events::STATEMENTS,
        &histories::STATEMENTS,
        &judged::STATEMENTS,
        &locks::STATEMENTS,
        &planning::STATEMENTS,
        &workflows::STATEMENTS,
    ];
    for sql in of_tenant.into_iter().flatten() {
        assert!(sql.contains("$1") || !sql.contains(" FROM evaluator."), "no tenant: {sql}");
        tenant.prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    let system = database.login("goalpost_evaluator_system").await.unwrap();
    for sql in [configuration::STATEMENTS[0], due::STATEMENTS[0]] {
        system.prepare(sql).await.unwrap();
    }
}

/// Statements are planned each time.
const ANEW: &str = planning::STATEMENTS[0];
/// They are planned once.
const ONCE: &str = planning::STATEMENTS[1];
/// They find rows by where they stand.
const PLACED: &str = planning::STATEMENTS[2];

/// A session of the service's login, as its transactions have it.
async fn session(database: &Database, planning: &str) -> tokio_postgres::Client {
    let service = database.login("goalpost_evaluator").await.unwrap();
    begin(&service, planning).await;
    service
}

async fn begin(service: &tokio_postgres::Client, planning: &str) {
    service.batch(&format!("BEGIN; {planning}; SELECT set_config('app.tenant_id', 'demo', true)")).await;
}

#[tokio::test]
async fn candidate_events_are_read_by_the_index_on_contacts_and_of_the_months_that_matter() {
    look_at_candidate_events("ANALYZE").await;
}

#[tokio::test]
async fn candidate_events_are_so_read_where_nobody_has_looked_at_the_months() {
    look_at_candidate_events("").await;
}

/// Over several months, each of which was empty when the statement was planned for good.
async fn look_at_candidate_events(before: &str) {
    let database = Database::create().await.unwrap();
    database.seed_tenant("demo").await.unwrap();
    let maintainer = database.login("goalpost_maintainer").await.unwrap();
    let months = "SELECT ingest.make_partition((now() - n * interval '1 month')::date) FROM generate_series(1, 3) AS n";
    maintainer.query(months, &[]).await.unwrap();
    let sql = database.superuser().await.unwrap();
    sql.batch(before).await;

    let service = session(&database, ONCE).await;
    let prepare = "PREPARE page (text, text[], timestamptz[], uuid[], text[], bigint) AS ";
    service.batch(&format!("{prepare}{}", events::STATEMENTS[0])).await;
    let execute = "EXECUTE page ('demo', '{c-1,c-2,c-3}', array_fill(now() - interval '10 minutes', '{3}'), \
         array_fill('00000000-0000-0000-0000-000000000000'::uuid, '{3}'), array_fill('contact.tag.added'::text, '{3}'), 200)";
    for _ in 0..6 {
        service.lines(execute).await;
    }
    let fill = "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, \
         event_name, contact_id, properties) \
         SELECT t.at, t.at, t.at, gen_random_uuid(), false, 'demo', 'contact.tag.added', 'c-' || n % 500, '{}' \
         FROM (SELECT n, now() - n * interval '2 minutes' AS at FROM generate_series(1, 60000) AS n) AS t";
    sql.execute(fill, &[]).await.unwrap();

    let plan = service.lines(&format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {execute}")).await;
    let filled =
        sql.query("SELECT DISTINCT tableoid::regclass::text FROM ingest.events_raw ORDER BY 1", &[]).await.unwrap();
    assert!(filled.len() >= 3);
    let mut left_out = 0;
    for month in filled.iter().map(|row| row.get::<_, String>(0)) {
        let month = month.trim_start_matches("ingest.");
        let scan = format!("Index Scan using {month}_tenant_id_contact_id_event_time_idx");
        let line = plan.iter().find(|line| line.contains(&scan));
        let line = line.unwrap_or_else(|| panic!("{month}: {plan:#?}"));
        left_out += usize::from(line.contains("never executed"));
    }
    assert_eq!(left_out, filled.len() - 1, "months that cannot matter are read: {plan:#?}");
}

/// Whatever a plan is made on, it looks up contacts: a kept one is right, whenever it was made.
#[tokio::test]
async fn what_is_looked_up_is_found_by_its_contacts_at_any_size() {
    let database = Database::create().await.unwrap();
    database.seed_tenant("demo").await.unwrap();
    let sql = database.superuser().await.unwrap();
    let service = session(&database, ONCE).await;
    // At some of these sizes the index on contacts has grown by a level, and others have not.
    let sizes = [0, 50, 100, 150, 200, 250, 300, 400, 600, 1_000, 2_000, 5_000, 20_000];
    for from_to in sizes.windows(2) {
        at_size(&service, from_to[0]).await;
        fill(&sql, (from_to[0] + 1, from_to[1])).await;
    }
    at_size(&service, 20_000).await;
    // Where most tenants have next to nothing, and PostgreSQL knows it.
    service.batch("COMMIT").await;
    sql.batch("TRUNCATE evaluator.enrollments, ingest.events_raw CASCADE").await;
    sql.batch(
        "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at) \
         SELECT 't-' || n, gen_random_uuid(), gen_random_uuid(), 'c-' || n, now(), now() FROM generate_series(1, 3000) AS n; \
         INSERT INTO evaluator.workflow_goal_achievements (tenant_id, id, workflow_id, enrollment_id, contact_id, goal_id, \
         goal_type, goal_version, event_id, event_name, achieved_at, recorded_at, criteria, trigger_event) \
         SELECT e.tenant_id, gen_random_uuid(), e.workflow_id, e.id, e.contact_id, gen_random_uuid(), 'tag_added', 1, \
         gen_random_uuid(), 'x', now(), now(), '{}', '{}' FROM evaluator.enrollments e; ANALYZE",
    )
    .await;
    for from_to in sizes.windows(2) {
        begin(&service, ONCE).await;
        at_size(&service, from_to[0]).await;
        service.batch("COMMIT").await;
        fill(&sql, (from_to[0] + 1, from_to[1])).await;
        sql.batch("ANALYZE").await;
    }
}

async fn fill(sql: &tokio_postgres::Client, (from, to): (i32, i32)) {
    sql.batch(&format!(
        "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at) \
         SELECT 'demo', gen_random_uuid(), '00000000-0000-0000-0000-000000000001', 'contact-of-a-shop-' || n, now(), now() \
         FROM generate_series({from}, {to}) AS n; \
         INSERT INTO evaluator.workflow_goal_achievements (tenant_id, id, workflow_id, enrollment_id, contact_id, goal_id, \
         goal_type, goal_version, event_id, event_name, achieved_at, recorded_at, criteria, trigger_event) \
         SELECT 'demo', gen_random_uuid(), e.workflow_id, e.id, e.contact_id, gen_random_uuid(), 'tag_added', 1, \
         gen_random_uuid(), 'x', now(), now(), '{{}}', '{{}}' FROM evaluator.enrollments e \
         WHERE e.tenant_id = 'demo' AND split_part(e.contact_id, '-', 5)::integer BETWEEN {from} AND {to}; \
         INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, \
         event_name, contact_id, properties) SELECT now(), now(), now(), gen_random_uuid(), false, 'demo', 'contact.tag.added', \
         'contact-of-a-shop-' || n, '{{}}' FROM generate_series({from}, {to}) AS n"
    ))
    .await;
}

/// Plans all look-ups, and sees by which indexes they go.
async fn at_size(service: &tokio_postgres::Client, size: i32) {
    let workflow = "'00000000-0000-0000-0000-000000000001'::uuid";
    let (contacts, times) = ("'{c-1,c-2}'", "array_fill(now() - interval '10 minutes', '{2}')");
    let workflows = format!("array_fill({workflow}, '{{2}}')");
    let page = format!("{contacts}, {times}, {workflows}, '{{contact.tag.added,a}}', 200");
    let pairs = format!("{workflows}, {contacts}");
    let exits = format!("now(), {workflows}, '{{\"(0,1)\",\"(0,2)\"}}', {times}");
    let histories = format!("{workflow}, {workflows}, {contacts}, {times}");
    let statements = [
        ("page (text, text[], timestamptz[], uuid[], text[], bigint)", events::STATEMENTS[0], page),
        ("lock_active (text, uuid[], text[])", judged::STATEMENTS[0], pairs.clone()),
        ("ends (text, uuid[], text[])", judged::STATEMENTS[1], pairs.clone()),
        ("of_pairs (text, uuid[], text[])", achievements::STATEMENTS[0], pairs),
        ("standing (text, uuid, text[])", enrollments::STATEMENTS[4], format!("{workflow}, {contacts}")),
        ("histories (text, uuid, uuid[], text[], timestamptz[])", histories::STATEMENTS[0], histories),
        // The last, because it is looked for in another way.
        ("exit (text, timestamptz, uuid[], text[], timestamptz[])", judged::EXIT, exits),
    ];
    let of_contact = ["enrollments_contact", "achievements_contact", "_tenant_id_contact_id_event_time_idx"];
    service.batch("DEALLOCATE ALL; SET LOCAL enable_indexscan = on; SET LOCAL enable_bitmapscan = on").await;
    for (name, statement, binds) in statements {
        if statement == judged::EXIT {
            service.batch(PLACED).await;
        }
        service.batch(&format!("PREPARE {name} AS {statement}")).await;
        let (name, _) = name.split_once(' ').unwrap();
        let plan = service.lines(&format!("EXPLAIN (COSTS OFF) EXECUTE {name} ('demo', {binds})")).await;
        let by: &[&str] = if statement == judged::EXIT { &["Tid Scan on enrollments"] } else { &of_contact };
        let scans: Vec<&String> =
            plan.iter().filter(|line| line.contains(" Scan ") && !line.contains("Function Scan")).collect();
        let looked_up = |line: &&&String| by.iter().any(|index| line.contains(index));
        assert!(scans.iter().any(|line| looked_up(&line)), "{name} at {size}: {plan:#?}");
        let others = scans.iter().find(|line| !looked_up(line) && !line.contains("Subquery Scan"));
        assert_eq!(others, None, "{name} at {size}: {plan:#?}");
    }
}

/// The lock is waited for, and what is locked is the row as it is then.
#[tokio::test]
async fn an_enrollment_is_locked_as_whoever_held_it_has_left_it() {
    let database = Database::create().await.unwrap();
    let sql = database.superuser().await.unwrap();
    sql.batch(
        "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at) \
         SELECT 'demo', gen_random_uuid(), '00000000-0000-0000-0000-000000000001', 'c-' || n, now(), now() FROM generate_series(1, 3) AS n",
    )
    .await;
    let (service, other) = (session(&database, ONCE).await, session(&database, ONCE).await);
    other
        .batch(
            "UPDATE evaluator.enrollments SET version = 7 WHERE contact_id = 'c-2'; \
             UPDATE evaluator.enrollments SET exited_at = now(), status = 'removed', exit_reason = 'removed' WHERE contact_id = 'c-3'",
        )
        .await;
    let workflow = uuid::Uuid::from_u128(1);
    let (workflows, contacts) = (vec![workflow; 3], vec!["c-1", "c-2", "c-3"]);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&"demo", &workflows, &contacts];
    let locked = service.query(judged::LOCK_ACTIVE, &params);
    let release = async {
        let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sql.query(waiting, &[]).await.unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        other.batch("COMMIT").await;
    };
    let release = tokio::time::timeout(std::time::Duration::from_secs(30), release);
    let (locked, released) = tokio::join!(locked, release);
    released.expect("the lock is waited for");
    let rows = locked.unwrap();
    let locked: Vec<(String, i32)> = rows.iter().map(|row| (row.get("contact_id"), row.get("version"))).collect();
    assert_eq!(locked, [("c-1".to_owned(), 1), ("c-2".to_owned(), 7)]);
    let moved = rows.iter().map(|row| row.get::<_, String>("place")).collect::<Vec<_>>();
    let ids = rows.iter().map(|row| row.get::<_, uuid::Uuid>("id")).collect::<Vec<_>>();
    let times = rows.iter().map(|row| row.get::<_, time::OffsetDateTime>("enrolled_at")).collect::<Vec<_>>();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] = [&"demo", &times[0], &ids, &moved, &times];
    assert_eq!(service.execute(judged::EXIT, &params).await.unwrap(), 2);
}

/// However few ended otherwise than by their goals, a page of them costs what it shows.
#[tokio::test]
async fn a_page_of_those_that_ended_is_read_by_their_index() {
    let database = Database::create().await.unwrap();
    let sql = database.superuser().await.unwrap();
    sql.batch(
        "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at, status, exited_at, exit_reason) \
         SELECT 'demo', gen_random_uuid(), '00000000-0000-0000-0000-000000000001', 'c-' || n, now(), now() - n * interval '1 s', \
         CASE WHEN n % 5000 = 0 THEN 'removed' ELSE 'active' END, CASE WHEN n % 5000 = 0 THEN now() END, \
         CASE WHEN n % 5000 = 0 THEN 'removed' END FROM generate_series(1, 20000) AS n; ANALYZE evaluator.enrollments",
    )
    .await;
    for planning in [ANEW, ONCE] {
        let service = session(&database, planning).await;
        let prepare = "PREPARE page (text, uuid, timestamptz, uuid, text, bigint) AS ";
        service.batch(&format!("{prepare}{}", enrollments::STATEMENTS[9])).await;
        let execute = "EXECUTE page ('demo', '00000000-0000-0000-0000-000000000001', NULL, NULL, 'removed', 51)";
        assert_eq!(service.lines(execute).await.len(), 4);
        let plan = service.lines(&format!("EXPLAIN (COSTS OFF) {execute}")).await;
        assert!(plan.iter().any(|line| line.contains("Scan using enrollments_ended")), "{planning}: {plan:#?}");
    }
}

/// Explaining and simulating go by the same indexes as judging, on tables of any size and none.
#[tokio::test]
async fn what_is_told_afterwards_is_read_by_index() {
    let database = Database::create().await.unwrap();
    let sql = database.superuser().await.unwrap();
    sql.batch("ANALYZE").await;
    let service = session(&database, ANEW).await;
    let workflow = "'00000000-0000-0000-0000-000000000001'::uuid";
    let statements = [
        ("page_back (text, text, timestamptz, timestamptz, uuid, text, bigint)", events::STATEMENTS[1]),
        ("histories (text, uuid, uuid[], text[], timestamptz[])", histories::STATEMENTS[0]),
        (
            "made (text, uuid, timestamptz, uuid, timestamptz, timestamptz, timestamptz, bigint)",
            histories::STATEMENTS[1],
        ),
    ];
    for (name, statement) in statements {
        service.batch(&format!("PREPARE {name} AS {statement}")).await;
    }
    let calls = [
        (
            "EXECUTE page_back ('demo', 'c-1', now() - interval '1 day', now(), gen_random_uuid(), 'x y', 51)"
                .to_owned(),
            "_tenant_id_contact_id_event_time_idx",
        ),
        (
            format!(
                "EXECUTE histories ('demo', {workflow}, array_fill(gen_random_uuid(), '{{2}}'), '{{c-1,c-2}}', array_fill(now(), '{{2}}'))"
            ),
            "enrollments_contact",
        ),
        (
            format!(
                "EXECUTE made ('demo', {workflow}, now() - interval '1 day', gen_random_uuid(), now(), NULL, NULL, 4096)"
            ),
            "enrollments_workflow",
        ),
    ];
    let fill = "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at) \
         SELECT 'demo', gen_random_uuid(), ('00000000-0000-0000-0000-00000000000' || n % 10)::uuid, 'c-' || n, t.at, t.at \
         FROM (SELECT n, now() - n * interval '1 s' AS at FROM generate_series(1, 40000) AS n) AS t; \
         INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, contact_id, \
         properties) SELECT now(), now(), now(), gen_random_uuid(), false, 'demo', 'x', 'c-' || n % 4000, '{}' \
         FROM generate_series(1, 40000) AS n";
    for (call, index) in &calls {
        service.lines(call).await;
        assert!(!index.is_empty());
    }
    sql.batch(fill).await;
    for (call, index) in calls {
        let plan = service.lines(&format!("EXPLAIN (COSTS OFF) {call}")).await;
        assert!(plan.iter().any(|line| line.contains("Index") && line.contains(index)), "{call}: {plan:#?}");
        let read_whole = |line: &&String| line.contains("Seq Scan");
        assert_eq!(plan.iter().find(read_whole), None, "{call}: {plan:#?}");
    }
}

/// However much a paused workflow holds back, and however much waits for its time.
#[tokio::test]
async fn what_is_due_is_found_without_reading_what_is_held_or_waits() {
    let database = Database::create().await.unwrap();
    for tenant in ["demo", "other"] {
        database.seed_tenant(tenant).await.unwrap();
    }
    let sql = database.superuser().await.unwrap();
    sql.batch("ANALYZE").await;
    let (service, system) =
        (session(&database, ANEW).await, database.login("goalpost_evaluator_system").await.unwrap());
    system.batch(&format!("BEGIN; {ANEW}; PREPARE sources AS {}", due::STATEMENTS[0])).await;
    service.batch(&format!("PREPARE page (text, timestamptz, uuid, bigint) AS {}", due::STATEMENTS[1])).await;
    service.batch(&format!("PREPARE held (text, timestamptz, uuid, bigint, uuid) AS {}", due::STATEMENTS[2])).await;
    let paused = "'00000000-0000-0000-0000-000000000001'";
    sql.batch(&format!(
        "INSERT INTO goals.workflows (tenant_id, id, name, status, created_by) VALUES ('demo', {paused}, 'w', 'paused', 'test'); \
         INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at) \
         SELECT t, gen_random_uuid(), {paused}, 'c-' || n, now(), now() FROM unnest('{{demo,other}}'::text[]) AS t, generate_series(1, 500) AS n; \
         INSERT INTO evaluator.scheduled_actions (tenant_id, id, enrollment_id, action_type, scheduled_at, created_at, held_by) \
         SELECT e.tenant_id, gen_random_uuid(), e.id, 'wait', now() + n * interval '1 s', now(), CASE WHEN n <= 0 THEN {paused}::uuid END \
         FROM evaluator.enrollments e, generate_series(-199, 200) AS n WHERE e.tenant_id = 'demo' OR n > 199"
    ))
    .await;
    let held: i64 = sql.query_one("SELECT count(held_by) FROM evaluator.scheduled_actions", &[]).await.unwrap().get(0);
    assert_eq!(held, 100_000);
    let calls = [
        (&system, "EXECUTE sources".to_owned(), 0),
        (&service, "EXECUTE page ('demo', NULL, NULL, 500)".to_owned(), 0),
        (&service, format!("EXECUTE held ('demo', NULL, NULL, 100, {paused})"), 100),
    ];
    for (session, call, found) in calls {
        assert_eq!(session.lines(&call).await.len(), found, "{call}");
        let plan =
            session.lines(&format!("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) {call}")).await;
        assert_eq!(plan.iter().find(|line| line.contains("Seq Scan on scheduled_actions")), None, "{call}: {plan:#?}");
        assert_eq!(plan.iter().find(|line| line.contains("Sort Key: a.")), None, "{call}: {plan:#?}");
        let pages = plan.iter().find_map(|line| line.trim().strip_prefix("Buffers: shared hit="));
        let pages: usize = pages.and_then(|text| text.split(' ').next()).unwrap().parse().unwrap();
        assert!(pages < 60 + 6 * found, "{call} looks at {pages} pages: {plan:#?}");
    }
    // What is written is looked up by key.
    sql.batch("ANALYZE evaluator.scheduled_actions").await;
    let some = "SELECT string_agg(t.id::text, ',') FROM (SELECT id FROM evaluator.scheduled_actions WHERE tenant_id = 'demo' LIMIT 20) AS t";
    let actions: String = sql.query_one(some, &[]).await.unwrap().get(0);
    let written = [
        ("announce (text, timestamptz, uuid[])", due::STATEMENTS[6], format!("now(), '{{{actions}}}'")),
        ("hold (text, uuid[], uuid[])", due::STATEMENTS[7], format!("'{{{actions}}}', '{{{actions}}}'")),
    ];
    for (name, statement, binds) in written {
        service.batch(&format!("PREPARE {name} AS {statement}")).await;
        let (name, _) = name.split_once(' ').unwrap();
        let plan = service.lines(&format!("EXPLAIN (COSTS OFF) EXECUTE {name} ('demo', {binds})")).await;
        let looked_up = |line: &String| line.contains("Index Cond: ((tenant_id = ") && line.contains("AND (id = ");
        assert!(plan.iter().any(looked_up), "{name}: {plan:#?}");
        assert!(plan.iter().any(|line| line.contains("_pkey")), "{name}: {plan:#?}");
    }
}

trait Statements {
    async fn batch(&self, sql: &str);
    async fn lines(&self, sql: &str) -> Vec<String>;
}

#[expect(clippy::disallowed_methods, reason = "a test that looks at plans")]
impl Statements for tokio_postgres::Client {
    async fn batch(&self, sql: &str) {
        self.batch_execute(sql).await.unwrap();
    }

    async fn lines(&self, sql: &str) -> Vec<String> {
        let answered = self.simple_query(sql).await.unwrap();
        answered
            .into_iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect()
    }
}
