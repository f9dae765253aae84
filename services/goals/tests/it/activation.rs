//! Activate, pause, deactivate: what is allowed from where, what it checks, and from when goals count.

use crate::goals::directory;
use crate::harness::{Service, id_of, parsed, table};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_transition_is_allowed_or_refused_as_specified() {
    let service = Service::start().await;
    let editor = service.editor();
    let cases = [
        (vec![], ["active", "!paused", "!inactive"]),
        (vec!["activate"], ["active", "paused", "inactive"]),
        (vec!["activate", "pause"], ["active", "paused", "inactive"]),
        (vec!["activate", "deactivate"], ["active", "!paused", "inactive"]),
    ];
    for (steps, outcomes) in cases {
        for (action, wanted) in ["activate", "pause", "deactivate"].into_iter().zip(outcomes) {
            let path = editor.workflow().await;
            for step in &steps {
                editor.act(&path, step).await;
            }
            let (before, epoch) = (editor.show(&path).await, service.epoch().await);
            let answer = editor.post(&format!("{path}/{action}"), json!({})).await;
            match wanted.strip_prefix('!') {
                Some(to) => {
                    let problem = answer.refused(409, "invalid_transition");
                    let message =
                        format!("a workflow that is {} cannot become {to}", before["status"].as_str().unwrap());
                    assert_eq!(problem["message"], message);
                    assert_eq!(editor.show(&path).await, before);
                }
                None => assert_eq!(answer.json(200)["status"], wanted, "{steps:?} {action}"),
            }
            let changed = editor.show(&path).await != before;
            assert_eq!(changed, wanted != before["status"] && !wanted.starts_with('!'), "{steps:?} {action}");
            assert_eq!(service.epoch().await, epoch + i64::from(changed), "{steps:?} {action}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn activating_an_active_workflow_changes_nothing() {
    let service = Service::start().await;
    let editor = service.editor();
    let path = editor.workflow().await;
    let goal = editor.goal(&path, "tag_added", json!({"tag_name": "a"})).await;
    let active = editor.act(&path, "activate").await;
    let (goal_before, epoch) = (editor.show(&goal).await, service.epoch().await);
    let rows = service.number(WRITTEN).await;
    for body in [json!({}), json!({"catch_up": false}), json!({"catch_up": true})] {
        assert_eq!(editor.post(&format!("{path}/activate"), body).await.json(200), active);
    }
    assert_eq!(editor.show(&goal).await, goal_before);
    assert_eq!((service.epoch().await, service.number(WRITTEN).await), (epoch, rows));
    editor.post(&format!("{path}/activate"), json!({"catchup": true})).await.refused(400, "unknown_field");
    editor.post(&format!("{path}/pause"), json!({"catch_up": true})).await.refused(400, "unknown_field");
}

const DANGLING: &str = r#"
    tag_added              | {"tag_id": "tag-1"}                                    | tag      | tag-1
    form_submitted         | {"form_id": "form-123"}                                | form     | form-123
    appointment_booked     | {"calendar_id": "cal-456"}                             | calendar | cal-456
    appointment_booked     | {"service_id": "srv-1"}                                | service  | srv-1
    purchase_made          | {"product_id": "prod-1"}                               | product  | prod-1
    pipeline_stage_reached | {"stage_id": "stage-789"}                              | stage    | stage-789
    pipeline_stage_reached | {"stage_id": "stage-789", "pipeline_id": "pipe-123"}   | pipeline | pipe-123
"#;

const WRITTEN: &str = "SELECT (SELECT count(*) FROM goals.audit) + (SELECT count(*) FROM goals.outbox)";

#[tokio::test(flavor = "multi_thread")]
async fn activation_validates_every_goal_again_and_fails_whole() {
    let service = Service::start().await;
    let editor = service.editor();
    directory(&editor).await;
    for [goal_type, criteria, kind, id] in table(DANGLING) {
        let path = editor.workflow().await;
        let fine = editor.goal(&path, "tag_added", json!({"tag_name": "fine"})).await;
        let goal = editor.goal(&path, goal_type, parsed(criteria)).await;
        editor.delete(&format!("/api/v1/references/{kind}/{id}")).await.nothing();
        let state = async || {
            let (workflow, goal) = (editor.show(&path).await, editor.show(&fine).await);
            (workflow, goal, service.epoch().await, service.number(WRITTEN).await)
        };
        let before = state().await;
        let answer = editor.post(&format!("{path}/activate"), json!({"catch_up": true})).await;
        let problem = answer.refused(400, "invalid_goal_configuration");
        let message = format!("Invalid goal configuration: {kind} does not exist");
        assert_eq!((&problem["message"], &problem["goal_id"]), (&json!(message), &json!(id_of(&goal))));
        assert_eq!(state().await, before);
        directory(&editor).await;
        editor.act(&path, "activate").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn activation_holds_amounts_against_the_currency_of_now() {
    let service = Service::start().await;
    let editor = service.editor();
    let path = editor.workflow().await;
    editor.goal(&path, "purchase_made", json!({"min_amount": "10.50"})).await;
    service.admin().edit("/api/v1/tenants/a", json!({"settings": {"default_currency": "JPY"}})).await;
    let problem = editor.post(&format!("{path}/activate"), json!({})).await.refused(400, "invalid_goal_configuration");
    assert!(problem["message"].as_str().unwrap().starts_with("Invalid goal configuration: "), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_without_goals_can_be_active() {
    let service = Service::start().await;
    let path = service.editor().workflow().await;
    let active = service.editor().act(&path, "activate").await;
    assert_eq!(active["status"], "active");
    assert_eq!(active["activated_at"], active["updated_at"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn goals_count_from_the_activation_and_over_a_pause() {
    let service = Service::start().await;
    let editor = service.editor();
    let path = editor.workflow().await;
    let goals = [
        editor.goal(&path, "tag_added", json!({"tag_name": "a"})).await,
        editor.goal(&path, "tag_added", json!({"tag_name": "b"})).await,
    ];
    editor.edit(&goals[1], json!({"status": "inactive"})).await;
    let times = async || -> (Value, Vec<Value>) {
        let workflow = editor.show(&path).await;
        let mut from = Vec::new();
        for goal in &goals {
            from.push(editor.show(goal).await["effective_from"].clone());
        }
        (workflow["activated_at"].clone(), from)
    };
    let step = async |action: &str, body: Value| editor.post(&format!("{path}/{action}"), body).await.json(200);
    step("activate", json!({})).await;
    let first = times().await;
    assert!(first.0.is_string() && first.1.iter().all(Value::is_string), "{first:?}");
    step("pause", json!({})).await;
    step("activate", json!({})).await;
    assert_eq!(times().await, first, "a pause moves nothing");
    step("deactivate", json!({})).await;
    assert_eq!(times().await, first);
    step("activate", json!({})).await;
    let second = times().await;
    assert!(second.0.as_str() > first.0.as_str());
    assert!(second.1.iter().zip(&first.1).all(|(new, old)| new.as_str() > old.as_str()), "{second:?}");
    step("pause", json!({})).await;
    step("activate", json!({"catch_up": true})).await;
    assert_eq!(times().await, (second.0, vec![json!(null), json!(null)]), "every stored event counts");
    step("deactivate", json!({})).await;
    step("activate", json!({"catch_up": true})).await;
    let last = times().await;
    assert_eq!(last.1, [json!(null), json!(null)]);
    // A goal that comes after a catch-up counts from then on.
    let late = editor.goal(&path, "tag_added", json!({"tag_name": "c"})).await;
    assert!(editor.show(&late).await["effective_from"].as_str() > last.0.as_str());
}
