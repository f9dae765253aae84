//! Write tokens and API keys: shown once, at most two tokens at a time, revoked for good.

use crate::harness::{Service, eventually};
use futures_util::future::join_all;
use serde_json::{Value, json};
use web::secret::{Prefix, Presented};

const TOKENS: &str = "/api/v1/tenants/a/write-tokens";
const KEYS: &str = "/api/v1/tenants/a/api-keys";

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_token_is_shown_once_and_kept_as_a_hash() {
    let service = Service::start().await;
    let made = service.admin().post(TOKENS, json!({"kind": "server", "expires_at": "2099-01-01T00:00:00Z"})).await;
    assert_eq!(made.headers["cache-control"], "no-store");
    let made = made.json(201);
    let (id, secret) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let presented = Presented::parse(secret).unwrap();
    assert_eq!((presented.prefix, presented.id.as_str()), (Prefix::WriteToken, id));
    assert_eq!((&made["kind"], &made["expires_at"]), (&json!("server"), &json!("2099-01-01T00:00:00Z")));
    assert!(made["created_by"].as_str().unwrap().starts_with("key:"));

    let listed = service.admin().get(TOKENS).await;
    assert_eq!(ids(&listed.json(200))[0], id, "newest first");
    let hidden = &secret[17..];
    assert!(!listed.text.contains(hidden), "{}", listed.text);
    let stored =
        pg::Db::connect(&service.database.settings("ingest"), "ingest", tokio::runtime::Handle::current()).unwrap();
    let found = pg::credentials::find_write_token(&stored, id).await.unwrap().unwrap();
    assert_eq!(found.secret_hash, presented.hash);
    let leaked = format!("SELECT count(*) FROM goals.audit WHERE to_jsonb(audit)::text LIKE '%{hidden}%'");
    assert_eq!(service.number(&leaked).await, 0);
    assert_eq!(service.number("SELECT count(*) FROM goals.audit WHERE action = 'write_token.created'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_at_most_two_live_tokens() {
    let service = Service::start().await;
    let admin = service.admin();
    // One was there from the start.
    let attempts = join_all((0..6).map(|_| admin.post(TOKENS, json!({"kind": "server"})))).await;
    let made: Vec<Value> = attempts.iter().filter(|a| a.status == 201).map(|a| a.json(201)).collect();
    assert_eq!(made.len(), 1);
    for refused in attempts.iter().filter(|a| a.status != 201) {
        refused.refused(409, "too_many_live_tokens");
    }
    let path = format!("{TOKENS}/{}", made[0]["id"].as_str().unwrap());
    admin.delete(&path).await.nothing();
    admin.delete(&path).await.nothing();
    assert_eq!(service.number("SELECT count(*) FROM goals.audit WHERE action = 'write_token.revoked'").await, 1);
    let next = admin.make(TOKENS, json!({})).await;
    admin.post(TOKENS, json!({})).await.refused(409, "too_many_live_tokens");
    // One that has expired does not count.
    let expired =
        format!("UPDATE platform.write_tokens SET expires_at = now() WHERE id = '{}'", next["id"].as_str().unwrap());
    service.execute(&expired).await;
    admin.make(TOKENS, json!({})).await;
    // Another tenant's tokens do not count either.
    service.operator().make("/api/v1/tenants/b/write-tokens", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_token_has_origins_and_leaves_room_for_those_of_servers() {
    let service = Service::start().await;
    let admin = service.admin();
    let origins = json!(["https://*.Example.com", "http://localhost:3000", "https://*.example.com:443"]);
    let made = admin.make(TOKENS, json!({"kind": "browser", "origins": origins})).await;
    let kept = json!(["https://*.example.com", "http://localhost:3000"]);
    assert_eq!((&made["kind"], &made["origins"]), (&json!("browser"), &kept), "as browsers write them");
    let listed = admin.show(TOKENS).await;
    assert_eq!(listed["items"][0]["origins"], kept);
    assert!(listed["items"][1].get("origins").is_none(), "{listed}");
    let audited =
        "SELECT count(*) FROM goals.audit WHERE action = 'write_token.created' AND after ->> 'kind' = 'browser'
         AND (after -> 'origins')::jsonb = '[\"https://*.example.com\", \"http://localhost:3000\"]'";
    assert_eq!(service.number(audited).await, 1);
    // Two of each kind.
    let one = json!({"kind": "browser", "origins": ["https://a.test"]});
    admin.make(TOKENS, one.clone()).await;
    admin.post(TOKENS, one).await.refused(409, "too_many_live_tokens");
    admin.make(TOKENS, json!({"kind": "server"})).await;
    admin.post(TOKENS, json!({"kind": "server"})).await.refused(409, "too_many_live_tokens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_works_until_it_is_revoked() {
    let service = Service::start().await;
    let made = service.admin().make(KEYS, json!({"role": "viewer"})).await;
    let client = service.client(made["key"].as_str().unwrap());
    client.show("/api/v1/workflows").await;
    client.post("/api/v1/workflows", json!({"name": "x"})).await.refused(403, "role_too_low");
    service.admin().delete(&format!("{KEYS}/{}", made["id"].as_str().unwrap())).await.nothing();
    eventually("the revocation", async || (client.get("/api/v1/workflows").await.status == 401).then_some(())).await;
    let revoked = "SELECT count(*) FROM goals.audit WHERE action = 'api_key.revoked'
         AND (before -> 'revoked_at')::text = 'null' AND after ->> 'revoked_at' IS NOT NULL AND after ->> 'role' = 'viewer'";
    assert_eq!(service.number(revoked).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_for_credentials_are_refused() {
    let service = Service::start().await;
    let admin = service.admin();
    for (path, body, code, pointer) in [
        (TOKENS, json!({"kind": "widget"}), "invalid_value", "/kind"),
        (TOKENS, json!({"kind": "browser"}), "missing_field", "/origins"),
        (TOKENS, json!({"kind": "browser", "origins": []}), "invalid_value", "/origins"),
        (TOKENS, json!({"kind": "browser", "origins": vec!["https://a.test"; 51]}), "invalid_value", "/origins"),
        (
            TOKENS,
            json!({"kind": "browser", "origins": ["https://a.test", "https://a.test/x"]}),
            "invalid_value",
            "/origins/1",
        ),
        (TOKENS, json!({"kind": "server", "origins": []}), "invalid_value", "/origins"),
        (TOKENS, json!({"origins": ["https://a.test"]}), "invalid_value", "/origins"),
        (TOKENS, json!({"expires_at": "2020-01-01T00:00:00Z"}), "invalid_value", "/expires_at"),
        (TOKENS, json!({"expires_at": "tomorrow"}), "invalid_value", "/expires_at"),
        (KEYS, json!({"role": "operator"}), "invalid_value", "/role"),
        (KEYS, json!({"role": "boss"}), "invalid_value", "/role"),
        (KEYS, json!({}), "missing_field", "/role"),
        (KEYS, json!({"role": "viewer", "expires_at": "1999-01-01T00:00:00Z"}), "invalid_value", "/expires_at"),
    ] {
        let problem = admin.post(path, body).await.refused(400, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    for id in ["nothing", "%00", "a%20b", &"x".repeat(300)] {
        admin.delete(&format!("{KEYS}/{id}")).await.refused(404, "not_found");
        admin.delete(&format!("{TOKENS}/{id}")).await.refused(404, "not_found");
    }
    service
        .operator()
        .post("/api/v1/tenants/nobody/api-keys", json!({"role": "admin"}))
        .await
        .refused(404, "not_found");
    service.operator().get("/api/v1/tenants/nobody/write-tokens").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_listed_in_pages() {
    let service = Service::start().await;
    for _ in 0..5 {
        service.admin().make(KEYS, json!({"role": "editor"})).await;
    }
    let whole = service.admin().show(&format!("{KEYS}?limit=200")).await;
    let walked = service.admin().walk(KEYS, 3).await;
    assert_eq!(json!({"items": walked}), whole);
    assert_eq!(walked.len(), 8);
    service.admin().get(&format!("{KEYS}?cursor=zzz")).await.refused(400, "invalid_cursor");
    service.admin().get(&format!("{KEYS}?limit=0")).await.refused(400, "invalid_limit");
}
