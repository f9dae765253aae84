//! The same id more than once: in one request, in requests at the same time, and later.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{World, id, statuses, view, view_with};

#[tokio::test(flavor = "multi_thread")]
async fn of_equal_ids_in_one_request_the_first_is_stored() {
    let world = World::start().await;
    let (one, two) = (id(), id());
    let other = view_with(&one, json!({ "user_id": "visitor-2" }));
    let events = [view(&one), view(&two), view(&one), other.clone(), view(&two)];
    assert_eq!(world.statuses(&events).await, ["accepted", "accepted", "duplicate", "conflict", "duplicate"]);
    assert_eq!(world.stored().await, 2);
    // What is stored decides from then on, whoever comes first.
    assert_eq!(world.statuses(&[other, view(&one)]).await, ["conflict", "duplicate"]);
    let user: String = world.value("SELECT user_id FROM ingest.events_raw WHERE event_id::text = $1", &[&one]).await;
    assert_eq!(user, "visitor-1");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_everything_again_adds_nothing() {
    let world = World::start().await;
    let events: Vec<Value> = (0..120).map(|_| view(&id())).collect();
    let answer = world.post(&events).await;
    assert_eq!(answer.body["accepted"], 120);
    for _ in 0..3 {
        let answer = world.post(&events).await;
        assert_eq!((answer.status.as_u16(), answer.body["duplicates"].as_u64()), (200, Some(120)));
    }
    assert_eq!(world.stored().await, 120);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_the_same_content_is_a_duplicate() {
    let world = World::start().await;
    let event_id = id();
    let spellings = [
        r#"{"event_name":"payment.completed","occurred_at":"2026-01-03T10:00:00Z","contact_id":"c","properties":{"amount":100.00,"order_id":"o"}"#,
        r#"{"contact_id":"c", "properties": {"order_id":"\u006f","amount":1e2}, "event_name":"payment.completed", "occurred_at":"2026-01-03T12:00:00+02:00""#,
    ];
    let with_id = |event: &str| format!("[{event},\"event_id\":\"{event_id}\"}}]");
    let answer = world.post_as(&world.tenant.write_token, &with_id(spellings[0])).await;
    assert_eq!(statuses(&answer), ["accepted"]);
    let again = format!("{{\"sent_at\":\"2026-01-05T10:00:00Z\",\"events\":{}}}", with_id(spellings[1]));
    let answer = world.post_as(&world.tenant.write_token, &again).await;
    assert_eq!(statuses(&answer), ["duplicate"], "sent_at is no part of the content");
    world.stop().await;
}

/// Sends these events each in a request of its own, all at once; how often each status was told.
async fn at_once(world: &World, events: &[Value]) -> Vec<(String, usize)> {
    let answers = join_all(events.iter().map(|event| world.post(std::slice::from_ref(event)))).await;
    let mut told: Vec<String> = answers.iter().flat_map(statuses).collect();
    told.sort();
    let mut counted: Vec<(String, usize)> = Vec::new();
    for status in told {
        match counted.last_mut() {
            Some((last, count)) if *last == status => *count += 1,
            _ => counted.push((status, 1)),
        }
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn of_equal_ids_in_requests_at_the_same_time_one_is_accepted() {
    let world = World::with(|settings| settings.commit.committers = 4).await;
    for round in 0..20 {
        let event_id = id();
        let events: Vec<Value> = (0..16).map(|_| view(&event_id)).collect();
        assert_eq!(at_once(&world, &events).await, [("accepted".to_owned(), 1), ("duplicate".to_owned(), 15)]);
        assert_eq!(world.stored().await, round + 1);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_conflicting_contents_at_the_same_time_one_is_stored() {
    let world = World::with(|settings| settings.commit.committers = 4).await;
    for _ in 0..20 {
        let event_id = id();
        let version = |number: usize| view_with(&event_id, json!({ "user_id": format!("visitor-{}", number % 2) }));
        let events: Vec<Value> = (0..16).map(version).collect();
        let told = at_once(&world, &events).await;
        assert_eq!(told, [("accepted".to_owned(), 1), ("conflict".to_owned(), 8), ("duplicate".to_owned(), 7)]);
    }
    assert_eq!(world.stored().await, 20);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_batches_of_two_services_store_each_event_once() {
    let world = World::start().await;
    let second = crate::support::settings(&world.database, &world.vhost);
    let (url, _, running) = crate::support::launch(second).await;
    let events: Vec<Value> = (0..300).map(|_| view(&id())).collect();
    // Each sends all events in another order, in batches of 100.
    let send = |base: String, offset: usize| {
        let mut rotated = events.clone();
        rotated.rotate_left(offset);
        let world = &world;
        async move {
            let mut accepted = 0;
            for batch in rotated.chunks(100) {
                let request = world.http.post(format!("{base}/events")).bearer_auth(&world.tenant.write_token);
                let answer = crate::support::answered(request.json(&batch)).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                accepted += answer.body["accepted"].as_u64().unwrap();
            }
            accepted
        }
    };
    let senders = (0..8).map(|number| {
        let base = if number % 2 == 0 { world.url.clone() } else { url.clone() };
        send(base, number * 37)
    });
    let accepted: u64 = join_all(senders).await.into_iter().sum();
    assert_eq!(accepted, 300);
    assert_eq!(world.stored().await, 300);
    running.stop().await.unwrap();
    world.stop().await;
}
