//! The reference directory.

use crate::harness::{Service, each};
use serde_json::{Value, json};

const REFERENCES: &str = "/api/v1/references";

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_is_put_read_replaced_and_deleted() {
    let service = Service::start().await;
    let (editor, path) = (service.editor(), format!("{REFERENCES}/stage/stage-1"));
    let before = service.epoch().await;
    let put = editor.put(&path, json!({"name": "Won", "pipeline_id": "p", "position": 3})).await.json(200);
    for (key, value) in [("kind", "stage"), ("id", "stage-1"), ("name", "Won"), ("pipeline_id", "p")] {
        assert_eq!(put[key], value);
    }
    assert_eq!(put["position"], 3);
    assert_eq!(service.viewer().show(&path).await, put);
    assert_eq!(service.epoch().await, before + 1);

    let same = editor.put(&path, json!({"name": "Won", "pipeline_id": "p", "position": 3})).await.json(200);
    assert_eq!((same, service.epoch().await), (put, before + 1));

    let replaced = editor.put(&path, json!({"position": -1})).await.json(200);
    assert_eq!(
        (&replaced["name"], &replaced["pipeline_id"], &replaced["position"]),
        (&json!(null), &json!(null), &json!(-1))
    );
    editor.delete(&path).await.nothing();
    assert_eq!(service.epoch().await, before + 3);
    editor.delete(&path).await.refused(404, "not_found");
    editor.get(&path).await.refused(404, "not_found");
    assert_eq!(service.epoch().await, before + 3);
    let audited = service.viewer().show("/api/v1/audit?object_id=stage/stage-1").await;
    let actions: Vec<&str> =
        audited["items"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["reference.deleted", "reference.updated", "reference.created"]);
    assert_eq!(audited["items"][1]["before"]["name"], "Won");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_may_hold_anything_but_control_characters() {
    let service = Service::start().await;
    for (written, id) in [("a%2Fb", "a/b"), ("%C3%BC%20%25", "ü %"), ("null", "null"), ("a+b", "a+b")] {
        let path = format!("{REFERENCES}/tag/{written}");
        assert_eq!(service.editor().put(&path, json!({"name": "x"})).await.json(200)["id"], id);
        assert_eq!(service.editor().show(&path).await["id"], id);
        service.editor().delete(&path).await.nothing();
    }
    for written in ["%00", "a%0Ab", "%20", &"x".repeat(129)] {
        let path = format!("{REFERENCES}/tag/{written}");
        service.editor().put(&path, json!({})).await.refused(400, "invalid_value");
        service.editor().get(&path).await.refused(404, "not_found");
        service.editor().delete(&path).await.refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_references_are_refused_by_field() {
    let service = Service::start().await;
    for (path, body, code, pointer) in [
        ("tag/t", json!({"pipeline_id": "p"}), "invalid_value", "/pipeline_id"),
        ("pipeline/p", json!({"position": 1}), "invalid_value", "/position"),
        ("tag/t", json!({"name": ""}), "invalid_value", "/name"),
        ("tag/t", json!({"name": 1}), "invalid_type", "/name"),
        ("tag/t", json!({"title": "x"}), "unknown_field", "/title"),
        ("stage/s", json!({"position": 1.5}), "invalid_type", "/position"),
        ("stage/s", json!({"pipeline_id": ""}), "invalid_value", "/pipeline_id"),
        ("coupon/c", json!({}), "unknown_reference_kind", "/kind"),
    ] {
        let problem = service.editor().put(&format!("{REFERENCES}/{path}"), body).await.refused(400, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    service.viewer().get(&format!("{REFERENCES}?kind=coupon")).await.refused(400, "unknown_reference_kind");
}

fn tags() -> Vec<Value> {
    let tag = |n| json!({"kind": "tag", "id": format!("t{n:03}"), "name": format!("Tag {n}")});
    (0..500).map(tag).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_put_at_once() {
    let service = Service::start().await;
    let editor = service.editor();
    let before = service.epoch().await;
    let mut items = tags();
    let put = editor.put(REFERENCES, json!({"items": items})).await.json(200);
    let put = put["items"].as_array().unwrap();
    assert_eq!(each(put, "id"), each(&items, "id"), "in the given order");
    assert_eq!(service.epoch().await, before + 1);
    let noted = async |action: &str| {
        let sql = format!("SELECT count(*) FROM goals.audit WHERE action = 'reference.{action}'");
        service.number(&sql).await
    };
    assert_eq!(noted("created").await, 500);

    items[7]["name"] = json!("Renamed");
    let again = editor.put(REFERENCES, json!({"items": items})).await.json(200);
    assert_eq!(again["items"][7]["name"], "Renamed");
    assert_eq!(again["items"][8], put[8], "what is the same is left alone");
    assert_eq!((service.epoch().await, noted("updated").await), (before + 2, 1));
    let none = editor.put(REFERENCES, json!({"items": []})).await.json(200);
    assert_eq!((none, service.epoch().await), (json!({"items": []}), before + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_reference_keeps_all_from_being_put() {
    let service = Service::start().await;
    let editor = service.editor();
    let mut items = tags();
    for (bad, code, pointer) in [
        (json!({"kind": "tag", "id": "t3", "position": 1}), "invalid_value", "/items/3/position"),
        (json!({"kind": "coupon", "id": "c"}), "unknown_reference_kind", "/items/3/kind"),
        (json!({"kind": "tag"}), "missing_field", "/items/3/id"),
        (json!({"kind": "tag", "id": "a\nb"}), "invalid_value", "/items/3/id"),
        (items[2].clone(), "duplicate_item", "/items/3"),
    ] {
        items[3] = bad;
        let answer = editor.put(REFERENCES, json!({"items": items})).await;
        assert_eq!(answer.refused(400, code)["errors"][0]["pointer"], pointer);
    }
    let mut items = tags();
    items.push(json!({"kind": "tag", "id": "one-too-many"}));
    editor.put(REFERENCES, json!({"items": items})).await.refused(400, "too_many_items");
    editor.put(REFERENCES, json!({})).await.refused(400, "missing_field");
    assert_eq!(service.number("SELECT count(*) FROM goals.directory").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_listed_by_kind_in_pages() {
    let service = Service::start().await;
    let long = "\u{1f3af}".repeat(128);
    let mut items: Vec<Value> = (0..5).map(|n| json!({"kind": "tag", "id": format!("t{n}")})).collect();
    for (kind, id) in [("tag", long.as_str()), ("form", "f/1"), ("stage", "s")] {
        items.push(json!({"kind": kind, "id": id}));
    }
    service.editor().put(REFERENCES, json!({"items": items})).await.json(200);
    service.stranger().reference("tag", "foreign", json!({})).await;
    for (query, wanted) in [("", 8), ("?kind=tag", 6), ("?kind=form", 1), ("?kind=product", 0)] {
        let listed = service.viewer().walk(&format!("{REFERENCES}{query}"), 1).await;
        assert_eq!(listed.len(), wanted, "{query}");
        let place = |item: &Value| (item["kind"].to_string(), item["id"].to_string());
        assert!(listed.iter().map(place).is_sorted(), "{listed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_may_go_while_a_goal_points_at_it() {
    let service = Service::start().await;
    let editor = service.editor();
    editor.reference("form", "f", json!({})).await;
    let workflow = editor.workflow().await;
    let goal = editor.goal(&workflow, "form_submitted", json!({"form_id": "f"})).await;
    editor.act(&workflow, "activate").await;
    editor.delete(&format!("{REFERENCES}/form/f")).await.nothing();
    assert_eq!(editor.show(&goal).await["status"], "active");
    // It can be edited otherwise, but not switched on again.
    editor.edit(&goal, json!({"position": 2})).await;
    editor.edit(&goal, json!({"status": "inactive"})).await;
    editor.patch(&goal, json!({"status": "active"})).await.refused(400, "reference_not_found");
    editor.reference("form", "f", json!({})).await;
    editor.edit(&goal, json!({"status": "active"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_folded_for_the_evaluator() {
    let service = Service::start().await;
    service.editor().reference("tag", "t", json!({"name": " Stra\u{df}e "})).await;
    let folded = "SELECT count(*) FROM goals.directory WHERE name = ' Straße ' AND name_folded = 'strasse'";
    assert_eq!(service.number(folded).await, 1);
}
