//! Users who are linked to contacts, at the door; and people who are forgotten, as far as it is ingest's part.

use std::time::Duration;

use bus::Subscription;
use domain::contract::exchange;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{World, eventually, id, view, view_with};

const CONTACTS: &str =
    "SELECT coalesce(string_agg(coalesce(contact_id, '-'), ' ' ORDER BY received_at), '') FROM ingest.events_raw";

async fn call(world: &World, key: &str, (method, path): (Method, &str), body: &Value) -> (u16, Value) {
    let request = world.http.request(method, format!("{}/api/v1{path}", world.url)).bearer_auth(key).json(body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn identify(world: &World, user: &str, contact: &str) -> (u16, Value) {
    let body = json!({"user_id": user, "contact_id": contact});
    call(world, &world.tenant.editor_key, (Method::POST, "/identify"), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_holds_from_its_answer_on_for_every_replica() {
    let world = World::start().await;
    let (other, _, second) = crate::support::launch(crate::support::settings(&world.database, &world.vhost)).await;
    let event = async |url: &str| {
        let request = world.http.post(format!("{url}/api/v1/events")).bearer_auth(&world.tenant.write_token);
        let answer = request.json(&json!([view(&id())])).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    event(&other).await;
    for round in 0..10 {
        let (status, link) = identify(&world, "visitor-1", "c-1").await;
        assert_eq!((status, &link["status"]), (200, &json!("linked")), "{link}");
        event(if round % 2 == 0 { &other } else { &world.url }).await;
        let path = (Method::DELETE, "/identify/visitor-1");
        assert_eq!(call(&world, &world.tenant.editor_key, path, &json!({})).await.0, 200);
        event(if round % 2 == 0 { &world.url } else { &other }).await;
    }
    let expected = format!("-{}", " c-1 -".repeat(10));
    assert_eq!(world.value::<String>(CONTACTS, &[]).await, expected);
    // What is told carries the contact too, and the content is what was sent: a repetition is one.
    identify(&world, "visitor-1", "c-1").await;
    let first = view(&id());
    assert_eq!(world.statuses(std::slice::from_ref(&first)).await, ["accepted"]);
    call(&world, &world.tenant.editor_key, (Method::DELETE, "/identify/visitor-1"), &json!({})).await;
    assert_eq!(
        world.statuses(&[first.clone(), view_with(&id(), json!({"contact_id": "c-2"}))]).await,
        ["duplicate", "accepted"]
    );
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_links_and_the_other_is_answered_by_that() {
    let world = World::start().await;
    let same = join_all((0..4).map(|_| identify(&world, "same", "c-1"))).await;
    assert!(same.iter().all(|answer| *answer == same[0] && answer.0 == 200), "{same:?}");
    let contacts = ["c-1", "c-2", "c-3", "c-4"];
    let other = join_all(contacts.map(|contact| identify(&world, "other", contact))).await;
    let refused = other.iter().filter(|(status, body)| *status == 409 && body["code"] == "already_identified").count();
    assert_eq!((refused, other.iter().filter(|(status, _)| *status == 200).count()), (3, 1), "{other:?}");
    assert_eq!(world.value::<i64>("SELECT count(*) FROM ingest.identity_links", &[]).await, 2);
    let viewer = call(&world, &world.tenant.viewer_key, (Method::POST, "/identify"), &json!({})).await;
    assert_eq!((viewer.0, &viewer.1["code"]), (403, &json!("role_too_low")));
}

/// Whoever stores asks who the users are only where one names no contact.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_name_their_contact_cost_no_look() {
    let world = World::start().await;
    let looks = async || -> f64 {
        let text = world.http.get(format!("{}/metrics", world.admin_url)).send().await.unwrap().text().await.unwrap();
        let of = |line: &&str| {
            line.contains("statement_duration") && line.contains("_count") && line.contains("store_events")
        };
        text.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let named = view_with(&id(), json!({"contact_id": "c-1"}));
    world.statuses(&[named, view_with(&id(), json!({"user_id": null, "session_id": "s"}))]).await;
    let before = looks().await;
    assert!(before > 0.0, "statements are counted");
    world.statuses(&[view_with(&id(), json!({"contact_id": "c-2"}))]).await;
    let without = looks().await - before;
    world.statuses(&[view(&id())]).await;
    let with = looks().await - before - without;
    assert!((with - without - 1.0).abs() < f64::EPSILON, "{without} {with}");
}

/// Alone: the other services never report. Asked again under the same key it is the same erasure; asked without, another.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_is_done_when_all_have_reported() {
    let world = World::with(|settings| settings.people.erase_wait_ms = 500).await;
    identify(&world, "visitor-1", "contact-1").await;
    let events = [view(&id()), view_with(&id(), json!({"contact_id": "c-2", "user_id": "visitor-2"}))];
    world.statuses(&events).await;
    let path = format!("{}/api/v1/users/contact-1/erase", world.url);
    let erase = |path: String, key: &'static str| {
        let request = world.http.post(path).bearer_auth(&world.tenant.editor_key).header("Idempotency-Key", key);
        async move {
            let answer = request.send().await.unwrap();
            let replayed = answer.headers().contains_key("idempotency-replayed");
            (answer.status().as_u16(), replayed, answer.json::<Value>().await.unwrap())
        }
    };
    let mut facts = Subscription::open(world.vhost.amqp_url(), exchange::WORKFLOW, "subject.erased").await.unwrap();
    let (status, replayed, running) = erase(path.clone(), "k").await;
    assert_eq!((status, replayed, &running["status"]), (202, false, &json!("running")), "{running}");
    let receipt = format!("/erasures/{}", running["request_id"].as_str().unwrap());
    let show = async || call(&world, &world.tenant.editor_key, (Method::GET, &receipt), &json!({})).await.1;
    eventually("ingest has reported", async || show().await["services"]["ingest"].is_object()).await;
    let running = show().await;
    let counts = json!({"ingest.dead_letters": 0, "ingest.events_raw": 1, "ingest.identity_links": 1});
    assert_eq!((&running["status"], &running["services"]["ingest"]["counts"]), (&json!("running"), &counts));
    let kept: i64 = world.value("SELECT count(*) FROM ingest.event_keys", &[]).await;
    assert_eq!((kept, world.value::<String>(CONTACTS, &[]).await), (2, "c-2".to_owned()));
    assert_eq!(world.statuses(&events[..1]).await, ["duplicate"]);

    let own = tokio::time::timeout(Duration::from_secs(10), facts.next()).await.unwrap().unwrap();
    for service in ["goals", "evaluator"] {
        let mut fact: Value = serde_json::from_slice(&own.body).unwrap();
        fact["data"]["service"] = service.into();
        let properties = json!({"message_id": Uuid::now_v7(), "content_type": "application/cloudevents+json"});
        for _ in 0..2 {
            let fact = fact.to_string();
            world.vhost.publish((exchange::WORKFLOW, "subject.erased"), properties.clone(), &fact).await.unwrap();
        }
    }
    eventually("the erasure is done", async || show().await["status"] == "done").await;
    let (status, replayed, done) = erase(path, "k").await;
    assert_eq!((status, replayed, &done), (200, true, &show().await));
    assert_eq!(done["services"].as_object().unwrap().len(), 3, "{done}");
    let other = erase(format!("{}/api/v1/users/c-2/erase", world.url), "k").await;
    assert_eq!((other.0, &other.2["code"]), (409, &json!("idempotency_key_reused")));

    let whole = "SELECT (SELECT string_agg(t::text, ' ') FROM ingest.erasures t) || (SELECT string_agg(t::text, ' ') FROM ingest.answers t)";
    let text: String = world.value(whole, &[]).await;
    assert!(!text.contains("contact-1") && text.contains(running["request_id"].as_str().unwrap()), "{text}");
    assert_eq!(world.value::<i64>("SELECT count(*) FROM ingest.dead_letters", &[]).await, 0);
}
