//! Several goals of one workflow; and the same events in another order, again, and to other evaluators.

use crate::support::{Goal, World, eventually, goal, purchase, tag};
use serde_json::{Value, json};
use uuid::Uuid;

fn second(goal: Goal) -> Goal {
    Goal { position: 2, ..goal }
}

async fn tag_and_purchase(world: &World, logic: Value) -> (Uuid, Uuid, Uuid) {
    let workflow = world.workflow("active", logic).await;
    let tagged = world.add_goal(workflow, goal("tag_added", json!({ "tag_name": "VIP" }))).await;
    let bought = world.add_goal(workflow, second(goal("purchase_made", json!({ "min_amount": 10 })))).await;
    (workflow, tagged, bought)
}

fn goals_of(enrollment: &Value) -> Vec<Value> {
    enrollment["achievements"].as_array().unwrap().iter().map(|a| a["goal_id"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_is_one_achievement_ever() {
    let world = World::start().await;
    let (workflow, _, bought) = tag_and_purchase(&world, json!("any")).await;
    let id = world.enroll(workflow, "c").await;
    world.happen(&[purchase("c", "20").at(0.1), tag("c", "vip").at(0.2)]).await;
    let ended = world.ended(&id).await;
    assert_eq!(goals_of(&ended), [json!(bought)], "the earlier one");
    world.happen(&[tag("c", "vip")]).await;
    world.quiet().await;
    assert_eq!(world.enrollment(&id).await, ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_goals_that_one_event_meets_the_lowest_position_is_credited() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("any")).await;
    let lower = second(goal("purchase_made", json!({ "any_purchase": true })));
    let later = world.add_goal(workflow, lower).await;
    let first = world.add_goal(workflow, goal("purchase_made", json!({ "min_amount": 1 }))).await;
    let id = world.enroll(workflow, "c").await;
    let mut facts = world.facts("goal.achieved").await;
    world.happen(&[purchase("c", "20")]).await;
    let ended = world.ended(&id).await;
    assert_eq!(goals_of(&ended), [json!(first)]);
    assert_eq!(ended["achievements"][0]["metadata"], json!({ "also_matched": [later] }));
    assert_eq!(facts.next().await.1["data"]["also_matched"], json!([later]));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_exits_with_the_last_and_keeps_the_first() {
    let world = World::start().await;
    let (workflow, tagged, bought) = tag_and_purchase(&world, json!("all")).await;
    let id = world.enroll(workflow, "c").await;
    let mut facts = world.facts("workflow.exit.goal").await;
    world.happen(&[tag("c", "vip")]).await;
    eventually("the first is recorded", async || {
        world.enrollment(&id).await["achievements"][0]["goal_id"] == json!(tagged)
    })
    .await;
    let between = world.still_active(&id).await;
    assert_eq!(between["version"], 1);
    facts.none().await;
    world.happen(&[tag("c", "vip"), purchase("c", "10")]).await;
    let ended = world.ended(&id).await;
    assert_eq!(goals_of(&ended), [json!(tagged), json!(bought)]);
    let (_, fact) = facts.next().await;
    assert_eq!((&fact["data"]["goal_id"], &fact["data"]["goal_type"]), (&json!(bought), &json!("purchase_made")));
    let told: Vec<Value> =
        fact["data"]["achievements"].as_array().unwrap().iter().map(|a| a["achievement_id"].clone()).collect();
    let kept: Vec<Value> = ended["achievements"].as_array().unwrap().iter().map(|a| a["id"].clone()).collect();
    assert_eq!(told, kept);
    assert_eq!(fact["data"]["trigger_event"], json!({ "amount": 10 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_may_complete_all() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("all")).await;
    world.add_goal(workflow, goal("purchase_made", json!({ "any_purchase": true }))).await;
    world.add_goal(workflow, second(goal("purchase_made", json!({ "min_amount": 5 })))).await;
    let id = world.enroll(workflow, "c").await;
    world.happen(&[purchase("c", "6")]).await;
    assert_eq!(goals_of(&world.ended(&id).await).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_least_two_of_three() {
    let world = World::start().await;
    let (workflow, tagged, bought) = tag_and_purchase(&world, json!({ "at_least": 2 })).await;
    world.add_goal(workflow, Goal { position: 3, ..goal("form_submitted", json!({ "any_form": true })) }).await;
    let id = world.enroll(workflow, "c").await;
    world.happen(&[purchase("c", "10")]).await;
    world.still_active(&id).await;
    world.happen(&[tag("c", "vip")]).await;
    assert_eq!(goals_of(&world.ended(&id).await), [json!(bought), json!(tagged)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_in_which_events_are_told_does_not_matter() {
    let world = World::start().await;
    let (workflow, tagged, _) = tag_and_purchase(&world, json!("any")).await;
    let id = world.enroll(workflow, "c").await;
    // Both are stored before either is told; the later one is told first.
    let (earlier, later) = (tag("c", "vip").at(0.1), purchase("c", "10").at(0.2));
    let early = world.store("demo", std::slice::from_ref(&earlier)).await;
    let late = world.store("demo", &[later]).await;
    world.tell(late).await;
    let ended = world.ended(&id).await;
    assert_eq!(goals_of(&ended), [json!(tagged)], "the earliest stored event is credited");
    assert_eq!(ended["achievements"][0]["event_id"], json!(earlier.id));
    world.tell(early).await;
    world.quiet().await;
    assert_eq!(world.enrollment(&id).await, ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_again_and_by_several_evaluators_it_is_done_once() {
    let world = World::start().await;
    let another = world.another().await;
    let (workflow, ..) = tag_and_purchase(&world, json!("all")).await;
    let mut facts = world.facts("workflow.exit.goal").await;
    let mut ids = Vec::new();
    for contact in 0..20 {
        ids.push(world.enroll(workflow, &format!("c-{contact}")).await);
    }
    let mut chunks = Vec::new();
    for contact in 0..20 {
        let contact = format!("c-{contact}");
        chunks.push(world.store("demo", &[purchase(&contact, "10"), tag(&contact, "VIP")]).await);
        chunks.push(world.store("demo", &[tag(&contact, "VIP").at(1.0)]).await);
    }
    for _ in 0..5 {
        for chunk in chunks.iter().rev() {
            world.tell(chunk.clone()).await;
        }
    }
    for id in &ids {
        assert_eq!(goals_of(&world.ended(id).await).len(), 2);
    }
    world.quiet().await;
    let mut told: Vec<Value> = Vec::new();
    for _ in &ids {
        told.push(facts.next().await.1["subject"].clone());
    }
    facts.none().await;
    told.sort_by_key(Value::to_string);
    let mut expected: Vec<Value> = ids.iter().map(|id| json!(id)).collect();
    expected.sort_by_key(Value::to_string);
    assert_eq!(told, expected);
    let achievements: i64 = world.value("SELECT count(*) FROM evaluator.workflow_goal_achievements", &[]).await;
    assert_eq!(achievements, 40);
    another.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_deleted_under_all_completes_nobody_until_a_recheck() {
    let world = World::start().await;
    let (workflow, tagged, bought) = tag_and_purchase(&world, json!("all")).await;
    let id = world.enroll(workflow, "c").await;
    let mut facts = world.facts("workflow.exit.goal").await;
    world.happen(&[tag("c", "vip")]).await;
    eventually("the first is recorded", async || !goals_of(&world.enrollment(&id).await).is_empty()).await;
    // The recheck that came with the enrollment is over.
    world.quiet().await;
    world.change_goal(bought, "deleted_at = now()").await;
    world.still_active(&id).await;
    let (status, accepted) = world.post(&format!("/workflows/{workflow}/recheck"), json!({})).await;
    assert_eq!(status, 202, "{accepted}");
    let ended = world.ended(&id).await;
    assert_eq!(goals_of(&ended), [json!(tagged)]);
    let (_, fact) = facts.next().await;
    assert_eq!(
        (&fact["data"]["goal_id"], &fact["data"]["trigger_event"]),
        (&json!(tagged), &json!({ "tag_name": "vip" }))
    );
}
