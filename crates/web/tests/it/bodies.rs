//! Bodies that are too slow, too large, of the wrong type, or not what was asked for.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::{Service, problem, raw, read_all, send, start};

fn strict(service: &Service, body: &str) -> reqwest::RequestBuilder {
    let request = service.post("/strict").header("content-type", "application/json");
    request.body(body.to_owned())
}

#[actix_web::test]
async fn a_good_configuration_body_is_taken() {
    let service = start().await;
    let (status, _, thing) = send(strict(&service, r#"{"name":"a","size":3}"#)).await;
    assert_eq!((status, thing), (200, json!({ "name": "a", "size": 3 })));
    for kind in ["application/json; charset=UTF-8", "Application/JSON", "application/merge-patch+json"] {
        let request = service.post("/strict").header("content-type", kind);
        assert_eq!(send(request.body(r#"{"name":"a"}"#)).await.0, 200, "{kind}");
    }
}

#[actix_web::test]
async fn faults_of_a_configuration_body_are_named() {
    let service = start().await;
    let cases = [
        (r#"{"name":"a","nmae":1}"#, "unknown_field", "/nmae"),
        (r#"{"name":"a","name":"b"}"#, "duplicate_key", "/name"),
        ("{}", "missing_field", "/name"),
        ("", "missing_field", "/name"),
        (r#"{"name":3}"#, "invalid_type", "/name"),
        (r#"{"name":"a","size":256}"#, "invalid_value", "/size"),
        (r#"{"name":"\u0000"}"#, "nul_character", "/name"),
        (r#" ["a"]"#, "invalid_type", ""),
    ];
    for (body, code, pointer) in cases {
        let document = problem(strict(&service, body), 400, code).await;
        assert_eq!(document["errors"][0]["pointer"], pointer, "{body}");
        assert_eq!(document["errors"][0]["code"], code);
    }
    for body in ["{", "nonsense", r#"{"name":"a"}{}"#, r#"{"name":"\ud800"}"#] {
        problem(strict(&service, body), 400, "malformed_json").await;
    }
    problem(strict(&service, &"{\"a\":".repeat(10_000)), 400, "too_deep").await;
    problem(strict(&service, "\u{feff}{}"), 400, "byte_order_mark").await;
    let latin = service.post("/strict").header("content-type", "application/json");
    problem(latin.body(b"{\"name\":\"\xe9\"}".to_vec()), 400, "invalid_utf8").await;
}

#[actix_web::test]
async fn other_types_and_encodings_are_refused() {
    let service = start().await;
    let body = r#"{"name":"a"}"#;
    for kind in ["text/plain", "application/json; charset=latin1", "application/x-www-form-urlencoded"] {
        let request = service.post("/strict").header("content-type", kind).body(body);
        problem(request, 415, "unsupported_content_type").await;
    }
    problem(service.post("/strict").body(body), 415, "unsupported_content_type").await;
    for encoding in ["gzip", "br", "deflate, gzip"] {
        let request = strict(&service, body).header("content-encoding", encoding);
        problem(request, 415, "unsupported_content_encoding").await;
    }
    assert_eq!(send(strict(&service, body).header("content-encoding", "identity")).await.0, 200);
}

#[actix_web::test]
async fn the_limit_is_exact_and_an_announced_length_is_believed() {
    let service = start().await;
    let (status, _, length) = send(service.post("/small").body("x".repeat(1_000))).await;
    assert_eq!((status, length), (200, json!(1_000)));
    problem(service.post("/small").body("x".repeat(1_001)), 413, "body_too_large").await;
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(256 * 1024));
    problem(strict(&service, &large), 413, "body_too_large").await;

    let head = "POST /small HTTP/1.1\nHost: x\nContent-Length: 99999999\n\n";
    let mut stream = raw(&service, head).await;
    let answer = read_all(&mut stream, Duration::from_millis(300)).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "before any byte of it: {answer}");
}

#[actix_web::test]
async fn a_stream_that_grows_too_large_is_stopped() {
    let service = start().await;
    let head = "POST /small HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n";
    let mut stream = raw(&service, head).await;
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    for _ in 0..3 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    let answer = read_all(&mut stream, Duration::from_millis(300)).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "while it is being sent: {answer}");
    assert!(answer.contains("body_too_large"), "{answer}");
}

#[actix_web::test]
async fn a_client_that_sends_on_regardless_still_reads_its_answer() {
    let service = start().await;
    for _ in 0..50 {
        let body = "x".repeat(8 * 1024 * 1024);
        problem(service.post("/small").body(body), 413, "body_too_large").await;
    }
}

#[actix_web::test]
async fn a_refused_stream_cannot_hold_its_connection_open() {
    let service = start().await;
    // Too large, without a route, with a panic behind it, without such a method.
    for path in ["/small", "/nowhere", "/panic-after", "/panic"] {
        let head = format!("POST {path} HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n");
        let mut stream = raw(&service, &head).await;
        let limit = Instant::now() + Duration::from_secs(10);
        let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
        while stream.write_all(chunk.as_bytes()).await.is_ok() {
            assert!(Instant::now() < limit, "{path} goes on for ever");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[actix_web::test]
async fn a_connection_is_kept_when_its_stream_was_read_to_the_end() {
    let service = start().await;
    let request = "POST /small HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n";
    let mut stream = raw(&service, &request.repeat(2)).await;
    let answers = read_all(&mut stream, Duration::from_millis(300)).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}

#[actix_web::test]
async fn the_rest_of_a_refused_body_is_not_taken_for_a_request() {
    let service = start().await;
    let head = "POST /small HTTP/1.1\nHost: x\nContent-Length: 5000\n\n";
    let mut stream = raw(&service, head).await;
    let smuggled = "GET /fail/conflict HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50);
    let _ = stream.write_all(smuggled.as_bytes()).await;
    let answer = read_all(&mut stream, Duration::from_millis(500)).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(!answer.contains("409 Conflict"), "{answer}");
}

#[actix_web::test]
async fn a_slow_body_is_told_off_however_it_drips() {
    let service = start().await;
    let head = "POST /small HTTP/1.1\nHost: x\nContent-Length: 100\n\n";
    let mut silent = raw(&service, head).await;
    silent.write_all(b"0123456789").await.unwrap();
    let began = Instant::now();
    let answer = read_all(&mut silent, Duration::from_secs(2)).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("body_too_slow"), "{answer}");

    let mut dripping = raw(&service, head).await;
    for _ in 0..12 {
        let _ = dripping.write_all(b"x").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let answer = read_all(&mut dripping, Duration::from_secs(2)).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[actix_web::test]
async fn a_client_that_leaves_in_the_middle_harms_nobody() {
    let service = start().await;
    for _ in 0..20 {
        let head = "POST /small HTTP/1.1\nHost: x\nContent-Length: 100\n\nabc";
        drop(raw(&service, head).await);
    }
    assert_eq!(send(service.post("/small").body("x")).await.0, 200);
}
