//! What is asked for twice happens once: over the bus by the message id, over HTTP by `Idempotency-Key`.

use crate::support::{World, eventually, hold};
use bus::{Message, Subscription};
use domain::contract::exchange;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::Program;
use uuid::Uuid;

const ENROLLMENTS: &str = "SELECT count(*) FROM evaluator.enrollments";
const LETTERS: &str = "SELECT count(*) FROM evaluator.dead_letters";

/// Somebody who sends commands and waits for the replies on a queue of its own.
struct Asker<'w> {
    world: &'w World,
    replies: Subscription,
}

impl<'w> Asker<'w> {
    async fn new(world: &'w World) -> Self {
        let replies = Subscription::open(world.vhost.amqp_url(), exchange::WORKFLOW, "nothing").await.unwrap();
        Self { world, replies }
    }

    async fn send(&self, command: &str, id: Uuid, body: &Value) {
        let properties = json!({"message_id": id, "reply_to": self.replies.queue()});
        self.world.vhost.publish((exchange::COMMANDS, command), properties, &body.to_string()).await.unwrap();
    }

    async fn reply(&mut self) -> Message {
        let next = tokio::time::timeout(Duration::from_secs(20), self.replies.next()).await;
        next.expect("a reply within 20 s").expect("a connection")
    }

    /// Sends a command; the text of its reply.
    async fn ask(&mut self, command: &str, id: Uuid, body: &Value) -> String {
        self.send(command, id, body).await;
        let reply = self.reply().await;
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["command"], &read["message_id"]), (&json!(command), &json!(id)), "{text}");
        assert_eq!(reply.content_type.as_deref(), Some("application/json"));
        assert_eq!(reply.correlation_id, Some(id.to_string()), "where none was given");
        text
    }

    async fn done(&mut self, command: &str, id: Uuid, body: &Value) -> Value {
        let text = self.ask(command, id, body).await;
        let reply: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(reply["status"], "done", "{text}");
        reply["result"].clone()
    }

    async fn refused(&mut self, command: &str, id: Uuid, body: &Value, code: &str) -> String {
        let text = self.ask(command, id, body).await;
        let reply: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&reply["status"], &reply["code"]), (&json!("refused"), &json!(code)), "{text}");
        assert!(reply["message"].is_string() && reply.get("result").is_none(), "{text}");
        text
    }
}

async fn with_reentry(world: &World) -> Uuid {
    let workflow = world.workflow("active", json!("any")).await;
    world.change_workflow(workflow, "allow_reentry = true").await;
    workflow
}

fn enroll(workflow: Uuid, contact: &str) -> Value {
    json!({"tenant_id": "demo", "workflow_id": workflow, "contact_id": contact})
}

fn end(enrollment: &Value) -> Value {
    json!({"tenant_id": "demo", "enrollment_id": enrollment["id"], "status": "removed"})
}

/// The re-entry shows it: by what is stored alone, the repeated message would enroll once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_enrollment_over_the_bus_has_no_second_effect_and_the_same_reply() {
    let world = World::start().await;
    let workflow = with_reentry(&world).await;
    let mut asker = Asker::new(&world).await;
    let (first, body) = (Uuid::now_v7(), enroll(workflow, "c"));
    let told = asker.ask("enroll", first, &body).await;
    let reply: Value = serde_json::from_str(&told).unwrap();
    let enrollment = &reply["result"];
    assert_eq!((&reply["status"], &enrollment["status"]), (&json!("done"), &json!("active")), "{told}");
    let mut shown = world.enrollment(enrollment["id"].as_str().unwrap()).await;
    shown.as_object_mut().unwrap().remove("achievements");
    assert_eq!(*enrollment, shown, "what HTTP answers");

    assert_eq!(asker.ask("enroll", first, &body).await, told);
    let ending = Uuid::now_v7();
    let ended = asker.done("end_enrollment", ending, &end(enrollment)).await;
    assert_eq!((&ended["status"], &ended["version"]), (&json!("removed"), &json!(2)));
    assert_eq!(asker.ask("enroll", first, &body).await, told, "also when it could enter again");
    assert_eq!(world.value::<i64>(ENROLLMENTS, &[]).await, 1);

    // Another message is another request; what the rules refused stays refused under its id.
    let again = asker.done("enroll", Uuid::now_v7(), &body).await;
    assert_ne!(again["id"], enrollment["id"]);
    let late = Uuid::now_v7();
    let refusal = asker.refused("enroll", late, &body, "already_enrolled").await;
    asker.done("end_enrollment", Uuid::now_v7(), &end(&again)).await;
    assert_eq!(asker.ask("enroll", late, &body).await, refusal);
    asker.refused("enroll", first, &enroll(workflow, "d"), "idempotency_key_reused").await;
    asker
        .refused(
            "schedule_action",
            ending,
            &json!({"tenant_id": "demo", "enrollment_id": enrollment["id"],
        "action_type": "wait", "scheduled_at": "2030-01-01T00:00:00Z"}),
            "idempotency_key_reused",
        )
        .await;
    assert_eq!(asker.ask("enroll", first, &body).await, told, "the key is still that of the first");

    assert_eq!((world.value::<i64>(ENROLLMENTS, &[]).await, world.value::<i64>(LETTERS, &[]).await), (2, 0));
    let count = async |command: &str, result: &str| {
        world.metric(&format!(r#"goal_commands_total{{command="{command}",result="{result}"}}"#)).await
    };
    let of_enroll =
        [count("enroll", "done").await, count("enroll", "repeated").await, count("enroll", "refused").await];
    assert_eq!(of_enroll, [2.0, 4.0, 2.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_decides_is_kept_with_its_code() {
    let world = World::start().await;
    let workflow = with_reentry(&world).await;
    let body = enroll(workflow, "c");
    let mut foreign = body.clone();
    foreign["tenant_id"] = json!("nobody");
    let mut future = body.clone();
    future["enrolled_at"] = json!("2090-01-01T00:00:00Z");
    let id = || json!({"message_id": Uuid::now_v7()});
    for (properties, body) in [
        (json!({}), &body),
        (json!({"message_id": "seven"}), &body),
        (id(), &foreign),
        (id(), &json!({"tenant_id": "demo"})),
        (json!({"message_id": Uuid::now_v7(), "reply_to": "evaluator.commands enroll"}), &body),
        // By the rules; nobody asked to be told.
        (id(), &future),
        (id(), &enroll(Uuid::now_v7(), "c")),
    ] {
        world.vhost.publish((exchange::COMMANDS, "enroll"), properties, &body.to_string()).await.unwrap();
    }
    eventually("all are settled", async || {
        let refused = world.metric(r#"goal_commands_total{command="enroll",result="refused"}"#).await;
        world.value::<i64>(LETTERS, &[]).await == 5 && refused == 2.0
    })
    .await;
    let codes: Vec<String> = world.value("SELECT array_agg(code ORDER BY code) FROM evaluator.dead_letters", &[]).await;
    let expected =
        ["invalid_reply_to", "malformed_message", "message_id_required", "message_id_required", "unknown_tenant"];
    assert_eq!(codes, expected);
    assert_eq!(world.value::<i64>(ENROLLMENTS, &[]).await, 0);
    world.quiet().await;
}

/// The process dies between the commit and the acknowledgement; the message comes again, to another.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_commit_repeats_nothing_but_the_reply() {
    let world = World::start().await;
    let workflow = with_reentry(&world).await;
    world.stop().await;
    let crash = "consumer.after_handling/evaluator.commands=abort";
    let mut dying = Program::serve("evaluator", &world.database, &world.vhost, crash).await.unwrap();
    let mut asker = Asker::new(&world).await;
    let (id, body) = (Uuid::now_v7(), enroll(workflow, "c"));
    asker.send("enroll", id, &body).await;
    assert!(!dying.ended().await.unwrap().success());
    assert_eq!(world.value::<i64>(ENROLLMENTS, &[]).await, 1);
    // By what is stored it could enter again.
    world
        .sql
        .execute("UPDATE evaluator.enrollments SET status = 'removed', exit_reason = 'removed', exited_at = now()", &[])
        .await
        .unwrap();

    let next = world.another().await;
    let replies = [asker.reply().await, asker.reply().await];
    assert_eq!(replies[0].body, replies[1].body);
    assert_eq!(replies[0].message_id, replies[1].message_id);
    world.quiet().await;
    assert_eq!(world.value::<i64>(ENROLLMENTS, &[]).await, 1);
    next.stop().await.unwrap();
}

/// An answer over HTTP: status, whether it says that it was given before, and its text.
async fn named(world: &World, path: &str, key: &str, body: &Value) -> (u16, bool, String) {
    let request = world.http.request(Method::POST, format!("{}/api/v1{path}", world.url));
    let request = request.bearer_auth(&world.tenant.editor_key).header("Idempotency-Key", key).json(body);
    let answer = request.send().await.unwrap();
    let replayed = answer.headers().get("idempotency-replayed").is_some_and(|value| value == "true");
    (answer.status().as_u16(), replayed, answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_request_is_answered_as_it_was() {
    let world = World::start().await;
    let workflow = with_reentry(&world).await;
    let enrollments = format!("/workflows/{workflow}/enrollments");
    let body = json!({"contact_id": "c"});
    let (status, replayed, text) = named(&world, &enrollments, "k", &body).await;
    assert_eq!((status, replayed), (201, false), "{text}");
    let enrollment: Value = serde_json::from_str(&text).unwrap();
    let id = enrollment["id"].as_str().unwrap();
    let ended = world.post(&format!("/enrollments/{id}/end"), json!({"status": "removed"})).await;
    assert_eq!(ended.0, 200);
    assert_eq!(named(&world, &enrollments, "k", &body).await, (201, true, text.clone()));
    let other = named(&world, &enrollments, "k", &json!({"contact_id": "d"})).await;
    assert!(other.0 == 409 && other.2.contains("idempotency_key_reused"), "{other:?}");

    // A refusal is not kept: what was refused may be possible later.
    let again = world.enroll(workflow, "c").await;
    let refused = named(&world, &enrollments, "later", &body).await;
    assert!(refused.0 == 409 && refused.2.contains("already_enrolled"), "{refused:?}");
    world.post(&format!("/enrollments/{again}/end"), json!({"status": "removed"})).await;
    let entered = named(&world, &enrollments, "later", &body).await;
    assert_eq!((entered.0, entered.1), (201, false));

    // A key is one within its route.
    let current: Value = serde_json::from_str(&entered.2).unwrap();
    let actions = format!("/enrollments/{}/actions", current["id"].as_str().unwrap());
    let action = json!({"action_type": "wait", "scheduled_at": "2030-01-01T00:00:00Z"});
    let batch = json!({"enrollments": [{"contact_id": "d"}, {"contact_id": 7}, {"contact_id": "c"}]});
    for (path, body, status) in [(&actions, &action, 201), (&format!("{enrollments}/batch"), &batch, 200)] {
        let first = named(&world, path, "k", body).await;
        assert_eq!((first.0, first.1), (status, false), "{}", first.2);
        assert_eq!(named(&world, path, "k", body).await, (status, true, first.2));
    }
    let counted = "SELECT (SELECT count(*) FROM evaluator.enrollments) || ' ' || (SELECT count(*) FROM evaluator.scheduled_actions)";
    assert_eq!(world.value::<String>(counted, &[]).await, "4 1");
    let none = named(&world, &enrollments, "", &body).await;
    assert!(none.0 == 400 && none.2.contains("invalid_idempotency_key"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_is_carried_out_and_both_are_answered_so() {
    let world = World::start().await;
    let workflow = with_reentry(&world).await;
    let id = world.enroll(workflow, "c").await;
    let mut other = world.database.superuser().await.unwrap();
    let tx = hold(&mut other).await;
    tx.execute("SELECT FROM evaluator.enrollments FOR UPDATE", &[]).await.unwrap();
    let (actions, action) =
        (format!("/enrollments/{id}/actions"), json!({"action_type": "wait", "scheduled_at": "2030-01-01T00:00:00Z"}));
    let asking = join_all((0..3).map(|_| named(&world, &actions, "k", &action)));
    let released = async {
        // One waits for the enrollment, the others for the key.
        world.until_waiting(3).await;
        tx.commit().await.unwrap();
    };
    let (answers, ()) = futures_util::join!(asking, released);
    assert_eq!(answers.iter().filter(|(_, replayed, _)| *replayed).count(), 2);
    assert!(answers.iter().all(|(status, _, text)| (*status, text) == (201, &answers[0].2)), "{answers:?}");
    assert_eq!(world.value::<i64>("SELECT count(*) FROM evaluator.scheduled_actions", &[]).await, 1);
}
