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
    assert_eq!(report, Report { busy: false, partitions_made: vec!["2031-05-01".to_owned()], default_rows: 0 });
    let moved: i64 =
        superuser.query_one("SELECT count(*) FROM ONLY ingest.events_raw_203105", &[]).await.unwrap().get(0);
    assert_eq!(moved, 2);
    let again = partitions(&maintainer, 3).await.unwrap();
    assert_eq!(again, Report::default());
    let policies = "SELECT relrowsecurity AND relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = oid) FROM pg_class WHERE oid = $1::text::regclass";
    let made = superuser.query_one(policies, &[&"ingest.events_raw_203105"]).await.unwrap();
    let parent = superuser.query_one(policies, &[&"ingest.events_raw"]).await.unwrap();
    assert!(made.get::<_, bool>(0));
    assert_eq!(made.get::<_, i64>(1), parent.get::<_, i64>(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_at_a_time() {
    let (database, _) = goals().await;
    let other = database.login("goalpost_maintainer").await.unwrap();
    other.execute("SELECT pg_advisory_lock(hashtextextended('goalpost:maintain', 0))", &[]).await.unwrap();
    let maintainer = database.login("goalpost_maintainer").await.unwrap();
    assert!(partitions(&maintainer, 3).await.unwrap().busy);
}
