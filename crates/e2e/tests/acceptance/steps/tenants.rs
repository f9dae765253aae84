//! More than one tenant, and what a tenant's settings change.

use cucumber::{given, then, when};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Tenant, World};

#[given(regex = r"^a tenant with (\{.*\})$")]
async fn has_settings(world: &mut World, settings: String) {
    let path = format!("/api/v1/tenants/{}", world.tenant.id);
    let body = format!(r#"{{"settings": {settings}}}"#);
    world.api(Method::PATCH, ("goals", &path), Some(&body)).await.good();
}

#[given(regex = r"^the event type (\S+) (\{.*\})$")]
async fn has_event_type(world: &mut World, name: String, schema: String) {
    let path = format!("/api/v1/event-types/{name}");
    let body = format!(r#"{{"schema": {schema}}}"#);
    world.api(Method::PUT, ("goals", &path), Some(&body)).await.good();
}

/// From here on another tenant does what is done; workflows and enrollments keep their names.
#[when(regex = r"^another tenant takes over$")]
async fn another(world: &mut World) {
    let another = Tenant::new(world.place).await;
    world.first_tenant = Some(std::mem::replace(&mut world.tenant, another));
}

#[when(regex = r"^the first tenant takes over$")]
async fn the_first(world: &mut World) {
    world.tenant = world.first_tenant.take().unwrap();
}

/// Of the same tenant.
#[when(regex = r"^a viewer takes over$")]
async fn a_viewer(world: &mut World) {
    let path = format!("/api/v1/tenants/{}/api-keys", world.tenant.id);
    let key = world.api(Method::POST, ("goals", &path), Some(r#"{"role": "viewer"}"#)).await.good();
    key["key"].as_str().unwrap().clone_into(&mut world.tenant.api_key);
}

#[then(regex = r"^nothing of (\S+) is there for it$")]
async fn nothing_is_there(world: &mut World, contact: String) {
    let goal = world.goal_path(1);
    let (workflow, enrollment) = (world.path(""), world.enrollment(&contact));
    let reads = [
        ("goals", workflow.clone()),
        ("goals", goal),
        ("goals", format!("{workflow}/listeners")),
        ("evaluator", format!("/api/v1/enrollments/{enrollment}")),
        ("evaluator", format!("/api/v1/enrollments/{enrollment}/actions")),
        ("evaluator", format!("{workflow}/enrollments")),
        ("evaluator", format!("{workflow}/achievements")),
        ("analytics", format!("{workflow}/goals/stats")),
    ];
    for (service, path) in reads {
        let answer = world.api(Method::GET, (service, &path), None).await;
        assert_eq!(answer.status, 404, "{} was answered {}", answer.what, answer.text);
    }
    let body = json!({"contact_id": contact}).to_string();
    let answer = world.api(Method::POST, ("evaluator", &format!("{workflow}/enrollments")), Some(&body)).await;
    assert_eq!(answer.status, 404, "{} was answered {}", answer.what, answer.text);
    let listeners = world.read("goals", "/api/v1/listeners").await;
    assert_eq!(listeners["items"], Value::Array(Vec::new()));
}

/// In no column of any table of any service, in whatever case, in bytes neither.
#[then(regex = r"^no table has (.+)$")]
async fn no_table_has(world: &mut World, texts: String) {
    world.settle().await;
    for text in texts.split(", ") {
        assert_eq!(world.place.tables_with(text).await, Vec::<String>::new(), "{text}");
    }
}
