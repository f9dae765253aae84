//! Another tenant's object is not there: its id answers exactly as an id that nobody has.

use crate::goals::directory;
use crate::harness::{Service, id_of, table};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

const OF_A_WORKFLOW: &str = r#"
    GET    |              | -
    PATCH  |              | {"name": "mine"}
    POST   | /activate    | {}
    POST   | /pause       | -
    POST   | /deactivate  | {}
    GET    | /listeners   | -
    GET    | /goals       | -
    POST   | /goals       | {"goal_type": "tag_added", "criteria": {"tag_name": "b"}}
    GET    | /goals/{id}  | -
    PATCH  | /goals/{id}  | {"position": 3}
    DELETE | /goals/{id}  | -
"#;

#[tokio::test(flavor = "multi_thread")]
async fn foreign_workflows_and_goals_answer_as_unknown_ones() {
    let service = Service::start().await;
    let stranger = service.stranger();
    let workflow = stranger.workflow().await;
    let goal = stranger.goal(&workflow, "tag_added", json!({"tag_name": "a"})).await;
    stranger.act(&workflow, "activate").await;
    let before = (stranger.show(&workflow).await, stranger.show(&goal).await);
    let nobodys = [Uuid::now_v7().to_string(), Uuid::nil().to_string()];
    let nobodys = nobodys.iter().map(String::as_str).chain(["x", "%00", "%F0%9F%8E%AF"]);
    let ids: Vec<(&str, &str)> = nobodys.map(|id| (id, id)).collect();
    for [method, rest, body] in table(OF_A_WORKFLOW) {
        let method: Method = method.parse().unwrap();
        let body = (body != "-").then(|| body.to_owned());
        for client in [service.editor(), service.admin()] {
            let ask = async |(workflow, goal): (&str, &str)| {
                let path = format!("/api/v1/workflows/{workflow}{}", rest.replace("{id}", goal));
                client.raw(method.clone(), &path, body.clone()).await
            };
            let foreign = ask((id_of(&workflow), id_of(&goal))).await;
            foreign.refused(404, "not_found");
            for ids in &ids {
                let unknown = ask(*ids).await;
                assert_eq!((unknown.status, &unknown.text), (404, &foreign.text), "{method} {rest}");
                assert_eq!(unknown.content_type, foreign.content_type);
            }
        }
    }
    // A foreign goal under one's own workflow.
    let own = service.editor().workflow().await;
    let path = format!("{own}/goals/{}", id_of(&goal));
    service.editor().get(&path).await.refused(404, "not_found");
    assert_eq!((stranger.show(&workflow).await, stranger.show(&goal).await), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_tenants_answer_as_unknown_ones() {
    let service = Service::start().await;
    let keys = service.client(&service.b.admin_key).show("/api/v1/tenants/b/api-keys").await;
    let key = keys["items"][0]["id"].as_str().unwrap().to_owned();
    let admin = service.admin();
    for (method, path, body) in [
        (Method::GET, "", None),
        (Method::PATCH, "", Some(json!({"name": "mine"}))),
        (Method::GET, "/write-tokens", None),
        (Method::POST, "/write-tokens", Some(json!({}))),
        (Method::DELETE, "/write-tokens/x", None),
        (Method::GET, "/api-keys", None),
        (Method::POST, "/api-keys", Some(json!({"role": "admin"}))),
        (Method::DELETE, &format!("/api-keys/{key}"), None),
    ] {
        let body = body.map(|body| body.to_string());
        let ask = async |tenant: &str| {
            admin.raw(method.clone(), &format!("/api/v1/tenants/{tenant}{path}"), body.clone()).await
        };
        let foreign = ask("b").await;
        foreign.refused(404, "not_found");
        for nobody in ["nobody", "a.b", "%00", &"x".repeat(65), "A"] {
            assert_eq!(ask(nobody).await.text, foreign.text, "{method} {nobody}{path}");
        }
        // Bad bodies make no difference.
        if body.is_some() {
            let bad = admin.raw(method.clone(), &format!("/api/v1/tenants/b{path}"), Some("{".into())).await;
            assert_eq!(bad.text, foreign.text);
        }
    }
    // A foreign credential under one's own tenant.
    admin.delete(&format!("/api/v1/tenants/a/api-keys/{key}")).await.refused(404, "not_found");
    assert_eq!(service.number("SELECT count(*) FROM platform.api_keys WHERE revoked_at IS NOT NULL").await, 0);
    assert_eq!(service.number("SELECT count(*) FROM goals.epochs WHERE tenant_id = 'b' AND epoch = 1").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_look_ups_end_at_the_tenant() {
    let service = Service::start().await;
    let stranger = service.stranger();
    directory(&stranger).await;
    let workflow = stranger.workflow().await;
    stranger.goal(&workflow, "form_submitted", json!({"form_id": "form-123"})).await;
    stranger.act(&workflow, "activate").await;
    let editor = service.editor();
    let object = workflow.rsplit('/').next().unwrap();
    for path in
        ["workflows", "references", "references?kind=form", "listeners", "audit", &format!("audit?object_id={object}")]
    {
        let path = format!("/api/v1/{path}");
        assert_eq!(editor.show(&path).await, json!({"items": []}), "{path}");
        assert_ne!(stranger.show(&path).await, json!({"items": []}), "{path}: the stranger sees its own");
    }
    let path = "/api/v1/references/form/form-123";
    let foreign = editor.get(path).await;
    foreign.refused(404, "not_found");
    assert_eq!(editor.get("/api/v1/references/form/nope").await.text, foreign.text);
    editor.delete(path).await.refused(404, "not_found");
    // The same id is another thing in another tenant.
    editor.put(path, json!({"name": "Mine"})).await.json(200);
    assert_eq!(stranger.show(path).await["name"], json!(null));
    editor.delete(path).await.nothing();
    stranger.show(path).await;
}
