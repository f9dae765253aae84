//! Enrolling and ending, over HTTP.

use crate::support::{World, eventually, goal, tag, time_of};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_enrolled_and_the_fact_is_told() {
    let world = World::start().await;
    let mut facts = world.facts("workflow.enrollment.created").await;
    for status in ["draft", "active", "paused", "inactive"] {
        let workflow = world.workflow(status, json!("any")).await;
        let body = json!({ "contact_id": "c-1", "current_step": "welcome" });
        let (code, made) = world.post(&format!("/workflows/{workflow}/enrollments"), body).await;
        assert_eq!(code, 201, "{made}");
        assert_eq!(
            (&made["status"], &made["version"], &made["workflow_id"]),
            (&json!("active"), &json!(1), &json!(workflow))
        );
        assert_eq!((&made["contact_id"], &made["current_step"]), (&json!("c-1"), &json!("welcome")));
        assert_eq!(made["enrolled_at"], made["created_at"]);
        assert_eq!((&made["exited_at"], &made["exit_reason"]), (&Value::Null, &Value::Null));
        let (message, fact) = facts.next().await;
        assert_eq!(message.message_id.unwrap().to_string(), fact["id"]);
        assert_eq!((&fact["subject"], &fact["data"]["contact_id"]), (&made["id"], &json!("c-1")));
        assert_eq!(
            (&fact["data"]["current_step"], &fact["data"]["enrollment_version"]),
            (&json!("welcome"), &json!(1))
        );
        let whole = world.enrollment(made["id"].as_str().unwrap()).await;
        assert_eq!((&whole["id"], &whole["achievements"]), (&made["id"], &json!([])));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_enrolled_is_refused_by_name() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let path = format!("/workflows/{workflow}/enrollments");
    let id = world.enroll(workflow, "c-1").await;
    let tomorrow: String = world
        .value("SELECT to_char((now() + interval '1 day') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", &[])
        .await;
    for (body, status, code, pointer) in [
        (json!({ "contact_id": "c-1" }), 409, "already_enrolled", None),
        (json!({ "contact_id": "c-2", "enrolled_at": tomorrow }), 400, "enrolled_at_in_future", Some("/enrolled_at")),
        (json!({ "contact_id": "c-2", "enrolled_at": "yesterday" }), 400, "invalid_value", Some("/enrolled_at")),
        (json!({ "contact_id": "undefined" }), 400, "invalid_value", Some("/contact_id")),
        (json!({ "contact_id": "x".repeat(129) }), 400, "invalid_value", Some("/contact_id")),
        (json!({ "contact_id": "c-2", "current_step": 1.5 }), 400, "invalid_type", Some("/current_step")),
        (json!({ "contact_id": "c-2", "current_step": "" }), 400, "invalid_value", Some("/current_step")),
        (json!({ "contact_id": "c-2", "step": 1 }), 400, "unknown_field", Some("/step")),
        (json!({}), 400, "missing_field", Some("/contact_id")),
    ] {
        let (answered, problem) = world.post(&path, body.clone()).await;
        assert_eq!((answered, &problem["code"]), (status, &json!(code)), "{body} {problem}");
        assert_eq!(problem["errors"][0]["pointer"].as_str(), pointer, "{body} {problem}");
    }
    let (_, problem) = world.post(&path, json!({ "contact_id": "c-1" })).await;
    assert_eq!(problem["enrollment_id"], json!(id));
    let enrolled: i64 = world.value("SELECT count(*) FROM evaluator.enrollments", &[]).await;
    assert_eq!(enrolled, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_things_are_as_unknown_as_unknown_ones() {
    let world = World::start().await;
    let other = world.database.seed_tenant("other").await.unwrap();
    let workflow = world.workflow("active", json!("any")).await;
    let id = world.enroll(workflow, "c").await;
    let body = json!({ "action_type": "wait", "scheduled_at": "2030-01-01T00:00:00Z" });
    let (_, action) = world.post(&format!("/enrollments/{id}/actions"), body.clone()).await;
    let (unknown, action) = (Uuid::now_v7(), action["id"].as_str().unwrap().to_owned());
    let routes = [
        (Method::POST, "/workflows/{}/enrollments", workflow.to_string(), json!({ "contact_id": "c" })),
        (
            Method::POST,
            "/workflows/{}/enrollments/batch",
            workflow.to_string(),
            json!({ "enrollments": [{ "contact_id": "c" }] }),
        ),
        (Method::GET, "/workflows/{}/enrollments", workflow.to_string(), Value::Null),
        (Method::GET, "/workflows/{}/achievements", workflow.to_string(), Value::Null),
        (Method::POST, "/workflows/{}/recheck", workflow.to_string(), json!({})),
        (Method::GET, "/enrollments/{}", id.clone(), Value::Null),
        (Method::POST, "/enrollments/{}/end", id.clone(), json!({ "status": "removed" })),
        (Method::POST, "/enrollments/{}/actions", id.clone(), body),
        (Method::GET, "/enrollments/{}/actions", id.clone(), Value::Null),
        (Method::POST, "/actions/{}/start", action.clone(), json!({})),
        (Method::POST, "/actions/{}/finish", action, json!({ "status": "done" })),
    ];
    for (method, route, theirs, body) in routes {
        let body = Some(body).filter(|body| !body.is_null());
        let mut answers = Vec::new();
        for id in [theirs, unknown.to_string()] {
            let (status, mut problem) =
                world.call(method.clone(), &route.replace("{}", &id), &other.editor_key, body.clone()).await;
            problem.as_object_mut().unwrap().remove("instance");
            answers.push((status, problem));
        }
        assert_eq!(answers[0], answers[1], "{route}");
        assert_eq!(answers[0].0, 404, "{route}");
        let malformed = route.replace("{}", "not-an-id");
        assert_eq!(world.call(method, &malformed, &other.editor_key, body).await.0, 404, "{route}");
    }
    assert_eq!(world.enrollment(&id).await["status"], "active");
    // The other tenant may have the same contact in a workflow of its own.
    let own = world.workflow_of("other", "active", json!("any")).await;
    let path = format!("/workflows/{own}/enrollments");
    assert_eq!(world.call(Method::POST, &path, &other.editor_key, Some(json!({ "contact_id": "c" }))).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_kept_and_traces_sent_on() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let operator = world.database.seed_operator().await.unwrap();
    let path = format!("/workflows/{workflow}/enrollments");
    let body = || Some(json!({ "contact_id": "c" }));
    for (key, code) in [
        (world.tenant.viewer_key.as_str(), "role_too_low"),
        (operator.as_str(), "tenant_key_required"),
        (world.tenant.write_token.as_str(), "invalid_credentials"),
    ] {
        let (_, problem) = world.call(Method::POST, &path, key, body()).await;
        assert_eq!(problem["code"], code, "{problem}");
    }
    assert_eq!(world.call(Method::POST, &path, &world.tenant.admin_key, body()).await.0, 201);
    assert_eq!(world.call(Method::GET, &path, &world.tenant.viewer_key, None).await.0, 200);
    // Who calls is settled before anything else is looked at.
    for request in [
        world.http.get(format!("{}/api/v1{path}", world.url)),
        world.http.post(format!("{}/api/v1{path}", world.url)).body("{"),
    ] {
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    let traced = world.http.post(format!("{}/api/v1{path}", world.url)).bearer_auth(&world.tenant.editor_key);
    let (trace, mut facts) = ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", world.facts("#").await);
    let traced = traced.header("traceparent", trace).json(&json!({ "contact_id": "traced" })).send().await.unwrap();
    assert_eq!(traced.status(), 201);
    let (_, fact) = facts.of("contact_id", "traced").await;
    assert_eq!(fact["traceparent"], trace);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_by_pages_newest_first() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let mut ids = Vec::new();
    for contact in 0..7 {
        ids.insert(0, world.enroll(workflow, &format!("c-{contact}")).await);
    }
    world.post(&format!("/enrollments/{}/end", ids[2]), json!({ "status": "failed" })).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/workflows/{workflow}/enrollments?limit=3&cursor={cursor}")).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let failed = world.get(&format!("/workflows/{workflow}/enrollments?status=failed")).await;
    assert_eq!(failed["items"].as_array().unwrap().len(), 1);
    assert_eq!(failed["items"][0]["id"], json!(ids[2]));
    let of_contact = world.get(&format!("/workflows/{workflow}/enrollments?contact_id=c-0&status=active")).await;
    assert_eq!(of_contact["items"][0]["id"], json!(ids[6]));
    let (status, problem) = world
        .call(Method::GET, &format!("/workflows/{workflow}/enrollments?status=gone"), &world.tenant.viewer_key, None)
        .await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")));
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_cancels_what_is_pending() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let id = world.enroll(workflow, "c").await;
    let mut actions = Vec::new();
    for _ in 0..2 {
        let body = json!({ "action_type": "wait", "scheduled_at": "2030-01-01T00:00:00Z" });
        let (_, action) = world.post(&format!("/enrollments/{id}/actions"), body).await;
        actions.push(action["id"].clone());
    }
    world.post(&format!("/actions/{}/start", actions[0].as_str().unwrap()), json!({})).await;
    let mut cancelled = world.facts("workflow.action.cancelled").await;
    let mut exits = world.facts("workflow.exit.goal").await;
    let end = json!({ "status": "removed", "reason": "asked to leave" });
    let (status, ended) = world.post(&format!("/enrollments/{id}/end"), end.clone()).await;
    assert_eq!(status, 200, "{ended}");
    assert_eq!(
        (&ended["status"], &ended["exit_reason"], &ended["version"]),
        (&json!("removed"), &json!("removed"), &json!(2))
    );
    assert_eq!(ended["reason"], "asked to leave");
    let (_, fact) = cancelled.next().await;
    assert_eq!(fact["data"]["cancelled_action_ids"], json!([actions[1]]), "the running one may finish");
    assert_eq!((&fact["data"]["exit_reason"], &fact["data"]["enrollment_version"]), (&json!("removed"), &json!(2)));
    assert_eq!(fact["data"]["cancelled_at"], ended["exited_at"]);

    assert_eq!(world.post(&format!("/enrollments/{id}/end"), end).await, (200, ended.clone()), "again changes nothing");
    let (status, problem) = world.post(&format!("/enrollments/{id}/end"), json!({ "status": "completed" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("enrollment_exited")));
    world.happen(&[tag("c", "vip")]).await;
    world.quiet().await;
    assert_eq!(world.enrollment(&id).await["status"], "removed");
    exits.none().await;
    cancelled.none().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn achievements_are_listed_by_contact_and_date() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    for contact in ["c-1", "c-2", "c-3"] {
        let id = world.enroll(workflow, contact).await;
        world.happen(&[tag(contact, "vip")]).await;
        world.ended(&id).await;
    }
    let path = format!("/workflows/{workflow}/achievements");
    let all = world.get(&path).await;
    let contacts: Vec<&str> =
        all["items"].as_array().unwrap().iter().map(|a| a["contact_id"].as_str().unwrap()).collect();
    assert_eq!(contacts, ["c-3", "c-2", "c-1"]);
    let one = world.get(&format!("{path}?contact_id=c-2")).await;
    assert_eq!(one["items"], json!([all["items"][1]]));
    let second = all["items"][1]["achieved_at"].as_str().unwrap();
    let since = world.get(&format!("{path}?from={second}")).await;
    assert_eq!(since["items"].as_array().unwrap().len(), 2);
    let until = world.get(&format!("{path}?to={second}")).await;
    assert_eq!(until["items"], json!([all["items"][2]]));
    let page = world.get(&format!("{path}?limit=2")).await;
    let next = world.get(&format!("{path}?limit=2&cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!(next["items"], json!([all["items"][2]]));
    assert!(time_of(&all["items"][0]["recorded_at"]) >= time_of(&all["items"][0]["achieved_at"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_rechecks_follows_every_enrollment() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    // Told before anybody is enrolled, so that only the recheck can find it.
    world.happen(&[tag("c", "vip").at(120.0)]).await;
    world.quiet().await;
    let id = world.enroll(workflow, "c").await;
    eventually("it is found", async || world.enrollment(&id).await["status"] == "completed_goal").await;
}
