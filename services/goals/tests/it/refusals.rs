//! Every refusal of a goal, with its words.

use crate::goals::directory;
use crate::harness::{Service, parsed, table};
use reqwest::Method;
use serde_json::{Value, json};

/// A goal's body around criteria that are given as text.
fn body(goal_type: &str, criteria: &str) -> Option<String> {
    Some(format!(r#"{{"goal_type": "{goal_type}", "criteria": {criteria}}}"#))
}

const SAYS_NOTHING: &str = r#"
    tag_added              | {}
    purchase_made          | {}
    appointment_booked     | {}
    form_submitted         | {}
    pipeline_stage_reached | {}
    custom_event           | {}
    purchase_made          | {"product_id": null, "min_amount": null}
    purchase_made          | {"any_purchase": false}
    appointment_booked     | {"any_appointment": false, "calendar_id": null}
    form_submitted         | {"any_form": false}
    tag_added              | {"tag_name": null}
    tag_added              | null
"#;

#[tokio::test(flavor = "multi_thread")]
async fn criteria_that_say_nothing_are_refused() {
    let service = Service::start().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    let goals = format!("{workflow}/goals");
    for [goal_type, criteria] in table(SAYS_NOTHING) {
        let answer = editor.raw(Method::POST, &goals, body(goal_type, criteria)).await;
        let problem = answer.refused(400, "criteria_empty");
        assert_eq!(problem["message"], "Goal criteria cannot be empty", "{goal_type} {criteria}");
        assert_eq!(problem["errors"][0]["pointer"], "/criteria");
    }
    let absent = editor.post(&goals, json!({"goal_type": "tag_added"})).await;
    absent.refused(400, "criteria_empty");
    let goal = editor.goal(&workflow, "tag_added", json!({"tag_name": "a"})).await;
    for criteria in [json!({}), json!(null)] {
        let edit = json!({"criteria": criteria});
        editor.patch(&goal, edit).await.refused(400, "criteria_empty");
    }
}

/// The last two stages exist, and are of another pipeline, or of none that is known.
const NOT_THERE: &str = r#"
    form_submitted         | {"form_id": "nope"}                                      | form
    form_submitted         | {"form_ids": ["form-123", "nope"]}                       | form
    appointment_booked     | {"calendar_id": "nope"}                                  | calendar
    appointment_booked     | {"calendar_id": "cal-456", "service_id": "nope"}         | service
    tag_added              | {"tag_id": "nope"}                                       | tag
    purchase_made          | {"product_id": "nope"}                                   | product
    purchase_made          | {"product_ids": ["prod-1", "nope"], "min_amount": 3}     | product
    pipeline_stage_reached | {"stage_id": "nope"}                                     | stage
    pipeline_stage_reached | {"stage_id": "stage-789", "pipeline_id": "nope"}         | pipeline
    pipeline_stage_reached | {"stage_id": "stage-789", "pipeline_id": "pipe-2"}       | stage
    pipeline_stage_reached | {"stage_id": "loose", "pipeline_id": "pipe-2"}           | stage
"#;

#[tokio::test(flavor = "multi_thread")]
async fn references_that_are_not_there_are_refused_by_kind() {
    let service = Service::start().await;
    let editor = service.editor();
    directory(&editor).await;
    editor.reference("pipeline", "pipe-2", json!({})).await;
    editor.reference("stage", "loose", json!({})).await;
    let workflow = editor.workflow().await;
    let goals = format!("{workflow}/goals");
    for [goal_type, criteria, kind] in table(NOT_THERE) {
        let answer = editor.raw(Method::POST, &goals, body(goal_type, criteria)).await;
        let problem = answer.refused(400, "reference_not_found");
        assert_eq!(problem["message"], format!("Referenced {kind} does not exist"), "{criteria}");
    }
    // A tag's name need not exist yet.
    let goal = editor.goal(&workflow, "tag_added", json!({"tag_name": "nobody has it"})).await;
    let answer = editor.patch(&goal, json!({"criteria": {"tag_id": "nope"}})).await;
    let problem = answer.refused(400, "reference_not_found");
    assert_eq!(problem["message"], "Referenced tag does not exist");
    // What is in another tenant's directory is not there.
    let stranger = service.stranger();
    let foreign = format!("{}/goals", stranger.workflow().await);
    let own = body("form_submitted", r#"{"form_id": "form-123"}"#);
    stranger.raw(Method::POST, &foreign, own).await.refused(400, "reference_not_found");
    assert_eq!(service.number("SELECT count(*) FROM goals.goals").await, 1);
}

const MALFORMED: &str = r#"
    {"criteria": {"tag_name": "a"}}                                                | missing_field     | /goal_type
    {"goal_type": "tag_removed", "criteria": {"tag_name": "a"}}                    | unknown_goal_type | /goal_type
    {"goal_type": 1, "criteria": {"tag_name": "a"}}                                | invalid_type      | /goal_type
    {"goal_type": "tag_added", "criteria": {"tag_name": "a"}, "colour": 1}         | unknown_field     | /colour
    {"goal_type": "tag_added", "criteria": {"tag_nmae": "a"}}                      | unknown_field     | /criteria/tag_nmae
    {"goal_type": "purchase_made", "criteria": {"min_amout": 1}}                   | unknown_field     | /criteria/min_amout
    {"goal_type": "tag_added", "criteria": {"tag_name": 7}}                        | invalid_type      | /criteria/tag_name
    {"goal_type": "tag_added", "criteria": {"tag_name": "a", "tag_name": "b"}}     | duplicate_key     | /criteria/tag_name
    {"goal_type": "tag_added", "criteria": []}                                     | invalid_type      | /criteria
    {"goal_type": "tag_added", "criteria": "Customer"}                             | invalid_type      | /criteria
    {"goal_type": "purchase_made", "criteria": {"min_amount": true}}               | invalid_type      | /criteria/min_amount
    {"goal_type": "purchase_made", "criteria": {"min_amount": "a lot"}}            | invalid_value     | /criteria/min_amount
    {"goal_type": "purchase_made", "criteria": {"min_amount": "1.005"}}            | invalid_value     | /criteria/min_amount
    {"goal_type": "purchase_made", "criteria": {"any_purchase": "yes"}}            | invalid_type      | /criteria/any_purchase
    {"goal_type": "tag_added", "criteria": {"tag_name": "a"}, "within": "soon"}    | invalid_value     | /within
    {"goal_type": "tag_added", "criteria": {"tag_name": "a"}, "within": 7}         | invalid_type      | /within
    {"goal_type": "tag_added", "criteria": {"tag_name": "a"}, "position": 0}       | invalid_value     | /position
    {"goal_type": "tag_added", "criteria": {"tag_name": "a"}, "position": 40000}   | invalid_value     | /position
    {"goal_type": "tag_added", "criteria": {"tag_name": "a"}, "on_enroll": "go"}   | invalid_value     | /on_enroll
    {"goal_type": "form_submitted", "criteria": {"any_form": true}, "on_enroll": "exit"} | invalid_value | /on_enroll
"#;

const MALFORMED_EDITS: &str = r#"
    {"goal_type": "tag_added"}       | unknown_field
    {"on_enroll": "exit"}            | invalid_value
    {"status": "deleted"}            | invalid_value
    {"position": -1}                 | invalid_value
    {"within": "0d"}                 | invalid_value
    {"criteria": {"tag_name": "a"}}  | unknown_field
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_is_refused_by_name() {
    let service = Service::start().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    let goals = format!("{workflow}/goals");
    for [body, code, pointer] in table(MALFORMED) {
        let answer = editor.raw(Method::POST, &goals, Some(body.to_owned())).await;
        let problem = answer.refused(400, code);
        let fault = &problem["errors"][0];
        assert_eq!((&fault["pointer"], &fault["code"]), (&json!(pointer), &json!(code)), "{body}");
    }
    let goal = editor.goal(&workflow, "form_submitted", json!({"any_form": true})).await;
    for [edit, code] in table(MALFORMED_EDITS) {
        editor.patch(&goal, parsed(edit)).await.refused(400, code);
    }
    assert_eq!(editor.show(&goal).await["version"], 1);
}

const SAYS_TWO_THINGS: &str = r#"
    purchase_made      | {"any_purchase": true, "product_id": "prod-1"}
    appointment_booked | {"any_appointment": true, "calendar_id": "cal-456"}
    form_submitted     | {"any_form": true, "form_id": "form-123"}
    tag_added          | {"tag_name": "a", "tag_id": "tag-1"}
    tag_added          | {"tag_name": "a", "tag_pattern": "a*"}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn criteria_that_say_two_things_are_refused() {
    let service = Service::start().await;
    let editor = service.editor();
    directory(&editor).await;
    let goals = format!("{}/goals", editor.workflow().await);
    for [goal_type, criteria] in table(SAYS_TWO_THINGS) {
        let answer = editor.raw(Method::POST, &goals, body(goal_type, criteria)).await;
        answer.refused(400, "conflicting_criteria");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fourth_goal_is_refused_whatever_it_is() {
    let service = Service::start().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    let goals = format!("{workflow}/goals");
    let mut first = String::new();
    for tag in ["c", "b", "a"] {
        first = editor.goal(&workflow, "tag_added", json!({"tag_name": tag})).await;
    }
    for criteria in [r#"{"tag_name": "d"}"#, r#"{"tag_name": "a"}"#, r#"{"tag_id": "nope"}"#] {
        let answer = editor.raw(Method::POST, &goals, body("tag_added", criteria)).await;
        let problem = answer.refused(400, "max_goals_exceeded");
        assert_eq!(problem["message"], "Maximum of 3 goals per workflow exceeded");
    }
    // An inactive goal counts.
    editor.edit(&first, json!({"status": "inactive"})).await;
    let fourth = body("tag_added", r#"{"tag_name": "d"}"#);
    editor.raw(Method::POST, &goals, fourth).await.refused(400, "max_goals_exceeded");
}

const MEANS_THE_SAME: &str = r#"
    purchase_made  | {"min_amount": 100}                    | {"min_amount": 100.00}
    purchase_made  | {"min_amount": 100, "currency": "EUR"} | {"currency": "EUR", "min_amount": "1e2", "product_id": null}
    tag_added      | {"tag_name": "Customer"}               | {"tag_name": " CUSTOMER "}
    form_submitted | {"form_id": "form-123"}                | {"form_ids": ["form-123"], "any_form": false}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn two_goals_of_a_workflow_may_not_mean_the_same() {
    let service = Service::start().await;
    let editor = service.editor();
    directory(&editor).await;
    for [goal_type, one, same] in table(MEANS_THE_SAME) {
        let goals = format!("{}/goals", editor.workflow().await);
        let first: Value = editor.raw(Method::POST, &goals, body(goal_type, one)).await.json(201);
        let second = editor.raw(Method::POST, &goals, body(goal_type, same)).await;
        assert_eq!(second.refused(409, "duplicate_goal")["goal_id"], first["id"]);
        // Another workflow may have it, and so may this one once the first is gone.
        let elsewhere = format!("{}/goals", editor.workflow().await);
        editor.raw(Method::POST, &elsewhere, body(goal_type, same)).await.json(201);
        editor.delete(&format!("{goals}/{}", first["id"].as_str().unwrap())).await.nothing();
        editor.raw(Method::POST, &goals, body(goal_type, same)).await.json(201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_may_not_make_a_duplicate() {
    let service = Service::start().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    editor.goal(&workflow, "tag_added", json!({"tag_name": "a"})).await;
    let second = editor.goal(&workflow, "tag_added", json!({"tag_name": "b"})).await;
    let same = json!({"criteria": {"tag_name": "A"}});
    editor.patch(&second, same).await.refused(409, "duplicate_goal");
    let exact = json!({"criteria": {"tag_name": "A", "case_sensitive": true}});
    editor.edit(&second, exact).await;
}
