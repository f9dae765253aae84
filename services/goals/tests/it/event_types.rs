//! Event types: the built-in ones, and a tenant's own.

use crate::harness::{Service, each, parsed, table};
use domain::catalogue;
use futures_util::future::join_all;
use serde_json::json;

const TYPES: &str = "/api/v1/event-types";
const COURSE: &str = "/api/v1/event-types/course.finished";

#[tokio::test(flavor = "multi_thread")]
async fn a_type_is_made_replaced_deleted_and_made_again_in_one_row_of_versions() {
    let service = Service::start().await;
    let editor = service.editor();
    let epoch = service.epoch().await;
    let body = json!({"schema": {"type": "object", "required": ["grade"]}, "subject": "contact", "sampling_rate": 0.1});
    let put = editor.put(COURSE, body.clone()).await;
    let made = put.json(201);
    assert_eq!(put.etag(), "\"1\"");
    for (key, value) in [("name", json!("course.finished")), ("builtin", json!(false)), ("browser", json!(false))] {
        assert_eq!(made[key], value);
    }
    assert_eq!((&made["schema"], &made["sampling_rate"]), (&body["schema"], &json!(0.1)));
    assert_eq!(service.viewer().show(COURSE).await, made);
    assert_eq!(editor.put(COURSE, body.clone()).await.json(200), made, "the same again changes nothing");

    let other = json!({"schema": {"type": "object"}, "description": "A course was finished.", "browser": true});
    editor.when("if-match", "\"2\"").put(COURSE, other.clone()).await.refused(412, "version_conflict");
    let replaced = editor.when("if-match", "\"1\"").put(COURSE, other.clone()).await.json(200);
    // As a whole: what is not given is as by default.
    let told = (&replaced["version"], &replaced["subject"], &replaced["sampling_rate"], &replaced["browser"]);
    assert_eq!(told, (&json!(2), &json!("user"), &json!(1.0), &json!(true)));
    assert_eq!(replaced["created_at"], made["created_at"]);

    editor.when("if-match", "\"1\"").delete(COURSE).await.refused(412, "version_conflict");
    editor.when("if-match", "\"2\"").delete(COURSE).await.nothing();
    editor.delete(COURSE).await.refused(404, "not_found");
    service.viewer().get(COURSE).await.refused(404, "not_found");
    // Who saw the one that was deleted does not overwrite the one that came after it.
    editor.when("if-match", "*").put(COURSE, other.clone()).await.refused(412, "version_conflict");
    assert_eq!(editor.put(COURSE, other.clone()).await.json(201)["version"], 4);
    editor.when("if-match", "\"2\"").put(COURSE, body).await.refused(412, "version_conflict");

    let log = service.viewer().walk("/api/v1/audit?object_id=course.finished", 50).await;
    let actions = ["event_type.created", "event_type.deleted", "event_type.updated", "event_type.created"];
    assert_eq!(each(&log, "action"), actions.map(|action| json!(action)));
    assert_eq!((&log[2]["before"], &log[2]["after"]), (&made, &replaced));
    assert_eq!(service.epoch().await, epoch + 4);
    let moved = "SELECT event_types_version FROM platform.tenants WHERE tenant_id = 'a'";
    assert_eq!(service.number(moved).await, 4, "ingest is told of each change");
    assert_eq!(service.number(&moved.replace("'a'", "'b'")).await, 0);
    service.stranger().get(COURSE).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_ones_are_there_for_all_and_stay_as_they_are() {
    let service = Service::start().await;
    let editor = service.editor();
    for name in ["a.first", "page_viewed_twice", "zz"] {
        editor.put(&format!("{TYPES}/{name}"), json!({"schema": {}})).await.json(201);
    }
    let mut names: Vec<&str> = catalogue::all().iter().map(|of| of.name).collect();
    names.sort_unstable();
    let viewer = service.viewer();
    let listed = viewer.walk(&format!("{TYPES}?builtin=true"), 7).await;
    assert_eq!(each(&listed, "name"), names);
    let own = viewer.walk(&format!("{TYPES}?builtin=false"), 2).await;
    assert_eq!(each(&own, "name"), ["a.first", "page_viewed_twice", "zz"]);
    names.extend(["a.first", "page_viewed_twice", "zz"]);
    names.sort_unstable();
    assert_eq!(each(&viewer.walk(TYPES, 5).await, "name"), names);
    assert_eq!(service.client(&service.b.viewer_key).walk(&format!("{TYPES}?builtin=false"), 5).await.len(), 0);
    viewer.get(&format!("{TYPES}?builtin=some")).await.refused(400, "invalid_query");

    for builtin in catalogue::all() {
        let path = format!("{TYPES}/{}", builtin.name);
        let shown = viewer.get(&path).await;
        let of = shown.json(200);
        assert_eq!((&of["builtin"], &of["browser"], shown.etag()), (&json!(true), &json!(builtin.browser), "\"1\""));
        assert_eq!(of["schema"], parsed(builtin.schema));
        editor.put(&path, json!({"schema": {}, "browser": true})).await.refused(409, "builtin_event_type");
        editor.delete(&path).await.refused(409, "builtin_event_type");
    }
}

const REFUSED: &str = r##"
    {}                                                     | missing_field      | /schema
    {"schema": true}                                       | invalid_type       | /schema
    {"schema": {"type": "text"}}                           | invalid_schema     | /schema/type
    {"schema": {"properties": {"a": {"$ref": "http://127.0.0.1:1/x.json"}}}} | unsupported_schema | /schema/properties/a/$ref
    {"schema": {"properties": {"a": {"$ref": "#"}}}}       | unsupported_schema | /schema/properties/a/$ref
    {"schema": {"pattern": "(a+)+\\1"}}                    | unsupported_schema | /schema/pattern
    {"schema": {"a": "\u0000"}}                            | nul_character      | /schema/a
    {"schema": {}, "sampling_rate": 0}                     | invalid_value      | /sampling_rate
    {"schema": {}, "sampling_rate": 1.5}                   | invalid_value      | /sampling_rate
    {"schema": {}, "subject": "dog"}                       | invalid_value      | /subject
    {"schema": {}, "category": ""}                         | invalid_value      | /category
    {"schema": {}, "colour": 1}                            | unknown_field      | /colour
"##;

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_type_is_refused_where_it_is_wrong() {
    let service = Service::start().await;
    let editor = service.editor();
    for [body, code, pointer] in table(REFUSED) {
        let answer = editor.raw(reqwest::Method::PUT, COURSE, Some(body.to_owned())).await;
        let problem = answer.refused(400, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    for name in ["Course", "a..b", "1", "a%20b"] {
        let path = format!("{TYPES}/{name}");
        editor.put(&path, json!({"schema": {}})).await.refused(400, "invalid_event_name");
        editor.get(&path).await.refused(404, "not_found");
        editor.delete(&path).await.refused(404, "not_found");
    }
    service.viewer().put(COURSE, json!({"schema": {}})).await.refused(403, "role_too_low");
    assert_eq!(service.number("SELECT count(*) FROM goals.event_types").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_no_more_types_than_it_may_however_many_come_at_once() {
    let service = Service::start().await;
    let many = "INSERT INTO goals.event_types (tenant_id, name, schema, subject, browser, sampling_rate, created_by)
         SELECT 'a', 'own.t' || n, '{}', 'user', false, 1, 'test' FROM generate_series(1, 195) n";
    service.execute(many).await;
    let editor = service.editor();
    let answers = join_all((0..12).map(|n| {
        let (editor, path) = (editor.clone(), format!("{TYPES}/late.t{n}"));
        async move { editor.put(&path, json!({"schema": {}})).await }
    }))
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 5);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.refused(409, "too_many_event_types");
    }
    editor.put(&format!("{TYPES}/own.t1"), json!({"schema": {"type": "object"}})).await.json(200);
}
