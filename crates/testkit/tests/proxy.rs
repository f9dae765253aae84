//! The wire proxy before a real PostgreSQL. (Before RabbitMQ it is used by the tests of `bus`.)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

use std::time::Duration;

use goalpost_testkit::Database;
use goalpost_testkit::proxy::{Act, Proxy, Rule, asks_to_commit, has_committed, syncs};
use tokio_postgres::{Client, NoTls};

const ADD: &str = "BEGIN; INSERT INTO seen SELECT count(*) FROM seen";
const COUNT: &str = "SELECT count(*) FROM seen";

/// A database with one empty table, and a proxy before it.
async fn site() -> (Database, Client, Proxy) {
    let database = Database::create().await.unwrap();
    let direct = database.superuser().await.unwrap();
    direct.batch_execute("CREATE TABLE seen (n bigint)").await.unwrap();
    let proxy = Proxy::before(&database.superuser_url()).await.unwrap();
    (database, direct, proxy)
}

async fn client(database: &Database, proxy: &Proxy) -> Client {
    let url = proxy.through(&database.superuser_url()).unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Waits until the backends of clients through the proxy are gone, so that nothing is under way any more.
async fn alone(direct: &Client) {
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
        AND backend_type = 'client backend'";
    while direct.query_one(others, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn rows(direct: &Client) -> i64 {
    direct.query_one(COUNT, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn what_passes_is_counted_and_whole() {
    let (database, direct, proxy) = site().await;
    let client = client(&database, &proxy).await;
    let (flights, commits) = (proxy.rule(Rule::count(syncs)), proxy.rule(Rule::count(has_committed)));
    let long = "x".repeat(3_000_000);
    let row = client.query_one("SELECT $1::text || length($1)", &[&long]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), format!("{long}3000000"));
    client.batch_execute(ADD).await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!((flights.seen(), commits.seen()), (4, 1), "Parse, Bind, ADD and COMMIT");
    assert_eq!(rows(&direct).await, 1);
    let connections = proxy.connections();
    assert_eq!((connections.opened, connections.cut), (1, 0));
}

#[tokio::test]
async fn a_commit_is_cut_before_it_is_asked_for_after_it_and_before_its_answer() {
    let (database, direct, proxy) = site().await;
    let cuts = [
        (Rule::new(Act::CutBefore, asks_to_commit), 0),
        (Rule::new(Act::CutAfter, asks_to_commit), 1),
        (Rule::new(Act::CutBefore, has_committed), 1),
    ];
    let mut expected = 0;
    for (rule, added) in cuts {
        let rule = proxy.rule(rule);
        let client = client(&database, &proxy).await;
        client.batch_execute(ADD).await.unwrap();
        let error = client.batch_execute("COMMIT").await.unwrap_err();
        assert!(error.code().is_none(), "{error}");
        alone(&direct).await;
        expected += added;
        assert_eq!((rows(&direct).await, rule.acted()), (expected, 1));
        proxy.pass();
    }
    assert_eq!(proxy.connections().cut, 3);
}

#[tokio::test]
async fn silence_closes_nothing_and_a_delay_loses_nothing() {
    let (database, direct, proxy) = site().await;
    let slow = proxy.rule(Rule::new(Act::Delay(Duration::from_millis(1)), |_| true).every(3));
    let first = client(&database, &proxy).await;
    first.batch_execute(ADD).await.unwrap();
    first.batch_execute("COMMIT").await.unwrap();
    assert!(slow.acted() > 0);
    proxy.silence(true);
    let waits = tokio::time::timeout(Duration::from_millis(300), first.batch_execute(ADD)).await;
    assert!(waits.is_err(), "an answer came through the silence");
    assert!(!first.is_closed());
    proxy.silence(false);
    let hangs = tokio::time::timeout(Duration::from_millis(300), first.batch_execute(ADD)).await;
    assert!(hangs.is_err(), "a stream with a hole went on");
    client(&database, &proxy).await.batch_execute(ADD).await.unwrap();
    assert_eq!(rows(&direct).await, 1);
}
