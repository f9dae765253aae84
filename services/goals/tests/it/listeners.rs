//! Listeners: there as soon as a workflow is live, gone as soon as it is not.

use crate::harness::{Service, eventually};
use serde_json::{Value, json};

const LISTENERS: &str = "/api/v1/listeners";

fn types(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["event_type"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn activation_registers_every_type_and_deactivation_removes_them() {
    let service = Service::start().await;
    let (editor, viewer) = (service.editor(), service.viewer());
    let path = editor.workflow().await;
    editor.goal(&path, "tag_added", json!({"tag_name": "a"})).await;
    let purchase = editor.goal(&path, "purchase_made", json!({"any_purchase": true})).await;
    let listeners = format!("{path}/listeners");
    assert_eq!(viewer.show(&listeners).await, json!({"items": []}));

    let active = editor.act(&path, "activate").await;
    let list = viewer.show(&listeners).await;
    assert_eq!(types(&list), ["contact.tag.added", "payment.completed"]);
    for item in list["items"].as_array().unwrap() {
        assert_eq!(item["workflow_id"], active["id"]);
        assert!(item["registered_at"].as_str() >= active["activated_at"].as_str(), "{item}");
        assert_eq!((&item["active_enrollments"], &item["last_matched_at"]), (&json!(0), &json!(null)));
    }
    assert_eq!(viewer.show(LISTENERS).await, list);

    editor.delete(&purchase).await.nothing();
    assert_eq!(types(&viewer.show(&listeners).await), ["contact.tag.added"]);
    let late = editor.goal(&path, "custom_event", json!({"event_name": "lesson_done"})).await;
    let two = viewer.show(&listeners).await;
    assert_eq!(types(&two), ["contact.tag.added", "lesson_done"]);
    assert!(two["items"][1]["registered_at"].as_str() > two["items"][0]["registered_at"].as_str());
    editor.edit(&late, json!({"status": "inactive"})).await;
    assert_eq!(types(&viewer.show(&listeners).await), ["contact.tag.added"]);

    editor.act(&path, "pause").await;
    assert_eq!(types(&viewer.show(&listeners).await), ["contact.tag.added"], "goals count while paused");
    editor.act(&path, "deactivate").await;
    assert_eq!(viewer.show(&listeners).await, json!({"items": []}));
    assert_eq!(viewer.show(LISTENERS).await, json!({"items": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_knows_who_waits_behind_it_and_when_it_last_matched() {
    let service = Service::start().await;
    let editor = service.editor();
    let path = editor.workflow().await;
    for tag in ["a", "b"] {
        editor.goal(&path, "tag_added", json!({"tag_name": tag})).await;
    }
    editor.goal(&path, "form_submitted", json!({"any_form": true})).await;
    editor.act(&path, "activate").await;
    let workflow = path.rsplit('/').next().unwrap();
    for (tenant, contact, status) in
        [("a", "c1", "active"), ("a", "c2", "active"), ("a", "c3", "removed"), ("b", "c4", "active")]
    {
        let ended = if status == "active" { "NULL, NULL" } else { "now(), 'removed'" };
        service
            .execute(&format!(
                "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, status, enrolled_at, created_at, exited_at, exit_reason)
                 VALUES ('{tenant}', gen_random_uuid(), '{workflow}', '{contact}', '{status}', now(), now(), {ended})"
            ))
            .await;
    }
    for (contact, time) in [("c1", "2026-01-02"), ("c2", "2026-01-03"), ("c3", "2026-01-01")] {
        service
            .execute(&format!(
                "INSERT INTO evaluator.workflow_goal_achievements (tenant_id, id, workflow_id, enrollment_id, contact_id, goal_id, goal_type,
                 goal_version, event_id, event_name, achieved_at, recorded_at, criteria, trigger_event)
                 SELECT 'a', gen_random_uuid(), workflow_id, id, contact_id, gen_random_uuid(), 'tag_added', 1, gen_random_uuid(),
                 'contact.tag.added', '{time}T00:00:00Z', now(), '{{}}', '{{}}' FROM evaluator.enrollments WHERE contact_id = '{contact}'"
            ))
            .await;
    }
    let list = service.viewer().show(&format!("{path}/listeners")).await;
    assert_eq!(types(&list), ["contact.tag.added", "form.submitted"]);
    assert_eq!(
        (&list["items"][0]["active_enrollments"], &list["items"][0]["last_matched_at"]),
        (&json!(2), &json!("2026-01-03T00:00:00Z"))
    );
    assert_eq!(
        (&list["items"][1]["active_enrollments"], &list["items"][1]["last_matched_at"]),
        (&json!(2), &json!(null))
    );
}

/// The line of `/metrics` that starts so.
async fn metric(service: &Service, start: &str) -> Option<String> {
    let text = reqwest::get(format!("{}/metrics", service.admin_url)).await.unwrap().text().await;
    text.unwrap().lines().find(|line| line.starts_with(start)).map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_listed_in_pages_and_counted_by_the_gauge() {
    let service = Service::start().await;
    for editor in [service.editor(), service.editor(), service.editor(), service.stranger()] {
        let path = editor.workflow().await;
        editor.goal(&path, "form_submitted", json!({"any_form": true})).await;
        editor.goal(&path, "purchase_made", json!({"any_purchase": true})).await;
        editor.act(&path, "activate").await;
    }
    let walked = service.viewer().walk(LISTENERS, 1).await;
    assert_eq!(walked.len(), 6);
    assert_eq!(service.viewer().show(LISTENERS).await, json!({"items": walked}));
    let other_cursor = format!("{LISTENERS}?cursor=AAAAAAAAAAB4");
    service.viewer().get(&other_cursor).await.refused(400, "invalid_cursor");

    let counted = async || metric(&service, "goal_listeners_active").await.filter(|l| l.ends_with(" 8"));
    eventually("the gauge", counted).await;
    let registered = metric(&service, "goal_listeners_registrations_total{result=\"ok\"").await.unwrap();
    assert!(registered.ends_with(" 4"), "{registered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_activation_registers_nothing_and_is_counted() {
    let service = Service::start().await;
    let editor = service.editor();
    editor.reference("form", "f", json!({})).await;
    let path = editor.workflow().await;
    editor.goal(&path, "form_submitted", json!({"form_id": "f"})).await;
    editor.delete("/api/v1/references/form/f").await.nothing();
    editor.post(&format!("{path}/activate"), json!({})).await.refused(400, "invalid_goal_configuration");
    assert_eq!(service.viewer().show(LISTENERS).await, json!({"items": []}));
    let refused = metric(&service, "goal_listeners_registrations_total{result=\"invalid\"").await.unwrap();
    assert!(refused.ends_with(" 1"), "{refused}");
}
