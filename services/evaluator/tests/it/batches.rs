//! Enrolling many at once.

use crate::support::{Goal, World, goal, tag};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_item_has_its_own_outcome() {
    let world = World::start().await;
    let workflow =
        world.listening(Goal { on_enroll: "skip_enrollment", ..goal("tag_added", json!({ "tag_name": "vip" })) }).await;
    let there = world.enroll(workflow, "there").await;
    let gone = world.enroll(workflow, "gone").await;
    world.post(&format!("/enrollments/{gone}/end"), json!({ "status": "completed" })).await;
    world.happen(&[tag("vip", "VIP").at(-10.0)]).await;
    let items = json!([
        { "contact_id": "new" },
        { "contact_id": "there" },
        { "contact_id": "gone" },
        { "contact_id": "vip" },
        { "contact_id": "later", "enrolled_at": "2099-01-01T00:00:00Z" },
        { "contact_id": "later" },
        { "contact_id": "new", "current_step": 2 },
        { "contact_id": 7 },
        { "contact": "typo" },
        null,
        { "contact_id": "new", "x": 1 },
        { "contact_id": "past", "enrolled_at": "2020-01-01T00:00:00Z" },
    ]);
    let (status, answer) =
        world.post(&format!("/workflows/{workflow}/enrollments/batch"), json!({ "enrollments": items })).await;
    assert_eq!(status, 200, "{answer}");
    let results: Vec<(&str, &str)> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(place, result)| {
            assert_eq!(result["index"], json!(place));
            (result["status"].as_str().unwrap(), result["code"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(
        results,
        [
            ("created", ""),
            ("existing", "already_enrolled"),
            ("rejected", "reentry_not_allowed"),
            ("skipped", "already_satisfied"),
            ("rejected", "enrolled_at_in_future"),
            ("created", ""),
            ("existing", "already_enrolled"),
            ("rejected", "invalid_type"),
            ("rejected", "unknown_field"),
            ("rejected", "invalid_type"),
            ("rejected", "unknown_field"),
            ("created", ""),
        ]
    );
    let count = |key: &str| answer[key].as_u64().unwrap();
    assert_eq!((count("created"), count("existing"), count("skipped"), count("rejected")), (3, 2, 1, 6));
    assert_eq!(answer["results"][1]["enrollment_id"], json!(there));
    assert_eq!(answer["results"][6]["enrollment_id"], answer["results"][0]["enrollment_id"]);
    let enrolled: i64 = world.value("SELECT count(*) FROM evaluator.enrollments WHERE status = 'active'", &[]).await;
    assert_eq!(enrolled, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_are_taken_and_all_of_them_rechecked() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let items =
        |count: usize| -> Vec<Value> { (0..count).map(|n| json!({ "contact_id": format!("c-{n}") })).collect() };
    let path = format!("/workflows/{workflow}/enrollments/batch");
    for refused in [0, 501] {
        let (status, problem) = world.post(&path, json!({ "enrollments": items(refused) })).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (400, &json!("/enrollments")), "{problem}");
    }
    let events: Vec<_> = (0..500).map(|n| tag(&format!("c-{n}"), "vip").at(120.0)).collect();
    world.store("demo", &events).await;
    let (status, answer) = world.post(&path, json!({ "enrollments": items(500) })).await;
    assert_eq!((status, &answer["created"]), (200, &json!(500)));
    let left = "SELECT count(*) FROM evaluator.enrollments WHERE status = 'completed_goal'";
    crate::support::eventually("all have left", async || world.value::<i64>(left, &[]).await == 500).await;
    // Again: nobody may come back.
    let (_, answer) = world.post(&path, json!({ "enrollments": items(500) })).await;
    assert_eq!(answer["rejected"], 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_with_the_same_contacts_do_not_hinder_each_other() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let path = format!("/workflows/{workflow}/enrollments/batch");
    let batch = |reverse: bool| {
        let mut contacts: Vec<usize> = (0..200).collect();
        if reverse {
            contacts.reverse();
        }
        let items: Vec<Value> = contacts.into_iter().map(|n| json!({ "contact_id": format!("c-{n}") })).collect();
        world.post(&path, json!({ "enrollments": items }))
    };
    let answers = futures_util::future::join_all((0..6).map(|n| batch(n % 2 == 0))).await;
    let created: u64 = answers
        .iter()
        .map(|(status, answer)| {
            assert_eq!(*status, 200, "{answer}");
            answer["created"].as_u64().unwrap()
        })
        .sum();
    assert_eq!(created, 200);
}
