//! Callers who are known to an identity provider: what they may, and what the audit log calls them.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::issuer::{AUDIENCE, Issuer, SigningKey};
use web::{IdentitySettings, JwtSettings, RoleNames};

use crate::harness::{Client, Service};

struct Known {
    service: Service,
    issuer: Issuer,
    key: SigningKey,
}

impl Known {
    async fn start() -> Self {
        let key = SigningKey::ed25519("k").unwrap();
        let issuer = Issuer::start(&[&key]).await.unwrap();
        let jwt = JwtSettings {
            issuer: issuer.url().to_owned(),
            audience: AUDIENCE.to_owned(),
            jwks_url: issuer.jwks_url(),
            roles: RoleNames { operator: vec!["operator".to_owned()], ..RoleNames::default() },
            ..JwtSettings::default()
        };
        let service = Service::known_by(IdentitySettings { jwt }).await;
        Self { service, issuer, key }
    }

    fn client(&self, subject: &str, tenant: Option<&str>, role: &str) -> Client {
        self.service.client(&self.key.token(&self.issuer.claims(subject, tenant, role)))
    }
}

fn actors(entries: &Value, action: &str) -> Vec<String> {
    let entries = entries["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == action);
    entries.map(|entry| entry["actor"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_changes_what_its_role_may_and_is_named_in_the_audit_log() {
    let known = Known::start().await;
    let editor = known.client("auth0|7", Some("a"), "editor");
    let workflow = editor.workflow().await;
    assert_eq!(known.client("v", Some("a"), "viewer").show(&workflow).await["name"], "Welcome");
    let refused = known.client("v", Some("a"), "viewer").patch(&workflow, json!({"name": "x"})).await;
    assert_eq!((refused.status, refused.json(403)["code"].as_str()), (403, Some("role_too_low")));
    let admin = known.client("boss", Some("a"), "admin");
    let made = admin.make("/api/v1/tenants/a/api-keys", json!({"role": "viewer"})).await;
    assert_eq!(made["created_by"], "jwt:boss");
    let operator = known.client("op", None, "operator");
    operator.show("/api/v1/tenants/a").await;
    operator.make("/api/v1/tenants", json!({"tenant_id": "c"})).await;
    let entries = admin.show("/api/v1/audit").await;
    assert_eq!(actors(&entries, "workflow.created"), ["jwt:auth0|7"]);
    assert_eq!(actors(&entries, "api_key.created"), ["jwt:boss"]);
    assert_eq!(actors(&entries, "operator.read"), ["jwt:op"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_tenant_that_is_not_here_finds_nothing_and_makes_nothing() {
    let known = Known::start().await;
    let workflow = known.service.editor().workflow().await;
    let nobody = known.client("u", Some("nobodys"), "admin");
    let unknown = known.client("u", Some("b"), "admin").get(&workflow).await;
    for (method, path, body) in [
        (Method::GET, workflow.as_str(), None),
        (Method::GET, "/api/v1/workflows", None),
        (Method::POST, "/api/v1/workflows", Some(r#"{"name": "x"}"#.to_owned())),
        (Method::GET, "/api/v1/tenants/nobodys", None),
    ] {
        let answer = nobody.raw(method, path, body).await;
        assert_eq!((answer.status, &answer.text), (404, &unknown.text), "{path}");
    }
    assert_eq!(known.service.number("SELECT count(*) FROM goals.workflows").await, 1);
    // That an admin asked for another tenant is in the log of its own.
    let admin = known.client("curious", Some("b"), "admin");
    assert_eq!(admin.get("/api/v1/tenants/a").await.status, 404);
    let entries = admin.show("/api/v1/audit").await;
    assert_eq!(actors(&entries, "access.refused"), ["jwt:curious"]);
}
