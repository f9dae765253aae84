//! The two ports: announced, stopped in order, ready or not.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use goalpost_web::{AdminPort, HttpSettings, bind};
use serde_json::{Value, json};

use crate::support::{problem, raw, read_all, send, settings, start, start_with};

#[actix_web::test]
async fn both_ports_are_announced_once_they_answer() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("announce.json");
    let settings = HttpSettings { host: "0.0.0.0".to_owned(), announce_file: Some(file.clone()), ..settings() };
    let service = start_with(settings).await;
    let limit = Instant::now() + Duration::from_secs(10);
    while !file.exists() {
        assert!(Instant::now() < limit);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let announced: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(announced, json!({ "url": service.url, "admin_url": service.admin_url }));
    assert!(service.url.starts_with("http://127.0.0.1:"), "{}", service.url);
    assert_ne!(service.url, service.admin_url);
    assert_eq!(send(service.get("/slow")).await.0, 200);
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[actix_web::test]
async fn the_admin_port_tells_life_readiness_and_metrics() {
    let service = start().await;
    let admin = async |path: &str| send(service.http.get(format!("{}{path}", service.admin_url))).await;
    let (status, _, live) = admin("/health/live").await;
    assert_eq!((status, live), (200, json!({ "status": "live" })));
    let (status, _, ready) = admin("/health/ready").await;
    let checks = json!({ "life": "ready", "database": "ready" });
    assert_eq!((status, ready), (200, json!({ "status": "ready", "checks": checks })));
    service.ready.store(false, Ordering::SeqCst);
    let (status, _, ready) = admin("/health/ready").await;
    let checks = json!({ "life": "not_ready", "database": "not_ready" });
    assert_eq!((status, ready), (503, json!({ "status": "not_ready", "checks": checks })));
    assert_eq!(admin("/health/live").await.0, 200, "it lives all the same");
    let (status, headers, _) = admin("/metrics").await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(admin("/strict").await.0, 404, "nothing else is there");
    problem(service.get("/metrics"), 404, "route_not_found").await;
}

#[actix_web::test]
async fn a_stop_finishes_what_has_begun() {
    let mut service = start().await;
    let idle = raw(&service, "").await;
    let running = tokio::spawn(send(service.get("/slow")));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    service.stop();
    let (status, _, answer) = running.await.unwrap();
    assert_eq!((status, answer), (200, json!("done")));
    (&mut service.served).await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "idle connections do not hold it up");
    assert!(service.get("/slow").send().await.is_err(), "nobody listens any more");
    let admin = service.http.get(format!("{}/health/live", service.admin_url));
    assert!(admin.send().await.is_err());
    drop(idle);
}

#[actix_web::test]
async fn a_request_that_does_not_end_is_cut_off() {
    let mut service = start_with(HttpSettings { shutdown_seconds: 0, ..settings() }).await;
    let mut running = raw(&service, "GET /slow HTTP/1.1\nHost: x\n\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    service.stop();
    (&mut service.served).await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3));
    drop(read_all(&mut running, Duration::from_millis(100)).await);
}

#[actix_web::test]
async fn an_address_in_use_is_named() {
    let service = start().await;
    let port: u16 = service.url.rsplit(':').next().unwrap().parse().unwrap();
    let admin = AdminPort::new(prometheus::Registry::new());
    let settings = HttpSettings { port, ..settings() };
    let refused = bind(&settings, admin, |_| {}).err().unwrap().to_string();
    assert!(refused.starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{refused}");
}

#[actix_web::test]
async fn an_announcement_that_cannot_be_written_ends_the_service() {
    let file = Some("/nowhere/announce.json".into());
    let service = start_with(HttpSettings { announce_file: file, ..settings() }).await;
    let ended = service.served.await.unwrap().unwrap_err().to_string();
    assert!(ended.starts_with("cannot write /nowhere/announce.json: "), "{ended}");
}

#[test]
fn settings_have_defaults_and_no_unknown_keys() {
    let settings: HttpSettings = serde_json::from_str(r#"{"port": 0}"#).unwrap();
    assert_eq!(settings, HttpSettings { port: 0, ..HttpSettings::default() });
    assert!(serde_json::from_str::<HttpSettings>(r#"{"prot": 0}"#).is_err());
}
