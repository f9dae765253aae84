//! A run through everything that publishes a message.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Message, Settings, Subscription};
use domain::contract::exchange;
use domain::outbox::{Delivery, OutboxMessage};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::dev::Dev;

/// How often one of each has to come, at least: exchange, routing key, count.
pub const PUBLISHED: [(&str, &str, usize); 20] = [
    ("goalpost.workflow", "goal.changed", 4),
    ("goalpost.workflow", "workflow.activated", 1),
    ("goalpost.workflow", "workflow.enrollment.created", 2),
    ("goalpost.workflow", "goal.achieved", 1),
    ("goalpost.workflow", "workflow.exit.goal", 1),
    ("goalpost.workflow", "workflow.action.due", 1),
    ("goalpost.workflow", "workflow.action.cancelled", 1),
    ("goalpost.workflow", "workflow.deactivated", 1),
    ("goalpost.workflow", "identity.linked", 2),
    ("goalpost.workflow", "subject.erased", 3),
    ("goalpost.commands", "erase_subject", 1),
    ("goalpost.commands", "recheck", 2),
    ("goalpost.commands", "enroll", 1),
    ("goalpost.commands", "schedule_action", 1),
    ("goalpost.commands", "end_enrollment", 1),
    ("goalpost.commands", "put_reference", 1),
    ("goalpost.commands", "delete_reference", 2),
    ("goalpost.events", "events.stored", 2),
    ("goalpost.domain", "payment.completed", 1),
    ("goalpost.domain", "contact.tag.added", 1),
];

async fn ask(dev: &Dev, service: &str, method: Method, path: &str, body: Value) -> Value {
    let secret = if service == "ingest" { "/write_token" } else { "/api_key" };
    ask_as(dev, dev.text(secret), (service, method, path), body).await
}

/// What a service answers to somebody who may ask.
pub async fn ask_as(dev: &Dev, secret: &str, (service, method, path): (&str, Method, &str), body: Value) -> Value {
    let url = format!("{}{path}", dev.text(&format!("/services/{service}/url")));
    let request = reqwest::Client::new().request(method, &url).bearer_auth(secret).json(&body);
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{url}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// All of it; afterwards everything of [`PUBLISHED`] is on its way.
pub async fn through_everything(dev: &Dev) {
    let post = async |service: &str, path: &str, body| ask(dev, service, Method::POST, path, body).await;
    let workflow = post("goals", "/api/v1/workflows", json!({"name": "all that publishes"})).await;
    let path = format!("/api/v1/workflows/{}", workflow["id"].as_str().unwrap());
    let bought = json!({"goal_type": "purchase_made", "criteria": {"min_amount": 100}});
    let goal = post("goals", &format!("{path}/goals"), bought).await;
    let goal_path = format!("{path}/goals/{}", goal["id"].as_str().unwrap());
    ask(dev, "goals", Method::PATCH, &goal_path, json!({"within": "30d"})).await;
    let tagged = json!({"goal_type": "tag_added", "criteria": {"tag_name": "Gone"}});
    let second = post("goals", &format!("{path}/goals"), tagged).await;
    let second_path = format!("{path}/goals/{}", second["id"].as_str().unwrap());
    ask(dev, "goals", Method::DELETE, &second_path, json!({})).await;
    post("goals", &format!("{path}/activate"), json!({"catch_up": true})).await;

    let contacts = [("all-leaves", json!(1)), ("all-is-removed", json!("waiting")), ("all-stays", json!("branch b"))];
    for (contact, step) in contacts {
        let new = json!({"contact_id": contact, "enrolled_at": "2026-01-01T00:00:00Z", "current_step": step});
        let enrollment = post("evaluator", &format!("{path}/enrollments"), new).await;
        let enrollment_path = format!("/api/v1/enrollments/{}", enrollment["id"].as_str().unwrap());
        let action = json!({"action_type": "send_email", "scheduled_at": "2099-01-01T00:00:00Z"});
        post("evaluator", &format!("{enrollment_path}/actions"), action).await;
        if contact == "all-stays" {
            let due = json!({"action_type": "wait", "scheduled_at": "2026-01-01T00:00:00Z", "payload": {"step": 2}});
            post("evaluator", &format!("{enrollment_path}/actions"), due).await;
        }
        if contact == "all-is-removed" {
            post("evaluator", &format!("{enrollment_path}/end"), json!({"status": "removed"})).await;
        }
    }
    post("evaluator", &format!("{path}/recheck"), json!({})).await;
    let paid = event("payment.completed", "all-leaves", json!({"amount": 150}));
    post("ingest", "/api/v1/events", json!([paid])).await;
    from_another_system(dev).await;
    people(dev).await;
}

/// A user is linked to a contact, and is not; the contact is forgotten.
async fn people(dev: &Dev) {
    let key = dev.text("/api_key");
    let link = json!({"user_id": "all-visits", "contact_id": "all-is-forgotten"});
    ask_as(dev, key, ("ingest", Method::POST, "/api/v1/identify"), link).await;
    ask_as(dev, key, ("ingest", Method::DELETE, "/api/v1/identify/all-visits"), json!({})).await;
    let receipt = ask_as(dev, key, ("ingest", Method::POST, "/api/v1/users/all-is-forgotten/erase"), json!({})).await;
    assert_eq!(receipt["services"]["ingest"]["counts"]["ingest.identity_links"], 1, "{receipt}");
}

/// One of each command, each asking for a reply; the replies, the last of which refuses.
pub async fn commands(dev: &Dev) -> Vec<Message> {
    let workflows = ask(dev, "goals", Method::GET, "/api/v1/workflows?limit=1", Value::Null).await;
    let mut asker = Subscription::open(dev.text("/amqp_url"), exchange::WORKFLOW, "published.nothing").await.unwrap();
    let mut replies: Vec<Message> = Vec::new();
    let enroll = json!({"workflow_id": workflows["items"][0]["id"], "contact_id": "all-asks"});
    let tag = json!({"kind": "tag", "id": "all-commands"});
    for command in
        ["enroll", "schedule_action", "end_enrollment", "put_reference", "delete_reference", "delete_reference"]
    {
        let entered: Value = replies.first().map_or(Value::Null, |reply| serde_json::from_slice(&reply.body).unwrap());
        let enrollment = &entered["result"]["id"];
        let mut body = match command {
            "enroll" => enroll.clone(),
            "schedule_action" => {
                json!({"enrollment_id": enrollment, "action_type": "wait", "scheduled_at": "2099-01-01T00:00:00Z"})
            }
            "end_enrollment" => json!({"enrollment_id": enrollment, "status": "removed"}),
            _ => tag.clone(),
        };
        body["tenant_id"] = dev.text("/tenant_id").into();
        let properties =
            json!({"content_type": "application/json", "message_id": Uuid::now_v7(), "reply_to": asker.queue()});
        let message = json!({"routing_key": command, "payload": body.to_string(), "payload_encoding": "string",
            "properties": properties});
        let url = format!("{}/api/exchanges/%2f/{}/publish", dev.text("/amqp_management_url"), exchange::COMMANDS);
        let request = reqwest::Client::new().post(url).json(&message);
        assert!(request.send().await.unwrap().status().is_success());
        replies.push(asker.next().await.unwrap());
    }
    replies
}

/// What has to come after the exit.
pub async fn to_the_end(dev: &Dev) {
    let workflows = ask(dev, "goals", Method::GET, "/api/v1/workflows?limit=1", Value::Null).await;
    let path = format!("/api/v1/workflows/{}/deactivate", workflows["items"][0]["id"].as_str().unwrap());
    ask(dev, "goals", Method::POST, &path, json!({})).await;
}

fn event(name: &str, contact: &str, properties: Value) -> Value {
    json!({"event_id": Uuid::now_v7(), "event_name": name, "occurred_at": "2026-01-03T10:00:00Z", "contact_id": contact,
        "properties": properties})
}

/// Two messages on `goalpost.domain`: a bare event, and a CloudEvent.
async fn from_another_system(dev: &Dev) {
    let settings = Settings::new(dev.text("/amqp_url"));
    let cancel = CancellationToken::new();
    let bus = Bus::connect(settings, &[], cancel.clone(), Handle::current());
    while !bus.ready() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut bare = event("payment.completed", "all-else", json!({"amount": "5.00"}));
    bare["tenant_id"] = dev.text("/tenant_id").into();
    let cloud = json!({"specversion": "1.0", "id": "tag-1", "source": "/crm", "type": "contact.tag.added",
        "time": "2026-01-03T10:00:00Z", "tenantid": dev.text("/tenant_id"), "datacontenttype": "application/json",
        "data": {"tag_name": "VIP", "contact_id": "all-else"}});
    let messages =
        [("payment.completed", "application/json", bare), ("contact.tag.added", "application/cloudevents+json", cloud)];
    for (key, content_type, body) in messages {
        let message = OutboxMessage {
            id: 1,
            exchange: exchange::DOMAIN.to_owned(),
            routing_key: key.to_owned(),
            mandatory: true,
            message_id: Uuid::now_v7(),
            content_type: content_type.to_owned(),
            payload: body.to_string().into_bytes(),
            traceparent: None,
            correlation_id: None,
            reply_to: None,
        };
        assert_eq!(bus.publisher().publish(Arc::from([message])).await.unwrap(), [Delivery::Confirmed]);
    }
    cancel.cancel();
}
