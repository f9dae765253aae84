//! The audit log: who changed what and when, before and after.

use crate::harness::Service;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_there_with_before_and_after() {
    let service = Service::start().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    let goal = editor
        .goal(&workflow, "tag_added", json!({"tag_name": "a"}))
        .await;
    editor
        .patch(&workflow, json!({"name": "Hello"}))
        .await
        .json(200);
    for action in ["activate", "pause", "activate", "deactivate"] {
        editor
            .post(&format!("{workflow}/{action}"), json!({}))
            .await
            .json(200);
    }
    editor.patch(&goal, json!({"position": 2})).await.json(200);
    editor.delete(&goal).await.nothing();
    // Nothing that was refused or changed nothing is there.
    editor
        .patch(&workflow, json!({"name": "Hello"}))
        .await
        .json(200);
    editor
        .post(&format!("{workflow}/pause"), json!({}))
        .await
        .refused(409, "invalid_transition");

    let key: Value = service
        .admin()
        .get("/api/v1/tenants/a/api-keys")
        .await
        .json(200);
    let editors = key["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|k| k["role"] == "editor")
        .unwrap();
    let actor = format!("key:{}", editors["id"].as_str().unwrap());
    let id_of = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    for (path, object_type, actions) in [
        (
            &workflow,
            "workflow",
            vec![
                "created",
                "updated",
                "activated",
                "paused",
                "activated",
                "deactivated",
            ],
        ),
        (&goal, "goal", vec!["created", "updated", "deleted"]),
    ] {
        let list = service
            .viewer()
            .get(&format!("/api/v1/audit?object_id={}", id_of(path)))
            .await
            .json(200);
        let mut entries = list["items"].as_array().unwrap().clone();
        entries.reverse();
        let seen: Vec<&str> = entries
            .iter()
            .map(|e| e["action"].as_str().unwrap())
            .collect();
        let wanted: Vec<String> = actions
            .iter()
            .map(|action| format!("{object_type}.{action}"))
            .collect();
        assert_eq!(seen, wanted);
        for (entry, next) in entries.iter().zip(entries.iter().skip(1)) {
            assert_eq!(
                (&entry["actor"], &entry["object_type"]),
                (&json!(actor), &json!(object_type))
            );
            assert!(entry["at"].as_str() < next["at"].as_str());
            // Each change begins where the one before ended (a goal's effective_from apart, which activations move).
            let plain = |object: &Value| {
                let mut object = object.clone();
                object
                    .as_object_mut()
                    .map(|members| members.remove("effective_from"));
                object
            };
            assert_eq!(plain(&entry["after"]), plain(&next["before"]), "{entry}");
        }
        assert_eq!(entries[0]["before"], json!(null));
    }
    let created = service
        .viewer()
        .get(&format!("/api/v1/audit?object_id={}", id_of(&workflow)))
        .await
        .json(200);
    let last = &created["items"][0]["after"];
    assert_eq!(
        *last,
        service.viewer().get(&workflow).await.json(200),
        "the log shows objects as they are answered"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_in_pages_newest_first() {
    let service = Service::start().await;
    for _ in 0..5 {
        service.editor().workflow().await;
    }
    service.stranger().workflow().await;
    let whole = service.viewer().get("/api/v1/audit").await.json(200);
    let (mut walked, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service
            .viewer()
            .get(&format!("/api/v1/audit?limit=2&cursor={cursor}"))
            .await
            .json(200);
        walked.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(whole["items"], Value::Array(walked.clone()));
    assert_eq!(walked.len(), 5);
    assert_eq!(
        service
            .viewer()
            .get("/api/v1/audit?object_id=nothing")
            .await
            .json(200),
        json!({"items": []})
    );
    service
        .viewer()
        .get("/api/v1/audit?object_id=%00")
        .await
        .refused(400, "nul_character");
    service
        .viewer()
        .get("/api/v1/audit?cursor=AAAAAAAAAAB4")
        .await
        .refused(400, "invalid_cursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_login_of_the_service_can_change_the_log() {
    let service = Service::start().await;
    service.editor().workflow().await;
    for login in ["goalpost_goals", "goalpost_goals_system"] {
        let client = service.database.login(login).await.unwrap();
        client
            .execute("SELECT set_config('app.tenant_id', 'a', false)", &[])
            .await
            .unwrap();
        for sql in [
            "UPDATE goals.audit SET actor = 'nobody'",
            "DELETE FROM goals.audit",
            "TRUNCATE goals.audit",
        ] {
            let refused = client.execute(sql, &[]).await.unwrap_err();
            assert_eq!(refused.code().unwrap().code(), "42501", "{login}: {sql}");
        }
    }
    assert_eq!(
        service
            .number("SELECT count(*) FROM goals.audit WHERE actor LIKE 'key:%'")
            .await,
        1
    );
}
