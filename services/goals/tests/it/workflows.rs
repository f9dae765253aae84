//! Workflows as configuration: made, listed, edited.

use crate::harness::{Service, each};
use serde_json::json;
use uuid::Uuid;

const WORKFLOWS: &str = "/api/v1/workflows";

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_begins_as_a_draft() {
    let service = Service::start().await;
    let made = service.editor().make(WORKFLOWS, json!({"name": "Welcome"})).await;
    let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    for (key, value) in [
        ("name", json!("Welcome")),
        ("status", json!("draft")),
        ("goal_logic", json!("any")),
        ("allow_reentry", json!(false)),
        ("version", json!(1)),
        ("activated_at", json!(null)),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    assert!(made["created_by"].as_str().unwrap().starts_with("key:"));
    assert!(made["created_at"].as_str().unwrap().ends_with('Z'));
    assert!(made.get("tenant_id").is_none());
    assert_eq!(service.viewer().show(&format!("{WORKFLOWS}/{id}")).await, made);
    let body = json!({"name": "Both", "goal_logic": {"at_least": 2}, "allow_reentry": true});
    let both = service.editor().make(WORKFLOWS, body).await;
    assert_eq!((&both["goal_logic"], &both["allow_reentry"]), (&json!({"at_least": 2}), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_workflows_are_refused_by_field() {
    let service = Service::start().await;
    let before = service.epoch().await;
    for (body, code, pointer) in [
        (json!({}), "missing_field", "/name"),
        (json!({"name": " "}), "invalid_value", "/name"),
        (json!({"name": "x".repeat(201)}), "too_long", "/name"),
        (json!({"name": "a\nb"}), "invalid_value", "/name"),
        (json!({"name": "a\u{0}b"}), "nul_character", "/name"),
        (json!({"name": 3}), "invalid_type", "/name"),
        (json!({"name": "x", "nmae": 1}), "unknown_field", "/nmae"),
        (json!({"name": "x", "status": "active"}), "unknown_field", "/status"),
        (json!({"name": "x", "goal_logic": "some"}), "invalid_value", "/goal_logic"),
        (json!({"name": "x", "goal_logic": {"at_least": 0}}), "invalid_value", "/goal_logic/at_least"),
        (json!({"name": "x", "goal_logic": {"at_least": 4}}), "invalid_value", "/goal_logic/at_least"),
        (json!({"name": "x", "allow_reentry": "yes"}), "invalid_type", "/allow_reentry"),
    ] {
        let problem = service.editor().post(WORKFLOWS, body).await.refused(400, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let editor = service.editor();
    editor.raw(reqwest::Method::POST, WORKFLOWS, Some("{".into())).await.refused(400, "malformed_json");
    editor.raw(reqwest::Method::POST, WORKFLOWS, Some("x".repeat(300_000))).await.refused(413, "body_too_large");
    let twice = r#"{"name":"a","name":"b"}"#.to_owned();
    editor.raw(reqwest::Method::POST, WORKFLOWS, Some(twice)).await.refused(400, "duplicate_key");
    assert_eq!(service.number("SELECT count(*) FROM goals.workflows").await, 0);
    assert_eq!(service.epoch().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_makes_a_version_and_the_same_again_does_not() {
    let service = Service::start().await;
    let editor = service.editor();
    let path = editor.workflow().await;
    let before = service.epoch().await;
    let edited = editor.edit(&path, json!({"name": "Hello", "goal_logic": "all"})).await;
    assert_eq!(
        (&edited["name"], &edited["goal_logic"], &edited["version"]),
        (&json!("Hello"), &json!("all"), &json!(2))
    );
    assert_eq!(service.epoch().await, before + 1);
    for same in
        [json!({}), json!({"name": "Hello"}), json!({"goal_logic": "all", "allow_reentry": false, "name": null})]
    {
        assert_eq!(editor.edit(&path, same).await, edited);
    }
    editor.patch(&path, json!({"version": 7})).await.refused(400, "unknown_field");
    editor.patch(&path, json!({"goal_logic": {"at_least": 9}})).await.refused(400, "invalid_value");
    assert_eq!(service.epoch().await, before + 1);
    assert_eq!(editor.edit(&path, json!({"allow_reentry": true})).await["version"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_listed_in_pages_newest_first() {
    let service = Service::start().await;
    let mut made = Vec::new();
    for number in 0..7 {
        let body = json!({"name": format!("w{number}")});
        made.insert(0, service.editor().make(WORKFLOWS, body).await["id"].clone());
    }
    service.stranger().workflow().await;
    let walked = service.viewer().walk(WORKFLOWS, 3).await;
    assert_eq!(each(&walked, "id"), made);
    for (query, code) in [("limit=201", "invalid_limit"), ("cursor=x", "invalid_cursor")] {
        service.viewer().get(&format!("{WORKFLOWS}?{query}")).await.refused(400, code);
    }
    // A cursor whose time no database has, and one whose id is no UUID.
    for cursor in ["gAAAAAAAAAAAYQ", "AAAAAAAAAAB4"] {
        service.viewer().get(&format!("{WORKFLOWS}?cursor={cursor}")).await.refused(400, "invalid_cursor");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_filtered_by_status_and_name() {
    let service = Service::start().await;
    let editor = service.editor();
    for name in ["Win back", "winter 100%", "Welcome"] {
        let made = editor.make(WORKFLOWS, json!({"name": name})).await;
        if name != "Welcome" {
            editor.act(&format!("{WORKFLOWS}/{}", made["id"].as_str().unwrap()), "activate").await;
        }
    }
    service.stranger().make(WORKFLOWS, json!({"name": "Win back"})).await;
    for (query, names) in [
        ("status=draft", vec!["Welcome"]),
        ("status=active", vec!["winter 100%", "Win back"]),
        ("status=paused", vec![]),
        ("name=WIN", vec!["winter 100%", "Win back"]),
        ("name=%25", vec!["winter 100%"]),
        ("name=_", vec![]),
        ("name=we&status=draft", vec!["Welcome"]),
        ("name=we&status=active", vec![]),
    ] {
        let found = service.viewer().walk(&format!("{WORKFLOWS}?{query}"), 1).await;
        assert_eq!(each(&found, "name"), names, "{query}");
    }
    service.viewer().get(&format!("{WORKFLOWS}?name=%00")).await.refused(400, "nul_character");
    assert_eq!(service.viewer().get(&format!("{WORKFLOWS}?status=live")).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_answers_404_and_other_methods_405() {
    let service = Service::start().await;
    for path in [format!("{WORKFLOWS}/{}", Uuid::now_v7()), format!("{WORKFLOWS}/x"), format!("{WORKFLOWS}/%00")] {
        service.viewer().get(&path).await.refused(404, "not_found");
        service.editor().patch(&path, json!({"name": "x"})).await.refused(404, "not_found");
    }
    service.viewer().get("/api/v1/nothing").await.refused(404, "route_not_found");
    service.admin().delete(WORKFLOWS).await.refused(405, "method_not_allowed");
}
