//! Due actions are announced: once, while their workflow is active, and not after an exit. What must not be announced is held
//! against what was due after it and has been: pages go by the time at which actions are due.

use crate::support::{Facts, World, begin_status, eventually, goal, hold, tag};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

const LONG_AGO: &str = "2026-01-01T00:00:00Z";

impl World {
    async fn action(&self, enrollment: &str, action_type: &str, scheduled_at: &str) -> Value {
        let body = json!({ "action_type": action_type, "scheduled_at": scheduled_at, "payload": { "price": 10 } });
        let (status, action) = self.post(&format!("/enrollments/{enrollment}/actions"), body).await;
        assert_eq!(status, 201, "{action}");
        action
    }

    /// So many contacts enrolled in a workflow of a tenant, as if they had been for long.
    async fn enroll_many(&self, tenant: &str, workflow: Uuid, count: i32) {
        let insert = "INSERT INTO evaluator.enrollments (tenant_id, id, workflow_id, contact_id, enrolled_at, created_at) \
                      SELECT $1, gen_random_uuid(), $2, 'm-' || n, now(), now() FROM generate_series(1, $3) AS n";
        self.sql.execute(insert, &[&tenant, &workflow, &count]).await.unwrap();
    }

    /// So many actions, due at once, for each active enrollment of a workflow.
    async fn due_for_each(&self, workflow: Uuid, count: i32) {
        let insert = "INSERT INTO evaluator.scheduled_actions (tenant_id, id, enrollment_id, action_type, scheduled_at, created_at) \
                      SELECT e.tenant_id, gen_random_uuid(), e.id, 'send_sms', clock_timestamp(), clock_timestamp() \
                      FROM evaluator.enrollments e, generate_series(1, $2) WHERE e.workflow_id = $1 AND e.exited_at IS NULL";
        self.sql.execute(insert, &[&workflow, &count]).await.unwrap();
    }

    /// Of a workflow's actions: how many are there, announced, held back.
    async fn counted(&self, workflow: Uuid) -> (i64, i64, i64) {
        let sql = "SELECT count(*), count(a.announced_at), count(a.held_by) FROM evaluator.scheduled_actions a \
                   JOIN evaluator.enrollments e ON e.id = a.enrollment_id WHERE e.workflow_id = $1";
        let row = self.sql.query_one(sql, &[&workflow]).await.unwrap();
        (row.get(0), row.get(1), row.get(2))
    }

    async fn until_counted(&self, workflow: Uuid, expected: (i64, i64, i64)) {
        let mut last = (0, 0, 0);
        for _ in 0..1_500 {
            last = self.counted(workflow).await;
            if last == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("actions, announced, held back: {last:?}, not {expected:?}");
    }

    async fn set_status(&self, workflow: Uuid, status: &str) -> OffsetDateTime {
        let mut engine = self.database.superuser().await.unwrap();
        let tx = hold(&mut engine).await;
        begin_status(&tx, workflow, status).await;
        tx.commit().await.unwrap();
        self.value("SELECT clock_timestamp()", &[]).await
    }
}

/// The next facts; each is of another action.
async fn told(facts: &mut Facts, count: usize) -> Vec<Value> {
    let (mut told, mut of) = (Vec::new(), BTreeSet::new());
    for _ in 0..count {
        let (message, fact) = facts.next().await;
        assert_eq!(message.message_id.map(|id| json!(id)), Some(fact["id"].clone()));
        assert!(of.insert(fact["data"]["action_id"].to_string()), "twice: {fact}");
        told.push(fact);
    }
    facts.none().await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_action_is_announced_once_and_stays_pending() {
    let world = World::start().await;
    let mut facts = world.facts("workflow.action.due").await;
    let workflow = world.workflow("active", json!("any")).await;
    let enrollment = world.enroll(workflow, "c").await;
    let later = world.action(&enrollment, "send_email", "2099-01-01T00:00:00Z").await;
    let due = world.action(&enrollment, "wait", LONG_AGO).await;
    assert_eq!(due["announced_at"], Value::Null);

    let fact = &told(&mut facts, 1).await[0];
    let listed = world.get(&format!("/enrollments/{enrollment}/actions")).await;
    let (announced, waits) = (&listed["items"][0], &listed["items"][1]);
    assert_eq!((&announced["id"], &announced["status"]), (&due["id"], &json!("pending")));
    assert_eq!((&waits["id"], &waits["announced_at"]), (&later["id"], &Value::Null));
    let expected = json!({
        "tenant_id": "demo", "workflow_id": workflow, "enrollment_id": enrollment, "contact_id": "c", "action_id": due["id"],
        "action_type": "wait", "scheduled_at": LONG_AGO, "announced_at": announced["announced_at"], "payload": { "price": 10 },
        "enrollment_version": 1,
    });
    assert_eq!((&fact["data"], &fact["subject"], &fact["tenantid"]), (&expected, &due["id"], &json!("demo")));

    let (status, started) =
        world.post(&format!("/actions/{}/start", fact["data"]["action_id"].as_str().unwrap()), json!({})).await;
    assert_eq!((status, &started["announced_at"]), (200, &announced["announced_at"]), "{started}");
    world.comes_to("goal_actions_announced_total", 1.0).await;
    world.comes_to("goal_action_lateness_seconds_count", 1.0).await;
}

/// All three have claimed something before any of them may commit.
#[tokio::test(flavor = "multi_thread")]
async fn evaluators_side_by_side_share_the_work_and_announce_each_once() {
    let world = World::with(|settings| settings.announcing.batch = 7).await;
    let (second, third) = (world.another().await, world.another().await);
    let mut facts = world.facts("workflow.action.due").await;
    let workflows = [world.workflow("active", json!("any")).await, world.workflow("active", json!("any")).await];
    for workflow in workflows {
        world.enroll_many("demo", workflow, 150).await;
    }
    let mut blocker = world.database.superuser().await.unwrap();
    let held = hold(&mut blocker).await;
    held.execute("LOCK TABLE evaluator.outbox IN SHARE ROW EXCLUSIVE MODE", &[]).await.unwrap();
    for workflow in workflows {
        world.due_for_each(workflow, 2).await;
    }
    world.until_waiting(3).await;
    held.commit().await.unwrap();
    for workflow in workflows {
        world.until_counted(workflow, (300, 300, 0)).await;
    }
    told(&mut facts, 600).await;
    for evaluator in [second, third] {
        evaluator.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_while_the_workflow_is_not_active_is_announced_when_it_is_again() {
    let world = World::with(|settings| settings.announcing.batch = 7).await;
    let workflow = world.workflow("active", json!("any")).await;
    let other = world.workflow("active", json!("any")).await;
    world.enroll_many("demo", workflow, 40).await;
    let leaving = world.enroll(workflow, "leaves").await;
    let elsewhere = world.enroll(other, "c").await;
    let (mut all, mut announced) = (0, 0);
    for status in ["paused", "inactive", "draft"] {
        let mut facts = world.facts("workflow.action.due").await;
        world.set_status(workflow, status).await;
        world.due_for_each(workflow, 1).await;
        all += if status == "paused" { 41 } else { 40 };
        world.until_counted(workflow, (all, announced, all - announced)).await;
        // What another workflow has due is announced beside it.
        world.action(&elsewhere, "send_email", LONG_AGO).await;
        told(&mut facts, 1).await;
        if status == "paused" {
            world.post(&format!("/enrollments/{leaving}/end"), json!({ "status": "removed" })).await;
        }
        world.set_status(workflow, "active").await;
        announced += 40;
        // The cancelled one goes on telling what held it back.
        world.until_counted(workflow, (all, announced, 1)).await;
        told(&mut facts, 40).await;
    }
    let cancelled: i64 = world
        .value(
            "SELECT count(*) FROM evaluator.scheduled_actions WHERE status = 'cancelled' AND announced_at IS NULL",
            &[],
        )
        .await;
    assert_eq!(cancelled, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_is_being_paused_keeps_no_other_waiting() {
    let world = World::start().await;
    let mut facts = world.facts("workflow.action.due").await;
    let (pausing, other) = (world.workflow("active", json!("any")).await, world.workflow("active", json!("any")).await);
    let (held, free) = (world.enroll(pausing, "c").await, world.enroll(other, "c").await);
    let mut engine = world.database.superuser().await.unwrap();
    let tx = hold(&mut engine).await;
    begin_status(&tx, pausing, "paused").await;
    world.action(&held, "send_email", LONG_AGO).await;
    world.action(&free, "send_email", LONG_AGO).await;
    assert_eq!(told(&mut facts, 1).await[0]["data"]["workflow_id"], json!(other));
    tx.commit().await.unwrap();
    world.until_counted(pausing, (1, 0, 1)).await;
    facts.none().await;
}

/// By the clock of the database and by what it shows: from the answer to a pause until the workflow is active again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_announced_after_a_pause_was_answered() {
    let world =
        Arc::new(World::with(|settings| (settings.announcing.batch, settings.announcing.poll_ms) = (5, 5)).await);
    let second = world.another().await;
    let seed: u64 = rand::random();
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let workflow = world.workflow("active", json!("any")).await;
    world.enroll_many("demo", workflow, 30).await;
    let (mut pauses, mut in_the_midst) = (Vec::new(), 0);
    for round in 1..=60 {
        world.due_for_each(workflow, 1).await;
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..25))).await;
        let paused_at = world.set_status(workflow, if round % 2 == 0 { "paused" } else { "inactive" }).await;
        let (all, then, _) = world.counted(workflow).await;
        in_the_midst += i64::from(then > all - 30 && then < all);
        world.due_for_each(workflow, 1).await;
        eventually("what is due is held back", async || {
            let (all, announced, held) = world.counted(workflow).await;
            assert_eq!(announced, then, "SEED={seed}: announced after the pause");
            announced + held == all
        })
        .await;
        let resumed_at: OffsetDateTime = world.value("SELECT clock_timestamp()", &[]).await;
        pauses.push((paused_at, resumed_at));
        world.set_status(workflow, "active").await;
        let (all, ..) = world.counted(workflow).await;
        world.until_counted(workflow, (all, all, 0)).await;
    }
    for (paused_at, resumed_at) in pauses {
        let sql = "SELECT count(*) FROM evaluator.scheduled_actions WHERE announced_at >= $1 AND announced_at < $2";
        assert_eq!(world.value::<i64>(sql, &[&paused_at, &resumed_at]).await, 0, "SEED={seed}");
    }
    assert!(in_the_midst > 0, "SEED={seed}: no pause came in the midst of announcing");
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_exit_or_another_end_cancelled_is_never_announced() {
    let world = World::start().await;
    let mut facts = world.facts("workflow.action.due").await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let mut enrolled = Vec::new();
    for contact in ["leaves", "is-ended", "stays"] {
        enrolled.push(world.enroll(workflow, contact).await);
    }
    world.quiet().await;
    // Nothing is looked for meanwhile: the fence is taken.
    let mut engine = world.database.superuser().await.unwrap();
    let tx = hold(&mut engine).await;
    begin_status(&tx, workflow, "active").await;
    for enrollment in &enrolled {
        world.action(enrollment, "send_email", LONG_AGO).await;
    }
    world.post(&format!("/enrollments/{}/end", enrolled[1]), json!({ "status": "completed" })).await;
    world.happen(&[tag("leaves", "vip")]).await;
    world.until_waiting(1).await;
    // Who leaves waits for the fence before the announcer comes again, which waits for nobody.
    let lock = "SELECT id FROM evaluator.enrollments WHERE id = $1 FOR UPDATE";
    let (mut blocker, stays) = (world.database.superuser().await.unwrap(), enrolled[0].parse::<Uuid>().unwrap());
    let held = hold(&mut blocker).await;
    held.query(lock, &[&stays]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(told(&mut facts, 1).await[0]["data"]["enrollment_id"], json!(enrolled[2]));
    held.commit().await.unwrap();
    let left = world.ended(&enrolled[0]).await;
    assert_eq!(left["exit_reason"], "goal_achieved");
    world.quiet().await;
    let last = world.action(&enrolled[2], "send_email", LONG_AGO).await;
    assert_eq!(told(&mut facts, 1).await[0]["data"]["action_id"], last["id"]);
    let cancelled: i64 = world
        .value(
            "SELECT count(*) FROM evaluator.scheduled_actions WHERE status = 'cancelled' AND announced_at IS NULL",
            &[],
        )
        .await;
    assert_eq!(cancelled, 2);
}

/// Its session ends after it has claimed and marked, before it could commit.
#[tokio::test(flavor = "multi_thread")]
async fn an_announcer_that_is_killed_before_its_commit_has_announced_nothing() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    world.enroll_many("demo", workflow, 20).await;
    world.quiet().await;
    let mut facts = world.facts("workflow.action.due").await;
    let mut blocker = world.database.superuser().await.unwrap();
    let held = hold(&mut blocker).await;
    held.execute("LOCK TABLE evaluator.outbox IN SHARE ROW EXCLUSIVE MODE", &[]).await.unwrap();
    world.due_for_each(workflow, 1).await;
    let waiting = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO evaluator.outbox%'";
    for _ in 0..3 {
        eventually("an announcer is killed", async || world.value::<i64>(waiting, &[]).await > 0).await;
        assert_eq!(world.counted(workflow).await, (20, 0, 0));
    }
    held.commit().await.unwrap();
    world.until_counted(workflow, (20, 20, 0)).await;
    told(&mut facts, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenant_is_told_its_own() {
    let world = World::with(|settings| settings.announcing.batch = 3).await;
    let mut facts = world.facts("workflow.action.due").await;
    let mut workflows = Vec::new();
    for tenant in ["demo", "one", "two"] {
        if tenant != "demo" {
            world.database.seed_tenant(tenant).await.unwrap();
        }
        let status = if tenant == "two" { "paused" } else { "active" };
        let workflow = world.workflow_of(tenant, status, json!("any")).await;
        world.enroll_many(tenant, workflow, 10).await;
        workflows.push((tenant, workflow));
    }
    for (_, workflow) in &workflows {
        world.due_for_each(*workflow, 1).await;
    }
    world.until_counted(workflows[2].1, (10, 0, 10)).await;
    let told = told(&mut facts, 20).await;
    for (tenant, workflow) in workflows {
        let of_it: Vec<&Value> = told.iter().filter(|fact| fact["data"]["workflow_id"] == json!(workflow)).collect();
        assert_eq!(of_it.len(), if tenant == "two" { 0 } else { 10 });
        let own = |fact: &&Value| fact["tenantid"] == tenant && fact["data"]["tenant_id"] == tenant;
        assert!(of_it.iter().all(own), "{of_it:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_to_announce_none_does_all_else() {
    let world = World::with(|settings| settings.announcing.poll_ms = 0).await;
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let enrollment = world.enroll(workflow, "c-1").await;
    let action = world.action(&enrollment, "send_email", LONG_AGO).await;
    world.happen(&[tag("c-1", "vip")]).await;
    world.ended(&enrollment).await;
    let announced = "SELECT announced_at IS NOT NULL FROM evaluator.scheduled_actions WHERE id::text = $1";
    assert!(!world.value::<bool>(announced, &[&action["id"].as_str()]).await);
    world.stop().await;
}

/// Half of them leave by an event, half are ended; what came first is read from the database alone.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_start_and_an_end_at_once_the_start_is_first_or_refused() {
    const ROUNDS: usize = 1_000;
    const AT_ONCE: usize = 12;
    let world = World::start().await;
    let seed: u64 = rand::random();
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let workflow = world.listening(goal("tag_added", json!({ "tag_name": "vip" }))).await;
    let rounds: Vec<(usize, i64)> = (0..ROUNDS).map(|round| (round, rng.random_range(-8..=8))).collect();
    // How much later than the end the start sets out; it follows what comes first, so that on every
    // machine both do: a request and an event take how long they take there.
    let late = [AtomicI64::new(0), AtomicI64::new(0)];
    let raced = rounds.into_iter().map(|(round, aside_ms)| {
        let (world, late) = (&world, &late[round % 2]);
        async move {
            let contact = format!("c-{round}");
            let enrollment = world.enroll(workflow, &contact).await;
            let action = world.action(&enrollment, "send_email", LONG_AGO).await;
            let late_ms = late.load(Relaxed) + aside_ms;
            let after = |ms: i64| tokio::time::sleep(Duration::from_millis(ms.max(0).unsigned_abs()));
            let start = async {
                after(late_ms).await;
                world.post(&format!("/actions/{}/start", action["id"].as_str().unwrap()), json!({})).await
            };
            let leave = async {
                after(-late_ms).await;
                if round % 2 == 0 {
                    world.happen(&[tag(&contact, "vip")]).await;
                } else {
                    let end =
                        world.post(&format!("/enrollments/{enrollment}/end"), json!({ "status": "removed" })).await;
                    assert_eq!(end.0, 200, "{}", end.1);
                }
            };
            let ((status, answer), ()) = tokio::join!(start, leave);
            assert!(status == 200 || answer["code"] == "enrollment_exited", "{status} {answer}");
            late.fetch_add(if status == 200 { 2 } else { -2 }, Relaxed);
            world.ended(&enrollment).await;
            (action["id"].as_str().unwrap().parse::<Uuid>().unwrap(), status == 200)
        }
    });
    let raced: Vec<_> = raced.collect();
    let answered: Vec<(Uuid, bool)> = futures_util::StreamExt::collect(futures_util::StreamExt::buffer_unordered(
        futures_util::stream::iter(raced),
        AT_ONCE,
    ))
    .await;

    let sql = "SELECT a.id, e.status = 'completed_goal', a.status, a.started_at, e.exited_at FROM evaluator.scheduled_actions a \
               JOIN evaluator.enrollments e ON e.id = a.enrollment_id";
    let mut seen = [[0; 2]; 2];
    let rows = world.sql.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), ROUNDS);
    for row in rows {
        let (id, by_goal, status): (Uuid, bool, String) = (row.get(0), row.get(1), row.get(2));
        let (started_at, exited_at): (Option<OffsetDateTime>, OffsetDateTime) = (row.get(3), row.get(4));
        match started_at {
            Some(started_at) => assert!(status == "running" && started_at <= exited_at, "SEED={seed} {id} {status}"),
            None => assert_eq!(status, "cancelled", "SEED={seed} {id}"),
        }
        assert!(answered.contains(&(id, started_at.is_some())), "SEED={seed} {id}: answered otherwise than it is");
        seen[usize::from(by_goal)][usize::from(started_at.is_some())] += 1;
    }
    println!("refused and started, by another end and by a goal: {seen:?}");
    assert!(seen.iter().flatten().all(|outcomes| *outcomes > 0), "SEED={seed}: {seen:?}");
}
