//! Every route with every kind of credential.

use crate::harness::Service;
use reqwest::Method;
use serde_json::{Value, json};
use web::secret::{Prefix, mint};

/// The least that a route asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asks {
    Viewer,
    Editor,
    /// An admin of the tenant in the path, or an operator.
    Admin,
    Operator,
}

fn routes() -> Vec<(Method, &'static str, Option<Value>, Asks)> {
    let body = || Some(json!({}));
    let workflow = "/api/v1/workflows/018f0000-0000-7000-8000-000000000000";
    let path =
        |rest: &str| -> &'static str { Box::leak(format!("{workflow}{rest}").into_boxed_str()) };
    let goal = path("/goals/018f0000-0000-7000-8000-000000000001");
    vec![
        (Method::POST, "/api/v1/tenants", body(), Asks::Operator),
        (Method::GET, "/api/v1/tenants/a", None, Asks::Admin),
        (Method::PATCH, "/api/v1/tenants/a", body(), Asks::Admin),
        (
            Method::POST,
            "/api/v1/tenants/a/write-tokens",
            Some(json!({"kind": 1})),
            Asks::Admin,
        ),
        (
            Method::GET,
            "/api/v1/tenants/a/write-tokens",
            None,
            Asks::Admin,
        ),
        (
            Method::DELETE,
            "/api/v1/tenants/a/write-tokens/x",
            None,
            Asks::Admin,
        ),
        (
            Method::POST,
            "/api/v1/tenants/a/api-keys",
            body(),
            Asks::Admin,
        ),
        (Method::GET, "/api/v1/tenants/a/api-keys", None, Asks::Admin),
        (
            Method::DELETE,
            "/api/v1/tenants/a/api-keys/x",
            None,
            Asks::Admin,
        ),
        (Method::POST, "/api/v1/workflows", body(), Asks::Editor),
        (Method::GET, "/api/v1/workflows", None, Asks::Viewer),
        (Method::GET, workflow, None, Asks::Viewer),
        (Method::PATCH, workflow, body(), Asks::Editor),
        (Method::POST, path("/activate"), body(), Asks::Editor),
        (Method::POST, path("/pause"), body(), Asks::Editor),
        (Method::POST, path("/deactivate"), body(), Asks::Editor),
        (Method::GET, path("/listeners"), None, Asks::Viewer),
        (Method::POST, path("/goals"), body(), Asks::Editor),
        (Method::GET, path("/goals"), None, Asks::Viewer),
        (Method::GET, goal, None, Asks::Viewer),
        (Method::PATCH, goal, body(), Asks::Editor),
        (Method::DELETE, goal, None, Asks::Editor),
        (Method::PUT, "/api/v1/references", body(), Asks::Editor),
        (Method::GET, "/api/v1/references", None, Asks::Viewer),
        (
            Method::PUT,
            "/api/v1/references/tag/x",
            Some(json!({"x": 1})),
            Asks::Editor,
        ),
        (Method::GET, "/api/v1/references/tag/x", None, Asks::Viewer),
        (
            Method::DELETE,
            "/api/v1/references/tag/x",
            None,
            Asks::Editor,
        ),
        (Method::GET, "/api/v1/listeners", None, Asks::Viewer),
        (Method::GET, "/api/v1/audit", None, Asks::Viewer),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_its_role() {
    let service = Service::start().await;
    let a = &service.a;
    let callers = [
        ("nobody", None),
        ("nonsense", Some("nonsense".to_owned())),
        ("a key that nobody has", Some(mint(Prefix::ApiKey).text)),
        ("a write token", Some(a.write_token.clone())),
        ("viewer", Some(a.viewer_key.clone())),
        ("editor", Some(a.editor_key.clone())),
        ("admin", Some(a.admin_key.clone())),
        ("operator", Some(service.operator_key.clone())),
    ];
    for (method, path, body, asks) in routes() {
        for (who, key) in &callers {
            let client = key
                .as_ref()
                .map_or_else(|| service.anonymous(), |key| service.client(key));
            let answer = client
                .raw(method.clone(), path, body.as_ref().map(Value::to_string))
                .await;
            let wanted = match (*who, asks) {
                ("nobody", _) => Some((401, "missing_credentials")),
                ("nonsense" | "a key that nobody has" | "a write token", _) => {
                    Some((401, "invalid_credentials"))
                }
                ("viewer", Asks::Viewer) | ("editor", Asks::Viewer | Asks::Editor) => None,
                ("admin", Asks::Viewer | Asks::Editor | Asks::Admin)
                | ("operator", Asks::Admin | Asks::Operator) => None,
                ("operator", _) => Some((403, "tenant_key_required")),
                (_, Asks::Operator) => Some((403, "operator_key_required")),
                _ => Some((403, "role_too_low")),
            };
            match wanted {
                Some((status, code)) => {
                    answer.refused(status, code);
                }
                None => assert!(
                    [200, 201, 204, 400, 404].contains(&answer.status),
                    "{who} {method} {path}: {answer:?}"
                ),
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
                let ask = async |key: &str| {
                    service
                        .client(key)
                        .raw(method.clone(), path, Some(body.to_owned()))
                        .await
                };
                ask("nonsense").await.refused(401, "invalid_credentials");
                ask(&service.a.viewer_key)
                    .await
                    .refused(403, "role_too_low");
            }
        }
    }
}
