//! The newest events: in which order, of whom, and by which index.

use crate::service::Service;
use domain::ids::ContactId;
use domain::privacy::Salt;
use goalpost_analytics::store::feed::STATEMENTS;
use serde_json::{Value, json};
use uuid::Uuid;

const PATH: &str = "/api/v1/analytics/feed";
const NOON: &str = "2026-01-05T12:00:00Z";

impl Service {
    /// Without a limit of requests: tests ask more than people.
    async fn unlimited() -> Self {
        Self::start_with(&[("GOALPOST__HTTP__RATE_LIMIT__PER_MINUTE", "0")]).await
    }

    /// Stores an event of a tenant, so many seconds after noon.
    async fn event(&self, tenant: &str, name: &str, seconds: f64, contact: Option<&str>) -> Uuid {
        let id = Uuid::now_v7();
        let insert = "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, \
                      contact_id, properties) SELECT t.at + interval '1 s', t.at, t.at - interval '1 min', $1, false, $2, $3, \
                      $4, '{\"amount\": 100.00}' FROM (SELECT timestamptz '2026-01-05T12:00:00Z' + $5::float8 * interval '1 s' AS at) AS t";
        self.superuser.execute(insert, &[&id, &tenant, &name, &contact, &seconds]).await.unwrap();
        id
    }

    async fn feed(&self, path: &str) -> Value {
        let (status, body) = self.get(path, &self.tenant.viewer_key).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The ids of what a query gives.
    async fn fed(&self, path: &str) -> Vec<Uuid> {
        ids(&self.feed(path).await)
    }
}

fn ids(body: &Value) -> Vec<Uuid> {
    let items = body["items"].as_array().unwrap().iter();
    items.map(|item| item["event_id"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_come_first_and_pages_follow_each_other() {
    let service = Service::unlimited().await;
    let mut events = Vec::new();
    // Ids ascend, so of the same time the later stored one comes first.
    for seconds in [0.0, 10.0, 10.0, 10.0, 20.0] {
        events.push(service.event("a", "page_viewed", seconds, None).await);
    }
    service.event("b", "page_viewed", 5.0, None).await;
    events.reverse();
    assert_eq!(service.fed(PATH).await, events);
    for limit in 1..=4 {
        let (mut seen, mut path) = (Vec::new(), format!("{PATH}?limit={limit}"));
        loop {
            let page = service.feed(&path).await;
            assert!(ids(&page).len() <= limit);
            seen.extend(ids(&page));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("{PATH}?limit={limit}&cursor={cursor}");
        }
        assert_eq!(seen, events, "{limit} at a time");
    }
    let newest = &service.feed(&format!("{PATH}?limit=1")).await["items"][0];
    assert_eq!(
        *newest,
        json!({"event_id": events[0], "event_name": "page_viewed", "event_category": null, "event_time": "2026-01-05T12:00:20Z",
            "occurred_at": "2026-01-05T11:59:20Z", "received_at": "2026-01-05T12:00:21Z", "project_id": null, "user_id": null,
            "contact_id": null, "session_id": null, "properties": {"amount": 100.00}, "context": null})
    );
    let text = service.text(&format!("{PATH}?limit=1")).await;
    assert!(text.contains(r#""amount": 100.00"#), "numbers stay as they were sent: {text}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_narrowed_by_name_contact_and_time() {
    let service = Service::unlimited().await;
    let salt: Vec<u8> = service
        .superuser
        .query_one("SELECT id_salt FROM platform.tenants WHERE tenant_id = 'a'", &[])
        .await
        .unwrap()
        .get(0);
    let ann: ContactId = "Ann@Example.com".parse().unwrap();
    let pseudonym = Salt::new(&salt).unwrap().contact_id(&ann).into_owned();
    let bought = service.event("a", "payment.completed", 0.0, Some("c-1")).await;
    let seen = service.event("a", "page_viewed", 1.0, Some("c-1")).await;
    let by_ann = service.event("a", "page_viewed", 2.0, Some(pseudonym.as_str())).await;
    let nobodys = service.event("a", "page_viewed", 3.0, None).await;
    service.event("b", "payment.completed", 0.0, Some("c-1")).await;
    for (query, expected) in [
        ("event_name=payment.completed", vec![bought]),
        ("event_name=page_viewed", vec![nobodys, by_ann, seen]),
        ("event_name=never_sent", vec![]),
        ("contact_id=c-1", vec![seen, bought]),
        ("contact_id=c-1&event_name=page_viewed", vec![seen]),
        ("contact_id=%20ann%40example.com", vec![by_ann]),
        (&format!("from={NOON}&to=2026-01-05T12:00:02Z"), vec![seen, bought]),
        ("from=2026-01-05T12:00:01Z&event_name=page_viewed&to=2026-01-05T12:00:03Z", vec![by_ann, seen]),
    ] {
        assert_eq!(service.fed(&format!("{PATH}?{query}")).await, expected, "{query}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_told_and_others_see_only_their_own() {
    let service = Service::unlimited().await;
    let own = service.event("a", "page_viewed", 0.0, None).await;
    let other = service.database.seed_tenant("b").await.unwrap();
    let (status, body) = service.get(PATH, &other.viewer_key).await;
    assert_eq!((status, ids(&body)), (200, Vec::new()));
    let place = web::Cursor::new(time::OffsetDateTime::now_utc(), Uuid::max()).encode();
    assert_eq!(ids(&service.get(&format!("{PATH}?cursor={place}"), &other.viewer_key).await.1), Vec::<Uuid>::new());
    assert_eq!(service.fed(&format!("{PATH}?cursor={place}")).await, [own], "a place, not an object");
    for (path, code) in [
        (format!("{PATH}?event_name=Page%20Viewed"), "invalid_event_name"),
        (format!("{PATH}?event_name=a%00"), "invalid_event_name"),
        (format!("{PATH}?contact_id=a%00"), "invalid_query"),
        (format!("{PATH}?contact_id="), "invalid_query"),
        (format!("{PATH}?from=yesterday"), "invalid_timestamp"),
        (format!("{PATH}?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z"), "invalid_value"),
        (format!("{PATH}?name=page_viewed"), "invalid_query"),
        (format!("{PATH}?limit=201"), "invalid_limit"),
        (format!("{PATH}?cursor=AAAAAAAAAAB4"), "invalid_cursor"),
    ] {
        let (status, body) = service.get(&path, &service.tenant.viewer_key).await;
        assert_eq!((status, body["code"].as_str().unwrap()), (400, code), "{path}: {body}");
    }
    for (key, expected) in [("gpk_nonsense", 401), (service.tenant.write_token.as_str(), 401)] {
        assert_eq!(service.get(PATH, key).await.0, expected);
    }
    service.stop().await;
}

/// A page costs what it shows, not what is stored: each statement goes down one index of each month, and stops when the page is full.
#[tokio::test]
async fn a_page_is_read_by_an_index_in_its_order() {
    let database = testkit::Database::create().await.unwrap();
    database.seed_tenant("a").await.unwrap();
    let superuser = database.superuser().await.unwrap();
    let fill = "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, \
                    contact_id, properties) SELECT now(), t.at, t.at, gen_random_uuid(), false, CASE WHEN n % 3 = 0 THEN 'b' ELSE 'a' END, \
                    'name_' || n % 10, 'c-' || n % 100, '{}' \
                    FROM (SELECT n, now() - n * interval '1 minute' AS at FROM generate_series(1, 30000) AS n) AS t; \
                ANALYZE ingest.events_raw";
    superuser.batch_execute(fill).await.unwrap();
    let filled = "SELECT tableoid::regclass::text FROM ingest.events_raw LIMIT 1";
    let filled: String = superuser.query_one(filled, &[]).await.unwrap().get(0);
    let filled = filled.trim_start_matches("ingest.");
    let indexes =
        ["event_time_idx", "event_name_event_time_idx", "contact_id_event_time_idx", "contact_id_event_time_idx"];
    for mode in ["auto", "force_generic_plan"] {
        for ((sql, index), more) in
            STATEMENTS.iter().zip(indexes).zip(["", ", 'name_1'", ", 'c-1'", ", 'c-1', 'name_1'"])
        {
            let types = ", text".repeat(more.matches(',').count());
            let service = database.login("goalpost_analytics").await.unwrap();
            let prepare = format!(
                "BEGIN; SET LOCAL plan_cache_mode = {mode}; SELECT set_config('app.tenant_id', 'a', true); \
                 PREPARE page (text, timestamptz, timestamptz, timestamptz, uuid, bigint{types}) AS {sql}"
            );
            service.batch_execute(&prepare).await.unwrap();
            let explain = format!(
                "EXPLAIN EXECUTE page ('a', NULL, NULL, now() - interval '1 day', gen_random_uuid(), 51{more})"
            );
            let rows = service.query(&explain, &[]).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            let scan = format!(" using {filled}_tenant_id_{index} ");
            let sorts = plan.iter().any(|line| line.trim_start().starts_with("->  Sort "));
            // What a contact did under one name is little: it may be fetched first and sorted then.
            let is_little = more.contains("'name_1'") && more.contains("'c-1'");
            let is_in_order = plan.iter().any(|line| line.contains(&scan)) && !sorts;
            let reads_all = plan.iter().any(|line| line.contains(&format!("Seq Scan on {filled} ")));
            assert!(is_in_order || is_little && !reads_all, "{mode}, {scan}: {plan:#?}");
        }
    }
}
