//! Contacts whose ids tell the person: one, however it is spelled and wherever it is named, and stored under its pseudonym.

use crate::support::{Goal, World, eventually, goal, tag};
use domain::contract::exchange;
use domain::ids::TenantId;
use domain::outbox::NewMessage;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

fn ids(list: &Value) -> Vec<&Value> {
    list["items"].as_array().unwrap().iter().map(|item| &item["contact_id"]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_an_address_names_is_one_whoever_names_it() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let path = format!("/workflows/{workflow}/enrollments");
    let (status, made) = world.post(&path, json!({ "contact_id": "Ann@Example.com" })).await;
    let pseudonym = made["contact_id"].as_str().unwrap();
    assert!(status == 201 && pseudonym.starts_with("h_") && pseudonym.len() == 34, "{made}");
    let (status, problem) = world.post(&path, json!({ "contact_id": " ann@example.com" })).await;
    assert_eq!((status, &problem["enrollment_id"]), (409, &made["id"]), "{problem}");

    let named = ["ANN@example.com", "+1 (555) 123-4567", "+1-555-123-4567", "c-1"];
    let items: Vec<Value> = named.iter().map(|contact| json!({ "contact_id": contact })).collect();
    let (_, batch) = world.post(&format!("{path}/batch"), json!({ "enrollments": items })).await;
    let told: Vec<&str> = batch["results"].as_array().unwrap().iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!(told, ["existing", "created", "existing", "created"], "{batch}");

    let command = json!({ "tenant_id": "demo", "workflow_id": workflow, "contact_id": "bob@example.com" });
    let message = NewMessage {
        tenant_id: TenantId::parse("demo").unwrap(),
        exchange: exchange::COMMANDS,
        routing_key: "enroll",
        mandatory: true,
        message_id: Uuid::now_v7(),
        content_type: "application/json",
        payload: command.to_string().into_bytes(),
        traceparent: None,
        events: 0,
    };
    world.publish(message).await;
    let of_bob = format!("{path}?contact_id=Bob%40example.com");
    eventually("the command is carried out", async || ids(&world.get(&of_bob).await).len() == 1).await;

    world.happen(&[tag(pseudonym, "vip")]).await;
    world.ended(made["id"].as_str().unwrap()).await;
    let achieved = world.get(&format!("/workflows/{workflow}/achievements?contact_id=ann%40example.com")).await;
    assert_eq!(ids(&achieved), [pseudonym]);
    assert_eq!(ids(&world.get(&format!("{path}?contact_id={pseudonym}")).await), [pseudonym]);
    let plain = "SELECT count(*) FROM evaluator.enrollments e WHERE e::text ~ '@|[(]555|555-123|5551234567'";
    assert_eq!(world.value::<i64>(plain, &[]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn to_another_tenant_it_is_another_and_what_is_skipped_is_not_told_either() {
    let world = World::start().await;
    let other = world.database.seed_tenant("other").await.unwrap();
    let mut pseudonyms = Vec::new();
    for (tenant, key) in [("demo", &world.tenant.editor_key), ("other", &other.editor_key)] {
        let workflow = world.workflow_of(tenant, "active", json!("any")).await;
        let body = json!({ "contact_id": "ann@example.com" });
        let (_, made) = world.call(Method::POST, &format!("/workflows/{workflow}/enrollments"), key, Some(body)).await;
        pseudonyms.push(made["contact_id"].as_str().unwrap().to_owned());
    }
    assert_ne!(pseudonyms[0], pseudonyms[1]);

    let vip = Goal { on_enroll: "skip_enrollment", ..goal("tag_added", json!({ "tag_name": "vip" })) };
    let workflow = world.listening(vip).await;
    world.happen(&[tag(&pseudonyms[0], "vip").at(-100.0)]).await;
    let path = format!("/workflows/{workflow}/enrollments");
    let (status, skipped) = world.post(&path, json!({ "contact_id": "Ann@example.com" })).await;
    assert_eq!((status, &skipped["contact_id"]), (200, &json!(pseudonyms[0])), "{skipped}");
}
