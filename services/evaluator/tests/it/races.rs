//! What happens at the same time, in the order that would hurt most.

use crate::support::{World, begin_status, eventually, goal, hold, purchase, tag};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

const LOCK_ENROLLMENT: &str = "SELECT id FROM evaluator.enrollments WHERE id = $1 FOR UPDATE";

/// The second one begins before the first has recorded anything, and the first before the second event is stored: read too early,
/// each would see one goal only.
#[tokio::test(flavor = "multi_thread")]
async fn two_goals_of_all_met_by_two_transactions_at_once_are_one_exit() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("all")).await;
    world.add_goal(workflow, goal("tag_added", json!({ "tag_name": "vip" }))).await;
    world.add_goal(workflow, goal("purchase_made", json!({ "any_purchase": true }))).await;
    let id = world.enroll(workflow, "c").await;
    world.quiet().await;
    let mut facts = world.facts("workflow.exit.goal").await;
    let mut achieved = world.facts("goal.achieved").await;

    let mut blocker = world.database.superuser().await.unwrap();
    let held = hold(&mut blocker).await;
    held.query(LOCK_ENROLLMENT, &[&id.parse::<Uuid>().unwrap()]).await.unwrap();
    world.happen(&[tag("c", "vip")]).await;
    world.until_waiting(1).await;
    // Stored only after the first transaction has begun to wait.
    let chunk = world.store("demo", &[purchase("c", "1")]).await;
    eventually("two transactions wait for the enrollment", async || {
        world.tell(chunk.clone()).await;
        world.waiting().await >= 2
    })
    .await;
    held.commit().await.unwrap();

    let ended = world.ended(&id).await;
    assert_eq!(ended["achievements"].as_array().unwrap().len(), 2, "{ended}");
    assert_eq!(ended["version"], 2);
    let (_, fact) = facts.next().await;
    assert_eq!(fact["subject"], json!(id));
    world.quiet().await;
    facts.none().await;
    let (first, second) = (achieved.next().await.1, achieved.next().await.1);
    assert_ne!(first["data"]["goal_id"], second["data"]["goal_id"]);
    achieved.none().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_waits_for_the_judgement_that_is_under_way() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let id = world.enroll(workflow, "c").await;
    world.quiet().await;
    let (mut blocker, mut engine) =
        (world.database.superuser().await.unwrap(), world.database.superuser().await.unwrap());
    let held = hold(&mut blocker).await;
    held.query(LOCK_ENROLLMENT, &[&id.parse::<Uuid>().unwrap()]).await.unwrap();
    world.happen(&[tag("c", "vip")]).await;
    world.until_waiting(1).await;

    let deactivation = async {
        let tx = hold(&mut engine).await;
        begin_status(&tx, workflow, "inactive").await;
        let row = tx.query_one("SELECT clock_timestamp()", &[]).await.unwrap();
        tx.commit().await.unwrap();
        row.get::<_, time::OffsetDateTime>(0)
    };
    let release = async {
        world.until_waiting(2).await;
        held.commit().await.unwrap();
    };
    let (deactivated_at, ()) = tokio::join!(deactivation, release);
    let ended = world.enrollment(&id).await;
    assert_eq!(ended["status"], "completed_goal", "it had begun before the deactivation");
    let recorded_at = crate::support::time_of(&ended["achievements"][0]["recorded_at"]);
    assert!(recorded_at <= deactivated_at, "{recorded_at} {deactivated_at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_achieved_after_a_deactivation_that_came_first() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let id = world.enroll(workflow, "c").await;
    // The configuration is in memory.
    world.happen(&[tag("other", "vip")]).await;
    world.quiet().await;

    let mut engine = world.database.superuser().await.unwrap();
    let tx = hold(&mut engine).await;
    begin_status(&tx, workflow, "inactive").await;
    world.happen(&[tag("c", "vip")]).await;
    world.until_waiting(1).await;
    tx.commit().await.unwrap();

    world.still_active(&id).await;
    let achievements: i64 = world.value("SELECT count(*) FROM evaluator.workflow_goal_achievements", &[]).await;
    assert_eq!(achievements, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_that_was_answered_is_known_to_every_later_event() {
    let world = World::start().await;
    let workflow = world.workflow("inactive", json!("any")).await;
    world.add_goal(workflow, goal("tag_added", json!({ "tag_name": "vip" }))).await;
    for round in 0..20 {
        let contact = format!("c-{round}");
        let id = world.enroll(workflow, &contact).await;
        let mut engine = world.database.superuser().await.unwrap();
        let tx = hold(&mut engine).await;
        begin_status(&tx, workflow, "active").await;
        tx.commit().await.unwrap();
        world.happen(&[tag(&contact, "vip")]).await;
        world.ended(&id).await;
        let tx = hold(&mut engine).await;
        begin_status(&tx, workflow, "inactive").await;
        tx.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_action_starts_after_the_exit() {
    let world = Arc::new(World::start().await);
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let mut enrolled: Vec<(String, Vec<String>)> = Vec::new();
    for round in 0..25 {
        let id = world.enroll(workflow, &format!("c-{round}")).await;
        let mut actions = Vec::new();
        for _ in 0..4 {
            let body = json!({ "action_type": "send_email", "scheduled_at": "2026-01-01T00:00:00Z" });
            let (_, action) = world.post(&format!("/enrollments/{id}/actions"), body).await;
            actions.push(action["id"].as_str().unwrap().to_owned());
        }
        enrolled.push((id, actions));
    }
    world.quiet().await;
    let starts = enrolled.iter().enumerate().map(|(round, (id, actions))| {
        let world = Arc::clone(&world);
        async move {
            let exit = world.happen_after(round % 5, tag(&format!("c-{round}"), "vip"));
            let start = async {
                for action in actions {
                    let (status, answer) = world.post(&format!("/actions/{action}/start"), json!({})).await;
                    assert!(status == 200 || answer["code"] == "enrollment_exited", "{status} {answer}");
                }
            };
            tokio::join!(exit, start);
            world.ended(id).await;
        }
    });
    futures_util::future::join_all(starts).await;

    let late: i64 = world
        .value(
            "SELECT count(*) FROM evaluator.scheduled_actions a JOIN evaluator.enrollments e ON e.id = a.enrollment_id \
             WHERE a.started_at > e.exited_at",
            &[],
        )
        .await;
    assert_eq!(late, 0);
    let pending: i64 =
        world.value("SELECT count(*) FROM evaluator.scheduled_actions WHERE status = 'pending'", &[]).await;
    assert_eq!(pending, 0);
    let both: i64 = world
        .value(
            "SELECT count(*) FROM evaluator.scheduled_actions WHERE status = 'cancelled' AND started_at IS NOT NULL",
            &[],
        )
        .await;
    assert_eq!(both, 0);
}

impl World {
    /// The event happens a few milliseconds from now.
    async fn happen_after(&self, milliseconds: usize, event: crate::support::Event) {
        tokio::time::sleep(std::time::Duration::from_millis(u64::try_from(milliseconds).unwrap())).await;
        self.happen(&[event]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_was_made_while_the_exit_was_under_way_is_refused() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let id = world.enroll(workflow, "c").await;
    world.quiet().await;
    // The exit has locked the enrollment and waits to write the achievement; the action waits for the enrollment.
    let mut blocker = world.database.superuser().await.unwrap();
    let held = hold(&mut blocker).await;
    held.execute("LOCK TABLE evaluator.workflow_goal_achievements IN EXCLUSIVE MODE", &[]).await.unwrap();
    world.happen(&[tag("c", "vip")]).await;
    world.until_waiting(1).await;
    let body = json!({ "action_type": "send_email", "scheduled_at": "2026-01-01T00:00:00Z" });
    let path = format!("/enrollments/{id}/actions");
    let create = world.post(&path, body);
    let release = async {
        world.until_waiting(2).await;
        held.commit().await.unwrap();
    };
    let ((status, refused), ()) = tokio::join!(create, release);
    assert_eq!((status, &refused["code"]), (409, &json!("enrollment_exited")));
    assert_eq!(world.enrollment(&id).await["status"], "completed_goal");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_falls_between_an_enrollment_and_its_evaluation() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    for round in 0..30 {
        let contact = format!("c-{round}");
        // The event lies a moment ahead, so that it counts whichever of the two commits first.
        let enroll = world.enroll(workflow, &contact);
        let happen = world.happen_after(round % 6, tag(&contact, "vip").at(60.0));
        let (id, ()) = tokio::join!(enroll, happen);
        world.ended(&id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_enroll_the_same_contact_one_does() {
    let world = World::start().await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    for reentry in [false, true] {
        world.change_workflow(workflow, if reentry { "allow_reentry = true" } else { "allow_reentry = false" }).await;
        let contact = format!("c-{reentry}");
        let path = format!("/workflows/{workflow}/enrollments");
        let one = || world.post(&path, json!({ "contact_id": contact }));
        let answers: Vec<(u16, Value)> = futures_util::future::join_all((0..12).map(|_| one())).await;
        let created: Vec<&Value> =
            answers.iter().filter(|(status, _)| *status == 201).map(|(_, body)| &body["id"]).collect();
        assert_eq!(created.len(), 1, "{answers:?}");
        for (status, body) in answers.iter().filter(|(status, _)| *status != 201) {
            assert_eq!((*status, &body["code"]), (409, &json!("already_enrolled")));
            assert_eq!(&body["enrollment_id"], created[0]);
        }
    }
}

/// Enrolling and leaving in turn, by many at once: without re-entry nobody ever gets a second passage.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_back_through_a_race() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let path = format!("/workflows/{workflow}/enrollments");
    let comers = (0..8).map(|_| async {
        for _ in 0..10 {
            let (status, body) = world.post(&path, json!({ "contact_id": "c" })).await;
            let id = if status == 201 { &body["id"] } else { &body["enrollment_id"] };
            if let Some(id) = id.as_str() {
                world.post(&format!("/enrollments/{id}/end"), json!({ "status": "removed" })).await;
            }
        }
    });
    futures_util::future::join_all(comers).await;
    let enrollments: i64 = world.value("SELECT count(*) FROM evaluator.enrollments", &[]).await;
    assert_eq!(enrollments, 1);
}
