//! Partitions are made ahead, once, with their policies, and the default partition gives its rows back.

use crate::goals;
use pg::maintain::{Report, partitions};

const STRAY: &str = "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, properties) \
     VALUES ('2031-05-10', '2031-05-10', '2031-05-10', gen_random_uuid(), false, 'a', 'x', '{}'), ('2031-05-31T23:59:59Z', now(), now(), gen_random_uuid(), false, 'b', 'x', '{}')";

#[tokio::test(flavor = "multi_thread")]
async fn stray_rows_move_into_their_month() {
    let (database, _) = goals().await;
    let superuser = database.superuser().await.unwrap();
    superuser.execute(STRAY, &[]).await.unwrap();
    let maintainer = database.login("goalpost_maintainer").await.unwrap();
    let report = partitions(&maintainer, 3).await.unwrap();
    assert_eq!(report, Report { partitions_made: vec!["2031-05-01".to_owned()], ..Report::default() });
    let moved: i64 =
        superuser.query_one("SELECT count(*) FROM ONLY ingest.events_raw_203105", &[]).await.unwrap().get(0);
    assert_eq!(moved, 2);
    let again = partitions(&maintainer, 3).await.unwrap();
    assert_eq!(again, Report::default());
    let policies = "SELECT relrowsecurity AND relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = oid) FROM pg_class WHERE oid = $1::text::regclass";
    let made = superuser.query_one(policies, &[&"ingest.events_raw_203105"]).await.unwrap();
    let parent = superuser.query_one(policies, &[&"ingest.events_raw"]).await.unwrap();
    assert!(made.get::<_, bool>(0));
    let sampled = "SELECT array_agg(attname::text) FROM pg_attribute WHERE attrelid = $1::text::regclass AND atttypid = 'jsonb'::regtype AND attstattarget IS DISTINCT FROM 0";
    for relation in ["ingest.events_raw", "ingest.events_raw_203105", "evaluator.workflow_goal_achievements"] {
        let sampled: Option<Vec<String>> = superuser.query_one(sampled, &[&relation]).await.unwrap().get(0);
        assert_eq!(sampled, None, "ANALYZE samples the JSON of {relation}");
    }
    assert_eq!(made.get::<_, i64>(1), parent.get::<_, i64>(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_forgotten_when_their_time_has_come() {
    let (database, _) = goals().await;
    let superuser = database.superuser().await.unwrap();
    for schema in ["ingest", "goals", "evaluator"] {
        // More than a batch of those of a day ago.
        let old = format!(
            "INSERT INTO {schema}.answers (tenant_id, scope, key, fingerprint, status, body, created_at) \
             SELECT 'a', s.scope, n || s.age, sha256('x'), 201, '{{}}', now() - s.age::interval FROM generate_series(1, 6000) AS n, \
             (VALUES ('POST /x', '25 h'), ('POST /x', '23 h'), ('bus', '25 h'), ('bus', '169 h')) AS s (scope, age) \
             WHERE n <= 3 OR s.age = '25 h' AND s.scope <> 'bus'"
        );
        superuser.execute(&old, &[]).await.unwrap();
    }
    let maintainer = database.login("goalpost_maintainer").await.unwrap();
    let report = partitions(&maintainer, 3).await.unwrap();
    assert_eq!(report, Report { answers_forgotten: 3 * (6_000 + 3), ..Report::default() });
    let left = "SELECT scope, (extract(epoch FROM now() - created_at) / 3600)::integer, count(*) FROM goals.answers GROUP BY 1, 2 ORDER BY 1";
    let left = superuser.query(left, &[]).await.unwrap();
    let left: Vec<(String, i32, i64)> = left.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(left, [("POST /x".to_owned(), 23, 3), ("bus".to_owned(), 25, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_at_a_time() {
    let (database, _) = goals().await;
    let other = database.login("goalpost_maintainer").await.unwrap();
    other.execute("SELECT pg_advisory_lock(hashtextextended('goalpost:maintain', 0))", &[]).await.unwrap();
    let maintainer = database.login("goalpost_maintainer").await.unwrap();
    assert!(partitions(&maintainer, 3).await.unwrap().busy);
}
