//! Changes that are made at once.

use crate::harness::{Answer, Service};
use futures_util::future::join_all;
use serde_json::{Value, json};

fn with_status(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_never_more_than_three_goals() {
    let service = Service::start().await;
    let editor = service.editor();
    for round in 0..3 {
        let path = editor.workflow().await;
        let answers = join_all((0..12).map(|n| {
            let body = json!({"goal_type": "tag_added", "criteria": {"tag_name": format!("t{n}")}});
            let (editor, goals) = (editor.clone(), format!("{path}/goals"));
            async move { editor.post(&goals, body).await }
        }))
        .await;
        assert_eq!(with_status(&answers, 201), 3, "{round}");
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            refused.refused(400, "max_goals_exceeded");
        }
        let goals = editor.show(&format!("{path}/goals")).await;
        let positions: Vec<&Value> = goals["items"].as_array().unwrap().iter().map(|goal| &goal["position"]).collect();
        assert_eq!(positions, [1, 2, 3], "{goals}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_duplicates_made_at_once_one_is_made() {
    let service = Service::start().await;
    let editor = service.editor();
    let path = editor.workflow().await;
    let amounts = ["100", "100.0", "100.00", "1e2", "\"100\"", "100.000", "\"1E2\"", "100.0000"];
    let answers = join_all(amounts.map(|amount| {
        let body = format!(r#"{{"goal_type": "purchase_made", "criteria": {{"min_amount": {amount}}}}}"#);
        let (editor, goals) = (editor.clone(), format!("{path}/goals"));
        async move { editor.raw(reqwest::Method::POST, &goals, Some(body)).await }
    }))
    .await;
    assert_eq!(with_status(&answers, 201), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.refused(409, "duplicate_goal");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn activations_and_deactivations_go_one_after_another() {
    let service = Service::start().await;
    let editor = service.editor();
    let path = editor.workflow().await;
    editor.goal(&path, "tag_added", json!({"tag_name": "a"})).await;
    editor.act(&path, "activate").await;
    let epoch = service.epoch().await;
    let answers = join_all((0..30).map(|n| {
        let action = ["activate", "deactivate", "pause"][n % 3];
        let (editor, path) = (editor.clone(), format!("{path}/{action}"));
        async move { editor.post(&path, json!({})).await }
    }))
    .await;
    for answer in &answers {
        if answer.status != 200 {
            answer.refused(409, "invalid_transition");
        }
    }
    // The log is one chain of changes, and version, epoch and facts agree with it.
    let id = path.rsplit('/').next().unwrap();
    let log = service.viewer().show(&format!("/api/v1/audit?limit=200&object_id={id}")).await;
    let mut entries = log["items"].as_array().unwrap().clone();
    entries.reverse();
    for (one, next) in entries.iter().zip(entries.iter().skip(1)) {
        assert_eq!(one["after"], next["before"]);
        assert_ne!(next["before"]["status"], next["after"]["status"]);
    }
    let changes = i64::try_from(entries.len()).unwrap() - 2;
    let workflow = editor.show(&path).await;
    assert_eq!(workflow, entries.last().unwrap()["after"]);
    assert_eq!(workflow["version"], changes + 2);
    assert_eq!(service.epoch().await, epoch + changes);
    let told = |action: &str| entries.iter().filter(|e| e["action"] == format!("workflow.{action}")).count();
    for action in ["activated", "deactivated"] {
        let facts = format!("SELECT count(*) FROM goals.outbox WHERE routing_key = 'workflow.{action}'");
        assert_eq!(service.number(&facts).await, i64::try_from(told(action)).unwrap());
    }
    assert_eq!(service.number("SELECT count(*) FROM goals.outbox WHERE routing_key LIKE 'workflow.paused%'").await, 0);
    let ids = "SELECT count(*) - count(DISTINCT message_id) FROM goals.outbox";
    assert_eq!(service.number(ids).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_epoch_counts_every_change_of_a_tenant_made_at_once() {
    let service = Service::start().await;
    let editor = service.editor();
    let before = service.epoch().await;
    let changes = join_all((0..20).map(|n| {
        let editor = editor.clone();
        async move {
            match n % 2 {
                0 => editor.make("/api/v1/workflows", json!({"name": "w"})).await,
                _ => editor
                    .put(&format!("/api/v1/references/tag/t{}", n % 4), json!({"name": format!("{n}")}))
                    .await
                    .json(200),
            }
        }
    }))
    .await;
    assert_eq!(changes.len(), 20);
    let audited = service.number("SELECT count(*) FROM goals.audit WHERE tenant_id = 'a'").await;
    assert_eq!((audited, service.epoch().await), (20, before + 20));
    assert_eq!(service.number("SELECT count(*) FROM goals.epochs WHERE tenant_id = 'b' AND epoch = 1").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_waits_for_who_judges_by_the_workflow() {
    let service = Service::start().await;
    let editor = service.editor();
    let path = editor.workflow().await;
    let id: domain::ids::WorkflowId = path.rsplit('/').next().unwrap().parse().unwrap();
    let key = domain::workflow::lock_key(&domain::ids::TenantId::parse("a").unwrap(), id);
    let judging = service.database.superuser().await.unwrap();
    judging.execute("SELECT pg_advisory_lock_shared($1)", &[&key]).await.unwrap();
    let changing = {
        let editor = editor.clone();
        async move { editor.post(&format!("{path}/activate"), json!({})).await }
    };
    let mut changing = Box::pin(changing);
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut changing).await;
    assert!(early.is_err(), "it went past the lock");
    assert_eq!(service.number("SELECT count(*) FROM goals.workflows WHERE status = 'active'").await, 0);
    judging.execute("SELECT pg_advisory_unlock_shared($1)", &[&key]).await.unwrap();
    changing.await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_reference_see_each_other() {
    let service = Service::start().await;
    let editor = service.editor();
    let names: Vec<String> = (0..8).map(|n| format!("name {n}")).collect();
    join_all(names.iter().map(|name| editor.reference("tag", "t", json!({"name": name})))).await;
    let log = service.viewer().show("/api/v1/audit?object_id=tag/t").await;
    let entries = log["items"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[7]["action"]), (8, &json!("reference.created")));
    for (next, one) in entries.iter().zip(entries.iter().skip(1)) {
        assert_eq!(next["before"], one["after"]);
    }
}
