//! The reference directory.

use crate::harness::Service;
use serde_json::{Value, json};

const REFERENCES: &str = "/api/v1/references";

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_is_put_read_replaced_and_deleted() {
    let service = Service::start().await;
    let (editor, path) = (service.editor(), format!("{REFERENCES}/stage/stage-1"));
    let before = service.epoch().await;
    let put = editor
        .put(
            &path,
            json!({"name": "Won", "pipeline_id": "p", "position": 3}),
        )
        .await
        .json(200);
    for (key, value) in [
        ("kind", "stage"),
        ("id", "stage-1"),
        ("name", "Won"),
        ("pipeline_id", "p"),
    ] {
        assert_eq!(put[key], value);
    }
    assert_eq!(put["position"], 3);
    assert_eq!(service.viewer().get(&path).await.json(200), put);
    assert_eq!(service.epoch().await, before + 1);

    let same = editor
        .put(
            &path,
            json!({"name": "Won", "pipeline_id": "p", "position": 3}),
        )
        .await
        .json(200);
    assert_eq!((same, service.epoch().await), (put, before + 1));

    let replaced = editor.put(&path, json!({"position": -1})).await.json(200);
    assert_eq!(
        (
            &replaced["name"],
            &replaced["pipeline_id"],
            &replaced["position"]
        ),
        (&json!(null), &json!(null), &json!(-1))
    );
    editor.delete(&path).await.nothing();
    assert_eq!(service.epoch().await, before + 3);
    editor.delete(&path).await.refused(404, "not_found");
    editor.get(&path).await.refused(404, "not_found");
    assert_eq!(service.epoch().await, before + 3);
    let audited = service
        .viewer()
        .get("/api/v1/audit?object_id=stage/stage-1")
        .await
        .json(200);
    let actions: Vec<&str> = audited["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "reference.deleted",
            "reference.updated",
            "reference.created"
        ]
    );
    assert_eq!(audited["items"][1]["before"]["name"], "Won");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_may_hold_anything_but_control_characters() {
    let service = Service::start().await;
    for (written, id) in [
        ("a%2Fb", "a/b"),
        ("%C3%BC%20%25", "ü %"),
        ("null", "null"),
        ("a+b", "a+b"),
    ] {
        let path = format!("{REFERENCES}/tag/{written}");
        assert_eq!(
            service
                .editor()
                .put(&path, json!({"name": "x"}))
                .await
                .json(200)["id"],
            id
        );
        assert_eq!(service.editor().get(&path).await.json(200)["id"], id);
        service.editor().delete(&path).await.nothing();
    }
    for written in ["%00", "a%0Ab", "%20", &"x".repeat(129)] {
        let path = format!("{REFERENCES}/tag/{written}");
        service
            .editor()
            .put(&path, json!({}))
            .await
            .refused(400, "invalid_value");
        service.editor().get(&path).await.refused(404, "not_found");
        service
            .editor()
            .delete(&path)
            .await
            .refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_references_are_refused_by_field() {
    let service = Service::start().await;
    for (path, body, code, pointer) in [
        (
            "tag/t",
            json!({"pipeline_id": "p"}),
            "invalid_value",
            "/pipeline_id",
        ),
        (
            "pipeline/p",
            json!({"position": 1}),
            "invalid_value",
            "/position",
        ),
        ("tag/t", json!({"name": ""}), "invalid_value", "/name"),
        ("tag/t", json!({"name": 1}), "invalid_type", "/name"),
        ("tag/t", json!({"title": "x"}), "unknown_field", "/title"),
        (
            "stage/s",
            json!({"position": 1.5}),
            "invalid_type",
            "/position",
        ),
        (
            "stage/s",
            json!({"pipeline_id": ""}),
            "invalid_value",
            "/pipeline_id",
        ),
        ("coupon/c", json!({}), "unknown_reference_kind", "/kind"),
    ] {
        let problem = service
            .editor()
            .put(&format!("{REFERENCES}/{path}"), body)
            .await
            .refused(400, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    service
        .viewer()
        .get(&format!("{REFERENCES}?kind=coupon"))
        .await
        .refused(400, "unknown_reference_kind");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_put_at_once_all_or_none() {
    let service = Service::start().await;
    let editor = service.editor();
    let before = service.epoch().await;
    let items: Vec<Value> = (0..500)
        .map(|n| json!({"kind": "tag", "id": format!("t{n:03}"), "name": format!("Tag {n}")}))
        .collect();
    let put = editor
        .put(REFERENCES, json!({"items": items}))
        .await
        .json(200);
    let ids: Vec<&str> = put["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!((ids.len(), ids[0], ids[499]), (500, "t000", "t499"));
    assert_eq!(service.epoch().await, before + 1);
    assert_eq!(
        service
            .number("SELECT count(*) FROM goals.audit WHERE action = 'reference.created'")
            .await,
        500
    );

    let mut again = items.clone();
    again[7]["name"] = json!("Renamed");
    editor
        .put(REFERENCES, json!({"items": again}))
        .await
        .json(200);
    assert_eq!(service.epoch().await, before + 2);
    assert_eq!(
        service
            .number("SELECT count(*) FROM goals.audit WHERE action = 'reference.updated'")
            .await,
        1
    );

    let mut bad = items.clone();
    bad[3] = json!({"kind": "tag", "id": "t3", "position": 1});
    let problem = editor
        .put(REFERENCES, json!({"items": bad}))
        .await
        .refused(400, "invalid_value");
    assert_eq!(problem["errors"][0]["pointer"], "/items/3/position");
    bad[3] = json!({"kind": "coupon", "id": "c"});
    let problem = editor
        .put(REFERENCES, json!({"items": bad}))
        .await
        .refused(400, "unknown_reference_kind");
    assert_eq!(problem["errors"][0]["pointer"], "/items/3/kind");
    bad[3] = items[2].clone();
    let problem = editor
        .put(REFERENCES, json!({"items": bad}))
        .await
        .refused(400, "duplicate_item");
    assert_eq!(problem["errors"][0]["pointer"], "/items/3");
    bad.clone_from(&items);
    bad.push(json!({"kind": "tag", "id": "one-too-many"}));
    editor
        .put(REFERENCES, json!({"items": bad}))
        .await
        .refused(400, "too_many_items");
    editor
        .put(REFERENCES, json!({}))
        .await
        .refused(400, "missing_field");
    assert_eq!(
        editor.put(REFERENCES, json!({"items": []})).await.json(200),
        json!({"items": []})
    );
    assert_eq!(service.epoch().await, before + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_listed_by_kind_in_pages() {
    let service = Service::start().await;
    let long = "\u{1f3af}".repeat(128);
    let mut items: Vec<Value> = (0..5)
        .map(|n| json!({"kind": "tag", "id": format!("t{n}")}))
        .collect();
    items.extend([
        json!({"kind": "tag", "id": long}),
        json!({"kind": "form", "id": "f/1"}),
        json!({"kind": "stage", "id": "s"}),
    ]);
    service
        .editor()
        .put(REFERENCES, json!({"items": items}))
        .await
        .json(200);
    service
        .stranger()
        .reference("tag", "foreign", json!({}))
        .await;
    for (query, wanted) in [
        ("", 8),
        ("kind=tag&", 6),
        ("kind=form&", 1),
        ("kind=product&", 0),
    ] {
        let (mut walked, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = service
                .viewer()
                .get(&format!("{REFERENCES}?{query}limit=1&cursor={cursor}"))
                .await
                .json(200);
            walked.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|i| format!("{}/{}", i["kind"], i["id"])),
            );
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!(walked.len(), wanted, "{query}");
        assert!(walked.is_sorted(), "{walked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_may_go_while_a_goal_points_at_it() {
    let service = Service::start().await;
    let editor = service.editor();
    editor.reference("form", "f", json!({})).await;
    let workflow = editor.workflow().await;
    let goal = editor
        .goal(&workflow, "form_submitted", json!({"form_id": "f"}))
        .await;
    editor
        .post(&format!("{workflow}/activate"), json!({}))
        .await
        .json(200);
    editor
        .delete(&format!("{REFERENCES}/form/f"))
        .await
        .nothing();
    assert_eq!(editor.get(&goal).await.json(200)["status"], "active");
    // It can be edited otherwise, but not switched on again.
    editor.patch(&goal, json!({"position": 2})).await.json(200);
    editor
        .patch(&goal, json!({"status": "inactive"}))
        .await
        .json(200);
    editor
        .patch(&goal, json!({"status": "active"}))
        .await
        .refused(400, "reference_not_found");
    editor.reference("form", "f", json!({})).await;
    editor
        .patch(&goal, json!({"status": "active"}))
        .await
        .json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_folded_for_the_evaluator() {
    let service = Service::start().await;
    service
        .editor()
        .reference("tag", "t", json!({"name": " Stra\u{df}e "}))
        .await;
    let folded =
        "SELECT count(*) FROM goals.directory WHERE name = ' Straße ' AND name_folded = 'strasse'";
    assert_eq!(service.number(folded).await, 1);
}
