//! The database away, slow or cut off, senders that go away, and the end under load: nothing that was
//! answered is lost, nothing is stored twice, nothing is left half done.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::Database;
use testkit::proxy::{Act, Proxy, Rule, asks_to_commit, has_committed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{World, answered, eventually, hold_ledger, id, launch, settings, view};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_the_service_lives_and_says_try_again() {
    let world = World::start().await;
    let mut elsewhere = settings(&world.database, &world.vhost);
    for url in [&mut elsewhere.database.url, &mut elsewhere.database.system_url] {
        *url = "postgres://nobody:x@127.0.0.1:1/none".to_owned();
    }
    let (url, admin_url, running) = launch(elsewhere).await;
    assert_eq!(answered(world.http.get(format!("{admin_url}/health/live"))).await.status, 200);
    let ready = answered(world.http.get(format!("{admin_url}/health/ready"))).await;
    assert_eq!((ready.status.as_u16(), ready.body["checks"]["database"].as_str()), (503, Some("not_ready")));
    let request = world.http.post(format!("{url}/events")).bearer_auth(&world.tenant.write_token);
    let answer = answered(request.json(&json!([view(&id())]))).await;
    assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (503, Some("credentials_unavailable")));
    assert!(answer.retry_after.is_some());
    running.stop().await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_as_it_must_be_is_refused() {
    let world = World::start().await;
    let mut superuser = settings(&world.database, &world.vhost);
    superuser.database.url = world.database.superuser_url();
    let context = runtime::Context::for_test(superuser);
    let running = context.running();
    goalpost_ingest::start(context).await.unwrap();
    let reason = running.ended().await.unwrap_err().to_string();
    assert!(reason.contains("superuser"), "{reason}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_is_answered_503_and_sending_again_settles_it() {
    let world = World::with(|settings| settings.intake.answer_timeout_ms = 500).await;
    world.post(&[view(&id())]).await;
    let event = view(&id());
    let mut holder = world.database.superuser().await.unwrap();
    let held = hold_ledger(&mut holder).await;
    let answer = world.post(std::slice::from_ref(&event)).await;
    assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (503, Some("storage_unavailable")));
    assert!(answer.retry_after.is_some());
    held.rollback().await.unwrap();
    // Whether it was stored after all is not known: the second answer tells.
    eventually("the event is settled", async || {
        let answer = world.post(std::slice::from_ref(&event)).await;
        answer.status == 200
            && answer.body["accepted"].as_u64().unwrap() + answer.body["duplicates"].as_u64().unwrap() == 1
    })
    .await;
    assert_eq!(world.stored().await, 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_lose_nothing_and_store_nothing_twice() {
    let world = World::start().await;
    let (over, unavailable) = (AtomicBool::new(false), AtomicU64::new(0));
    let cutter = async {
        for _ in 0..15 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE datname = current_database() AND usename LIKE 'goalpost_ingest%'";
            world.value::<i64>(sql, &[]).await;
        }
        over.store(true, SeqCst);
    };
    let sender = async || {
        let mut settled = 0;
        while !over.load(SeqCst) {
            let events: Vec<Value> = (0..5).map(|_| view(&id())).collect();
            loop {
                let answer = world.post(&events).await;
                if answer.status == 503 {
                    assert!(answer.retry_after.is_some(), "{answer:?}");
                    unavailable.fetch_add(1, SeqCst);
                    continue;
                }
                let count = |key: &str| answer.body[key].as_i64().unwrap();
                assert_eq!(answer.status, 200, "{answer:?}");
                if count("accepted") + count("duplicates") == 5 {
                    break;
                }
            }
            settled += 5;
        }
        settled
    };
    let (settled, ()) = tokio::join!(join_all((0..8).map(|_| sender())), cutter);
    println!("{settled:?} events, {} answers of 503", unavailable.load(SeqCst));
    assert_eq!(world.stored().await, settled.into_iter().sum::<i64>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_go_away_at_any_byte_leave_nothing_half_done() {
    let world = World::start().await;
    let address = world.url.strip_prefix("http://").unwrap();
    let mut sent = Vec::new();
    for cut in 0.. {
        let events: Vec<Value> = (0..3).map(|_| view(&id())).collect();
        let body = json!(events).to_string();
        let request = format!(
            "POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-write-key: {}\r\ncontent-length: {}\r\n\r\n{body}",
            world.tenant.write_token,
            body.len()
        );
        let bytes = (cut * 23).min(request.len());
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(&request.as_bytes()[..bytes]).await.unwrap();
        drop(socket);
        sent.push(events);
        if bytes == request.len() {
            break;
        }
    }
    // All of a request or nothing of it, and each is settled by sending it again.
    for events in &sent {
        let answer = world.post(events).await;
        let (accepted, duplicates) =
            (answer.body["accepted"].as_u64().unwrap(), answer.body["duplicates"].as_u64().unwrap());
        assert!((accepted, duplicates) == (3, 0) || (accepted, duplicates) == (0, 3), "{answer:?}");
    }
    assert_eq!(world.stored().await, i64::try_from(sent.len() * 3).unwrap());
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE 'goalpost_ingest%' \
                AND state = 'idle in transaction'";
    eventually("no transaction is left open", async || world.value::<i64>(open, &[]).await == 0).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_the_end_is_stored() {
    let world = World::start().await;
    let (accepted, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let sender = async || {
        while !stop.load(SeqCst) {
            let events: Vec<Value> = (0..10).map(|_| view(&id())).collect();
            let request = world.http.post(format!("{}/events", world.url)).bearer_auth(&world.tenant.write_token);
            // Once the port is closed nothing more is taken.
            let Ok(answer) = request.json(&events).send().await else {
                return;
            };
            if answer.status() == 200 {
                accepted.fetch_add(10, SeqCst);
            }
        }
    };
    let ender = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.stop().await;
        stop.store(true, SeqCst);
    };
    tokio::join!(join_all((0..8).map(|_| sender())), ender);
    let accepted = i64::try_from(accepted.load(SeqCst)).unwrap();
    assert!(accepted > 0);
    assert!(world.stored().await >= accepted, "answered and stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_when_the_end_comes_is_answered() {
    let world = World::start().await;
    world.post(&[view(&id())]).await;
    let mut holder = world.database.superuser().await.unwrap();
    let held = hold_ledger(&mut holder).await;
    let events: Vec<Value> = (0..20).map(|_| view(&id())).collect();
    let (answer, ()) = tokio::join!(world.post(&events), async {
        eventually("the request is under way", async || world.metric("ingest_queue_bytes").await > 0.0).await;
        let stopping = world.stop();
        let release = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            held.rollback().await.unwrap();
        };
        tokio::join!(stopping, release);
    });
    assert_eq!((answer.status.as_u16(), answer.body["accepted"].as_u64()), (200, Some(20)));
    assert_eq!(world.stored().await, 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_on_one_connection_are_each_answered() {
    let world = World::start().await;
    let mut socket = TcpStream::connect(world.url.strip_prefix("http://").unwrap()).await.unwrap();
    let mut requests = String::new();
    for number in 0..3 {
        let body = if number == 1 { "{broken".to_owned() } else { json!([view(&id())]).to_string() };
        requests.push_str(&format!(
            "POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-write-key: {}\r\ncontent-length: {}\r\n{}\r\n{body}",
            world.tenant.write_token,
            body.len(),
            if number == 2 { "connection: close\r\n" } else { "" },
        ));
    }
    socket.write_all(requests.as_bytes()).await.unwrap();
    let mut answers = String::new();
    socket.read_to_string(&mut answers).await.unwrap();
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "400", "200"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_commits_that_are_lost_change_no_verdict() {
    let mut proxy = None;
    let database = Database::create().await.unwrap();
    let server = Proxy::before(&database.superuser_url()).await.unwrap();
    let world = World::with(|settings| {
        settings.database.system_url = server.through(&settings.database.system_url).unwrap();
        // A look-up that is cut is answered 503, as it should be, but that is not asked here.
        settings.lookup.keep_ms = 60_000;
        proxy = Some(server);
    })
    .await;
    let proxy = proxy.unwrap();
    let cuts = [
        Rule::new(Act::CutBefore, has_committed).every(3),
        Rule::new(Act::CutBefore, asks_to_commit).every(5),
        Rule::new(Act::CutAfter, asks_to_commit).every(7),
    ];
    let cuts = cuts.map(|rule| proxy.rule(rule));
    let sender = async || {
        let mut sent = Vec::new();
        for _ in 0..40 {
            let events: Vec<Value> = (0..3).map(|_| view(&id())).collect();
            // Each is new: whatever became of the first COMMIT, the answer is neither 503 nor "duplicate".
            assert_eq!(world.statuses(&events).await, ["accepted"; 3]);
            sent.extend(events);
        }
        sent
    };
    let sent = join_all((0..6).map(|_| sender())).await.concat();
    println!("{:?} COMMITs were cut", cuts.each_ref().map(|rule| rule.acted()));
    assert!(cuts.iter().all(|rule| rule.acted() >= 5));
    proxy.pass();
    assert_eq!(world.stored().await, i64::try_from(sent.len()).unwrap());
    for events in sent.chunks(100) {
        assert!(world.statuses(events).await.iter().all(|status| status == "duplicate"));
    }
    world.stop().await;
}
