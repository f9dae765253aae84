//! Keys and roles over HTTP, and the memory in front of the store.

use std::time::Duration;

use goalpost_web::secret::{Prefix, mint};
use goalpost_web::{Keys, LookupLimits, Role};
use serde_json::{Value, json};

use crate::support::{Service, Store, problem, send, start};

fn with(service: &Service, path: &str, key: &str) -> reqwest::RequestBuilder {
    service.get(path).header("authorization", format!("Bearer {key}"))
}

#[actix_web::test]
async fn each_role_may_what_it_may() {
    let service = start().await;
    let add = |role, tenant| service.store.add(role, tenant).text;
    let viewer = add(Role::Viewer, Some("acme"));
    let editor = add(Role::Editor, Some("acme"));
    let admin = add(Role::Admin, Some("acme"));
    let operator = add(Role::Operator, None);
    let low = (403, "role_too_low");
    let tenants = (403, "operator_key_required");
    let operators = (403, "tenant_key_required");
    let fine = (200, "");
    let matrix = [
        (&viewer, [fine, low, low, tenants, fine]),
        (&editor, [fine, fine, low, tenants, fine]),
        (&admin, [fine, fine, fine, tenants, fine]),
        (&operator, [operators, operators, operators, fine, fine]),
    ];
    for (key, expected) in matrix {
        let routes = ["/viewer", "/editor", "/admin", "/operator", "/any"];
        for (route, (status, code)) in routes.into_iter().zip(expected) {
            let request = with(&service, route, key);
            if status == 200 {
                assert_eq!(send(request).await.0, 200, "{route}");
            } else {
                problem(request, status, code).await;
            }
        }
    }
    let (_, _, who) = send(with(&service, "/viewer", &viewer)).await;
    assert_eq!(who, json!(format!("acme key:{}", &viewer[4..16])));
}

#[actix_web::test]
async fn a_route_that_names_its_tenant_hides_the_others() {
    let service = start().await;
    let viewer = service.store.add(Role::Viewer, Some("acme")).text;
    let admin = service.store.add(Role::Admin, Some("acme")).text;
    let operator = service.store.add(Role::Operator, None).text;
    assert_eq!(send(with(&service, "/tenants/acme", &admin)).await.0, 200);
    assert_eq!(send(with(&service, "/tenants/other", &operator)).await.0, 200);
    problem(with(&service, "/tenants/acme", &viewer), 403, "role_too_low").await;
    problem(with(&service, "/tenants/other", &admin), 404, "not_found").await;
    problem(with(&service, "/tenants/no%20tenant", &operator), 404, "not_found").await;
}

#[actix_web::test]
async fn keys_are_taken_from_either_header() {
    let service = start().await;
    let key = service.store.add(Role::Viewer, Some("acme")).text;
    for (name, value) in [
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("bearer  {key} ")),
        ("x-api-key", key.clone()),
    ] {
        assert_eq!(send(service.get("/viewer").header(name, value)).await.0, 200, "{name}");
    }
    problem(service.get("/viewer"), 401, "missing_credentials").await;
    let (_, headers, _) = send(service.get("/viewer")).await;
    assert_eq!(headers["www-authenticate"], "Bearer realm=\"goalpost\"");
    for value in ["", "Bearer", "Basic Zm9vOmJhcg==", &key] {
        let request = service.get("/viewer").header("authorization", value);
        problem(request, 401, "invalid_credentials").await;
    }
    // A key in the query string would end in somebody's log.
    problem(service.get(&format!("/viewer?api_key={key}")), 401, "missing_credentials").await;
}

#[actix_web::test]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let service = start().await;
    let good = service.store.add(Role::Viewer, Some("acme"));
    let revoked = service.store.add(Role::Viewer, Some("acme"));
    service.store.revoke(&revoked.id);
    let other = mint(Prefix::ApiKey);
    let mut flipped = good.text.clone();
    flipped.replace_range(20..21, if &flipped[20..21] == "a" { "b" } else { "a" });
    let wrong_secret = forged(&good.id);
    let asked = service.store.asked();
    let offline = [
        mint(Prefix::WriteToken).text,
        flipped,
        good.text[..40].to_owned(),
        "gpk_".to_owned(),
        "nonsense".to_owned(),
        "x".repeat(10_000),
    ];
    let mut answers = Vec::new();
    for key in &offline {
        answers.push(problem(with(&service, "/viewer", key), 401, "invalid_credentials").await);
    }
    assert_eq!(service.store.asked(), asked, "nobody was asked about those");
    for key in [&other.text, &revoked.text, &wrong_secret] {
        answers.push(problem(with(&service, "/viewer", key), 401, "invalid_credentials").await);
    }
    for answer in &mut answers {
        answer["instance"] = Value::Null;
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

/// A key with the id of another, another secret, and a good checksum.
fn forged(id: &str) -> String {
    const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = format!("gpk_{id}_{}", "0".repeat(43));
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut sum = Vec::new();
    for _ in 0..6 {
        sum.insert(0, char::from(BASE62[(rest % 62) as usize]));
        rest /= 62;
    }
    text.extend(sum);
    assert!(goalpost_web::secret::Presented::parse(&text).is_some());
    text
}

fn limits(ttl_ms: u64) -> LookupLimits {
    LookupLimits { ttl_ms, found: 100, missed: 100, ..LookupLimits::default() }
}

#[tokio::test]
async fn a_revocation_holds_after_the_ttl_and_a_new_key_is_seen() {
    let store = Store::default();
    let keys = Keys::with_limits(store.clone(), limits(200));
    let key = store.add(Role::Viewer, Some("acme"));
    for _ in 0..10 {
        assert_eq!(keys.caller(&key.text).await.unwrap().role, Role::Viewer);
    }
    assert_eq!(store.asked(), 1);
    store.revoke(&key.id);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(keys.caller(&key.text).await.unwrap_err().code, "invalid_credentials");
    let later = store.add(Role::Editor, Some("acme"));
    assert_eq!(keys.caller(&later.text).await.unwrap().role, Role::Editor);
    assert!(LookupLimits::default().ttl_ms <= 4_000);
}

#[tokio::test]
async fn a_flood_of_made_up_keys_drives_out_no_good_one() {
    let store = Store::default();
    let keys = Keys::with_limits(store.clone(), limits(60_000));
    let good = store.add(Role::Viewer, Some("acme"));
    keys.caller(&good.text).await.unwrap();
    for _ in 0..2_000 {
        assert_eq!(keys.caller(&mint(Prefix::ApiKey).text).await.unwrap_err().status, 401);
    }
    let same = mint(Prefix::ApiKey).text;
    let asked = store.asked();
    for _ in 0..100 {
        assert!(keys.caller(&same).await.is_err());
    }
    assert!(store.asked() <= asked + 1, "what is not there is remembered as well");
    let asked = store.asked();
    keys.caller(&good.text).await.unwrap();
    assert_eq!(store.asked(), asked, "the good one is still remembered");
}

#[actix_web::test]
async fn without_the_store_the_answer_is_503_and_never_yes_or_no() {
    let service = start().await;
    let known = service.store.add(Role::Viewer, Some("acme")).text;
    assert_eq!(send(with(&service, "/viewer", &known)).await.0, 200);
    service.store.set_away(true);
    let unseen = service.store.add(Role::Viewer, Some("acme")).text;
    let request = || with(&service, "/viewer", &unseen);
    problem(request(), 503, "credentials_unavailable").await;
    let (_, headers, document) = send(request()).await;
    assert_eq!(headers["retry-after"], "2");
    assert!(!document.to_string().contains("database"), "{document}");
    // What was seen lately is still believed; what is no key is still refused.
    assert_eq!(send(with(&service, "/viewer", &known)).await.0, 200);
    problem(with(&service, "/viewer", "gpk_x"), 401, "invalid_credentials").await;
    service.store.set_away(false);
    assert_eq!(send(request()).await.0, 200, "a failure is not remembered");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_away_too() {
    struct Silent;
    impl goalpost_web::KeyStore for Silent {
        fn find<'a>(
            &'a self,
            _: &'a str,
        ) -> domain::outbox::BoxFuture<'a, Result<Option<goalpost_web::StoredKey>, domain::outbox::BoxError>> {
            Box::pin(std::future::pending())
        }
    }
    let limits = LookupLimits { wait_ms: 100, ..LookupLimits::default() };
    let keys = Keys::with_limits(Silent, limits);
    let refused = keys.caller(&mint(Prefix::ApiKey).text).await.unwrap_err();
    assert_eq!((refused.status.as_u16(), refused.code), (503, "credentials_unavailable"));
}
