//! The door as its senders know it.

use serde_json::json;

use crate::support::{World, answered, id, view, view_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_stored_and_every_event_has_its_verdict() {
    let world = World::start().await;
    let ids = [id(), id(), id()];
    let events: Vec<_> = ids.iter().map(|id| view(id)).collect();
    let answer = world.post(&events).await;
    assert_eq!(answer.status, 200);
    let results: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| json!({ "index": index, "event_id": id, "status": "accepted" }))
        .collect();
    let expected =
        json!({ "accepted": 3, "duplicates": 0, "rejected": 0, "limited": 0, "retry": 0, "results": results });
    assert_eq!(answer.body, expected);
    assert_eq!(world.stored().await, 3);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_paths_and_both_shapes_and_both_types_are_taken() {
    let world = World::start().await;
    for path in ["/api/v1/events", "/events"] {
        for content_type in ["application/json", "text/plain;charset=UTF-8", "Application/JSON; charset=utf-8"] {
            let bodies = [json!([view(&id())]), json!({ "events": [view(&id())], "library": { "name": "x" } })];
            for body in bodies {
                let request = world.http.post(format!("{}{path}", world.url)).bearer_auth(&world.tenant.write_token);
                let answer = answered(request.header("content-type", content_type).body(body.to_string())).await;
                assert_eq!(
                    (answer.status.as_u16(), &answer.body["accepted"]),
                    (200, &json!(1)),
                    "{path} {content_type}"
                );
            }
        }
    }
    assert_eq!(world.stored().await, 12);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_the_request_are_for_events_that_lack_them() {
    let world = World::start().await;
    let (own, lacking) = (id(), id());
    let body = json!({
        "project_id": "p-request", "user_id": "u-request", "session_id": "s-request",
        "events": [
            view_with(&own, json!({ "project_id": "p-own", "user_id": "u-own", "session_id": "s-own" })),
            view_with(&lacking, json!({ "user_id": null })),
        ],
    });
    let answer = world.post_as(&world.tenant.write_token, &body.to_string()).await;
    assert_eq!(answer.body["accepted"], 2, "{answer:?}");
    for (event_id, suffix) in [(own, "own"), (lacking, "request")] {
        let stored: String = world
            .value(
                "SELECT concat_ws(' ', project_id, user_id, session_id) FROM ingest.events_raw WHERE event_id::text = $1",
                &[&event_id],
            )
            .await;
        assert_eq!(stored, format!("p-{suffix} u-{suffix} s-{suffix}"));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_not_accepted_is_listed_on_request() {
    let world = World::start().await;
    let again = id();
    world.post(&[view(&again)]).await;
    let body = json!([view(&id()), view_with(&id(), json!({ "event_name": null })), view(&again), view(&id())]);
    let post = |query: &str| {
        let request =
            world.http.post(format!("{}/api/v1/events{query}", world.url)).bearer_auth(&world.tenant.write_token);
        answered(request.json(&body))
    };
    let answer = post("?results=errors&cache_buster=7").await;
    assert_eq!((answer.body["accepted"].as_u64(), answer.body["duplicates"].as_u64()), (Some(2), Some(1)));
    let listed: Vec<_> =
        answer.body["results"].as_array().unwrap().iter().map(|r| r["index"].as_u64().unwrap()).collect();
    assert_eq!(listed, [1, 2]);
    let answer = post("?results=some").await;
    assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (400, Some("invalid_query")));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_events_in_one_request() {
    let world = World::start().await;
    let events: Vec<_> = (0..500).map(|_| view(&id())).collect();
    let answer = world.post(&events).await;
    assert_eq!((answer.status.as_u16(), answer.body["accepted"].as_u64()), (200, Some(500)));
    assert_eq!(world.stored().await, 500);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn received_is_the_sum_of_the_verdicts() {
    let world = World::start().await;
    let again = id();
    world.post(&[view(&again), view(&id())]).await;
    world
        .post(&[
            view(&again),
            view_with(&id(), json!({ "event_name": "Bad Name" })),
            view_with(&again, json!({ "user_id": "other" })),
        ])
        .await;
    assert_eq!(world.metric("ingest_events_received_total").await, 5.0);
    assert_eq!(world.metric("ingest_events_stored_total").await, 2.0);
    assert_eq!(world.metric("ingest_events_duplicate_total").await, 1.0);
    assert_eq!(world.metric("ingest_events_rejected_total").await, 2.0);
    assert_eq!(world.metric("ingest_batch_events_count").await, 2.0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_post_is_answered() {
    let world = World::start().await;
    let answer = answered(world.http.get(format!("{}/api/v1/events", world.url))).await;
    assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (405, Some("method_not_allowed")));
    let answer = answered(world.http.post(format!("{}/api/v1/nothing", world.url))).await;
    assert_eq!(answer.status, 404);
    world.stop().await;
}
