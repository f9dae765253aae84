//! Every refusal of a goal, with its words.

use crate::goals::directory;
use crate::harness::Service;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn criteria_that_say_nothing_are_refused() {
    let service = Service::start().await;
    let editor = service.editor();
    let goals = format!("{}/goals", editor.workflow().await);
    let types = [
        "tag_added",
        "purchase_made",
        "appointment_booked",
        "form_submitted",
        "pipeline_stage_reached",
        "custom_event",
    ];
    let mut cases: Vec<(&str, Value)> = types
        .iter()
        .map(|goal_type| (*goal_type, json!({})))
        .collect();
    cases.extend([
        (
            "purchase_made",
            json!({"product_id": null, "min_amount": null}),
        ),
        ("purchase_made", json!({"any_purchase": false})),
        (
            "appointment_booked",
            json!({"any_appointment": false, "calendar_id": null}),
        ),
        ("form_submitted", json!({"any_form": false})),
        ("tag_added", json!({"tag_name": null})),
        ("tag_added", json!(null)),
    ]);
    for (goal_type, criteria) in cases {
        let problem = editor
            .post(
                &goals,
                json!({"goal_type": goal_type, "criteria": criteria}),
            )
            .await
            .refused(400, "criteria_empty");
        assert_eq!(
            problem["message"], "Goal criteria cannot be empty",
            "{goal_type} {criteria}"
        );
        assert_eq!(problem["errors"][0]["pointer"], "/criteria");
    }
    let absent = editor
        .post(&goals, json!({"goal_type": "tag_added"}))
        .await
        .refused(400, "criteria_empty");
    assert_eq!(absent["message"], "Goal criteria cannot be empty");
    let goal = editor
        .goal(
            goals.trim_end_matches("/goals"),
            "tag_added",
            json!({"tag_name": "a"}),
        )
        .await;
    for criteria in [json!({}), json!(null)] {
        editor
            .patch(&goal, json!({"criteria": criteria}))
            .await
            .refused(400, "criteria_empty");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_that_are_not_there_are_refused_by_kind() {
    let service = Service::start().await;
    let editor = service.editor();
    directory(&editor).await;
    editor.reference("pipeline", "pipe-2", json!({})).await;
    editor.reference("stage", "loose", json!({})).await;
    let goals = format!("{}/goals", editor.workflow().await);
    for (goal_type, criteria, kind) in [
        ("form_submitted", json!({"form_id": "nope"}), "form"),
        (
            "form_submitted",
            json!({"form_ids": ["form-123", "nope"]}),
            "form",
        ),
        (
            "appointment_booked",
            json!({"calendar_id": "nope"}),
            "calendar",
        ),
        (
            "appointment_booked",
            json!({"calendar_id": "cal-456", "service_id": "nope"}),
            "service",
        ),
        ("tag_added", json!({"tag_id": "nope"}), "tag"),
        ("purchase_made", json!({"product_id": "nope"}), "product"),
        (
            "purchase_made",
            json!({"product_ids": ["prod-1", "nope"], "min_amount": 3}),
            "product",
        ),
        (
            "pipeline_stage_reached",
            json!({"stage_id": "nope"}),
            "stage",
        ),
        (
            "pipeline_stage_reached",
            json!({"stage_id": "stage-789", "pipeline_id": "nope"}),
            "pipeline",
        ),
        // It exists, and is of another pipeline, or of none that is known.
        (
            "pipeline_stage_reached",
            json!({"stage_id": "stage-789", "pipeline_id": "pipe-2"}),
            "stage",
        ),
        (
            "pipeline_stage_reached",
            json!({"stage_id": "loose", "pipeline_id": "pipe-2"}),
            "stage",
        ),
    ] {
        let problem = editor
            .post(
                &goals,
                json!({"goal_type": goal_type, "criteria": criteria}),
            )
            .await
            .refused(400, "reference_not_found");
        assert_eq!(
            problem["message"],
            format!("Referenced {kind} does not exist"),
            "{criteria}"
        );
    }
    // A tag's name need not exist yet.
    let goal = editor
        .goal(
            goals.trim_end_matches("/goals"),
            "tag_added",
            json!({"tag_name": "nobody has it"}),
        )
        .await;
    let problem = editor
        .patch(&goal, json!({"criteria": {"tag_id": "nope"}}))
        .await
        .refused(400, "reference_not_found");
    assert_eq!(problem["message"], "Referenced tag does not exist");
    // What is in another tenant's directory is not there.
    let stranger = service.stranger();
    let foreign = format!("{}/goals", stranger.workflow().await);
    let body = json!({"goal_type": "form_submitted", "criteria": {"form_id": "form-123"}});
    stranger
        .post(&foreign, body)
        .await
        .refused(400, "reference_not_found");
    assert_eq!(service.number("SELECT count(*) FROM goals.goals").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_is_refused_by_name() {
    let service = Service::start().await;
    let editor = service.editor();
    let goals = format!("{}/goals", editor.workflow().await);
    let tag = json!({"tag_name": "a"});
    for (body, code, pointer) in [
        (json!({"criteria": tag}), "missing_field", "/goal_type"),
        (
            json!({"goal_type": "tag_removed", "criteria": tag}),
            "unknown_goal_type",
            "/goal_type",
        ),
        (
            json!({"goal_type": 1, "criteria": tag}),
            "invalid_type",
            "/goal_type",
        ),
        (
            json!({"goal_type": "tag_added", "criteria": tag, "colour": 1}),
            "unknown_field",
            "/colour",
        ),
        (
            json!({"goal_type": "tag_added", "criteria": {"tag_nmae": "a"}}),
            "unknown_field",
            "/criteria/tag_nmae",
        ),
        (
            json!({"goal_type": "purchase_made", "criteria": {"min_amout": 1}}),
            "unknown_field",
            "/criteria/min_amout",
        ),
        (
            json!({"goal_type": "tag_added", "criteria": {"tag_name": 7}}),
            "invalid_type",
            "/criteria/tag_name",
        ),
        (
            json!({"goal_type": "tag_added", "criteria": []}),
            "invalid_type",
            "/criteria",
        ),
        (
            json!({"goal_type": "tag_added", "criteria": "Customer"}),
            "invalid_type",
            "/criteria",
        ),
        (
            json!({"goal_type": "purchase_made", "criteria": {"min_amount": true}}),
            "invalid_type",
            "/criteria/min_amount",
        ),
        (
            json!({"goal_type": "purchase_made", "criteria": {"min_amount": "a lot"}}),
            "invalid_value",
            "/criteria/min_amount",
        ),
        (
            json!({"goal_type": "purchase_made", "criteria": {"min_amount": "1.005"}}),
            "invalid_value",
            "/criteria/min_amount",
        ),
        (
            json!({"goal_type": "purchase_made", "criteria": {"any_purchase": "yes"}}),
            "invalid_type",
            "/criteria/any_purchase",
        ),
        (
            json!({"goal_type": "tag_added", "criteria": tag, "within": "soon"}),
            "invalid_value",
            "/within",
        ),
        (
            json!({"goal_type": "tag_added", "criteria": tag, "within": 7}),
            "invalid_type",
            "/within",
        ),
        (
            json!({"goal_type": "tag_added", "criteria": tag, "position": 0}),
            "invalid_value",
            "/position",
        ),
        (
            json!({"goal_type": "tag_added", "criteria": tag, "position": 40000}),
            "invalid_value",
            "/position",
        ),
        (
            json!({"goal_type": "tag_added", "criteria": tag, "on_enroll": "leave"}),
            "invalid_value",
            "/on_enroll",
        ),
        (
            json!({"goal_type": "purchase_made", "criteria": {"any_purchase": true}, "on_enroll": "exit"}),
            "invalid_value",
            "/on_enroll",
        ),
    ] {
        let problem = editor.post(&goals, body).await.refused(400, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        assert_eq!(problem["errors"][0]["code"], code, "{problem}");
    }
    let goal = editor
        .goal(
            goals.trim_end_matches("/goals"),
            "form_submitted",
            json!({"any_form": true}),
        )
        .await;
    for (edit, code) in [
        (json!({"goal_type": "tag_added"}), "unknown_field"),
        (json!({"on_enroll": "exit"}), "invalid_value"),
        (json!({"status": "deleted"}), "invalid_value"),
        (json!({"position": -1}), "invalid_value"),
        (json!({"within": "0d"}), "invalid_value"),
        (json!({"criteria": {"tag_name": "a"}}), "unknown_field"),
    ] {
        editor.patch(&goal, edit).await.refused(400, code);
    }
    assert_eq!(editor.get(&goal).await.json(200)["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn criteria_that_say_two_things_are_refused() {
    let service = Service::start().await;
    let editor = service.editor();
    directory(&editor).await;
    let goals = format!("{}/goals", editor.workflow().await);
    for (goal_type, criteria) in [
        (
            "purchase_made",
            json!({"any_purchase": true, "product_id": "prod-1"}),
        ),
        (
            "appointment_booked",
            json!({"any_appointment": true, "calendar_id": "cal-456"}),
        ),
        (
            "form_submitted",
            json!({"any_form": true, "form_id": "form-123"}),
        ),
        ("tag_added", json!({"tag_name": "a", "tag_id": "tag-1"})),
        ("tag_added", json!({"tag_name": "a", "tag_pattern": "a*"})),
    ] {
        editor
            .post(
                &goals,
                json!({"goal_type": goal_type, "criteria": criteria}),
            )
            .await
            .refused(400, "conflicting_criteria");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fourth_goal_is_refused_whatever_it_is() {
    let service = Service::start().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    for tag in ["a", "b", "c"] {
        editor
            .goal(&workflow, "tag_added", json!({"tag_name": tag}))
            .await;
    }
    for criteria in [
        json!({"tag_name": "d"}),
        json!({"tag_name": "a"}),
        json!({"tag_id": "nope"}),
    ] {
        let body = json!({"goal_type": "tag_added", "criteria": criteria});
        let problem = editor
            .post(&format!("{workflow}/goals"), body)
            .await
            .refused(400, "max_goals_exceeded");
        assert_eq!(
            problem["message"],
            "Maximum of 3 goals per workflow exceeded"
        );
    }
    // An inactive goal counts.
    let goals = editor.get(&format!("{workflow}/goals")).await.json(200);
    let first = format!(
        "{workflow}/goals/{}",
        goals["items"][0]["id"].as_str().unwrap()
    );
    editor
        .patch(&first, json!({"status": "inactive"}))
        .await
        .json(200);
    let body = json!({"goal_type": "tag_added", "criteria": {"tag_name": "d"}});
    editor
        .post(&format!("{workflow}/goals"), body)
        .await
        .refused(400, "max_goals_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_goals_of_a_workflow_may_not_mean_the_same() {
    let service = Service::start().await;
    let editor = service.editor();
    directory(&editor).await;
    for (goal_type, one, same) in [
        (
            "purchase_made",
            r#"{"min_amount": 100}"#,
            r#"{"min_amount": 100.00}"#,
        ),
        (
            "purchase_made",
            r#"{"min_amount": 100, "currency": "EUR"}"#,
            r#"{"currency": "EUR", "min_amount": "1e2", "product_id": null}"#,
        ),
        (
            "tag_added",
            r#"{"tag_name": "Customer"}"#,
            r#"{"tag_name": " CUSTOMER "}"#,
        ),
        (
            "form_submitted",
            r#"{"form_id": "form-123"}"#,
            r#"{"form_ids": ["form-123"], "any_form": false}"#,
        ),
    ] {
        let workflow = editor.workflow().await;
        let body = |criteria: &str| {
            Some(format!(
                r#"{{"goal_type": "{goal_type}", "criteria": {criteria}}}"#
            ))
        };
        let path = format!("{workflow}/goals");
        let first = editor
            .raw(reqwest::Method::POST, &path, body(one))
            .await
            .json(201);
        let problem = editor
            .raw(reqwest::Method::POST, &path, body(same))
            .await
            .refused(409, "duplicate_goal");
        assert_eq!(problem["goal_id"], first["id"]);
        // Another workflow may have it, and an edit may not make one.
        editor
            .raw(
                reqwest::Method::POST,
                &format!("{}/goals", editor.workflow().await),
                body(same),
            )
            .await
            .json(201);
        let other = editor
            .goal(&workflow, "custom_event", json!({"event_name": "x"}))
            .await;
        editor.delete(&other).await.nothing();
    }
    let workflow = editor.workflow().await;
    editor
        .goal(&workflow, "tag_added", json!({"tag_name": "a"}))
        .await;
    let second = editor
        .goal(&workflow, "tag_added", json!({"tag_name": "b"}))
        .await;
    editor
        .patch(&second, json!({"criteria": {"tag_name": "A"}}))
        .await
        .refused(409, "duplicate_goal");
    editor
        .patch(
            &second,
            json!({"criteria": {"tag_name": "A", "case_sensitive": true}}),
        )
        .await
        .json(200);
}
