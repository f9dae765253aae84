//! Somebody is forgotten: goals keeps that it happened, and not who it was.

use crate::harness::{Service, eventually};
use domain::contract::exchange;
use serde_json::json;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_is_audited_once_and_names_nobody() {
    let service = Service::with_bus().await;
    let vhost = service.vhost.as_ref().unwrap();
    let sql = service.database.superuser().await.unwrap();
    let letter = "INSERT INTO goals.dead_letters (tenant_id, queue, routing_key, code, cause, attempts, payload) \
                  VALUES ($1, 'goals.commands', 'k', 'c', 'c', 1, convert_to($2, 'UTF8'))";
    for (tenant, payload) in [
        ("a", r#"{"contact_id":"c-1"}"#),
        ("a", r#"{"contact_id":"c-12","name":"c-1"}"#),
        ("b", r#"{"contact_id":"c-1"}"#),
    ] {
        sql.execute(letter, &[&tenant, &payload]).await.unwrap();
    }
    let settled = async || (vhost.messages("goals.erasure").await.ok() == Some((0, 0))).then_some(());
    eventually("the queue", settled).await;
    let request = Uuid::now_v7();
    let command = json!({"tenant_id": "a", "request_id": request, "contact_ids": ["c-1"]}).to_string();
    for _ in 0..2 {
        let properties = json!({"message_id": request});
        vhost.publish((exchange::COMMANDS, "erase_subject"), properties, &command).await.unwrap();
    }
    eventually("both are taken", settled).await;
    let log = service.admin().show(&format!("/api/v1/audit?object_id={request}")).await;
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
    let entry = &log["items"][0];
    assert_eq!((&entry["action"], &entry["actor"]), (&json!("subject.erased"), &json!(format!("bus:{request}"))));
    assert!(!log.to_string().contains("c-1"), "{log}");
    assert_eq!(service.number("SELECT count(*) FROM goals.dead_letters").await, 2, "its own, and no other's");
}
