//! Supervised tasks and the stages of the end, inside one process.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use goalpost_runtime::{Context, Failure, Life};
use tokio::runtime::Handle;

fn context(life: Life) -> Context<()> {
    Context::new("test", (), Handle::current(), &life)
}

fn quick() -> Life {
    Life { grace_seconds: 0, drain_seconds: 1, flush_seconds: 1, ..Life::default() }
}

#[tokio::test]
async fn a_service_ends_in_stages() {
    let life = Life { grace_seconds: 1, ..quick() };
    let context = context(life);
    let (running, shutdown) = (context.running(), context.shutdown.clone());
    let journal = Arc::new(Mutex::new(Vec::new()));
    let note = {
        let journal = Arc::clone(&journal);
        move |stage: &'static str| journal.lock().unwrap().push(stage)
    };
    let (writes, draining) = (note.clone(), shutdown.draining());
    context.tasks.spawn("consumer", async move {
        draining.cancelled().await;
        writes("consumer draining");
        tokio::time::sleep(Duration::from_millis(200)).await;
        writes("consumer done");
    });
    let (writes, flushing) = (note.clone(), shutdown.flushing());
    context.tasks.spawn_last("relay", async move {
        flushing.cancelled().await;
        writes("relay flushing");
    });
    assert!(!shutdown.is_stopping());
    let began = Instant::now();
    shutdown.begin();
    shutdown.stopping().cancelled().await;
    assert!(shutdown.is_stopping());
    assert!(!shutdown.draining().is_cancelled(), "it serves on for the grace");
    assert_eq!(running.ended().await, Ok(()));
    assert!(began.elapsed() >= Duration::from_secs(1));
    let journal = journal.lock().unwrap();
    assert_eq!(*journal, ["consumer draining", "consumer done", "relay flushing"]);
}

#[tokio::test]
async fn a_task_that_returns_unasked_ends_the_service() {
    // A long grace: it is skipped.
    let context = context(Life { grace_seconds: 60, ..quick() });
    let draining = context.shutdown.draining();
    context.tasks.spawn("other", async move { draining.cancelled().await });
    context.tasks.spawn("worker", async {});
    let ended = context.running().ended().await;
    assert_eq!(ended, Err(Failure::Ended { task: "worker" }));
    assert_eq!(ended.unwrap_err().to_string(), "task `worker` ended unasked");
}

#[tokio::test]
async fn errors_and_panics_end_the_service_with_their_reason() {
    let failing = context(quick());
    failing.tasks.spawn("worker", async { Err::<(), _>(anyhow::anyhow!("no disk").context("cannot write")) });
    let ended = failing.running().ended().await;
    let reason = "cannot write: no disk".to_owned();
    assert_eq!(ended, Err(Failure::Failed { task: "worker", reason }));

    let panicking = context(quick());
    let stopping = panicking.shutdown.is_stopping();
    panicking.tasks.spawn_last("relay", async move { assert!(stopping, "at the {}", "disco") });
    let ended = panicking.running().ended().await;
    assert_eq!(ended, Err(Failure::Panicked { task: "relay", reason: "at the disco".into() }));
}

#[tokio::test]
async fn an_error_while_ending_counts_too() {
    let context = context(quick());
    let draining = context.shutdown.draining();
    context.tasks.spawn("server", async move {
        draining.cancelled().await;
        Err::<(), _>(std::io::Error::other("lost a request"))
    });
    let ended = context.running().stop().await;
    assert_eq!(ended, Err(Failure::Failed { task: "server", reason: "lost a request".into() }));
}

#[tokio::test]
async fn what_does_not_end_is_aborted_and_named() {
    let context = context(Life { flush_seconds: 0, ..quick() });
    let guard = Arc::new(());
    for name in ["one", "two"] {
        let guard = Arc::clone(&guard);
        context.tasks.spawn(name, async move {
            std::future::pending::<()>().await;
            drop(guard);
        });
    }
    let ended = context.running().stop().await;
    assert_eq!(ended, Err(Failure::Unfinished { tasks: vec!["one", "two"] }));
    while Arc::strong_count(&guard) > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_second_request_to_end_skips_the_waiting() {
    let context = context(Life { grace_seconds: 60, drain_seconds: 60, ..quick() });
    context.tasks.spawn("stuck", std::future::pending::<()>());
    let began = Instant::now();
    context.shutdown.begin();
    context.shutdown.begin();
    let ended = context.running().ended().await;
    assert_eq!(ended, Err(Failure::Unfinished { tasks: vec!["stuck"] }));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_test_context_ends_without_grace() {
    let context = Context::for_test(7);
    assert_eq!(context.settings, 7);
    let draining = context.shutdown.draining();
    context.tasks.spawn("server", async move { draining.cancelled().await });
    let began = Instant::now();
    assert_eq!(context.running().stop().await, Ok(()));
    assert!(began.elapsed() < Duration::from_secs(1));
}
