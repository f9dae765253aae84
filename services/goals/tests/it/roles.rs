//! Every route with every kind of credential.

use crate::harness::{Service, table};
use reqwest::Method;
use web::secret::{Prefix, mint};

/// Every route with a request and the least that it asks for. `admin` is one of the tenant in the path, or an operator.
const ROUTES: &str = r#"
    POST   | /api/v1/tenants                                | {}            | operator
    GET    | /api/v1/tenants/a                              | -             | admin
    PATCH  | /api/v1/tenants/a                              | {}            | admin
    POST   | /api/v1/tenants/a/write-tokens                 | {"kind": 1}   | admin
    GET    | /api/v1/tenants/a/write-tokens                 | -             | admin
    DELETE | /api/v1/tenants/a/write-tokens/x               | -             | admin
    POST   | /api/v1/tenants/a/api-keys                     | {}            | admin
    GET    | /api/v1/tenants/a/api-keys                     | -             | admin
    DELETE | /api/v1/tenants/a/api-keys/x                   | -             | admin
    POST   | /api/v1/workflows                              | {}            | editor
    GET    | /api/v1/workflows                              | -             | viewer
    GET    | /api/v1/workflows/{id}                         | -             | viewer
    PATCH  | /api/v1/workflows/{id}                         | {}            | editor
    POST   | /api/v1/workflows/{id}/activate                | {}            | editor
    POST   | /api/v1/workflows/{id}/pause                   | {}            | editor
    POST   | /api/v1/workflows/{id}/deactivate              | {}            | editor
    GET    | /api/v1/workflows/{id}/listeners               | -             | viewer
    POST   | /api/v1/workflows/{id}/goals                   | {}            | editor
    GET    | /api/v1/workflows/{id}/goals                   | -             | viewer
    GET    | /api/v1/workflows/{id}/goals/{id}              | -             | viewer
    PATCH  | /api/v1/workflows/{id}/goals/{id}              | {}            | editor
    DELETE | /api/v1/workflows/{id}/goals/{id}              | -             | editor
    PUT    | /api/v1/references                             | {}            | editor
    GET    | /api/v1/references                             | -             | viewer
    PUT    | /api/v1/references/tag/x                       | {"x": 1}      | editor
    GET    | /api/v1/references/tag/x                       | -             | viewer
    DELETE | /api/v1/references/tag/x                       | -             | editor
    GET    | /api/v1/listeners                              | -             | viewer
    GET    | /api/v1/audit                                  | -             | viewer
    GET    | /api/v1/dead-letters                           | -             | operator
    GET    | /api/v1/dead-letters/ingest/1                  | -             | operator
    POST   | /api/v1/dead-letters/requeue                   | {}            | operator
    POST   | /api/v1/dead-letters/discard                   | {}            | operator
"#;

/// The refusal that `who` has to get where `asks` is asked for, if any.
fn refusal(who: &str, asks: &str) -> Option<(u16, &'static str)> {
    match (who, asks) {
        ("nobody", _) => Some((401, "missing_credentials")),
        ("nonsense" | "a key that nobody has" | "a write token", _) => Some((401, "invalid_credentials")),
        (_, "viewer") if who != "operator" => None,
        ("editor", "editor") | ("admin", "editor" | "admin") | ("operator", "admin" | "operator") => None,
        ("operator", _) => Some((403, "tenant_key_required")),
        (_, "operator") => Some((403, "operator_key_required")),
        _ => Some((403, "role_too_low")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_its_role() {
    let service = Service::start().await;
    let a = &service.a;
    let callers = [
        ("nobody", service.anonymous()),
        ("nonsense", service.client("nonsense")),
        ("a key that nobody has", service.client(&mint(Prefix::ApiKey).text)),
        ("a write token", service.client(&a.write_token)),
        ("viewer", service.viewer()),
        ("editor", service.editor()),
        ("admin", service.admin()),
        ("operator", service.operator()),
    ];
    for [method, path, body, asks] in table(ROUTES) {
        let method: Method = method.parse().unwrap();
        let path = path.replace("{id}", "018f0000-0000-7000-8000-000000000000");
        let body = (body != "-").then(|| body.to_owned());
        for (who, client) in &callers {
            let answer = client.raw(method.clone(), &path, body.clone()).await;
            match refusal(who, asks) {
                Some((status, code)) => drop(answer.refused(status, code)),
                None => assert!([200, 204, 400, 404].contains(&answer.status), "{who}: {answer:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_judged_before_path_and_body() {
    let service = Service::start().await;
    for (method, path) in [
        (Method::PATCH, "/api/v1/workflows/not-a-uuid"),
        (Method::POST, "/api/v1/workflows"),
        (Method::PUT, "/api/v1/references/nothing/x"),
        (Method::PATCH, "/api/v1/tenants/a"),
        (Method::POST, "/api/v1/tenants/a/api-keys"),
    ] {
        for body in ["{", r#"{"unknown": 1}"#, "[]"] {
            // Twice: at first the key has to be looked up, then it is remembered.
            for _ in 0..2 {
                let ask = async |key: &str| service.client(key).raw(method.clone(), path, Some(body.to_owned())).await;
                ask("nonsense").await.refused(401, "invalid_credentials");
                ask(&service.a.viewer_key).await.refused(403, "role_too_low");
            }
        }
    }
}
