//! What is asked for twice happens once: over HTTP by `Idempotency-Key`, over the bus by the message id.

use crate::harness::{Answer, Client, Service, eventually};
use bus::Subscription;
use domain::contract::exchange;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::Program;
use uuid::Uuid;

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_made_is_made_once_for_its_key() {
    let service = Service::start().await;
    let (editor, operator) = (service.editor(), service.operator());
    let workflow = editor.workflow().await;
    let goals = format!("{workflow}/goals");
    let cases: [(&Client, &str, Value, Value); 3] = [
        (&operator, "/api/v1/tenants", json!({"tenant_id": "new"}), json!({"tenant_id": "newer"})),
        (&editor, "/api/v1/workflows", json!({"name": "w"}), json!({"name": "v"})),
        (
            &editor,
            &goals,
            json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100.00}}),
            json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100}}),
        ),
    ];
    let before = service.epoch().await;
    for (client, path, body, other) in &cases {
        let first = client.named("k", path, body).await;
        first.json(201);
        assert!(!is_replayed(&first));
        let again = client.named("k", path, body).await;
        assert_eq!((again.status, &again.text, &again.content_type), (201, &first.text, &first.content_type));
        assert!(is_replayed(&again));
        client.named("k", path, other).await.refused(409, "idempotency_key_reused");
        // Another key is another request.
        assert!(!is_replayed(&client.named("l", path, other).await), "{path}");
    }
    // Two workflows and a goal; what the other goal means is there already, and a refusal is not kept.
    assert_eq!(service.epoch().await, before + 3);
    assert_eq!(service.number("SELECT count(*) FROM goals.answers WHERE key = 'l'").await, 2);
    editor.named("l", &goals, &cases[2].2).await.refused(409, "duplicate_goal");
    // Another tenant has keys of its own.
    let theirs = service.stranger().named("k", "/api/v1/workflows", &json!({"name": "theirs"})).await;
    assert_eq!((theirs.json(201)["name"].as_str(), is_replayed(&theirs)), (Some("theirs"), false));
    service.viewer().named("k", "/api/v1/workflows", &json!({"name": "w"})).await.refused(403, "role_too_low");
    editor.named("\u{e9}", "/api/v1/workflows", &json!({"name": "w"})).await.refused(400, "invalid_idempotency_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_never_kept() {
    let service = Service::start().await;
    for (path, body, secret) in [("write-tokens", json!({}), "token"), ("api-keys", json!({"role": "viewer"}), "key")] {
        let path = format!("/api/v1/tenants/a/{path}");
        let made = service.admin().named("k", &path, &body).await.json(201);
        let again = service.operator().named("k", &path, &body).await.refused(409, "secret_already_shown");
        assert_eq!(again["id"], made["id"]);
        let shown = made[secret].as_str().unwrap().rsplit('_').next().unwrap();
        assert!(shown.len() > 20);
        let kept = format!("SELECT count(*) FROM goals.answers a WHERE a::text LIKE '%{shown}%'");
        assert_eq!(service.number(&kept).await, 0);
    }
    assert_eq!(service.number("SELECT count(*) FROM goals.answers WHERE tenant_id = 'a'").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_is_made_and_all_are_answered_so() {
    let service = Service::start().await;
    let editor = service.editor();
    let body = json!({"name": "once"});
    let answers = join_all((0..8).map(|_| editor.named("k", "/api/v1/workflows", &body))).await;
    assert!(answers.iter().all(|answer| (answer.status, &answer.text) == (201, &answers[0].text)), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| is_replayed(answer)).count(), 7);
    assert_eq!(service.number("SELECT count(*) FROM goals.workflows").await, 1);
}

/// The process dies between the commit and the answer; the caller asks another.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_and_not_answered_is_answered_when_asked_again() {
    let service = Service::with_bus().await;
    let vhost = service.vhost.as_ref().unwrap();
    let dying = Program::serve("goals", &service.database, vhost, "commit.after/create_workflow=abort").await;
    let mut dying = dying.unwrap();
    let body = json!({"name": "once"});
    assert!(service.editor().at(&dying.url).try_named("k", "/api/v1/workflows", &body).await.is_err());
    assert!(!dying.ended().await.unwrap().success());
    let ids = "SELECT count(*) FROM goals.workflows";
    assert_eq!(service.number(ids).await, 1);
    let again = service.editor().named("k", "/api/v1/workflows", &body).await;
    assert!(is_replayed(&again));
    let workflow = again.json(201);
    assert_eq!(
        service.viewer().show(&format!("/api/v1/workflows/{}", workflow["id"].as_str().unwrap())).await,
        workflow
    );
    assert_eq!(service.number(ids).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_kept_current_over_the_bus_once_for_each_message() {
    let service = Service::with_bus().await;
    let vhost = service.vhost.as_ref().unwrap();
    let is_there = async || vhost.messages("goals.commands").await.ok();
    eventually("the queue", is_there).await;
    let mut replies = Subscription::open(vhost.amqp_url(), exchange::WORKFLOW, "nothing").await.unwrap();
    let reply_to = replies.queue().to_owned();
    let mut ask = async |command: &str, id: Uuid, body: &Value| -> String {
        let properties = json!({"message_id": id, "reply_to": reply_to, "correlation_id": "7"});
        vhost.publish((exchange::COMMANDS, command), properties, &body.to_string()).await.unwrap();
        let reply = tokio::time::timeout(Duration::from_secs(20), replies.next()).await.unwrap().unwrap();
        assert_eq!(reply.correlation_id.as_deref(), Some("7"));
        String::from_utf8(reply.body.to_vec()).unwrap()
    };
    let read = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let path = "/api/v1/references/stage/won";
    let stage = |name: &str| json!({"tenant_id": "a", "kind": "stage", "id": "won", "name": name, "pipeline_id": "p", "position": 4});
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    let told = ask("put_reference", first, &stage("Won")).await;
    assert_eq!(read(&told)["result"], service.viewer().show(path).await);
    let log = service.viewer().show("/api/v1/audit?object_id=stage/won").await;
    assert_eq!(
        (&log["items"][0]["actor"], &log["items"][0]["action"]),
        (&json!(format!("bus:{first}")), &json!("reference.created"))
    );

    ask("put_reference", second, &stage("Closed")).await;
    assert_eq!(ask("put_reference", first, &stage("Won")).await, told, "late, and of no effect");
    assert_eq!(service.viewer().show(path).await["name"], "Closed");
    let other = read(&ask("put_reference", first, &stage("Lost")).await);
    assert_eq!((&other["status"], &other["code"]), (&json!("refused"), &json!("idempotency_key_reused")));

    let (gone, won) = (Uuid::now_v7(), json!({"tenant_id": "a", "kind": "stage", "id": "won"}));
    let deleted = ask("delete_reference", gone, &won).await;
    assert_eq!(
        read(&deleted),
        json!({"command": "delete_reference", "message_id": gone, "status": "done", "result": {}})
    );
    let late = Uuid::now_v7();
    let refused = ask("delete_reference", late, &won).await;
    assert_eq!(read(&refused)["code"], "not_found");
    ask("put_reference", Uuid::now_v7(), &stage("Won")).await;
    assert_eq!(ask("delete_reference", late, &won).await, refused);
    assert_eq!(ask("delete_reference", gone, &won).await, deleted);
    service.viewer().get(path).await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_are_none_are_kept_with_their_code() {
    let service = Service::with_bus().await;
    let vhost = service.vhost.as_ref().unwrap();
    eventually("the queue", async || vhost.messages("goals.commands").await.ok()).await;
    let tag = |tenant: &str, more: Value| {
        let mut tag = json!({"tenant_id": tenant, "kind": "tag", "id": "t"});
        tag.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tag
    };
    let id = || json!({"message_id": Uuid::now_v7()});
    for (properties, body) in [
        (id(), tag("nobody", json!({}))),
        (json!({}), tag("a", json!({}))),
        (id(), tag("a", json!({"position": 1}))),
        (id(), tag("a", json!({"name": ""}))),
        (id(), json!([])),
    ] {
        vhost.publish((exchange::COMMANDS, "put_reference"), properties, &body.to_string()).await.unwrap();
    }
    // A name as long as the schema allows.
    let longest = tag("a", json!({"name": "n".repeat(256)}));
    vhost.publish((exchange::COMMANDS, "put_reference"), id(), &longest.to_string()).await.unwrap();
    eventually("the last one", async || {
        (service.number("SELECT count(*) FROM goals.directory").await == 1).then_some(())
    })
    .await;
    let of = |code: &str| {
        format!("SELECT count(*) FROM goals.dead_letters WHERE queue = 'goals.commands' AND code = '{code}'")
    };
    for (code, count) in [("unknown_tenant", 1), ("message_id_required", 1), ("malformed_message", 3)] {
        assert_eq!(service.number(&of(code)).await, count, "{code}");
    }
}
