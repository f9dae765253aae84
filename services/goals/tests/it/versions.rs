//! Versions: `ETag` on what is answered, `If-Match` on what changes it, `If-None-Match` on what shows it.

use crate::harness::{Answer, Client, Service, id_of};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

const FORMS: &str = r#"{"goal_type": "form_submitted", "criteria": {"any_form": true}}"#;

/// A workflow with a goal; their paths.
async fn configured(editor: &Client) -> (String, String) {
    let workflow = editor.workflow().await;
    let goal = editor.goal(&workflow, "tag_added", json!({"tag_name": "a"})).await;
    (workflow, goal)
}

#[track_caller]
fn tagged(answer: &Answer, status: u16) -> String {
    let object = answer.json(status);
    assert_eq!(answer.etag(), format!("\"{}\"", object["version"]), "{}", answer.text);
    answer.etag().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_that_carries_an_object_has_its_version() {
    let service = Service::start().await;
    let editor = service.editor();
    let made = editor.post("/api/v1/workflows", json!({"name": "w"})).await;
    assert_eq!(tagged(&made, 201), "\"1\"");
    let workflow = format!("/api/v1/workflows/{}", made.json(201)["id"].as_str().unwrap());
    let made = editor.raw(Method::POST, &format!("{workflow}/goals"), Some(FORMS.to_owned())).await;
    assert_eq!(tagged(&made, 201), "\"1\"");
    let goal = format!("{workflow}/goals/{}", made.json(201)["id"].as_str().unwrap());
    for (path, change) in [(&workflow, json!({"name": "v"})), (&goal, json!({"position": 7}))] {
        assert_eq!(tagged(&editor.patch(path, change).await, 200), "\"2\"");
        assert_eq!(tagged(&service.viewer().get(path).await, 200), "\"2\"");
    }
    for (action, version) in [("activate", 3), ("pause", 4), ("deactivate", 5), ("deactivate", 5)] {
        let answer = editor.post(&format!("{workflow}/{action}"), json!({})).await;
        assert_eq!(tagged(&answer, 200), format!("\"{version}\""), "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_update_is_refused_with_what_is_there_and_changes_nothing() {
    let service = Service::start().await;
    let editor = service.editor();
    let (workflow, goal) = configured(&editor).await;
    editor.edit(&workflow, json!({"name": "b"})).await;
    editor.edit(&goal, json!({"position": 2})).await;
    let before = (service.epoch().await, service.number("SELECT count(*) FROM goals.audit").await);
    let [activate, pause, deactivate] = ["activate", "pause", "deactivate"].map(|act| format!("{workflow}/{act}"));
    let changes: [(Method, &str, Value); 6] = [
        (Method::PATCH, &workflow, json!({"name": "c"})),
        (Method::PATCH, &goal, json!({"position": 3})),
        (Method::DELETE, &goal, json!({})),
        (Method::POST, &activate, json!({})),
        (Method::POST, &pause, json!({})),
        (Method::POST, &deactivate, json!({})),
    ];
    for (method, path, body) in &changes {
        // A weak tag never matches, one of another version neither, nor does one that only looks alike.
        for lost in ["\"1\"", "W/\"2\"", "\"02\"", "\"1\", \"3\"", "\"\""] {
            let answer = editor.when("if-match", lost).raw(method.clone(), path, Some(body.to_string())).await;
            answer.refused(412, "version_conflict");
            assert_eq!(answer.etag(), "\"2\"", "{lost}");
        }
        for unreadable in ["2", "\"2", "", "*, \"2\""] {
            let answer = editor.when("if-match", unreadable).raw(method.clone(), path, Some(body.to_string())).await;
            answer.refused(400, "invalid_if_match");
        }
        // What is not there, and what is another's, is not there whatever is asked of it.
        let of_stranger = service.stranger().when("if-match", "*");
        of_stranger.raw(method.clone(), path, Some(body.to_string())).await.refused(404, "not_found");
    }
    let after = (service.epoch().await, service.number("SELECT count(*) FROM goals.audit").await);
    assert_eq!(after, before);
    editor.when("if-match", "*").edit(&workflow, json!({"name": "c"})).await;
    editor.when("if-match", "\"1\", \"3\"").act(&workflow, "activate").await;
    editor.when("if-match", "\"4\"").act(&workflow, "pause").await;
    editor.when("if-match", "\"5\"").act(&workflow, "deactivate").await;
    editor.when("if-match", "\"2\"").edit(&goal, json!({"position": 3})).await;
    editor.when("if-match", "\"3\"").delete(&goal).await.nothing();
    editor.when("if-match", "*").delete(&goal).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_editors_who_saw_the_same_version_exactly_one_wins() {
    let service = Service::start().await;
    let editor = service.editor();
    let (workflow, goal) = configured(&editor).await;
    let bought = json!({"goal_type": "purchase_made", "criteria": {"any_purchase": true}});
    for round in 0..4 {
        let tags = [tagged(&editor.get(&workflow).await, 200), tagged(&editor.get(&goal).await, 200)];
        let answers = join_all((0..16).map(|n| {
            let (editor, (workflow, goal)) = (&editor, (&workflow, &goal));
            let (tag, body) = (tags[n % 2].clone(), json!({"name": format!("{round}.{n}")}));
            async move {
                let editor = editor.when("if-match", &tag);
                match n {
                    n if n % 2 == 1 => editor.patch(goal, json!({"position": 1000 * round + n + 2})).await,
                    0 if round == 0 => editor.post(&format!("{workflow}/activate"), json!({})).await,
                    _ => editor.patch(workflow, body).await,
                }
            }
        }))
        .await;
        for (of, tag) in tags.iter().enumerate() {
            let of_one: Vec<&Answer> = answers.iter().skip(of).step_by(2).collect();
            let won: Vec<&&Answer> = of_one.iter().filter(|answer| answer.status == 200).collect();
            assert_eq!(won.len(), 1, "round {round}: {of_one:?}");
            let next = tagged(won[0], 200);
            assert_ne!(next, *tag);
            for lost in of_one.iter().filter(|answer| answer.status != 200) {
                lost.refused(412, "version_conflict");
                assert_eq!(lost.etag(), next, "the tag that the winner was answered");
            }
        }
        // A change of another object of the workflow makes no version of it.
        let tag = tagged(&editor.get(&workflow).await, 200);
        if round == 0 {
            editor.make(&format!("{workflow}/goals"), bought.clone()).await;
        }
        assert_eq!(tagged(&editor.get(&workflow).await, 200), tag);
    }
    let changes = format!("SELECT count(*) FROM goals.audit WHERE object_id = '{}'", id_of(&goal));
    assert_eq!(service.number(&changes).await, 5, "made, and changed once a round");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_it_already_is_not_sent_it_again() {
    let service = Service::start().await;
    let (workflow, goal) = configured(&service.editor()).await;
    for path in [&workflow, &goal] {
        for known in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
            let answer = service.viewer().when("if-none-match", known).get(path).await;
            assert_eq!((answer.status, answer.text.as_str(), answer.etag()), (304, "", "\"1\""), "{known}");
        }
        for other in ["\"2\"", "1", "\"", ""] {
            assert_eq!(tagged(&service.viewer().when("if-none-match", other).get(path).await, 200), "\"1\"");
        }
        service.stranger().when("if-none-match", "*").get(path).await.refused(404, "not_found");
    }
}

#[test]
fn the_document_has_versions_on_exactly_the_operations_that_have_them() {
    let document: Value = serde_json::from_str(goalpost_goals::operations().document()).unwrap();
    let mut found: Vec<(&str, [bool; 5])> = Vec::new();
    for operation in document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        let asks = |header: &str| {
            operation["parameters"].as_array().is_some_and(|all| all.iter().any(|asked| asked["name"] == header))
        };
        let answers = operation["responses"].as_object().unwrap();
        let tagged = |status: &str| answers.get(status).is_some_and(|answer| answer["headers"]["ETag"].is_object());
        let has = [
            asks("If-Match"),
            answers.contains_key("412"),
            asks("If-None-Match"),
            tagged("304"),
            tagged("200") || tagged("201"),
        ];
        if has.contains(&true) {
            found.push((operation["operationId"].as_str().unwrap(), has));
        }
    }
    found.sort_unstable();
    let (made, shown) = ([false, false, false, false, true], [false, false, true, true, true]);
    let (changed, deleted) = ([true, true, false, false, true], [true, true, false, false, false]);
    let wanted = [
        ("activateWorkflow", changed),
        ("createGoal", made),
        ("createWorkflow", made),
        ("deactivateWorkflow", changed),
        ("deleteEventType", deleted),
        ("deleteGoal", deleted),
        ("getEventType", shown),
        ("getGoal", shown),
        ("getWorkflow", shown),
        ("pauseWorkflow", changed),
        ("putEventType", changed),
        ("updateGoal", changed),
        ("updateWorkflow", changed),
    ];
    assert_eq!(found, wanted);
}
