//! The audit log: who changed what and when, before and after.

use crate::harness::{Service, each, id_of};
use serde_json::{Value, json};

/// The log of one object, oldest first.
async fn log(service: &Service, path: &str) -> Vec<Value> {
    let list = format!("/api/v1/audit?object_id={}", id_of(path));
    let mut entries = service.viewer().walk(&list, 200).await;
    entries.reverse();
    entries
}

/// Each entry is the actor's and begins where the one before ended (`effective_from` apart: activations move it).
fn assert_chained(entries: &[Value], actor: &str) {
    let plain = |object: &Value| {
        let mut object = object.clone();
        object.as_object_mut().map(|members| members.remove("effective_from"));
        object
    };
    assert_eq!(entries[0]["before"], json!(null));
    for (entry, next) in entries.iter().zip(entries.iter().skip(1)) {
        assert_eq!(entry["actor"], actor);
        assert!(entry["at"].as_str() < next["at"].as_str());
        assert_eq!(plain(&entry["after"]), plain(&next["before"]), "{entry}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_there_with_before_and_after() {
    let service = Service::start().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    let goal = editor.goal(&workflow, "tag_added", json!({"tag_name": "a"})).await;
    editor.edit(&workflow, json!({"name": "Hello"})).await;
    for action in ["activate", "pause", "activate", "deactivate"] {
        editor.act(&workflow, action).await;
    }
    editor.edit(&goal, json!({"position": 2})).await;
    editor.delete(&goal).await.nothing();
    // Nothing that was refused or changed nothing is there.
    editor.edit(&workflow, json!({"name": "Hello"})).await;
    let pause = editor.post(&format!("{workflow}/pause"), json!({})).await;
    pause.refused(409, "invalid_transition");

    let keys = service.admin().walk("/api/v1/tenants/a/api-keys", 200).await;
    let own = keys.iter().find(|key| key["role"] == "editor").unwrap();
    let actor = format!("key:{}", own["id"].as_str().unwrap());
    for (path, object_type, actions) in [
        (&workflow, "workflow", "created updated activated paused activated deactivated"),
        (&goal, "goal", "created updated deleted"),
    ] {
        let entries = log(&service, path).await;
        let wanted = actions.split(' ').map(|action| format!("{object_type}.{action}"));
        assert_eq!(each(&entries, "action"), wanted.collect::<Vec<_>>());
        assert!(each(&entries, "object_type").iter().all(|found| *found == object_type));
        assert_chained(&entries, &actor);
    }
    let last = log(&service, &workflow).await.pop().unwrap();
    assert_eq!(last["after"], service.viewer().show(&workflow).await, "as it is answered");
    assert_eq!(log(&service, &goal).await.pop().unwrap()["after"], json!(null));
}

/// Rows that do not follow from the one before, or are not what was hashed; and heads that are not the last row's.
pub const BROKEN: &str = "SELECT (SELECT count(*) FROM (
        SELECT a AS entry, row_number() OVER chain AS place, lag(a.hash, 1, decode(repeat('00', 32), 'hex')) OVER chain AS hash_before,
            lag(a.at, 1, '-infinity') OVER chain AS at_before
        FROM goals.audit a WINDOW chain AS (PARTITION BY a.tenant_id ORDER BY a.seq)) AS c
    WHERE ((c.entry).seq, (c.entry).prev_hash, (c.entry).hash) IS DISTINCT FROM (c.place, c.hash_before, goals.audit_hash(c.entry))
        OR (c.entry).at < c.at_before)
    + (SELECT count(*) FROM goals.audit_heads h FULL JOIN (
        SELECT DISTINCT ON (tenant_id) tenant_id, seq, hash FROM goals.audit ORDER BY tenant_id, seq DESC) AS a USING (tenant_id, seq, hash)
    WHERE h.seq IS NULL OR a.seq IS NULL)";

/// Changes of workflows and of the directory, which hold the tenant's epoch early and late, and what is audited without a change.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_at_once_is_one_chain_per_tenant() {
    let service = Service::start().await;
    let path = service.editor().workflow().await;
    let before = service.number("SELECT count(*) FROM goals.audit").await;
    let writers = (0..30).map(|n| {
        let (editor, admin, operator) = (service.editor(), service.admin(), service.operator());
        let (stranger, path) = (service.stranger(), path.clone());
        async move {
            match n % 6 {
                0 => editor.post("/api/v1/workflows", json!({"name": "w"})).await.json(201),
                1 => editor
                    .put(&format!("/api/v1/references/tag/t{}", n % 4), json!({"name": format!("{n}")}))
                    .await
                    .json(200),
                2 => editor.patch(&path, json!({"name": format!("{n}")})).await.json(200),
                3 => operator.get("/api/v1/tenants/a").await.json(200),
                4 => admin.get("/api/v1/tenants/b").await.refused(404, "not_found"),
                _ => stranger.post("/api/v1/workflows", json!({"name": "w"})).await.json(201),
            }
        }
    });
    futures_util::future::join_all(writers).await;
    assert_eq!(service.number("SELECT count(*) FROM goals.audit").await, before + 30);
    assert_eq!(service.number(BROKEN).await, 0);

    let walked = service.viewer().walk("/api/v1/audit", 50).await;
    let newest = i64::try_from(walked.len()).unwrap();
    assert_eq!(each(&walked, "seq"), (1..=newest).rev().map(Value::from).collect::<Vec<_>>());
    let head = format!(
        "SELECT count(*) FROM goals.audit_heads WHERE tenant_id = 'a' AND seq = {newest} AND hash = '\\x{}'",
        walked[0]["hash"].as_str().unwrap()
    );
    assert_eq!(service.number(&head).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_in_pages_newest_first() {
    let service = Service::start().await;
    let viewer = service.viewer();
    let mut made = Vec::new();
    for _ in 0..5 {
        made.insert(0, id_of(&service.editor().workflow().await).to_owned());
    }
    service.stranger().workflow().await;
    let walked = viewer.walk("/api/v1/audit", 2).await;
    assert_eq!(each(&walked, "object_id"), made);
    assert_eq!(viewer.show("/api/v1/audit").await, json!({"items": walked}));
    let none = viewer.show("/api/v1/audit?object_id=nothing").await;
    assert_eq!(none, json!({"items": []}));
    viewer.get("/api/v1/audit?object_id=%00").await.refused(400, "nul_character");
    viewer.get("/api/v1/audit?cursor=AAAAAAAAAAB4").await.refused(400, "invalid_cursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_filtered_by_actor_action_type_and_time() {
    let service = Service::start().await;
    let viewer = service.viewer();
    let workflow = service.editor().workflow().await;
    service.editor().goal(&workflow, "tag_added", json!({"tag_name": "a"})).await;
    service.admin().edit(&workflow, json!({"name": "Hello"})).await;
    let all = viewer.walk("/api/v1/audit", 200).await;
    assert_eq!(each(&all, "action"), ["workflow.updated", "goal.created", "workflow.created"]);
    let (admin, editor) = (all[0]["actor"].as_str().unwrap(), all[1]["actor"].as_str().unwrap());
    let (id, at) = (id_of(&workflow), all[1]["at"].as_str().unwrap());
    for (query, indices) in [
        (format!("from={at}"), vec![0, 1]),
        (format!("to={at}"), vec![2]),
        (format!("from={at}&to={at}"), vec![]),
        (format!("object_id={id}&from={at}"), vec![0]),
        (format!("actor={admin}"), vec![0]),
        (format!("actor={editor}"), vec![1, 2]),
        ("action=workflow.created".to_owned(), vec![2]),
        ("object_type=workflow".to_owned(), vec![0, 2]),
        (format!("object_id={id}&actor={editor}"), vec![2]),
        (format!("object_id={id}&object_type=goal"), vec![]),
        ("object_type=goal&action=workflow.created".to_owned(), vec![]),
    ] {
        let wanted: Vec<_> = indices.into_iter().map(|index: usize| all[index].clone()).collect();
        assert_eq!(viewer.walk(&format!("/api/v1/audit?{query}"), 1).await, wanted, "{query}");
    }
    let others = service.stranger().walk(&format!("/api/v1/audit?actor={editor}"), 200).await;
    assert!(others.is_empty(), "{others:?}");
    for key in ["actor", "action", "object_type"] {
        viewer.get(&format!("/api/v1/audit?{key}=%00")).await.refused(400, "nul_character");
    }
    for query in ["from=yesterday", "to=0001-01-01T00:00:00Z"] {
        viewer.get(&format!("/api/v1/audit?{query}")).await.refused(400, "invalid_timestamp");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_login_of_the_service_can_change_the_log() {
    let service = Service::start().await;
    service.editor().workflow().await;
    for login in ["goalpost_goals", "goalpost_goals_system"] {
        let client = service.database.login(login).await.unwrap();
        client.execute("SELECT set_config('app.tenant_id', 'a', false)", &[]).await.unwrap();
        for sql in ["UPDATE goals.audit SET actor = 'nobody'", "DELETE FROM goals.audit", "TRUNCATE goals.audit"] {
            let refused = client.execute(sql, &[]).await.unwrap_err();
            assert_eq!(refused.code().unwrap().code(), "42501", "{login}: {sql}");
        }
    }
    // Nor give an entry a time, a number or a hash.
    let client = service.database.login("goalpost_goals").await.unwrap();
    client.execute("SELECT set_config('app.tenant_id', 'a', false)", &[]).await.unwrap();
    let forged = "INSERT INTO goals.audit (tenant_id, at, actor, action, object_type, object_id, seq, prev_hash, hash)
        SELECT 'a', '2000-01-01', 'x', 'x', 'x', 'x', 77, sha256('x'), sha256('x')";
    client.execute(forged, &[]).await.unwrap();
    assert_eq!(service.number(BROKEN).await, 0);
    assert_eq!(service.number("SELECT count(*) FROM goals.audit WHERE at < '2020-01-01' OR seq = 77").await, 0);
    let kept = "SELECT count(*) FROM goals.audit WHERE actor LIKE 'key:%'";
    assert_eq!(service.number(kept).await, 1);
}
