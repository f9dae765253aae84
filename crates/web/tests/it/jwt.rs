//! Tokens of an identity provider over HTTP: who is let in, every forgery, keys that change, a provider that goes away.

use std::time::Duration;

use goalpost_web::{HttpSettings, IdentitySettings, JwtSettings, RateLimitSettings, RoleNames};
use serde_json::{Value, json};
use testkit::issuer::{AUDIENCE, Answer, Issuer, SigningKey, hs256, joined, key_set, now_seconds};

use crate::support::{Service, problem, send, settings, start, start_known_by};

fn jwt(issuer: &Issuer) -> JwtSettings {
    JwtSettings {
        issuer: issuer.url().to_owned(),
        audience: AUDIENCE.to_owned(),
        jwks_url: issuer.jwks_url(),
        roles: RoleNames { operator: vec!["operator".to_owned()], ..RoleNames::default() },
        leeway_seconds: 0,
        ask_again_seconds: 1,
        cache_seconds: 2,
        stale_seconds: 10,
        timeout_ms: 500,
        ..JwtSettings::default()
    }
}

async fn started(jwt: JwtSettings) -> Service {
    start_known_by(settings(), &IdentitySettings { jwt }).await
}

fn with(service: &Service, path: &str, token: &str) -> reqwest::RequestBuilder {
    service.get(path).bearer_auth(token)
}

#[actix_web::test]
async fn each_role_may_what_it_may_under_either_algorithm() {
    let (ed, rsa) = (SigningKey::ed25519("e").unwrap(), SigningKey::rsa("r").unwrap());
    let issuer = Issuer::start(&[&ed, &rsa]).await.unwrap();
    let service = started(jwt(&issuer)).await;
    let (low, tenants, operators) =
        ((403, "role_too_low"), (403, "operator_key_required"), (403, "tenant_key_required"));
    let fine = (200, "");
    for key in [&ed, &rsa] {
        let token = |tenant, role| key.token(&issuer.claims("u-1", tenant, role));
        let matrix = [
            (token(Some("acme"), "viewer"), [fine, low, low, tenants, fine]),
            (token(Some("acme"), "editor"), [fine, fine, low, tenants, fine]),
            (token(Some("acme"), "admin"), [fine, fine, fine, tenants, fine]),
            (token(None, "operator"), [operators, operators, operators, fine, fine]),
        ];
        for (token, expected) in matrix {
            let routes = ["/viewer", "/editor", "/admin", "/operator", "/any"];
            for (route, (status, code)) in routes.into_iter().zip(expected) {
                let request = with(&service, route, &token);
                if status == 200 {
                    assert_eq!(send(request).await.0, 200, "{route}");
                } else {
                    problem(request, status, code).await;
                }
            }
        }
    }
    let token = ed.token(&issuer.claims("auth0|u-1", Some("acme"), "viewer"));
    let (_, _, who) = send(with(&service, "/viewer", &token)).await;
    assert_eq!(who, json!("acme jwt:auth0|u-1"));
    assert_eq!(send(service.get("/viewer").header("x-api-key", &token)).await.0, 200);
    // API keys go on as they were.
    let key = service.store.add(goalpost_web::Role::Viewer, Some("acme")).text;
    assert_eq!(send(with(&service, "/viewer", &key)).await.0, 200);
}

/// This object with one member otherwise.
fn but(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[name] = value;
    object
}

fn without(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(name);
    object
}

/// Good claims under every header and signature that are not.
fn forged_signatures(good: &Value, ed: &SigningKey, rsa: &SigningKey) -> Vec<(&'static str, String)> {
    let header = |key: &SigningKey, name: &str, value: Value| but(&key.header(), name, value);
    let unsigned = |header: Value| joined(&header.to_string(), &good.to_string(), |_| Vec::new());
    let stranger = SigningKey::ed25519(ed.kid()).unwrap();
    let [head, body, signature] = split(&ed.token(good));
    let [_, others, _] = split(&ed.token(&but(good, "roles", json!(["admin"]))));
    let [_, _, rsas] = split(&rsa.token(good));
    let modulus = rsa.jwk()["n"].as_str().unwrap().to_owned();
    let published = rsa.jwk().to_string();
    let as_hmac = json!({"alg": "HS256", "kid": rsa.kid()});
    let own_key = header(&stranger, "jwk", stranger.jwk());
    let of_others = header(&stranger, "jku", json!("http://127.0.0.1:1/jwks"));
    let header_twice = format!(r#"{{"alg":"EdDSA","kid":"nobody","kid":"{}"}}"#, ed.kid());
    vec![
        ("none", unsigned(json!({"alg": "none", "kid": ed.kid()}))),
        ("None", unsigned(json!({"alg": "None", "kid": ed.kid()}))),
        ("no algorithm", unsigned(json!({"kid": ed.kid()}))),
        ("no signature", format!("{head}.{body}.")),
        ("the modulus as a secret", hs256(modulus.as_bytes(), &as_hmac, good)),
        ("the published key as a secret", hs256(published.as_bytes(), &as_hmac, good)),
        ("another of the family", rsa.sign(&header(rsa, "alg", json!("RS512")), good)),
        ("PS256", rsa.sign(&header(rsa, "alg", json!("PS256")), good)),
        ("ES256", ed.sign(&header(ed, "alg", json!("ES256")), good)),
        ("the algorithm of the other key", rsa.sign(&header(rsa, "alg", json!("EdDSA")), good)),
        ("the name of the other key", ed.sign(&header(ed, "kid", json!(rsa.kid())), good)),
        ("an unknown key", ed.sign(&header(ed, "kid", json!("nobody")), good)),
        ("a key with a path", ed.sign(&header(ed, "kid", json!("../../dev/null")), good)),
        ("a key that is a number", ed.sign(&header(ed, "kid", json!(7)), good)),
        ("no key named", ed.sign(&without(&ed.header(), "kid"), good)),
        ("another's key of the same name", stranger.token(good)),
        ("the key in the token", stranger.sign(&own_key, good)),
        ("the key elsewhere", stranger.sign(&of_others, good)),
        ("critical", ed.sign(&header(ed, "crit", json!(["b64"])), good)),
        ("nothing critical", ed.sign(&header(ed, "crit", json!([])), good)),
        ("a key named twice", joined(&header_twice, &good.to_string(), |message| ed.signature(message))),
        ("other claims", format!("{head}.{others}.{signature}")),
        ("another's signature", format!("{head}.{body}.{rsas}")),
        ("a signature cut", format!("{head}.{body}.{}", &signature[..signature.len() - 2])),
        ("two parts", format!("{head}.{body}")),
        ("four parts", format!("{head}.{body}.{signature}.{signature}")),
        ("five parts", format!("{head}.{body}.{signature}.{body}.{signature}")),
        ("dots", "..".to_owned()),
        ("padding", format!("{head}=.{body}.{signature}")),
        ("too long", ed.token(&but(good, "filling", json!("x".repeat(9_000))))),
    ]
}

/// Claims that are not good under a good signature.
fn bad_claims(good: &Value, key: &SigningKey) -> Vec<(&'static str, String)> {
    let now = now_seconds();
    let with = |name: &str, value: Value| key.token(&but(good, name, value));
    let none = |name: &str| key.token(&without(good, name));
    let aud_twice = good.to_string().replacen('{', r#"{"aud":"others","#, 1);
    vec![
        ("a claim twice", joined(&key.header().to_string(), &aud_twice, |message| key.signature(message))),
        ("no end", none("exp")),
        ("ended", with("exp", json!(now - 1))),
        ("an end that is a text", with("exp", json!((now + 600).to_string()))),
        ("an end before all time", with("exp", json!(-1))),
        ("not yet", with("nbf", json!(now + 600))),
        ("a beginning that is a text", with("nbf", json!("now"))),
        ("no issuer", none("iss")),
        ("another issuer", with("iss", json!("https://id.example"))),
        ("several issuers", with("iss", json!([good["iss"], "https://id.example"]))),
        ("no audience", none("aud")),
        ("another audience", with("aud", json!("others"))),
        ("other audiences", with("aud", json!(["others", "goalpost2"]))),
        ("no subject", none("sub")),
        ("no role", none("roles")),
        ("a role unknown", with("roles", json!(["root"]))),
        ("an operator with a tenant", with("roles", json!(["operator"]))),
        ("a viewer without one", none("tenant_id")),
        ("a tenant that is none", with("tenant_id", json!("a b"))),
        ("tenants", with("tenant_id", json!(["acme"]))),
    ]
}

fn split(token: &str) -> [String; 3] {
    token.splitn(3, '.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()
}

#[actix_web::test]
async fn whatever_is_wrong_with_a_token_the_answer_is_that_to_a_wrong_key() {
    let (ed, rsa) = (SigningKey::ed25519("e").unwrap(), SigningKey::rsa("r").unwrap());
    let issuer = Issuer::start(&[&ed, &rsa]).await.unwrap();
    let service = started(jwt(&issuer)).await;
    let good = issuer.claims("u-1", Some("acme"), "viewer");
    let mut several = good.clone();
    several["aud"] = json!(["others", AUDIENCE]);
    for token in [ed.token(&good), rsa.token(&good), ed.token(&several)] {
        assert_eq!(send(with(&service, "/viewer", &token)).await.0, 200);
    }
    let wrong_key = problem(with(&service, "/viewer", "gpk_nonsense"), 401, "invalid_credentials").await;
    for (what, token) in forged_signatures(&good, &ed, &rsa).into_iter().chain(bad_claims(&good, &rsa)) {
        println!("{what}");
        for route in ["/viewer", "/any", "/operator"] {
            let mut answer = problem(with(&service, route, &token), 401, "invalid_credentials").await;
            answer["instance"] = wrong_key["instance"].clone();
            assert_eq!(answer, wrong_key, "{what}");
        }
    }
    let (_, headers, _) = send(with(&service, "/viewer", "a.b.c")).await;
    assert_eq!(headers["www-authenticate"], "Bearer realm=\"goalpost\"");
}

#[actix_web::test]
async fn clocks_may_differ_by_the_leeway() {
    let key = SigningKey::ed25519("e").unwrap();
    let issuer = Issuer::start(&[&key]).await.unwrap();
    let service = started(JwtSettings { leeway_seconds: 120, ..jwt(&issuer) }).await;
    for (claim, seconds, status) in [("exp", -60, 200), ("exp", -180, 401), ("nbf", 60, 200), ("nbf", 180, 401)] {
        let mut claims = issuer.claims("u-1", Some("acme"), "viewer");
        claims[claim] = now_seconds().saturating_add_signed(seconds).into();
        assert_eq!(send(with(&service, "/viewer", &key.token(&claims))).await.0, status, "{claim} {seconds}");
    }
}

#[actix_web::test]
async fn a_tenant_that_is_not_here_is_not_there() {
    let key = SigningKey::ed25519("e").unwrap();
    let issuer = Issuer::start(&[&key]).await.unwrap();
    let service = started(jwt(&issuer)).await;
    let token = key.token(&issuer.claims("u-1", Some("nobodys"), "admin"));
    for route in ["/viewer", "/admin", "/any", "/tenants/acme", "/tenants/nobodys"] {
        problem(with(&service, route, &token), 404, "not_found").await;
    }
    let token = key.token(&issuer.claims("u-1", Some("acme"), "admin"));
    problem(with(&service, "/tenants/other", &token), 404, "not_found").await;
    assert_eq!(send(with(&service, "/tenants/acme", &token)).await.0, 200);
    // A tenant that cannot be looked up is neither there nor not.
    let service = started(jwt(&issuer)).await;
    service.store.set_away(true);
    problem(with(&service, "/viewer", &token), 503, "credentials_unavailable").await;
}

#[actix_web::test]
async fn tokens_are_off_unless_they_are_set() {
    let key = SigningKey::ed25519("e").unwrap();
    let issuer = Issuer::start(&[&key]).await.unwrap();
    let service = start().await;
    let token = key.token(&issuer.claims("u-1", Some("acme"), "viewer"));
    problem(with(&service, "/viewer", &token), 401, "invalid_credentials").await;
    assert_eq!(issuer.asked(), 0);
}

/// Asks until it is answered so. What is waited for is a time that has to pass.
async fn until(service: &Service, token: &str, status: u16) {
    for _ in 0..600 {
        if send(with(service, "/viewer", token)).await.0 == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never {status}");
}

#[actix_web::test]
async fn keys_change_while_it_runs() {
    let (old, new) = (SigningKey::ed25519("old").unwrap(), SigningKey::rsa("new").unwrap());
    let issuer = Issuer::start(&[&old]).await.unwrap();
    let service = started(jwt(&issuer)).await;
    let claims = issuer.claims("u-1", Some("acme"), "viewer");
    let (by_old, by_new) = (old.token(&claims), new.token(&claims));
    until(&service, &by_old, 200).await;
    issuer.publish(&[&old, &new]);
    until(&service, &by_new, 200).await;
    assert_eq!(send(with(&service, "/viewer", &by_old)).await.0, 200, "both hold while both are published");
    issuer.publish(&[&new]);
    until(&service, &by_old, 401).await;
    assert_eq!(send(with(&service, "/viewer", &by_new)).await.0, 200);
    // A key under a known name that is another one.
    let usurper = SigningKey::rsa("new").unwrap();
    issuer.publish(&[&usurper]);
    until(&service, &by_new, 401).await;
    until(&service, &usurper.token(&claims), 200).await;
}

#[actix_web::test]
async fn forged_names_of_keys_cost_the_provider_nothing() {
    let key = SigningKey::ed25519("e").unwrap();
    let issuer = Issuer::start(&[&key]).await.unwrap();
    let times = JwtSettings { ask_again_seconds: 60, cache_seconds: 60, stale_seconds: 60, ..jwt(&issuer) };
    let service = started(times).await;
    let claims = issuer.claims("u-1", Some("acme"), "viewer");
    until(&service, &key.token(&claims), 200).await;
    for number in 0..200 {
        let header = json!({"alg": "EdDSA", "kid": format!("forged-{number}")});
        problem(with(&service, "/viewer", &key.sign(&header, &claims)), 401, "invalid_credentials").await;
    }
    assert_eq!(issuer.asked(), 1);
    assert_eq!(send(with(&service, "/viewer", &key.token(&claims))).await.0, 200);
}

#[actix_web::test]
async fn while_the_provider_is_away_known_keys_go_on_for_a_time() {
    let (key, other) = (SigningKey::ed25519("e").unwrap(), SigningKey::ed25519("f").unwrap());
    let issuer = Issuer::start(&[&key]).await.unwrap();
    let service = started(jwt(&issuer)).await;
    let claims = issuer.claims("u-1", Some("acme"), "viewer");
    let (known, unknown) = (key.token(&claims), other.token(&claims));
    until(&service, &known, 200).await;
    issuer.answer(Answer::Body(500, "{}".to_owned()));
    // Whether this key is the provider's cannot be said now.
    until(&service, &unknown, 503).await;
    assert_eq!(send(with(&service, "/viewer", &known)).await.0, 200, "a key that was known before is still believed");
    problem(with(&service, "/viewer", "a.b.c"), 401, "invalid_credentials").await;
    until(&service, &known, 503).await;
    let (_, headers, document) = send(with(&service, "/viewer", &known)).await;
    assert_eq!(
        (headers["retry-after"].to_str().unwrap(), &document["code"]),
        ("10", &json!("credentials_unavailable"))
    );
    let api_key = service.store.add(goalpost_web::Role::Viewer, Some("acme")).text;
    assert_eq!(send(with(&service, "/viewer", &api_key)).await.0, 200, "API keys do not need it");
    issuer.publish(&[&key]);
    until(&service, &known, 200).await;
}

#[actix_web::test]
async fn what_is_no_key_set_is_not_believed() {
    let key = SigningKey::ed25519("e").unwrap();
    let issuer = Issuer::start(&[]).await.unwrap();
    let elsewhere = Issuer::start(&[&key]).await.unwrap();
    let token = key.token(&issuer.claims("u-1", Some("acme"), "viewer"));
    let mut huge: Value = serde_json::from_str(&key_set(&[&key])).unwrap();
    huge["filling"] = "x".repeat(300_000).into();
    for answer in [
        Answer::Silence,
        Answer::Redirect(elsewhere.jwks_url()),
        Answer::Body(200, "<html>".to_owned()),
        Answer::Body(200, huge.to_string()),
        Answer::Body(404, key_set(&[&key])),
    ] {
        issuer.answer(answer.clone());
        let service = started(jwt(&issuer)).await;
        problem(with(&service, "/viewer", &token), 503, "credentials_unavailable").await;
    }
    assert_eq!(elsewhere.asked(), 0, "a redirect is not followed");
    // Two keys of one name: neither.
    issuer.publish(&[&key, &SigningKey::ed25519("e").unwrap()]);
    let service = started(jwt(&issuer)).await;
    problem(with(&service, "/viewer", &token), 401, "invalid_credentials").await;
}

#[actix_web::test]
async fn keys_may_come_from_a_file() {
    let (key, other) = (SigningKey::ed25519("e").unwrap(), SigningKey::ed25519("f").unwrap());
    let issuer = Issuer::start(&[]).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), key_set(&[&key])).unwrap();
    let from_file = JwtSettings { jwks_url: String::new(), jwks_file: file.path().to_owned(), ..jwt(&issuer) };
    let service = started(from_file).await;
    let claims = issuer.claims("u-1", Some("acme"), "viewer");
    until(&service, &key.token(&claims), 200).await;
    std::fs::write(file.path(), key_set(&[&other])).unwrap();
    until(&service, &other.token(&claims), 200).await;
    until(&service, &key.token(&claims), 401).await;
    assert_eq!(issuer.asked(), 0);
}

#[actix_web::test]
async fn each_caller_is_limited_by_itself() {
    let key = SigningKey::ed25519("e").unwrap();
    let issuer = Issuer::start(&[&key]).await.unwrap();
    let rate_limit = RateLimitSettings { per_minute: 3, ..RateLimitSettings::default() };
    let http = HttpSettings { rate_limit, ..settings() };
    let service = start_known_by(http, &IdentitySettings { jwt: jwt(&issuer) }).await;
    let token = |subject| key.token(&issuer.claims(subject, Some("acme"), "viewer"));
    let api_key = service.store.add(goalpost_web::Role::Viewer, Some("acme")).text;
    // Another token of the same subject is the same caller.
    for credential in [token("u-1"), token("u-2"), api_key] {
        for route in ["/viewer", "/editor", "/any"] {
            assert_ne!(send(with(&service, route, &credential)).await.0, 429);
        }
        let (_, headers, document) = send(with(&service, "/viewer", &credential)).await;
        assert_eq!(document["code"], "rate_limited");
        let seconds: u32 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=20).contains(&seconds), "{seconds}");
    }
    problem(with(&service, "/any", &token("u-1")), 429, "rate_limited").await;
    problem(with(&service, "/any", "gpk_nonsense"), 401, "invalid_credentials").await;
}
