//! Dead letters, as operators see and settle them over HTTP. That a requeued one is judged is tested where all services run:
//! `crates/cli/tests`.

use crate::audit::BROKEN;
use crate::harness::{Service, each};
use futures_util::future::join_all;
use serde_json::{Value, json};

const LIST: &str = "/api/v1/dead-letters";
const SECRET: &str = "ann@example.com";

/// Keeps letters, as services do: three of ingest (of `a`, of a tenant that is not here, of nobody) and two of the evaluator, of `a`
/// and `b`, a day apart each.
async fn kept() -> Service {
    let service = Service::start().await;
    for (day, schema, tenant, queue, code) in [
        (1, "ingest", "'a'", "ingest.domain", "missing_field"),
        (2, "ingest", "'late'", "ingest.domain", "unknown_tenant"),
        (3, "ingest", "NULL", "ingest.domain", "malformed_json"),
        (4, "evaluator", "'a'", "evaluator.commands", "malformed_message"),
        (5, "evaluator", "'b'", "evaluator.events", "panicked"),
    ] {
        let payload = json!({"tenant_id": "x", "properties": {"mail": SECRET}, SECRET: 1});
        let statement = format!(
            "INSERT INTO {schema}.dead_letters (tenant_id, queue, routing_key, code, cause, attempts, payload, last_seen_at)
             VALUES ({tenant}, '{queue}', 'k', '{code}', 'cannot take {SECRET}', 1, convert_to('{payload}', 'UTF8'),
             '2026-01-0{day}T00:00:00Z')"
        );
        service.execute(&statement).await;
    }
    service
}

/// As `evaluator/1`.
fn names(letters: &[Value]) -> Vec<String> {
    letters.iter().map(|it| format!("{}/{}", it["schema"].as_str().unwrap(), it["id"])).collect()
}

fn items(said: &Value) -> Vec<String> {
    names(said["items"].as_array().unwrap())
}

async fn waiting(service: &Service) -> (i64, i64) {
    let letters = service.number("SELECT count(*) FROM platform.v_dead_letters").await;
    let outboxes = "SELECT (SELECT count(*) FROM ingest.outbox) + (SELECT count(*) FROM evaluator.outbox)";
    (letters, service.number(outboxes).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_listed_in_pages_and_filtered() {
    let service = kept().await;
    let operator = service.operator();
    let all = ["evaluator/2", "evaluator/1", "ingest/3", "ingest/2", "ingest/1"];
    for limit in [1, 2, 200] {
        assert_eq!(names(&operator.walk(LIST, limit).await), all, "{limit} a page");
    }
    // Of one moment, and still each once.
    service.execute("UPDATE ingest.dead_letters SET last_seen_at = '2026-01-04T00:00:00Z'").await;
    let of_one_moment = ["evaluator/2", "ingest/3", "ingest/2", "ingest/1", "evaluator/1"];
    assert_eq!(names(&operator.walk(LIST, 1).await), of_one_moment);
    for (query, indices) in [
        ("schema=evaluator", vec![0, 4]),
        ("queue=ingest.domain&code=unknown_tenant", vec![2]),
        ("tenant_id=a", vec![3, 4]),
        ("from=2026-01-05T00:00:00Z", vec![0]),
        ("to=2026-01-05T01:00:00%2B01:00", vec![1, 2, 3, 4]),
        ("schema=goals", vec![]),
    ] {
        let wanted: Vec<_> = indices.into_iter().map(|index: usize| of_one_moment[index]).collect();
        assert_eq!(names(&operator.walk(&format!("{LIST}?{query}"), 1).await), wanted, "{query}");
    }
    for (query, code) in [
        ("schema=analytics", "invalid_value"),
        ("queue=%00", "nul_character"),
        ("tenant_id=", "placeholder_id"),
        ("tenant_id=%20", "invalid_value"),
        ("from=yesterday", "invalid_timestamp"),
        ("cursor=AAAAAAAAAAB4", "invalid_cursor"),
    ] {
        operator.get(&format!("{LIST}?{query}")).await.refused(400, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_letter_says_is_shown_when_asked_for_and_that_is_audited() {
    let service = kept().await;
    let operator = service.operator();
    let plain = operator.get(&format!("{LIST}/ingest/1")).await;
    assert!(!plain.text.contains(SECRET) && !operator.get(LIST).await.text.contains(SECRET), "{}", plain.text);
    let plain = plain.json(200);
    assert_eq!(plain["fields"], json!({"tenant_id": "string", "properties": "object of 1", "…": "1 others"}));
    assert_eq!(service.number("SELECT count(*) FROM goals.audit").await, 0);

    for (path, log) in [("ingest/1", "a"), ("ingest/2", ""), ("ingest/3", ""), ("evaluator/2", "b")] {
        let whole = operator.get(&format!("{LIST}/{path}?payload=true")).await;
        assert_eq!(whole.headers["cache-control"], "no-store");
        let whole = whole.json(200);
        assert!(whole["payload"].as_str().unwrap().contains(SECRET), "{whole}");
        assert_eq!(whole["cause"], format!("cannot take {SECRET}"));
        let noted = format!(
            "SELECT count(*) FROM goals.audit WHERE tenant_id = '{log}' AND action = 'dead_letter.read' AND object_id = '{path}'
             AND actor LIKE 'key:%'"
        );
        assert_eq!(service.number(&noted).await, 1, "{path}");
    }
    service.execute("UPDATE ingest.dead_letters SET payload = '\\x00ff'").await;
    let bytes = operator.show(&format!("{LIST}/ingest/1?payload=true")).await;
    assert_eq!((&bytes["payload_hex"], &bytes["fields"]), (&json!("00ff"), &json!("no JSON")));
    for path in ["ingest/9", "goals/1", "analytics/1", "ingest/x", "ingest/01", "ingest/9999999999999999999"] {
        operator.get(&format!("{LIST}/{path}")).await.refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing_and_tells_what_would_be() {
    let service = kept().await;
    let operator = service.operator();
    for action in ["requeue", "discard"] {
        let path = format!("{LIST}/{action}");
        let body = json!({"filter": {"tenant_id": "a"}, "dry_run": true});
        let said = operator.post(&path, body).await.json(200);
        assert_eq!(items(&said), ["evaluator/1", "ingest/1"]);
        assert_eq!((&said["count"], &said["dry_run"], &said["more"]), (&json!(2), &json!(true), &json!(false)));
        let ids = json!([{"schema": "ingest", "id": 3}, {"schema": "goals", "id": 3}]);
        let said = operator.post(&path, json!({"ids": ids, "dry_run": true})).await.json(200);
        assert_eq!((items(&said), &said["missing"]), (vec!["ingest/3".to_owned()], &json!([ids[1]])));
        for (body, code) in [
            (json!({}), "missing_field"),
            (json!({"ids": [], "filter": {}}), "invalid_value"),
            (json!({"ids": [ids[0], ids[0]]}), "duplicate_item"),
            (json!({"ids": vec![&ids[0]; 501]}), "too_many_items"),
            (json!({"ids": [{"schema": "analytics", "id": 1}]}), "invalid_value"),
            (json!({"filter": {"qeue": "x"}}), "unknown_field"),
            (json!({"filter": {"to": "soon"}}), "invalid_timestamp"),
        ] {
            operator.post(&path, body).await.refused(400, code);
        }
    }
    assert_eq!(waiting(&service).await, (5, 0));
    assert_eq!(service.number("SELECT count(*) FROM goals.audit").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_at_once_settles_each_letter_once() {
    let service = kept().await;
    let path = format!("{LIST}/requeue");
    // By name and by filter, in both orders.
    let ids = ["ingest", "evaluator"].map(|schema| json!({"schema": schema, "id": 1}));
    let (there, back) = (json!({"ids": ids}), json!({"ids": [ids[1], ids[0]]}));
    let bodies = [there, json!({"filter": {"tenant_id": "a"}}), back, json!({"filter": {"tenant_id": "a"}})];
    let asked = bodies.iter().map(|body| {
        let (operator, path) = (service.operator(), path.clone());
        async move { operator.post(&path, body.clone()).await.json(200) }
    });
    let counts: u64 = join_all(asked).await.iter().map(|said| said["count"].as_u64().unwrap()).sum();
    assert_eq!(counts, 2);
    assert_eq!(waiting(&service).await, (3, 2));
    let row = "SELECT count(*) FROM ingest.outbox WHERE exchange = '' AND routing_key = 'ingest.domain k' AND mandatory AND tenant_id = 'a'";
    assert_eq!(service.number(row).await, 1);
    let noted = service.viewer().walk("/api/v1/audit?action=dead_letter.requeued", 200).await;
    let mut objects = each(&noted, "object_id");
    objects.sort_by_key(Value::to_string);
    assert_eq!(objects, ["evaluator/1", "ingest/1"]);
    assert_eq!((&noted[0]["after"], &noted[0]["object_type"]), (&json!(null), &json!("dead_letter")));
    assert!(!json!(noted).to_string().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tenants_is_in_the_log_of_the_installation() {
    let service = kept().await;
    let said = service.operator().post(&format!("{LIST}/discard"), json!({"filter": {}})).await.json(200);
    assert_eq!(said["count"], 5);
    assert_eq!(waiting(&service).await, (0, 0));
    for (log, entries) in [("", 2), ("a", 2), ("b", 1), ("late", 0)] {
        let noted =
            format!("SELECT count(*) FROM goals.audit WHERE tenant_id = '{log}' AND action = 'dead_letter.discarded'");
        assert_eq!(service.number(&noted).await, entries, "{log}");
    }
    assert_eq!(service.number(BROKEN).await, 0);
    // Half of it is nothing: what cannot be put into the outbox stays, and is not audited.
    service.execute("INSERT INTO ingest.dead_letters (queue, routing_key, code, cause, attempts, payload) VALUES ('ingest.domain', 'k', 'c', 'c', 1, '')").await;
    service.execute("ALTER TABLE ingest.outbox ADD CONSTRAINT full_up CHECK (false)").await;
    service.operator().post(&format!("{LIST}/requeue"), json!({"filter": {}})).await.refused(500, "internal");
    assert_eq!(waiting(&service).await, (1, 0));
    assert_eq!(service.number("SELECT count(*) FROM goals.audit WHERE tenant_id = ''").await, 2);
    // No tenant's login sees it, whatever it says of itself.
    let client = service.database.login("goalpost_goals").await.unwrap();
    client.execute("SELECT set_config('app.tenant_id', '', false)", &[]).await.unwrap();
    assert_eq!(client.query("SELECT FROM goals.audit", &[]).await.unwrap().len(), 0);
}
