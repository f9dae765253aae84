//! Another tenant's object is not there: its id answers exactly as an id that nobody has.

use crate::goals::directory;
use crate::harness::Service;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// The same request for a foreign object, for one that nobody has, and for ids that are none.
async fn asserts_equal(
    service: &Service,
    method: Method,
    (foreign, ids): (&str, &[&str]),
    body: Option<Value>,
) {
    let body = body.map(|body| body.to_string());
    let (editor, admin) = (service.editor(), service.admin());
    for client in [editor, admin] {
        let answer = client.raw(method.clone(), foreign, body.clone()).await;
        answer.refused(404, "not_found");
        for nobodys in [
            Uuid::now_v7().to_string(),
            Uuid::nil().to_string(),
            "x".to_owned(),
            "%00".to_owned(),
            "%F0%9F%8E%AF".to_owned(),
        ] {
            let path = ids
                .iter()
                .fold(foreign.to_owned(), |path, id| path.replace(id, &nobodys));
            let unknown = client.raw(method.clone(), &path, body.clone()).await;
            assert_eq!(
                (unknown.status, &unknown.text),
                (answer.status, &answer.text),
                "{method} {path}"
            );
            assert_eq!(unknown.content_type, answer.content_type);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_workflows_and_goals_answer_as_unknown_ones() {
    let service = Service::start().await;
    let stranger = service.stranger();
    let workflow = stranger.workflow().await;
    let goal = stranger
        .goal(&workflow, "tag_added", json!({"tag_name": "a"}))
        .await;
    stranger
        .post(&format!("{workflow}/activate"), json!({}))
        .await
        .json(200);
    let before = (
        stranger.get(&workflow).await.text,
        stranger.get(&goal).await.text,
    );
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let (workflow_id, goal_id) = (id(&workflow), id(&goal));
    let goal_body = json!({"goal_type": "tag_added", "criteria": {"tag_name": "b"}});
    for (method, path, body) in [
        (Method::GET, workflow.clone(), None),
        (
            Method::PATCH,
            workflow.clone(),
            Some(json!({"name": "mine"})),
        ),
        (
            Method::POST,
            format!("{workflow}/activate"),
            Some(json!({})),
        ),
        (Method::POST, format!("{workflow}/pause"), None),
        (
            Method::POST,
            format!("{workflow}/deactivate"),
            Some(json!({})),
        ),
        (Method::GET, format!("{workflow}/listeners"), None),
        (Method::GET, format!("{workflow}/goals"), None),
        (Method::POST, format!("{workflow}/goals"), Some(goal_body)),
        (Method::GET, goal.clone(), None),
        (Method::PATCH, goal.clone(), Some(json!({"position": 3}))),
        (Method::DELETE, goal.clone(), None),
    ] {
        let editor = service.editor();
        let answer = editor
            .raw(method.clone(), &path, body.as_ref().map(Value::to_string))
            .await;
        answer.refused(404, "not_found");
        asserts_equal(
            &service,
            method,
            (&path, &[workflow_id.as_str(), goal_id.as_str()]),
            body,
        )
        .await;
    }
    // A foreign goal under one's own workflow.
    let own = service.editor().workflow().await;
    service
        .editor()
        .get(&format!("{own}/goals/{goal_id}"))
        .await
        .refused(404, "not_found");
    assert_eq!(
        (
            stranger.get(&workflow).await.text,
            stranger.get(&goal).await.text
        ),
        before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_tenants_answer_as_unknown_ones() {
    let service = Service::start().await;
    let keys = service
        .client(&service.b.admin_key)
        .get("/api/v1/tenants/b/api-keys")
        .await
        .json(200);
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
            admin
                .raw(
                    method.clone(),
                    &format!("/api/v1/tenants/{tenant}{path}"),
                    body.clone(),
                )
                .await
        };
        let foreign = ask("b").await;
        foreign.refused(404, "not_found");
        for nobody in ["nobody", "a.b", "%00", &"x".repeat(65), "A"] {
            assert_eq!(
                ask(nobody).await.text,
                foreign.text,
                "{method} {nobody}{path}"
            );
        }
        // Bad bodies make no difference.
        if body.is_some() {
            let bad = admin
                .raw(
                    method.clone(),
                    &format!("/api/v1/tenants/b{path}"),
                    Some("{".into()),
                )
                .await;
            assert_eq!(bad.text, foreign.text);
        }
    }
    // A foreign credential under one's own tenant.
    admin
        .delete(&format!("/api/v1/tenants/a/api-keys/{key}"))
        .await
        .refused(404, "not_found");
    assert_eq!(
        service
            .number("SELECT count(*) FROM platform.api_keys WHERE revoked_at IS NOT NULL")
            .await,
        0
    );
    assert_eq!(
        service
            .number("SELECT count(*) FROM goals.epochs WHERE tenant_id = 'b' AND epoch = 1")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_look_ups_end_at_the_tenant() {
    let service = Service::start().await;
    let stranger = service.stranger();
    directory(&stranger).await;
    let workflow = stranger.workflow().await;
    stranger
        .goal(&workflow, "form_submitted", json!({"form_id": "form-123"}))
        .await;
    stranger
        .post(&format!("{workflow}/activate"), json!({}))
        .await
        .json(200);
    let editor = service.editor();
    let object = workflow.rsplit('/').next().unwrap();
    for path in [
        "workflows",
        "references",
        "references?kind=form",
        "listeners",
        "audit",
        &format!("audit?object_id={object}"),
    ] {
        let path = format!("/api/v1/{path}");
        assert_eq!(
            editor.get(&path).await.json(200),
            json!({"items": []}),
            "{path}"
        );
        assert_ne!(
            stranger.get(&path).await.json(200),
            json!({"items": []}),
            "{path}: the stranger sees its own"
        );
    }
    let path = "/api/v1/references/form/form-123";
    let foreign = editor.get(path).await;
    foreign.refused(404, "not_found");
    assert_eq!(
        editor.get("/api/v1/references/form/nope").await.text,
        foreign.text
    );
    editor.delete(path).await.refused(404, "not_found");
    // The same id is another thing in another tenant.
    editor.put(path, json!({"name": "Mine"})).await.json(200);
    assert_eq!(stranger.get(path).await.json(200)["name"], json!(null));
    editor.delete(path).await.nothing();
    stranger.get(path).await.json(200);
}
