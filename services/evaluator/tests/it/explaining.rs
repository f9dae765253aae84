//! Why: every reason there is, told over HTTP, and never against what was recorded.

use crate::support::{Event, Goal, World, event, eventually, goal, purchase, tag};
use domain::goal::Reason;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

fn vip() -> Goal {
    goal("tag_added", json!({ "tag_name": "vip" }))
}

fn named(goal_type: &str, criteria: Value, position: i16) -> Goal {
    Goal { position, ..goal(goal_type, criteria) }
}

/// So many seconds ago, as a request has it.
pub async fn ago(world: &World, seconds: i32) -> String {
    let sql =
        "SELECT to_char((now() - $1::float8 * interval '1 s') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
    world.value(sql, &[&f64::from(seconds)]).await
}

/// Everything that is said of an enrollment, page by page.
pub async fn explained(world: &World, enrollment: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/enrollments/{enrollment}/explain?limit=200&cursor={cursor}")).await;
        assert_eq!(page["enrollment_id"], *enrollment);
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return items,
        }
    }
}

/// What is said of one event and one goal (or of the only goal).
fn said(items: &[Value], event: &Event, goal: Option<Uuid>) -> String {
    let of =
        |item: &&Value| item["event_id"] == json!(event.id) && goal.is_none_or(|goal| item["goal_id"] == json!(goal));
    let mut of = items.iter().filter(of);
    let item = of.next().unwrap_or_else(|| panic!("nothing is said of {event:?}: {items:#?}"));
    assert_eq!(of.next(), None, "said twice");
    let reason = item["reason"].as_str().unwrap();
    let verdict = if reason == "matched" { "matched" } else { "not_matched" };
    assert_eq!(item["verdict"], verdict);
    reason.to_owned()
}

/// Reasons, each with the properties of an event that has it.
type Lacking<'a> = &'a [(&'a str, Value)];

/// What an event lacks that does not meet the criteria.
async fn of_criteria(world: &World) -> BTreeSet<String> {
    let stage = json!({ "stage_id": "won", "pipeline_id": "sales" });
    let place = json!({ "calendar_id": "cal", "service_id": "cut" });
    let big = json!({ "event_name": "order.placed", "where": [{ "property": "size", "op": "gte", "value": 3 }] });
    let amounts = json!({ "min_amount": 10, "max_amount": 20, "product_id": "p" });
    let cases: [(&str, &Value, Lacking<'_>); 6] = [
        (
            "tag_added",
            &json!({ "tag_name": "vip" }),
            &[
                ("tag_missing", json!({})),
                ("tag_differs", json!({ "tag_name": "other" })),
                ("already_present", json!({ "tag_name": "vip", "already_present": true })),
            ],
        ),
        (
            "purchase_made",
            &amounts,
            &[
                ("amount_missing", json!({ "product_id": "p" })),
                ("amount_invalid", json!({ "product_id": "p", "amount": "much" })),
                ("amount_not_positive", json!({ "product_id": "p", "amount": 0 })),
                ("amount_below_min", json!({ "product_id": "p", "amount": 9.99 })),
                ("amount_above_max", json!({ "product_id": "p", "amount": 20.01 })),
                ("currency_mismatch", json!({ "product_id": "p", "amount": 15, "currency": "CHF" })),
                ("product_differs", json!({ "product_id": "q", "amount": 15 })),
            ],
        ),
        (
            "appointment_booked",
            &place,
            &[
                ("calendar_differs", json!({ "calendar_id": "other", "service_id": "cut" })),
                ("service_differs", json!({ "calendar_id": "cal", "service_id": "dye" })),
            ],
        ),
        ("form_submitted", &json!({ "form_id": "f" }), &[("form_differs", json!({ "form_id": "g" }))]),
        (
            "pipeline_stage_reached",
            &stage,
            &[
                ("stage_differs", json!({ "stage_id": "lost", "pipeline_id": "sales" })),
                ("pipeline_differs", json!({ "stage_id": "won", "pipeline_id": "hiring" })),
                ("stage_not_entered", json!({ "stage_id": "won", "pipeline_id": "sales", "from_stage_id": "won" })),
            ],
        ),
        ("custom_event", &big, &[("property_missing", json!({})), ("property_differs", json!({ "size": 2 }))]),
    ];
    let mut seen = BTreeSet::new();
    for (goal_type, criteria, events) in cases {
        let workflow = world.listening(goal(goal_type, criteria.clone())).await;
        let id = world.enroll(workflow, goal_type).await;
        let name: String = world.value("SELECT event_name FROM goals.goals WHERE workflow_id = $1", &[&workflow]).await;
        for (reason, properties) in events {
            let happened = event(goal_type, &name, properties);
            world.happen(std::slice::from_ref(&happened)).await;
            let heard = said(&explained(world, &id).await, &happened, None);
            assert_eq!(heard, *reason, "{goal_type} {properties}");
            seen.insert(heard);
        }
    }
    seen
}

/// When an event comes, and what came before it.
async fn of_time(world: &World) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let workflow = world.listening(Goal { within_seconds: Some(60), ..vip() }).await;
    let id = world.enroll(workflow, "time").await;
    let (early, late, counts, later) = (
        tag("time", "vip").at(-60.0),
        tag("time", "vip").at(200.0),
        tag("time", "VIP").at(1.0),
        tag("time", "vip").at(2.0),
    );
    world.happen(&[early.clone(), late.clone()]).await;
    world.still_active(&id).await;
    world.happen(std::slice::from_ref(&counts)).await;
    world.ended(&id).await;
    world.happen(std::slice::from_ref(&later)).await;
    let items = explained(world, &id).await;
    for (event, reason) in
        [(early, "before_enrollment"), (late, "outside_window"), (counts, "matched"), (later, "already_exited")]
    {
        assert_eq!(said(&items, &event, None), reason);
        seen.insert(reason.to_owned());
    }
    let workflow = world.workflow("active", json!("any")).await;
    let (id, before) = (world.enroll(workflow, "goal").await, tag("goal", "vip"));
    world.happen(std::slice::from_ref(&before)).await;
    world.add_goal(workflow, vip()).await;
    seen.insert(said(&explained(world, &id).await, &before, None));
    seen
}

/// What other goals make of an event, and what became of goal and workflow.
async fn of_goals(world: &World) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let any = world.workflow("active", json!("any")).await;
    let first = world.add_goal(any, named("tag_added", json!({ "tag_name": "vip" }), 1)).await;
    let second = world.add_goal(any, named("tag_added", json!({ "tag_pattern": "v*" }), 2)).await;
    let bought = world.add_goal(any, named("purchase_made", json!({ "any_purchase": true }), 3)).await;
    let (id, both) = (world.enroll(any, "goals").await, tag("goals", "vip"));
    world.happen(std::slice::from_ref(&both)).await;
    world.ended(&id).await;
    let items = explained(world, &id).await;
    let of = |goal| said(&items, &both, Some(goal));
    assert_eq!([of(first), of(second), of(bought)], ["matched", "also_matched", "event_type_differs"]);
    seen.extend([of(second), of(bought)]);

    let all = world.workflow("active", json!("all")).await;
    let tagged = world.add_goal(all, vip()).await;
    world.add_goal(all, named("purchase_made", json!({ "any_purchase": true }), 2)).await;
    let id = world.enroll(all, "all").await;
    let (once, again) = (tag("all", "vip").at(1.0), tag("all", "vip").at(2.0));
    world.happen(&[once.clone(), again.clone()]).await;
    world.still_active(&id).await;
    let items = explained(world, &id).await;
    assert_eq!(said(&items, &once, Some(tagged)), "matched");
    seen.insert(said(&items, &again, Some(tagged)));

    for (status, change, reason) in [
        ("draft", "status = status", "workflow_inactive"),
        ("inactive", "status = status", "workflow_inactive"),
        ("active", "status = 'inactive'", "goal_inactive"),
    ] {
        let workflow = world.workflow(status, json!("any")).await;
        let goal = world.add_goal(workflow, vip()).await;
        world.change_goal(goal, change).await;
        let (id, happened) = (world.enroll(workflow, status).await, tag(status, "vip"));
        world.happen(std::slice::from_ref(&happened)).await;
        assert_eq!(said(&explained(world, &id).await, &happened, None), reason, "{status}");
        seen.insert(reason.to_owned());
    }
    seen
}

/// A contact that comes again, long enough ago to have met the goal in its first life.
async fn of_reentry(world: &World) -> BTreeSet<String> {
    let workflow = world.listening(vip()).await;
    world.change_workflow(workflow, "allow_reentry = true").await;
    let body = json!({ "contact_id": "again", "enrolled_at": ago(world, 7_200).await });
    let first = world.enroll_with(workflow, body.clone()).await;
    let (credited, other) = (tag("again", "vip").at(-3_600.0), tag("again", "vip").at(-1_800.0));
    world.happen(std::slice::from_ref(&credited)).await;
    world.ended(&first).await;
    world.happen(std::slice::from_ref(&other)).await;
    let second = world.enroll_with(workflow, body).await;
    world.still_active(&second).await;
    let (of_first, of_second) = (explained(world, &first).await, explained(world, &second).await);
    assert_eq!([said(&of_first, &credited, None), said(&of_first, &other, None)], ["matched", "already_exited"]);
    let seen = [said(&of_second, &credited, None), said(&of_second, &other, None)];
    assert_eq!(seen, ["credited_earlier", "before_earlier_exit"]);
    // What the second one does says nothing about the first.
    let last = tag("again", "vip").at(60.0);
    world.happen(std::slice::from_ref(&last)).await;
    world.ended(&second).await;
    assert_eq!(said(&explained(world, &second).await, &last, None), "matched");
    assert_eq!(said(&explained(world, &first).await, &last, None), "already_exited");
    seen.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reason_is_told() {
    let world = World::start().await;
    let mut seen = of_criteria(&world).await;
    seen.extend(of_time(&world).await);
    seen.extend(of_goals(&world).await);
    seen.extend(of_reentry(&world).await);
    let all: BTreeSet<String> = Reason::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(seen, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_stays_matched_whatever_becomes_of_the_goal() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("all")).await;
    let tagged = world.add_goal(workflow, vip()).await;
    let bought = world.add_goal(workflow, named("purchase_made", json!({ "min_amount": 10 }), 2)).await;
    let id = world.enroll(workflow, "c").await;
    let (tag_event, small, big) = (tag("c", "vip"), purchase("c", "5").at(1.0), purchase("c", "10").at(2.0));
    world.happen(&[tag_event.clone(), small.clone(), big.clone()]).await;
    let ended = world.ended(&id).await;
    let recorded = |goal: Uuid| {
        let achievements = ended["achievements"].as_array().unwrap();
        achievements.iter().find(|a| a["goal_id"] == json!(goal)).unwrap()["id"].clone()
    };
    let check = async |of_small: &str| {
        let items = explained(&world, &id).await;
        for (event, goal) in [(&tag_event, tagged), (&big, bought)] {
            assert_eq!(said(&items, event, Some(goal)), "matched");
            let item = items.iter().find(|i| i["event_id"] == json!(event.id) && i["goal_id"] == json!(goal)).unwrap();
            assert_eq!(item["achievement_id"], recorded(goal));
        }
        assert_eq!(said(&items, &small, Some(bought)), of_small);
    };
    check("amount_below_min").await;
    // The goal now asks for what it was not met by; and what it was not met by meets it.
    world
        .change_goal(bought, "criteria = '{\"max_amount\": 6}', version = 2, effective_from = clock_timestamp()")
        .await;
    check("before_goal").await;
    world.change_goal(bought, "effective_from = NULL").await;
    check("already_achieved").await;
    world.change_workflow(workflow, "status = 'inactive'").await;
    check("already_achieved").await;
    world.change_goal(bought, "status = 'inactive'").await;
    check("goal_inactive").await;
    // Deleted, it is listed with what it was met by alone.
    world.change_goal(bought, "deleted_at = now()").await;
    let items = explained(&world, &id).await;
    assert_eq!(said(&items, &big, Some(bought)), "matched");
    assert!(!items.iter().any(|item| item["event_id"] == json!(small.id)), "{items:#?}");
    let other = event("c", "payment.completed", "{}");
    world.change_goal(tagged, "deleted_at = now()").await;
    world.happen(std::slice::from_ref(&other)).await;
    let left: Vec<Value> = explained(&world, &id).await.iter().map(|item| item["event_id"].clone()).collect();
    assert_eq!(left, [json!(big.id), json!(tag_event.id)], "the latest first");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_by_other_means_is_told_from_the_exit() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!("all")).await;
    let tagged = world.add_goal(workflow, vip()).await;
    let bought = world.add_goal(workflow, named("purchase_made", json!({ "any_purchase": true }), 2)).await;
    let id = world.enroll(workflow, "c").await;
    let (once, again) = (tag("c", "vip").at(1.0), tag("c", "vip").at(2.0));
    world.happen(&[once.clone(), again.clone()]).await;
    world.still_active(&id).await;
    world.post(&format!("/enrollments/{id}/end"), json!({ "status": "removed" })).await;
    let (too_late, early) = (purchase("c", "5"), tag("c", "vip").at(1.5));
    world.happen(&[too_late.clone(), early.clone()]).await;
    let page = world.get(&format!("/enrollments/{id}/explain")).await;
    assert_eq!((&page["status"], &page["exit_reason"]), (&json!("removed"), &json!("removed")));
    assert!(page["as_of"].is_string() && page["exited_at"].is_string(), "{page}");
    let items = explained(&world, &id).await;
    assert_eq!(said(&items, &once, Some(tagged)), "matched");
    assert_eq!(said(&items, &again, Some(tagged)), "already_achieved");
    assert_eq!(said(&items, &too_late, Some(bought)), "already_exited");
    assert_eq!(said(&items, &early, Some(tagged)), "already_exited", "stored after the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_judged_yet_is_told_as_it_will_be() {
    let world = World::start().await;
    let workflow = world.listening(vip()).await;
    let id = world.enroll(workflow, "c").await;
    world.quiet().await;
    let (first, second) = (tag("c", "vip").at(1.0), tag("c", "vip").at(2.0));
    let chunk = world.store("demo", &[second.clone(), first.clone()]).await;
    let items = explained(&world, &id).await;
    assert_eq!([said(&items, &first, None), said(&items, &second, None)], ["matched", "already_exited"]);
    assert!(items.iter().all(|item| item["achievement_id"].is_null()), "{items:#?}");
    assert_eq!(world.enrollment(&id).await["status"], "active", "explaining changes nothing");
    world.tell(chunk).await;
    eventually("it is recorded", async || world.enrollment(&id).await["status"] != "active").await;
    let after = explained(&world, &id).await;
    assert_eq!([said(&after, &first, None), said(&after, &second, None)], ["matched", "already_exited"]);
    let recorded = after.iter().filter(|item| !item["achievement_id"].is_null()).count();
    assert_eq!(recorded, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_join_without_a_seam() {
    let world = World::start().await;
    let workflow = world.workflow("active", json!({ "at_least": 3 })).await;
    for (position, criteria) in
        [(1, json!({ "min_amount": 500 })), (2, json!({ "min_amount": 5 })), (3, json!({ "max_amount": 3 }))]
    {
        world.add_goal(workflow, named("purchase_made", criteria, position)).await;
    }
    let id = world.enroll(workflow, "c").await;
    // Many at the same moment, so that pages end inside of it, and inside of an event.
    let insert = "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, contact_id, properties) \
         SELECT clock_timestamp(), t.at, t.at, gen_random_uuid(), false, 'demo', 'payment.completed', 'c', jsonb_build_object('amount', n % 9) \
         FROM (SELECT n, now() + (n / 40) * interval '1 ms' AS at FROM generate_series(1, 250) AS n) AS t";
    world.sql.execute(insert, &[]).await.unwrap();
    let whole = explained(&world, &id).await;
    assert_eq!(whole.len(), 750);
    for limit in [1, 7, 200] {
        let (mut joined, mut path) = (Vec::new(), format!("/enrollments/{id}/explain?limit={limit}"));
        while joined.len() < 60 {
            let page = world.get(&path).await;
            let items = page["items"].as_array().unwrap();
            assert_eq!(items.len(), limit);
            joined.extend(items.iter().cloned());
            path = format!("/enrollments/{id}/explain?limit={limit}&cursor={}", page["next_cursor"].as_str().unwrap());
        }
        assert_eq!(joined, whole[..joined.len()], "{limit}");
    }
    let matched: Vec<&Value> = whole.iter().filter(|item| item["reason"] == "matched").collect();
    assert_eq!(matched.len(), 2, "the first for each of two goals, however far back: {matched:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_unknown_and_unreadable_ones_are_not_explained() {
    let world = World::start().await;
    let other = world.database.seed_tenant("other").await.unwrap();
    let workflow = world.workflow("active", json!("any")).await;
    let goal = world.add_goal(workflow, vip()).await;
    let id = world.enroll(workflow, "c").await;
    let explain = |id: &str| format!("/enrollments/{id}/explain");
    let (_, foreign) = world.call(Method::GET, &explain(&id), &other.admin_key, None).await;
    let (status, unknown) =
        world.call(Method::GET, &explain(&Uuid::now_v7().to_string()), &world.tenant.viewer_key, None).await;
    assert_eq!((status, &unknown["code"]), (404, &json!("enrollment_not_found")));
    assert_eq!(foreign["code"], unknown["code"]);
    for cursor in ["x", "AAAAAAAAAAB4"] {
        let path = format!("{}?cursor={cursor}", explain(&id));
        let (status, refused) = world.call(Method::GET, &path, &world.tenant.viewer_key, None).await;
        assert_eq!((status, &refused["code"]), (400, &json!("invalid_cursor")), "{cursor}");
    }
    world.change_goal(goal, "criteria = '{\"from_the_future\": 1}'").await;
    let (status, refused) = world.call(Method::GET, &explain(&id), &world.tenant.viewer_key, None).await;
    assert_eq!((status, &refused["code"]), (409, &json!("goals_unreadable")), "{refused}");
}
