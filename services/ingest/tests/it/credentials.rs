//! Who may send, and how a token is presented.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use web::secret::{Prefix, mint};

use crate::support::{World, answered, eventually, id, view};

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_the_credential_is_taken() {
    let world = World::start().await;
    let token = &world.tenant.write_token;
    let basic = format!("Basic {}", STANDARD.encode(format!("{token}:")));
    let bearer = format!("Bearer {token}");
    let forms = [
        ("", Some(("authorization", bearer.as_str()))),
        ("", Some(("authorization", basic.as_str()))),
        ("", Some(("x-write-key", token.as_str()))),
        (&format!("?write_key={token}"), None),
    ];
    for (query, header) in forms {
        let mut request = world.http.post(format!("{}/events{query}", world.url)).json(&json!([view(&id())]));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = answered(request).await;
        assert_eq!((answer.status.as_u16(), answer.body["accepted"].as_u64()), (200, Some(1)), "{query} {header:?}");
    }
    assert_eq!(world.stored().await, 4);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_live_write_token_nothing_is_taken() {
    let world = World::start().await;
    let forged = mint(Prefix::WriteToken).text;
    let mut typo = world.tenant.write_token.clone();
    typo.replace_range(20..21, if &typo[20..21] == "a" { "b" } else { "a" });
    // The id of a live token, and another secret.
    let sql = "UPDATE platform.write_tokens SET secret_hash = $2 WHERE id = $1";
    let other_secret = mint(Prefix::WriteToken);
    let known_id = &world.database.seed_tenant("other").await.unwrap().write_token;
    world.sql.execute(sql, &[&&known_id[4..16], &other_secret.hash.as_slice()]).await.unwrap();

    for token in [forged.as_str(), &typo, &world.tenant.admin_key, known_id, "gpw_", "", "x"] {
        let answer = world.post_as(token, &json!([view(&id())]).to_string()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body["code"].as_str()),
            (401, Some("invalid_credentials")),
            "{token}"
        );
        assert!(
            token.is_empty() || token == "x" || !answer.body.to_string().contains(token),
            "the token is not repeated"
        );
    }
    let answer = answered(world.http.post(format!("{}/events", world.url)).json(&json!([view(&id())]))).await;
    assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (401, Some("missing_credentials")));
    assert_eq!(world.stored().await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_within_five_seconds() {
    let world = World::start().await;
    assert_eq!(world.post(&[view(&id())]).await.status, 200);
    world.sql.execute("UPDATE platform.write_tokens SET revoked_at = now()", &[]).await.unwrap();
    let revoked = Instant::now();
    eventually("the token is refused", async || world.post(&[view(&id())]).await.status == 401).await;
    assert!(revoked.elapsed() < Duration::from_secs(5), "{:?}", revoked.elapsed());
    for _ in 0..5 {
        assert_eq!(world.post(&[view(&id())]).await.status, 401);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refused_and_a_second_one_holds() {
    let world = World::start().await;
    let second = mint(Prefix::WriteToken);
    let sql = "INSERT INTO platform.write_tokens (id, tenant_id, kind, secret_hash, created_by) VALUES ($1, 'demo', 'server', $2, 'test')";
    world.sql.execute(sql, &[&second.id, &second.hash.as_slice()]).await.unwrap();
    let sql = "UPDATE platform.write_tokens SET expires_at = now() - interval '1 s' WHERE id <> $1";
    world.sql.execute(sql, &[&second.id]).await.unwrap();
    assert_eq!(world.post(&[view(&id())]).await.status, 401);
    assert_eq!(world.post_as(&second.text, &json!([view(&id())]).to_string()).await.status, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_speaks_for_its_own_tenant_only() {
    let world = World::start().await;
    let other = world.database.seed_tenant("other").await.unwrap();
    let event_id = id();
    let body = json!([view(&event_id)]).to_string();
    // The same id of another tenant is another event.
    assert_eq!(world.post_as(&world.tenant.write_token, &body).await.body["accepted"], 1);
    assert_eq!(world.post_as(&other.write_token, &body).await.body["accepted"], 1);
    assert_eq!(world.post_as(&other.write_token, &body).await.body["duplicates"], 1);
    let tenants: Vec<String> = world
        .value(
            "SELECT array_agg(tenant_id ORDER BY tenant_id) FROM ingest.events_raw WHERE event_id::text = $1",
            &[&event_id],
        )
        .await;
    assert_eq!(tenants, ["demo", "other"]);

    let named = |tenant: &str| {
        let mut event = view(&id());
        event["tenant_id"] = tenant.into();
        event
    };
    let statuses = world.statuses(&[named("demo"), named("other"), named("nobody")]).await;
    assert_eq!(statuses, ["accepted", "tenant_mismatch", "tenant_mismatch"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_token_are_limited_and_those_of_another_are_not() {
    let world = World::with(|settings| settings.http.rate_limit.per_minute = 5).await;
    let batch = |count: usize| (0..count).map(|_| view(&id())).collect::<Vec<_>>();
    assert_eq!(world.post(&batch(4)).await.status, 200);
    let refused = batch(2);
    let answer = world.post(&refused).await;
    assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (429, Some("rate_limited")));
    let seconds: u32 = answer.retry_after.unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let other = world.database.seed_tenant("other").await.unwrap();
    let body = json!({ "events": refused }).to_string();
    assert_eq!(world.post_as(&other.write_token, &body).await.status, 200);
    let stored: i64 = world.value("SELECT count(*) FROM ingest.events_raw WHERE tenant_id = 'demo'", &[]).await;
    assert_eq!(stored, 4, "nothing of the refused request was stored");
    world.stop().await;
}
