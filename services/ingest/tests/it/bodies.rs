//! Bodies that are of no use, each answered with its code; the next good one is stored.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::support::{Answered, World, answered, eventually, hold_ledger, id, view};

async fn refused(world: &World, body: impl Into<reqwest::Body>) -> Answered {
    let request = world.http.post(format!("{}/api/v1/events", world.url)).bearer_auth(&world.tenant.write_token);
    answered(request.header("content-type", "application/json").body(body)).await
}

/// Bodies that are text, with their codes.
const UNUSABLE: [(&str, &str); 27] = [
    ("", "malformed_json"),
    ("   ", "malformed_json"),
    ("{", "malformed_json"),
    ("[", "malformed_json"),
    ("nul", "malformed_json"),
    ("not json", "malformed_json"),
    ("{'events':[]}", "malformed_json"),
    ("{\"events\":[{}],}", "malformed_json"),
    ("[{}] trailing", "malformed_json"),
    ("{\"events\":[NaN]}", "malformed_json"),
    ("{\"events\":[{\"a\":\"\u{1}\"}]}", "malformed_json"),
    ("\u{feff}[{}]", "malformed_json"),
    ("7", "invalid_body"),
    ("\"text\"", "invalid_body"),
    ("null", "invalid_body"),
    ("{\"events\":7}", "invalid_body"),
    ("{\"events\":\"[]\"}", "invalid_body"),
    ("{\"events\":[{}],\"project_id\":7}", "invalid_body"),
    ("{}", "no_events"),
    ("[]", "no_events"),
    ("{\"events\":[]}", "no_events"),
    ("{\"events\":null}", "no_events"),
    ("{\"event_id\":\"x\"}", "no_events"),
    ("{\"sent_at\":\"noon\",\"events\":[{}]}", "invalid_sent_at"),
    ("{\"sent_at\":17,\"events\":[{}]}", "invalid_sent_at"),
    ("{\"events\":[{}],\"events\":[]}", "duplicate_key"),
    ("{\"user_id\":\"undefined\",\"events\":[{}]}", "placeholder_id"),
];

#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies_are_answered_and_forgotten() {
    let world = World::start().await;
    let event = view(&id()).to_string();
    let deep = format!("{{\"events\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let many = format!("[{}]", vec!["{}"; 501].join(","));
    let mut bodies: Vec<(Vec<u8>, &str)> =
        UNUSABLE.iter().map(|(body, code)| (body.as_bytes().to_vec(), *code)).collect();
    bodies.extend([
        (many.into_bytes(), "too_many_events"),
        // One unreadable event: the body is usable, and nothing of it can be taken.
        (deep.into_bytes(), "all_rejected"),
        (vec![b'[', 0xff, 0xfe, b']'], "malformed_json"),
        (event.encode_utf16().flat_map(u16::to_le_bytes).collect(), "malformed_json"),
    ]);
    for (number, (body, code)) in bodies.into_iter().enumerate() {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = refused(&world, body).await;
        let told = (answer.status.as_u16(), answer.body["code"].as_str());
        assert_eq!(told, (400, Some(code)), "{shown}");
        assert_eq!(world.post(&[view(&id())]).await.body["accepted"], 1, "after {shown}");
        assert_eq!(world.stored().await, i64::try_from(number).unwrap() + 1);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_types_and_encodings_are_not_taken() {
    let world = World::start().await;
    let body = json!([view(&id())]).to_string();
    let post =
        || world.http.post(format!("{}/events", world.url)).bearer_auth(&world.tenant.write_token).body(body.clone());
    for content_type in ["application/x-www-form-urlencoded", "text/html", "application/jsonx", ""] {
        let answer = answered(post().header("content-type", content_type)).await;
        let told = (answer.status.as_u16(), answer.body["code"].as_str());
        assert_eq!(told, (415, Some("unsupported_content_type")), "{content_type}");
    }
    assert_eq!(answered(post()).await.status, 415, "no type at all");
    let unsupported = (415, Some("unsupported_content_encoding"));
    for (encoding, told) in
        [("compress", unsupported), ("gzip, br", unsupported), ("gzip", (400, Some("malformed_encoding")))]
    {
        let answer =
            answered(post().header("content-type", "application/json").header("content-encoding", encoding)).await;
        assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), told, "{encoding}");
    }
    assert_eq!(world.stored().await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_are_taken_up_to_what_they_expand_to() {
    let world = World::start().await;
    let gzip = |body: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let event = || json!([view(&id())]).to_string();
    let post = async |content_type: &str, encoding: &str, body: Vec<u8>| {
        let request = world.http.post(format!("{}/events", world.url)).bearer_auth(&world.tenant.write_token);
        let request = request.header("content-type", content_type).header("content-encoding", encoding);
        answered(request.body(body)).await
    };
    // As beacons send it: neither the type nor the encoding is said.
    assert_eq!(post("text/plain", "identity", gzip(event().as_bytes())).await.body["accepted"], 1);
    assert_eq!(post("application/json", "gzip", gzip(event().as_bytes())).await.body["accepted"], 1);
    let zstd = zstd::encode_all(event().as_bytes(), 0).unwrap();
    assert_eq!(post("application/json", "zstd", zstd).await.body["accepted"], 1);
    // More than a mebibyte when it is expanded, and up to four.
    let padded = |bytes: usize| {
        let event = event();
        gzip(format!("{event}{}", " ".repeat(bytes - event.len())).as_bytes())
    };
    assert_eq!(post("application/json", "gzip", padded(4 * 1024 * 1024)).await.body["accepted"], 1);
    for bytes in [4 * 1024 * 1024 + 1, 64 * 1024 * 1024] {
        let answer = post("application/json", "gzip", padded(bytes)).await;
        assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (413, Some("body_too_large")), "{bytes}");
    }
    assert_eq!(world.stored().await, 4);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mebibyte_is_taken_and_no_more() {
    let world = World::start().await;
    let padded = |bytes: usize| {
        let event = json!([view(&id())]).to_string();
        format!("{event}{}", " ".repeat(bytes - event.len()))
    };
    assert_eq!(refused(&world, padded(1024 * 1024)).await.status, 200);
    let answer = refused(&world, padded(1024 * 1024 + 1)).await;
    assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (413, Some("body_too_large")));
    assert_eq!(world.stored().await, 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_given_up() {
    let world = World::with(|settings| settings.intake.body_deadline_ms = 200).await;
    let address = world.url.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let token = &world.tenant.write_token;
    let head = format!(
        "POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-write-key: {token}\r\ncontent-length: 100\r\n\r\n[{{"
    );
    tokio::io::AsyncWriteExt::write_all(&mut socket, head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::io::AsyncReadExt::read(&mut socket, &mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_too_slow"), "{answer}");
    assert_eq!(world.post(&[view(&id())]).await.status, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_turns_away_at_once() {
    let world = World::with(|settings| settings.intake.queue_max_events = 500).await;
    let batch = |events: usize| (0..events).map(|_| view(&id())).collect::<Vec<_>>();
    world.post(&batch(1)).await;
    // Nothing can be stored while somebody holds the ledger.
    let mut holder = world.database.superuser().await.unwrap();
    let held = hold_ledger(&mut holder).await;
    let first = batch(400);
    let (waiting, turned_away) = tokio::join!(world.post(&first), async {
        // It has its room in the queue, and waits for the ledger.
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("the first batch is under way", async || world.value::<i64>(waits, &[]).await > 0).await;
        // At once, not after a wait: the ledger is let go only when the answer is there.
        let answer = world.post(&batch(200)).await;
        held.rollback().await.unwrap();
        answer
    });
    assert_eq!((turned_away.status.as_u16(), turned_away.body["code"].as_str()), (503, Some("overloaded")));
    assert_eq!(turned_away.retry_after.as_deref(), Some("1"));
    assert_eq!(waiting.body["accepted"], 400);
    assert_eq!(world.post(&batch(200)).await.body["accepted"], 200, "room is given back");
    assert_eq!(world.stored().await, 601);
    assert_eq!(world.metric("ingest_queue_bytes").await, 0.0);
    world.stop().await;
}
