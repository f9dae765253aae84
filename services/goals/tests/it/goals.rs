//! Goals as configuration: every type, edits, deletion, what an edit does to the moment from which a goal counts.

use crate::harness::{Client, Service, id_of, parsed, table};
use serde_json::{Value, json};

/// What the criteria of the acceptance scenarios point at.
pub async fn directory(editor: &Client) {
    editor.reference("form", "form-123", json!({})).await;
    editor.reference("calendar", "cal-456", json!({"name": "Demo calls"})).await;
    editor.reference("service", "srv-1", json!({})).await;
    editor.reference("product", "prod-1", json!({})).await;
    editor.reference("tag", "tag-1", json!({"name": "Customer"})).await;
    editor.reference("pipeline", "pipe-123", json!({})).await;
    let stage = json!({"name": "Won", "pipeline_id": "pipe-123", "position": 3});
    editor.reference("stage", "stage-789", stage).await;
}

const EVERY_TYPE: &str = r#"
    tag_added              | {"tag_name": "Customer"}                                             | contact.tag.added
    tag_added              | {"tag_id": "tag-1"}                                                  | contact.tag.added
    tag_added              | {"tag_pattern": "cust*"}                                             | contact.tag.added
    purchase_made          | {"any_purchase": true}                                               | payment.completed
    purchase_made          | {"product_id": "prod-1", "max_amount": 9, "currency": "EUR"}         | payment.completed
    appointment_booked     | {"calendar_id": "cal-456", "any_appointment": false}                 | appointment.booked
    appointment_booked     | {"service_id": "srv-1"}                                              | appointment.booked
    form_submitted         | {"form_id": "form-123"}                                              | form.submitted
    pipeline_stage_reached | {"pipeline_id": "pipe-123", "stage_id": "stage-789"}                 | pipeline.stage.changed
    custom_event           | {"event_name": "done", "where": [{"property": "n", "op": "gte", "value": 3}]} | done
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_of_every_type_is_saved_active_and_tied_to_its_workflow() {
    let service = Service::start().await;
    let editor = service.editor();
    directory(&editor).await;
    let begins = json!({"status": "active", "position": 1, "version": 1, "within": null, "on_enroll": "ignore"});
    for [goal_type, criteria, event_name] in table(EVERY_TYPE) {
        let (workflow, criteria) = (editor.workflow().await, parsed(criteria));
        let body = json!({"goal_type": goal_type, "criteria": criteria});
        let made = editor.make(&format!("{workflow}/goals"), body).await;
        assert_eq!((&made["goal_type"], &made["criteria"]), (&json!(goal_type), &criteria));
        assert_eq!(made["workflow_id"], id_of(&workflow));
        for (key, value) in begins.as_object().unwrap() {
            assert_eq!(&made[key], value, "{key}");
        }
        let id = made["id"].as_str().unwrap();
        assert_eq!(service.viewer().show(&format!("{workflow}/goals/{id}")).await, made);
        let listed = service.viewer().show(&format!("{workflow}/goals")).await;
        assert_eq!(listed, json!({"items": [made]}));
        let kept = format!(
            "SELECT count(*) FROM goals.goals g JOIN goals.audit a ON a.object_id = g.id::text
             WHERE g.id = '{id}' AND g.event_name = '{event_name}' AND a.action = 'goal.created'"
        );
        assert_eq!(service.number(&kept).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nulls_are_absent_and_money_stays_as_it_was_written() {
    let service = Service::start().await;
    let editor = service.editor();
    let goals = format!("{}/goals", editor.workflow().await);
    let body = r#"{"goal_type": "purchase_made", "criteria": {"product_id": null, "min_amount": 100.00}}"#;
    let made = editor.raw(reqwest::Method::POST, &goals, Some(body.into())).await;
    let path = format!("{goals}/{}", made.json(201)["id"].as_str().unwrap());
    assert!(made.text.contains(r#""criteria":{"min_amount": 100.00}"#), "{}", made.text);
    assert_eq!(editor.get(&path).await.text, made.text);
    let audit = editor.get(&format!("/api/v1/audit?object_id={}", path.rsplit('/').next().unwrap())).await;
    assert!(audit.text.contains("100.00"), "{}", audit.text);

    // The same amount in other digits means the same: the text changes, the goal counts on as it did.
    editor.post(&format!("{}/activate", path.split("/goals").next().unwrap()), json!({})).await.json(200);
    let before = editor.show(&path).await;
    let edit = r#"{"criteria": {"min_amount": 100.0}}"#;
    let edited = editor.raw(reqwest::Method::PATCH, &path, Some(edit.into())).await;
    assert!(edited.text.contains(r#"{"min_amount": 100.0}"#), "{}", edited.text);
    let edited = edited.json(200);
    assert_eq!((&edited["version"], &edited["effective_from"]), (&json!(2), &before["effective_from"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_follow_each_other_and_order_the_list() {
    let service = Service::start().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    let first = editor.goal(&workflow, "tag_added", json!({"tag_name": "a"})).await;
    let second = editor.goal(&workflow, "tag_added", json!({"tag_name": "b"})).await;
    let body = json!({"goal_type": "tag_added", "criteria": {"tag_name": "c"}, "position": 1, "within": "2w", "on_enroll": "exit"});
    let third = editor.make(&format!("{workflow}/goals"), body).await;
    assert_eq!((&third["within"], &third["on_enroll"]), (&json!("14d"), &json!("exit")));
    assert_eq!(editor.show(&second).await["position"], 2);
    let order = async || {
        let listed = editor.show(&format!("{workflow}/goals")).await;
        let names =
            listed["items"].as_array().unwrap().iter().map(|g| g["criteria"]["tag_name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join("")
    };
    assert_eq!(order().await, "acb");
    editor.edit(&first, json!({"position": 9})).await;
    assert_eq!(order().await, "cba");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_makes_a_version_and_the_same_again_does_not() {
    let service = Service::start().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    let goal = editor.goal(&workflow, "tag_added", json!({"tag_name": "Customer"})).await;
    let before = service.epoch().await;
    let edits = [
        json!({"criteria": {"tag_name": "VIP"}}),
        json!({"within": "7d"}),
        json!({"position": 2}),
        json!({"on_enroll": "skip_enrollment"}),
        json!({"status": "inactive"}),
        json!({"status": "active"}),
        json!({"within": null}),
    ];
    for (version, edit) in (2..).zip(edits) {
        let edited = editor.edit(&goal, edit.clone()).await;
        assert_eq!(edited["version"], version, "{edit}");
        for (key, value) in edit.as_object().unwrap() {
            assert_eq!(&edited[key], value);
        }
        let same = editor.edit(&goal, edit.clone()).await;
        assert_eq!(same, edited, "{edit}");
    }
    assert_eq!(service.epoch().await, before + 7);
    assert_eq!(editor.edit(&goal, json!({})).await["version"], 8);
    let fold = editor.edit(&goal, json!({"criteria": {"tag_name": "vip"}})).await;
    assert_eq!((&fold["criteria"]["tag_name"], &fold["version"]), (&json!("vip"), &json!(9)));
    let audited =
        "SELECT count(*) FROM goals.audit WHERE action = 'goal.updated' AND before ->> 'version' < after ->> 'version'";
    assert_eq!(service.number(audited).await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_goal_is_gone_and_makes_room() {
    let service = Service::start().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    let mut goals = Vec::new();
    for tag in ["a", "b", "c"] {
        goals.push(editor.goal(&workflow, "tag_added", json!({"tag_name": tag})).await);
    }
    editor.delete(&goals[0]).await.nothing();
    for answer in
        [editor.delete(&goals[0]).await, editor.get(&goals[0]).await, editor.patch(&goals[0], json!({})).await]
    {
        answer.refused(404, "not_found");
    }
    editor.goal(&workflow, "tag_added", json!({"tag_name": "a"})).await;
    assert_eq!(
        service.number("SELECT count(*) FROM goals.goals WHERE deleted_at IS NOT NULL AND version = 2").await,
        1
    );
    let audited = "SELECT count(*) FROM goals.audit WHERE action = 'goal.deleted' AND after IS NULL AND before ->> 'status' = 'active'";
    assert_eq!(service.number(audited).await, 1);
    // A goal is found under its own workflow only.
    let other = editor.workflow().await;
    let elsewhere = goals[1].replace(&workflow, &other);
    editor.get(&elsewhere).await.refused(404, "not_found");
    editor.delete(&elsewhere).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_counts_from_when_it_came_to_mean_what_it_means() {
    let service = Service::start().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    let early = editor.goal(&workflow, "tag_added", json!({"tag_name": "a"})).await;
    let from = async |goal: &str| -> Value { editor.show(goal).await["effective_from"].clone() };
    assert_eq!(from(&early).await, json!(null), "a draft listens to nothing");
    editor.act(&workflow, "activate").await;
    let activated = from(&early).await;
    assert!(activated.is_string());

    let late = editor.goal(&workflow, "tag_added", json!({"tag_name": "b"})).await;
    let mut last = from(&late).await;
    assert!(last.as_str() > activated.as_str());
    for (edit, moves) in [
        (json!({"position": 5}), false),
        (json!({"on_enroll": "exit"}), false),
        (json!({"criteria": {"tag_name": "c"}}), true),
        (json!({"within": "1d"}), true),
        (json!({"status": "inactive"}), false),
        (json!({"status": "active"}), true),
    ] {
        editor.edit(&late, edit.clone()).await;
        let now = from(&late).await;
        assert_eq!(now != last, moves, "{edit}");
        last = now;
    }
    assert_eq!(from(&early).await, activated);
}
