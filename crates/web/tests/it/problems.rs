//! Every kind of error answer is a problem document.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{problem, send, start};

#[actix_web::test]
async fn every_constructor_has_its_status_and_headers() {
    let service = start().await;
    let cases = [
        ("bad_request", 400, "no_events"),
        ("invalid", 400, "too_long"),
        ("unauthorized", 401, "invalid_credentials"),
        ("forbidden", 403, "role_too_low"),
        ("not_found", 404, "not_found"),
        ("conflict", 409, "already_enrolled"),
        ("too_large", 413, "batch_too_large"),
        ("unsupported", 415, "unsupported_content_type"),
        ("too_many", 429, "rate_limited"),
        ("unavailable", 503, "overloaded"),
        ("other", 500, "internal"),
    ];
    for (kind, status, code) in cases {
        problem(service.get(&format!("/fail/{kind}")), status, code).await;
    }
    let header = async |kind: &str, name: &str| {
        let (_, headers, _) = send(service.get(&format!("/fail/{kind}"))).await;
        headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(header("too_many", "retry-after").await.as_deref(), Some("7"));
    assert_eq!(header("unavailable", "retry-after").await.as_deref(), Some("2"));
    assert_eq!(header("conflict", "retry-after").await, None);
    let challenge = header("unauthorized", "www-authenticate").await;
    assert_eq!(challenge.as_deref(), Some("Bearer realm=\"goalpost\""));
}

#[actix_web::test]
async fn faults_and_further_members_are_in_the_document() {
    let service = start().await;
    let document = problem(service.get("/fail/invalid"), 400, "too_long").await;
    let faults = json!([
        { "pointer": "/name", "code": "too_long", "message": "must be shorter" },
        { "pointer": "/a~1b", "code": "invalid_type", "message": "must be a text" },
    ]);
    assert_eq!(document["errors"], faults);
    assert_eq!(document["message"], "/name: must be shorter");
    let document = problem(service.get("/fail/bad_request"), 400, "no_events").await;
    assert_eq!(document["results"], json!([{ "index": 0 }]));
    assert_eq!(document.get("errors"), None);
}

#[actix_web::test]
async fn what_actix_answers_itself_is_a_problem_too() {
    let service = start().await;
    problem(service.get("/nowhere"), 404, "route_not_found").await;
    problem(service.get("/things/"), 404, "route_not_found").await;
    problem(service.get("/query?from=x"), 400, "invalid_query").await;
    problem(service.get("/query"), 400, "invalid_query").await;
    problem(service.post("/query"), 405, "method_not_allowed").await;
    problem(service.post("/things/7"), 405, "method_not_allowed").await;
    problem(service.post("/versioned"), 405, "method_not_allowed").await;
    let (_, headers, _) = send(service.post("/versioned")).await;
    assert_eq!(headers["allow"], "PUT, DELETE");
}

#[actix_web::test]
async fn an_id_that_is_none_answers_as_an_unknown_one() {
    let service = start().await;
    let mut answers = Vec::new();
    for id in [Uuid::now_v7().to_string(), "x".into(), "%00".into(), "1".repeat(5_000)] {
        let mut answer = problem(service.get(&format!("/things/{id}")), 404, "not_found").await;
        answer["instance"] = Value::Null;
        answers.push(answer);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[actix_web::test]
async fn a_panic_is_answered_and_says_nothing() {
    let service = start().await;
    let document = problem(service.get("/panic"), 500, "internal").await;
    assert!(!document.to_string().contains("secret"));
    // The worker lives on.
    problem(service.get("/fail/conflict"), 409, "already_enrolled").await;
}

#[actix_web::test]
async fn a_decent_request_id_is_kept_and_another_replaced() {
    let service = start().await;
    let nil = format!("/things/{}", Uuid::nil());
    let (status, headers, document) = send(service.get(&nil).header("x-request-id", "abc-1")).await;
    assert_eq!((status, &headers["x-request-id"]), (200, &"abc-1".parse().unwrap()));
    assert_eq!(document["request_id"], "abc-1");
    for bad in ["", "a b", "<script>", &"x".repeat(65)] {
        let (_, headers, _) = send(service.get(&nil).header("x-request-id", bad)).await;
        let id: Uuid = headers["x-request-id"].to_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
}

#[actix_web::test]
async fn pages_are_taken_from_requests() {
    let service = start().await;
    let (_, _, page) = send(service.get("/page?other=1&limit=7")).await;
    assert_eq!(page, json!({ "limit": 7, "cursor": null }));
    problem(service.get("/page?limit=201"), 400, "invalid_limit").await;
    problem(service.get("/page?cursor=x"), 400, "invalid_cursor").await;
    problem(service.get("/page?limit=1&limit=2"), 400, "invalid_query").await;
}
