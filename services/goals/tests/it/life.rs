//! Readiness, a database that goes away, the end.

use crate::harness::{Service, eventually, id_of};
use domain::contract::exchange;
use serde_json::{Value, json};
use testkit::Database;
use uuid::Uuid;

async fn ready(service: &Service) -> (u16, Value) {
    let answer = reqwest::get(format!("{}/health/ready", service.admin_url)).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Lets nobody into the service's database, or lets them in again. (From another one: nobody may close his own.)
async fn open_database(service: &Service, open: bool) {
    let url = service.database.superuser_url();
    let name = id_of(&url);
    let other_database = Database::create().await.unwrap();
    let elsewhere = other_database.superuser().await.unwrap();
    let sql = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {open}");
    elsewhere.execute(&sql, &[]).await.unwrap();
    if !open {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        elsewhere.execute(sql, &[&name]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_while_the_database_answers_whether_or_not_the_broker_does() {
    let service = Service::start().await;
    let is_ready = async || Some(ready(&service).await).filter(|answer| answer.0 == 200);
    let (_, checks) = eventually("readiness", is_ready).await;
    let all = json!({"serving": "ready", "self_check": "ready", "database": "ready"});
    assert_eq!(checks["checks"], all);
    let list = async || service.viewer().get("/api/v1/workflows").await;
    list().await.json(200);

    open_database(&service, false).await;
    let away = async || Some(list().await).filter(|answer| answer.status != 200);
    let answer = eventually("the outage", away).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"));
    assert!(!answer.text.contains("postgres") && !answer.text.contains("SELECT"), "{}", answer.text);
    assert_eq!(ready(&service).await.0, 503);
    let live = reqwest::get(format!("{}/health/live", service.admin_url)).await.unwrap();
    assert_eq!(live.status(), 200);

    open_database(&service, true).await;
    let back = async || (list().await.status == 200).then_some(());
    eventually("the return", back).await;
    eventually("readiness", is_ready).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_as_it_must_be_ends_the_service() {
    let service = Service::start().await;
    eventually("readiness", async || (ready(&service).await.0 == 200).then_some(())).await;
    // Another service on the same database, after somebody has taken a table's protection away.
    service.execute("ALTER TABLE goals.goals NO FORCE ROW LEVEL SECURITY").await;
    let settings = goalpost_goals::Settings {
        http: web::HttpSettings { port: 0, admin_port: 0, ..web::HttpSettings::default() },
        identity: web::IdentitySettings::default(),
        life: runtime::Life::default(),
        telemetry: runtime::Telemetry::default(),
        database: service.database.settings("goals"),
        bus: bus::Settings::new("amqp://127.0.0.1:1/%2f"),
        listeners: goalpost_goals::ListenerSettings { count_every_seconds: std::num::NonZeroU64::MIN },
    };
    let context = runtime::Context::for_test(settings);
    let running = context.running();
    goalpost_goals::start(context).await.unwrap();
    let ended = running.ended().await.unwrap_err().to_string();
    assert!(ended.contains("goals.goals is not protected"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_ends_when_it_is_told_and_what_was_answered_is_kept() {
    let service = Service::with_bus().await;
    let editor = service.editor();
    let workflow = editor.workflow().await;
    editor.act(&workflow, "activate").await;
    service.running.stop().await.unwrap();
    assert!(reqwest::get(&service.url).await.is_err(), "nobody listens any more");
    assert_eq!(service.number("SELECT count(*) FROM goals.workflows WHERE status = 'active'").await, 1);
    assert_eq!(service.number("SELECT count(*) FROM goals.outbox").await, 0, "the outbox was drained");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_commands_wait_and_then_count_in_their_order() {
    let service = Service::with_bus().await;
    let vhost = service.vhost.as_ref().unwrap();
    eventually("the queue", async || vhost.messages("goals.commands").await.ok()).await;
    let is_ready = async || (ready(&service).await.0 == 200).then_some(());
    eventually("readiness", is_ready).await;
    open_database(&service, false).await;
    for name in ["first", "last"] {
        let tag = json!({"tenant_id": "a", "kind": "tag", "id": "t", "name": name}).to_string();
        let properties = json!({"message_id": Uuid::now_v7()});
        vhost.publish((exchange::COMMANDS, "put_reference"), properties, &tag).await.unwrap();
    }
    let metrics = async || reqwest::get(format!("{}/metrics", service.admin_url)).await.unwrap().text().await.unwrap();
    let waits = async || metrics().await.lines().any(|line| line.starts_with("bus_retries_total")).then_some(());
    eventually("the wait", waits).await;
    open_database(&service, true).await;
    let settled = async || (vhost.messages("goals.commands").await.unwrap() == (0, 0)).then_some(());
    eventually("the end of the wait", settled).await;
    eventually("readiness", is_ready).await;
    assert_eq!(service.viewer().show("/api/v1/references/tag/t").await["name"], "last");
    assert_eq!(service.number("SELECT count(*) FROM goals.dead_letters").await, 0);
}

#[test]
fn the_built_in_settings_are_complete_but_for_the_secrets() {
    let database = "[database]\nurl = 'postgres://x'\nsystem_url = 'postgres://x'\n";
    let text = goalpost_goals::DEFAULTS.replace("[database]\n", database);
    let environment = runtime::settings::Environment::from_iter(std::iter::empty::<(String, String)>());
    let loaded =
        runtime::settings::load::<goalpost_goals::Settings>(Box::leak(text.into_boxed_str()), None, &environment)
            .unwrap();
    assert_eq!(loaded.settings.http.port, 8082);
    let bare = runtime::settings::load::<goalpost_goals::Settings>(goalpost_goals::DEFAULTS, None, &environment);
    assert!(bare.unwrap_err().to_string().contains("database.url"));
}
