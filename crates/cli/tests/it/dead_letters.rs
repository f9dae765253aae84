//! `goalpost dead-letters`: what is shown of a letter, that it is moved whole and once, and that what is given again is taken
//! as if it had come for the first time.

use std::time::{Duration, Instant};

use load::finish::Servers;
use load::progress::Progress;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Database;
use tokio_postgres::Client;

use crate::goalpost::Goalpost;
use crate::operator::{connect, goalpost};

const LIMIT: Duration = Duration::from_secs(30);
const SECRET: &str = "ann@example.com";

/// Keeps a letter, as a service does.
async fn keep(client: &Client, schema: &str, (tenant, code): (Option<&str>, &str), payload: &str) {
    let (queue, key) =
        if schema == "ingest" { ("ingest.domain", "payment.completed") } else { ("evaluator.commands", "recheck") };
    let statement = format!(
        "INSERT INTO {schema}.dead_letters (tenant_id, queue, routing_key, code, cause, attempts, payload, last_seen_at) \
         VALUES ($1, $2, $3, $4, $5, 1, convert_to($6, 'UTF8'), $7::text::timestamptz)"
    );
    let day = if schema == "ingest" { 1 } else { 2 };
    let (cause, seen) = (format!("cannot take {payload}"), format!("2026-01-0{day}T00:00:00Z"));
    client.execute(&statement, &[&tenant, &queue, &key, &code, &cause, &payload, &seen]).await.unwrap();
}

async fn count(client: &Client, table: &str) -> i64 {
    client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
}

fn ids(said: &Value, key: &str) -> Vec<String> {
    let items = said[key].as_array().unwrap().iter();
    items.map(|item| item.get("id").unwrap_or(item).as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn letters_are_found_shown_without_what_they_say_and_thrown_away() {
    let database = Database::create().await.unwrap();
    let (url, client) = (database.superuser_url(), database.superuser().await.unwrap());
    let payload = json!({"tenant_id": "shop", "properties": {"mail": SECRET}}).to_string();
    keep(&client, "ingest", (Some("shop"), "missing_field"), &payload).await;
    keep(&client, "ingest", (None, "malformed_json"), SECRET).await;
    keep(&client, "evaluator", (Some("shop"), "malformed_message"), "[]").await;
    let list = |filters: &[&str]| {
        let args = [&["dead-letters", "list", "--json"], filters].concat();
        ids(&goalpost(&database.url("goalpost_goals_system"), &args).json(), "items")
    };
    assert_eq!(list(&[]), ["evaluator/1", "ingest/2", "ingest/1"]);
    assert_eq!(list(&["--limit", "1"]), ["evaluator/1"]);
    assert_eq!(list(&["--service", "ingest"]), ["ingest/2", "ingest/1"]);
    assert_eq!(list(&["--queue", "ingest.domain", "--tenant", "shop"]), ["ingest/1"]);
    assert_eq!(list(&["--code", "malformed_json"]), ["ingest/2"]);
    assert_eq!(list(&["--since", "2026-01-02T00:00:00Z"]), ["evaluator/1"]);
    assert_eq!(list(&["--until", "2026-01-02T00:00:00Z"]), ["ingest/2", "ingest/1"]);

    for format in [["--limit", "9"].as_slice(), &["--json"]] {
        let said = goalpost(&url, &[&["dead-letters", "list"], format].concat());
        assert!(said.code == 0 && !said.out.contains(SECRET), "{}", said.out);
    }
    for (id, format) in
        [("ingest/1", [].as_slice()), ("ingest/1", &["--json"]), ("ingest/2", &[]), ("ingest/2", &["--json"])]
    {
        let show = [&["dead-letters", "show", id], format].concat();
        let hidden = goalpost(&url, &show);
        assert!(hidden.code == 0 && !hidden.out.contains(SECRET) && !hidden.err.contains(SECRET), "{}", hidden.out);
        let shown = goalpost(&url, &[&show[..], &["--payload"]].concat());
        assert_eq!(shown.out.matches(SECRET).count(), 2, "the cause and the payload: {}", shown.out);
    }
    let shown = goalpost(&url, &["dead-letters", "show", "ingest/1", "--json"]).json();
    assert_eq!(shown["fields"], json!({"tenant_id": "string", "properties": "object of 1"}));
    assert_eq!(goalpost(&url, &["dead-letters", "show", "ingest/9"]).code, 1);

    let discard = |args: &[&str]| goalpost(&url, &[&["dead-letters", "discard", "--json"], args].concat());
    assert_eq!(discard(&[]).code, 1, "it has to be said which");
    assert_eq!(ids(&discard(&["--all", "--dry-run"]).json(), "found").len(), 3);
    assert_eq!(count(&client, "platform.v_dead_letters").await, 3);
    assert_eq!(ids(&discard(&["--code", "missing_field"]).json(), "discarded"), ["ingest/1"]);
    let both = discard(&["ingest/1", "ingest/2"]);
    assert_eq!(both.code, 1);
    let said: Value = serde_json::from_str(&both.out).unwrap();
    assert_eq!(
        (ids(&said, "discarded"), ids(&said, "missing")),
        (vec!["ingest/2".to_owned()], vec!["ingest/1".to_owned()])
    );
    assert_eq!(list(&[]), ["evaluator/1"]);

    // The tenant is not here, so all of it is in the log of the installation, which is a chain with a head like the others.
    let verify = |more: &[&str]| goalpost(&url, &[&["audit", "verify", "--json"], more].concat());
    let heads = verify(&[]).json();
    let head = heads["tenants"][0]["head"].as_str().unwrap();
    assert!(head.starts_with(":6:"), "four looks at what they say, and two thrown away: {heads}");
    assert_eq!(verify(&["--expect", head]).code, 0);
    assert_eq!(verify(&["--expect", &head.replace(":6:", ":7:")]).code, 1);
}

#[tokio::test]
async fn a_letter_is_moved_whole_and_once() {
    let database = Database::create().await.unwrap();
    let (url, client) = (database.superuser_url(), database.superuser().await.unwrap());
    keep(&client, "evaluator", (None, "malformed_message"), "[]").await;
    let requeue = |args: &[&str]| goalpost(&url, &[&["dead-letters", "requeue", "--json"], args].concat());
    assert_eq!(ids(&requeue(&["evaluator/1", "--dry-run"]).json(), "found"), ["evaluator/1"]);

    // What fails half-way has done nothing.
    client.execute("ALTER TABLE evaluator.outbox ADD CONSTRAINT full_up CHECK (false)", &[]).await.unwrap();
    let failed = requeue(&["evaluator/1"]);
    assert!(failed.code == 1 && failed.err.contains("stay as they were"), "{}", failed.err);
    assert_eq!((count(&client, "evaluator.dead_letters").await, count(&client, "evaluator.outbox").await), (1, 0));
    client.execute("ALTER TABLE evaluator.outbox DROP CONSTRAINT full_up", &[]).await.unwrap();
    let narrow = goalpost(&database.url("goalpost_evaluator_system"), &["dead-letters", "requeue", "evaluator/1"]);
    assert!(narrow.code == 1 && narrow.err.contains("goalpost_goals_system"), "{}", narrow.err);
    assert_eq!(count(&client, "evaluator.dead_letters").await, 1);

    let wide = goalpost(&database.url("goalpost_goals_system"), &["dead-letters", "requeue", "evaluator/1", "--json"]);
    assert_eq!(ids(&wide.json(), "requeued"), ["evaluator/1"]);
    assert_eq!(requeue(&["evaluator/1"]).code, 1);
    assert_eq!((count(&client, "evaluator.dead_letters").await, count(&client, "evaluator.outbox").await), (0, 1));
    let row =
        client.query_one("SELECT exchange, routing_key, mandatory, payload FROM evaluator.outbox", &[]).await.unwrap();
    let (address, payload) = ((row.get::<_, &str>(0), row.get::<_, &str>(1)), row.get::<_, &[u8]>(3));
    assert_eq!((address, row.get::<_, bool>(2), payload), (("", "evaluator.commands recheck"), true, b"[]".as_slice()));
}

/// Two at once, both for the same letter: it goes out once.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_at_the_same_time_moves_it_once() {
    let database = Database::create().await.unwrap();
    let (url, client) = (database.superuser_url(), database.superuser().await.unwrap());
    for _ in 0..20 {
        keep(&client, "ingest", (None, "malformed_json"), "{").await;
    }
    let asking = || {
        let url = url.clone();
        tokio::task::spawn_blocking(move || goalpost(&url, &["dead-letters", "requeue", "--all", "--json"]))
    };
    let (one, other) = tokio::join!(asking(), asking());
    let moved = |said: &str| ids(&serde_json::from_str(said).unwrap(), "requeued").len();
    assert_eq!(moved(&one.unwrap().out) + moved(&other.unwrap().out), 20);
    assert_eq!((count(&client, "ingest.dead_letters").await, count(&client, "ingest.outbox").await), (0, 20));
}

async fn publish(place: &Value, address: (&str, &str), payload: &str) {
    publish_with(place, address, payload, json!({})).await;
}

async fn publish_with(place: &Value, (exchange, key): (&str, &str), payload: &str, properties: Value) {
    let message =
        json!({"routing_key": key, "payload": payload, "payload_encoding": "string", "properties": properties});
    let answer = manage(place, Method::POST, &format!("exchanges/%2f/{exchange}/publish"), &message).await;
    assert_eq!(answer["routed"], true);
}

/// What the broker answers, if anything.
async fn manage(place: &Value, method: Method, path: &str, body: &Value) -> Value {
    let address = format!("{}/api/{path}", place["amqp_management_url"].as_str().unwrap());
    let answer = reqwest::Client::new().request(method, address).json(body).send().await.unwrap();
    let text = answer.error_for_status().unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_default()
}

/// The first message in a queue, once there is one.
async fn first_in(place: &Value, queue: &str) -> Value {
    let asked = json!({"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"});
    let limit = Instant::now() + LIMIT;
    loop {
        let messages = manage(place, Method::POST, &format!("queues/%2f/{queue}/get"), &asked).await;
        if let Some(message) = messages.get(0) {
            return message.clone();
        }
        assert!(Instant::now() < limit, "nothing came into {queue}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The ids and codes of the letters of a queue, once there are `expected` other than `before`.
async fn letters(client: &Client, queue: &str, expected: i64, before: i64) -> Vec<(i64, String, String)> {
    let statement =
        "SELECT id, code, routing_key FROM platform.v_dead_letters WHERE queue = $1 AND id > $2 ORDER BY id";
    let limit = Instant::now() + LIMIT;
    loop {
        let rows = client.query(statement, &[&queue, &before]).await.unwrap();
        if i64::try_from(rows.len()).unwrap() == expected {
            return rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        }
        assert!(Instant::now() < limit, "{} letters of {queue}, not {expected}", rows.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until nothing waits in an outbox or a queue.
async fn rest(place: &Value, database: &Client) {
    let management_url = place["amqp_management_url"].as_str().unwrap();
    let waiting = Progress::waiting("waiting until everything is handled");
    Servers { database, management_url, vhost: "/" }.finish(&waiting).await.unwrap();
}

/// What the operator's or the tenant's own key is answered.
async fn ask(place: &Value, service: &str, (secret, path): (&str, &str), body: Value) -> Value {
    let url = format!("{}{path}", place["services"][service]["url"].as_str().unwrap());
    let answer = reqwest::Client::new().post(&url).bearer_auth(secret).json(&body).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{url}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

/// A tenant that is waiting for a purchase of `contact`: who is enrolled, as the path of the enrollment's row.
async fn enrolled(place: &Value, tenant: &str, contact: &str) -> String {
    let operator = place["operator_key"].as_str().unwrap();
    let path = format!("/api/v1/tenants/{tenant}/api-keys");
    let key = ask(place, "goals", (operator, &path), json!({"role": "admin"})).await;
    let key = key["key"].as_str().unwrap();
    let workflow = ask(place, "goals", (key, "/api/v1/workflows"), json!({"name": "late"})).await;
    let path = format!("/api/v1/workflows/{}", workflow["id"].as_str().unwrap());
    let goal = json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100}});
    ask(place, "goals", (key, &format!("{path}/goals")), goal).await;
    ask(place, "goals", (key, &format!("{path}/activate")), json!({})).await;
    let contact = json!({"contact_id": contact, "enrolled_at": "2026-01-01T00:00:00Z"});
    let enrollment = ask(place, "evaluator", (key, &format!("{path}/enrollments")), contact).await;
    enrollment["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requeued_letter_is_as_a_fresh_delivery() {
    let mut dev = Goalpost::start(["dev", "--ephemeral", "--json"]);
    let place: Value = serde_json::from_str(&dev.file(".goalpost/dev.json")).unwrap();
    let url = place["database_url"].as_str().unwrap();
    let client = connect(url).await;

    // An event of a tenant that is made too late. It came three times, and is stored and judged once: given again by the command,
    // and by two operators who ask for the same letters at once.
    let event = json!({"event_id": "0190d3a0-0000-7000-8000-000000000007", "tenant_id": "late", "event_name": "payment.completed",
        "occurred_at": "2026-01-03T10:00:00Z", "contact_id": "c-1", "properties": {"amount": 150}});
    for _ in 0..3 {
        publish(&place, ("goalpost.domain", "payment.completed"), &event.to_string()).await;
    }
    let died = letters(&client, "ingest.domain", 3, 0).await;
    assert!(died.iter().all(|(_, code, _)| code == "unknown_tenant"), "{died:?}");
    goalpost(url, &["tenant", "create", "late"]);
    let enrollment = enrolled(&place, "late", "c-1").await;
    let by_command = goalpost(url, &["dead-letters", "requeue", &format!("ingest/{}", died[0].0), "--json"]).json();
    assert_eq!(ids(&by_command, "requeued").len(), 1);
    let operator = (place["operator_key"].as_str().unwrap(), "/api/v1/dead-letters/requeue");
    let of_late = || ask(&place, "goals", operator, json!({"filter": {"tenant_id": "late", "code": "unknown_tenant"}}));
    let (one, other) = tokio::join!(of_late(), of_late());
    assert_eq!(one["count"].as_u64().unwrap() + other["count"].as_u64().unwrap(), 2);
    rest(&place, &client).await;
    assert_eq!((count(&client, "ingest.events_raw").await, count(&client, "ingest.dead_letters").await), (1, 0));
    let left = format!("evaluator.enrollments WHERE id = '{enrollment}' AND status = 'completed_goal'");
    assert_eq!(count(&client, &left).await, 1);
    let noted = "goals.audit WHERE tenant_id = 'late' AND action = 'dead_letter.requeued'";
    assert_eq!(count(&client, noted).await, 3);

    // So is a command, and whoever waits for its answer has it.
    manage(&place, Method::PUT, "queues/%2f/asker", &json!({"durable": true})).await;
    let command = json!({"tenant_id": "later", "kind": "tag", "id": "t-1"}).to_string();
    let asker =
        json!({"message_id": "0190d3a0-0000-7000-8000-000000000008", "reply_to": "asker", "correlation_id": "42"});
    publish_with(&place, ("goalpost.commands", "put_reference"), &command, asker).await;
    let died = letters(&client, "goals.commands", 1, 0).await.remove(0);
    goalpost(url, &["tenant", "create", "later"]);
    goalpost(url, &["dead-letters", "requeue", &format!("goals/{}", died.0), "--json"]).json();
    let reply = first_in(&place, "asker").await;
    let said: Value = serde_json::from_str(reply["payload"].as_str().unwrap()).unwrap();
    assert_eq!((&reply["properties"]["correlation_id"], &said["status"]), (&json!("42"), &json!("done")), "{reply}");

    // A command that nobody can read dies again of the same: it came by the key that it was sent with.
    publish(&place, ("goalpost.commands", "recheck"), "[]").await;
    let first = letters(&client, "evaluator.commands", 1, 0).await.remove(0);
    goalpost(url, &["dead-letters", "requeue", &format!("evaluator/{}", first.0), "--json"]).json();
    let second = letters(&client, "evaluator.commands", 1, first.0).await.remove(0);
    assert_eq!((first.1.as_str(), first.2.as_str()), ("malformed_message", "recheck"));
    assert_eq!((first.1, first.2), (second.1, second.2));
    rest(&place, &client).await;
    assert_eq!(count(&client, "platform.v_dead_letters").await, 1, "only the command that nobody can read");
    dev.signal(Signal::SIGTERM);
    dev.end();
}
