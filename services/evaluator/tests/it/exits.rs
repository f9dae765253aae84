//! An event meets a goal, and the contact leaves.

use crate::support::{Event, World, event, goal, purchase, tag, time_of};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_takes_the_contact_out_and_says_so_once() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let customer = world.add_goal(workflow, goal("tag_added", json!({ "tag_name": "Customer" }))).await;
    let id = world.enroll_with(workflow, json!({ "contact_id": "c-1", "current_step": 3 })).await;
    let mut pending = Vec::new();
    for action_type in ["send_email", "send_sms", "wait"] {
        let action = json!({ "action_type": action_type, "scheduled_at": "2030-01-01T00:00:00Z" });
        let (status, action) = world.post(&format!("/enrollments/{id}/actions"), action).await;
        assert_eq!(status, 201, "{action}");
        pending.push(action["id"].clone());
    }
    let mut facts = world.facts("workflow.exit.goal").await;
    let mut achieved = world.facts("goal.achieved").await;

    world.happen(&[tag("c-1", "Prospect")]).await;
    world.still_active(&id).await;
    let met = tag("c-1", "  cusTOMER ");
    world.happen(std::slice::from_ref(&met)).await;

    let ended = world.ended(&id).await;
    assert_eq!((&ended["status"], &ended["exit_reason"]), (&json!("completed_goal"), &json!("goal_achieved")));
    assert_eq!((&ended["version"], &ended["current_step"]), (&json!(2), &json!(3)));
    let achievement = &ended["achievements"][0];
    assert_eq!(ended["achievements"].as_array().unwrap().len(), 1);
    assert_eq!((&achievement["goal_id"], &achievement["goal_type"]), (&json!(customer), &json!("tag_added")));
    assert_eq!((&achievement["contact_id"], &achievement["event_id"]), (&json!("c-1"), &json!(met.id)));
    assert_eq!(achievement["trigger_event"], json!({ "tag_name": "  cusTOMER " }));
    assert_eq!(achievement["criteria"], json!({ "tag_name": "Customer" }));
    assert_eq!(achievement["metadata"], json!({}));
    assert_eq!(ended["goal_reached_at"], achievement["achieved_at"]);

    let (message, fact) = facts.next().await;
    assert_eq!(message.message_id.unwrap().to_string(), fact["id"]);
    assert_eq!(message.content_type.as_deref(), Some("application/cloudevents+json"));
    assert_eq!((&fact["type"], &fact["subject"]), (&json!("workflow.exit.goal"), &json!(id)));
    assert_eq!(fact["tenantid"], "demo");
    let data = &fact["data"];
    let mut cancelled = data["cancelled_action_ids"].as_array().unwrap().clone();
    cancelled.sort_by_key(Value::to_string);
    pending.sort_by_key(Value::to_string);
    assert_eq!((&data["cancelled_actions"], cancelled), (&json!(3), pending.clone()));
    assert_eq!(data["workflow_id"], json!(workflow));
    assert_eq!((&data["contact_id"], &data["exit_reason"]), (&json!("c-1"), &json!("goal_achieved")));
    assert_eq!((&data["goal_type"], &data["goal_id"]), (&json!("tag_added"), &json!(customer)));
    assert_eq!(data["enrollment_version"], 2);
    assert_eq!(data["achievements"][0]["achievement_id"], achievement["id"]);
    assert_eq!(
        (&data["trigger_event"], &data["trigger_event_name"]),
        (&json!({ "tag_name": "  cusTOMER " }), &json!("contact.tag.added"))
    );
    assert_eq!(data["exited_at"], ended["exited_at"]);
    let took = time_of(&achievement["achieved_at"]) - time_of(&data["enrolled_at"]);
    assert_eq!(data["seconds_to_goal"], json!(took.whole_seconds()));
    facts.none().await;

    let (_, fact) = achieved.next().await;
    assert_eq!((&fact["data"]["goal_id"], &fact["data"]["event_id"]), (&json!(customer), &json!(met.id)));
    achieved.none().await;

    let actions = world.get(&format!("/enrollments/{id}/actions")).await;
    assert!(actions["items"].as_array().unwrap().iter().all(|action| action["status"] == "cancelled"), "{actions}");
    let (status, refused) = world.post(&format!("/actions/{}/start", pending[0].as_str().unwrap()), json!({})).await;
    assert_eq!((status, &refused["code"]), (409, &json!("enrollment_exited")));
    for name in ["goal_achievements_total", "goal_exits_total", "goal_evaluation_latency_seconds_count"] {
        world.comes_to(name, 1.0).await;
    }
}

/// Goal type, criteria, the event's name, properties that do not meet them, properties that do.
const CASES: &str = r#"[
    ["tag_added", { "tag_id": "t-7" }, "contact.tag.added", { "tag_name": "vipp" }, { "tag_name": "VIP" }],
    ["tag_added", { "tag_name": "vip" }, "contact.tag.added", { "tag_id": "t-8" }, { "tag_id": "t-7" }],
    ["tag_added", { "tag_pattern": "v*p" }, "contact.tag.added", { "tag_name": "vipx" }, { "tag_id": "t-7" }],
    ["purchase_made", { "any_purchase": true }, "payment.completed", { "amount": 0 }, { "amount": "10.00" }],
    ["purchase_made", { "min_amount": 100, "currency": "EUR" }, "payment.completed",
        { "amount": 150 }, { "amount": 150, "currency": "EUR" }],
    ["appointment_booked", { "calendar_id": "cal-456", "any_appointment": false }, "appointment.booked",
        { "calendar_id": "cal-789" }, { "calendar_id": "cal-456", "service_id": "s" }],
    ["form_submitted", { "form_id": "form-123" }, "form.submitted", { "form_id": "form-1" }, { "form_id": "form-123" }],
    ["pipeline_stage_reached", { "pipeline_id": "sales", "stage_id": "won" }, "pipeline.stage.changed",
        { "stage_id": "lead" }, { "stage_id": "won" }],
    ["pipeline_stage_reached", { "stage_id": "lead", "at_or_beyond": true }, "pipeline.stage.changed",
        { "stage_id": "won", "from_stage_id": "won" }, { "stage_id": "won", "from_stage_id": "lead" }],
    ["custom_event", { "event_name": "plan.upgraded", "where": [{ "property": "plan", "op": "in", "value": ["pro", "max"] }] },
        "plan.upgraded", { "plan": "free" }, { "plan": "max" }]
]"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_goal_takes_the_right_event() {
    let world = World::start().await;
    world.put_stage("lead", "sales", 1).await;
    world.put_stage("won", "sales", 3).await;
    world.put_tag("t-7", "Vip").await;
    let cases: Vec<(String, Value, String, Value, Value)> = serde_json::from_str(CASES).unwrap();
    let mut enrolled = Vec::new();
    for (place, (goal_type, criteria, name, wrong, right)) in cases.into_iter().enumerate() {
        let contact = format!("c-{place}");
        let workflow = world.listening(goal(&goal_type, criteria)).await;
        let id = world.enroll(workflow, &contact).await;
        world.happen(&[event(&contact, &name, wrong)]).await;
        enrolled.push((id, event(&contact, &name, right.clone()), right));
    }
    world.quiet().await;
    for (id, right, properties) in enrolled {
        world.still_active(&id).await;
        world.happen(&[right]).await;
        let ended = world.ended(&id).await;
        assert_eq!(ended["achievements"][0]["trigger_event"], properties, "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_compared_and_kept_as_it_was_written() {
    let world = World::start().await;
    let workflow = world.listening(goal("purchase_made", json!({ "product_id": null, "min_amount": 100.00 }))).await;
    let (almost, just) = (world.enroll(workflow, "almost").await, world.enroll(workflow, "just").await);
    let mut facts = world.facts("workflow.exit.goal").await;
    world.happen(&[purchase("almost", "99.999999999999999999"), purchase("just", "100.00")]).await;
    world.ended(&just).await;
    world.still_active(&almost).await;

    let (message, _) = facts.next().await;
    let text = String::from_utf8(message.body.to_vec()).unwrap();
    assert!(text.contains(r#""trigger_event":{"amount":100.00}"#), "{text}");
    let answer =
        world.http.get(format!("{}/api/v1/enrollments/{just}", world.url)).bearer_auth(&world.tenant.viewer_key);
    let answer = answer.send().await.unwrap().text().await.unwrap();
    assert!(answer.contains(r#""trigger_event":{"amount": 100.00}"#), "{answer}");
    let kept: String =
        world.value("SELECT trigger_event->>'amount' FROM evaluator.workflow_goal_achievements", &[]).await;
    assert_eq!(kept, "100.00");
    facts.none().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_leaves_every_workflow_whose_goal_is_met_and_no_other() {
    let world = World::start().await;
    let buying = world.listening(goal("purchase_made", json!({ "any_purchase": true }))).await;
    let also = world.listening(goal("purchase_made", json!({ "min_amount": 5 }))).await;
    let other = world.listening(goal("tag_added", json!({ "tag_name": "x" }))).await;
    let (a, b, c) =
        (world.enroll(buying, "c-1").await, world.enroll(also, "c-1").await, world.enroll(other, "c-1").await);
    let neighbour = world.enroll(buying, "c-2").await;
    world.happen(&[purchase("c-1", "7")]).await;
    world.ended(&a).await;
    world.ended(&b).await;
    world.still_active(&c).await;
    world.still_active(&neighbour).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_workflows_go_on_judging_and_others_do_not() {
    let world = World::start().await;
    for (status, leaves) in [("draft", false), ("active", true), ("paused", true), ("inactive", false)] {
        let workflow = world.workflow(status, json!("any")).await;
        world.add_goal(workflow, goal("tag_added", json!({ "tag_name": "x" }))).await;
        let id = world.enroll(workflow, status).await;
        world.happen(&[tag(status, "x")]).await;
        match leaves {
            true => drop(world.ended(&id).await),
            false => drop(world.still_active(&id).await),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_go_on_in_the_trace_of_the_event_that_met_the_goal() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    world.add_goal(workflow, goal("tag_added", json!({ "tag_name": "Customer" }))).await;
    world.enroll(workflow, "traced").await;
    world.enroll(workflow, "untraced").await;
    // Each enrollment has a recheck of its own, in the trace of its request: it is not to meet the events first.
    world.quiet().await;
    let (mut exits, mut achieved) = (world.facts("workflow.exit.goal").await, world.facts("goal.achieved").await);
    let trace = |digit: &str| format!("00-{}-00f067aa0ba902b7-01", digit.repeat(32));
    let in_trace = |event: Event, digit: &str| Event { traceparent: Some(trace(digit)), ..event };

    let events = [
        in_trace(tag("traced", "Prospect"), "a"),
        in_trace(tag("traced", "Customer"), "b"),
        tag("untraced", "Customer"),
    ];
    world.happen(&events).await;

    for facts in [&mut exits, &mut achieved] {
        for _ in 0..2 {
            let (message, fact) = facts.next().await;
            let expected = (fact["data"]["contact_id"] == "traced").then(|| trace("b"));
            assert_eq!(fact["traceparent"].as_str(), expected.as_deref(), "{fact}");
            assert_eq!(message.traceparent, expected);
        }
        facts.none().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recheck_and_its_facts_are_in_the_trace_of_the_request() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    world.add_goal(workflow, goal("tag_added", json!({ "tag_name": "Customer" }))).await;
    let id = world.enroll(workflow, "c-1").await;
    // An enrollment has a recheck of its own, which is not to see the event.
    world.quiet().await;
    world.store("demo", &[tag("c-1", "Customer")]).await;
    let mut exits = world.facts("workflow.exit.goal").await;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    let request = world.http.post(format!("{}/api/v1/workflows/{workflow}/recheck", world.url));
    let request = request.bearer_auth(&world.tenant.editor_key);
    let answer = request.header("traceparent", traceparent).json(&json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 202);

    world.ended(&id).await;
    let (message, fact) = exits.next().await;
    assert_eq!(fact["traceparent"], traceparent);
    assert_eq!(message.traceparent.as_deref(), Some(traceparent));
}
