//! Every statement against the migrated schema, as the role that runs it.

use goalpost_ingest::store::partitions::COVERAGE;
use goalpost_ingest::store::statements;
use testkit::Database;

#[tokio::test]
async fn every_statement_is_prepared_by_the_service_role() {
    let database = Database::create().await.unwrap();
    for (login, sql) in statements() {
        let client = database.login(login).await.unwrap();
        client.prepare(sql).await.unwrap_or_else(|error| panic!("{login}: {sql}: {error}"));
    }
}

#[tokio::test]
async fn months_count_up_to_the_first_that_has_no_partition() {
    let database = Database::create().await.unwrap();
    let system = database.login("goalpost_ingest_system").await.unwrap();
    let months = async || -> i64 { system.query_one(COVERAGE, &[]).await.unwrap().get(0) };
    let maintained = "SELECT setval('ingest.maintained_at', extract(epoch FROM now())::bigint - 7200)";
    database.login("goalpost_maintainer").await.unwrap().execute(maintained, &[]).await.unwrap();
    let age: i64 = system.query_one(COVERAGE, &[]).await.unwrap().get(2);
    assert!((7_200..9_000).contains(&age), "{age}");
    assert_eq!(months().await, 4, "this month and the three that are made ahead");
    let drop = "DO $$ BEGIN EXECUTE format('DROP TABLE ingest.%I', \
                'events_raw_' || to_char((now() AT TIME ZONE 'UTC') + interval '2 months', 'YYYYMM')); END $$";
    database.superuser().await.unwrap().execute(drop, &[]).await.unwrap();
    assert_eq!(months().await, 2);
}

#[tokio::test]
async fn the_ledger_is_read_by_its_key() {
    let database = Database::create().await.unwrap();
    database.seed_tenant("demo").await.unwrap();
    let superuser = database.superuser().await.unwrap();
    let fill = "INSERT INTO ingest.event_keys SELECT now(), gen_random_uuid(), decode(repeat('00', 16), 'hex'), 'demo' \
                FROM generate_series(1, 20000)";
    superuser.execute(fill, &[]).await.unwrap();
    superuser.execute("ANALYZE ingest.event_keys", &[]).await.unwrap();
    let client = database.login("goalpost_ingest_system").await.unwrap();
    let sql = goalpost_ingest::store::event_keys::CONTENT_HASHES
        .replace("$1::text[]", "ARRAY(SELECT 'demo' FROM generate_series(1, 20))")
        .replace("$2::uuid[]", "ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 20))");
    let rows = client.query(&format!("EXPLAIN (COSTS OFF) {sql}"), &[]).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("event_keys_pkey") && !plan.contains("Seq Scan"), "{plan}");
}
