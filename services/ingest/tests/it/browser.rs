//! Browser tokens: what may come with one, from whose pages, how much, and what those pages may read.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use web::secret::{Prefix, mint};

use crate::support::{World, id, view, view_with};

const PAGE: &str = "https://shop.example.com";

/// A browser token of the tenant `demo`, for pages of `https://*.example.com` and `http://localhost:3000`.
async fn browser_token(world: &World) -> String {
    let token = mint(Prefix::WriteToken);
    let add = "INSERT INTO platform.write_tokens (id, tenant_id, kind, origins, secret_hash, created_by) \
               VALUES ($1, 'demo', 'browser', '{https://*.example.com,http://localhost:3000}', $2, 'test')";
    world.sql.execute(add, &[&token.id, &token.hash.as_slice()]).await.unwrap();
    token.text
}

/// What a page was answered, with the headers.
async fn send(world: &World, token: &str, origin: Option<&str>, body: &Value) -> (StatusCode, HeaderMap, Value) {
    let mut request =
        world.http.post(format!("{}/events?write_key={token}", world.url)).header("content-type", "text/plain");
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    let answer = request.body(body.to_string()).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, headers, answer.json().await.unwrap())
}

fn readable_by(headers: &HeaderMap) -> Option<&str> {
    let origin = headers.get("access-control-allow-origin").map(|origin| origin.to_str().unwrap());
    let varies = headers.get("vary").is_some_and(|vary| vary == "Origin");
    assert_eq!(origin.is_some(), varies, "{headers:?}");
    assert!(!headers.contains_key("access-control-allow-credentials"));
    origin
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_brings_what_pages_may_say_and_nothing_else() {
    let world = World::start().await;
    let own = "INSERT INTO goals.event_types (tenant_id, name, schema, subject, browser, sampling_rate, created_by) VALUES \
               ('demo', 'page.scrolled', '{}', 'user', true, 1, 'test'), ('demo', 'order.shipped', '{}', 'user', false, 1, 'test')";
    world.sql.execute(own, &[]).await.unwrap();
    world.sql.execute("UPDATE platform.tenants SET event_types_version = 1", &[]).await.unwrap();
    let token = browser_token(&world).await;
    let ago = async |span: &str| -> String {
        let at = "SELECT to_char((now() - $1::text::interval) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
        world.value(at, &[&span]).await
    };
    let (now, old) = (ago("1 hour").await, ago("7 days 1 minute").await);
    let said = |fields: Value| {
        let mut event = view_with(&id(), json!({ "occurred_at": now }));
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        event
    };
    let paid = json!({"event_name": "payment.completed", "contact_id": "c-1", "properties": {"amount": 100}});
    let events = [
        (said(json!({})), "accepted", ""),
        (said(json!({"event_name": "page.scrolled"})), "accepted", ""),
        (said(json!({"event_name": "something.new"})), "accepted", ""),
        (said(paid), "not_allowed_from_browser", "/event_name"),
        (said(json!({"event_name": "plan_updated", "properties": {}})), "not_allowed_from_browser", "/event_name"),
        (said(json!({"event_name": "order.shipped"})), "not_allowed_from_browser", "/event_name"),
        (said(json!({"contact_id": "c-1"})), "not_allowed_from_browser", "/contact_id"),
        (said(json!({"properties": {"contact_id": "c-1"}})), "not_allowed_from_browser", "/contact_id"),
        (said(json!({"occurred_at": old})), "too_old", "/occurred_at"),
    ];
    let body = Value::from_iter(events.iter().map(|(event, _, _)| event.clone()));
    let (status, headers, answer) = send(&world, &token, Some(PAGE), &body).await;
    assert_eq!((status.as_u16(), readable_by(&headers)), (200, Some(PAGE)));
    for (result, (event, code, pointer)) in answer["results"].as_array().unwrap().iter().zip(&events) {
        let told = result["code"].as_str().or(result["status"].as_str());
        assert_eq!((told, result["pointer"].as_str().unwrap_or_default()), (Some(*code), *pointer), "{event}");
    }
    assert_eq!(world.stored().await, 3);
    // Sent again: what is stored is a duplicate, and beside it what is old is so still.
    let (_, _, again) = send(&world, &token, Some(PAGE), &body).await;
    assert_eq!((&again["duplicates"], &again["rejected"]), (&3.into(), &6.into()));
    // By the sender's clock, which is a day slow, it was six days ago.
    let skewed = json!({ "sent_at": ago("1 day").await, "events": [said(json!({"occurred_at": old}))] });
    assert_eq!(send(&world, &token, Some(PAGE), &skewed).await.2["accepted"], 1);
    // A server may bring all of it.
    let (_, headers, answer) = send(&world, &world.tenant.write_token, Some(PAGE), &body).await;
    assert_eq!(
        (&answer["accepted"], &answer["duplicates"], readable_by(&headers)),
        (&5.into(), &3.into(), None),
        "{answer}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pages_of_the_origins_may_send_and_read_also_what_went_wrong() {
    let world = World::with(|settings| {
        settings.browser.rate_limit = web::RateLimitSettings { per_minute: 4, ..web::RateLimitSettings::default() };
    })
    .await;
    let token = browser_token(&world).await;
    let events = || json!([view_with(&id(), json!({"occurred_at": "2099-01-01T00:00:00Z"}))]);
    for origin in [
        None,
        Some("null"),
        Some("https://example.com"),
        Some("https://shop.example.com.evil.test"),
        Some("http://localhost"),
    ] {
        let (status, headers, problem) = send(&world, &token, origin, &events()).await;
        let told = (status.as_u16(), problem["code"].as_str(), readable_by(&headers));
        assert_eq!(told, (403, Some("origin_not_allowed"), None), "{origin:?}");
    }
    for (token, origin, body, status, code) in [
        (token.as_str(), PAGE, json!({}), 400, "no_events"),
        (&token, "http://localhost:3000", events(), 200, ""),
        (&token, PAGE, json!([{}]), 400, "all_rejected"),
        (&token, PAGE, Value::from_iter((0..3).map(|_| view(&id()))), 429, "rate_limited"),
        ("gpw_nobody", PAGE, events(), 401, "invalid_credentials"),
    ] {
        let (told, headers, answer) = send(&world, token, Some(origin), &body).await;
        assert_eq!((told.as_u16(), readable_by(&headers)), (status, Some(origin)), "{answer}");
        assert_eq!(answer["code"].as_str().unwrap_or_default(), code);
        let readable = headers["access-control-expose-headers"].to_str().unwrap();
        assert!(headers.keys().filter(|name| *name == "retry-after").all(|name| readable.contains(name.as_str())));
    }
    // The tokens of servers have a limit of their own.
    assert_eq!(
        world.post(&[view(&id()), view(&id()), view(&id()), view(&id()), view(&id())]).await.body["accepted"],
        5
    );
    let wrong =
        world.http.post(format!("{}/events?results=none", world.url)).header("origin", PAGE).send().await.unwrap();
    assert_eq!((wrong.status().as_u16(), readable_by(wrong.headers())), (400, Some(PAGE)));
    assert_eq!(world.stored().await, 6);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_ask_before_it_sends() {
    let world = World::start().await;
    for path in ["/events", "/api/v1/events"] {
        let ask = || world.http.request(Method::OPTIONS, format!("{}{path}", world.url));
        let preflight =
            ask().header("origin", PAGE).header("access-control-request-method", "POST").send().await.unwrap();
        let headers = preflight.headers();
        assert_eq!((preflight.status().as_u16(), readable_by(headers)), (204, Some(PAGE)), "{path}");
        assert_eq!(headers["access-control-allow-methods"], "POST");
        let may_send = headers["access-control-allow-headers"].to_str().unwrap();
        assert!(["authorization", "content-type", "content-encoding"].iter().all(|name| may_send.contains(name)));
        assert_eq!(headers["access-control-max-age"], "7200");
        let plain = ask().send().await.unwrap();
        assert_eq!((plain.status().as_u16(), readable_by(plain.headers())), (204, None), "{path}");
        let other = world.http.put(format!("{}{path}", world.url)).send().await.unwrap();
        assert_eq!(other.status().as_u16(), 405, "{path}");
    }
    world.stop().await;
}
