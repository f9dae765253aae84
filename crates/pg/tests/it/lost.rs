//! COMMITs whose answers are lost, or which are lost themselves: what `run_tx` says of them is compared with the rows.

use crate::tenant;
use pg::{Db, Error, Scope};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use testkit::Database;
use testkit::proxy::{Act, Proxy, Rule, Side, asks_to_commit, has_committed, syncs};
use tokio::runtime::Handle;
use tokio_postgres::Client;

/// A database with an empty table, and a way to it through a proxy.
struct Site {
    superuser: Client,
    proxy: Proxy,
    db: Db,
    _database: Database,
}

async fn site(tx_timeout_ms: u64) -> Site {
    let database = Database::create().await.unwrap();
    let superuser = database.superuser().await.unwrap();
    let table = "CREATE TABLE goals.told (n bigint, attempt bigint, whole boolean); GRANT INSERT, SELECT, UPDATE ON goals.told TO goalpost_goals";
    superuser.batch_execute(table).await.unwrap();
    let proxy = Proxy::before(&database.superuser_url()).await.unwrap();
    let mut settings = database.settings("goals");
    settings.url = proxy.through(&settings.url).unwrap();
    settings.system_url = proxy.through(&settings.system_url).unwrap();
    settings.tx_timeout_ms = tx_timeout_ms;
    let db = Db::connect(&settings, "goals", Handle::current()).unwrap();
    Site { superuser, proxy, db, _database: database }
}

impl Site {
    /// Writes a row in a transaction of its own, and completes it with the commit; how many attempts it took.
    async fn tell(&self, n: i64) -> Result<i64, Error> {
        let attempts = Arc::new(AtomicU64::new(0));
        let scope = Scope::Tenant(tenant("a"));
        let told = self.db.run_tx("tell", scope, move |tx| {
            let attempt = i64::try_from(attempts.fetch_add(1, SeqCst) + 1).unwrap();
            Box::pin(async move {
                tx.execute("INSERT INTO goals.told VALUES ($1, $2)", &[&n, &attempt]).await?;
                let complete = "UPDATE goals.told SET whole = true WHERE n = $1 AND attempt = $2";
                tx.execute_last(complete, vec![Box::new(n), Box::new(attempt)]).await?;
                Ok(attempt)
            })
        });
        told.await
    }

    async fn read(&self) -> Result<i64, Error> {
        let read = self.db.run_tx("read", Scope::Tenant(tenant("a")), |tx| {
            Box::pin(async move { Ok(tx.query_one("SELECT count(*) FROM goals.told", &[]).await?.try_get(0)?) })
        });
        read.await
    }

    /// One statement across tenants.
    async fn select(&self) {
        let select = self.db.run_select("select", "test", |tx| {
            Box::pin(
                async move { Ok::<i64, Error>(tx.query_one("SELECT count(*) FROM goals.epochs", &[]).await?.get(0)) },
            )
        });
        assert_eq!(select.await.unwrap(), 0);
    }

    /// The attempts that wrote row `n`.
    async fn rows(&self, n: i64) -> Vec<i64> {
        let rows = self.superuser.query("SELECT attempt FROM goals.told WHERE n = $1 AND whole", &[&n]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verdict_on_a_cut_commit_is_true() {
    const CUTS: i64 = 70;
    let site = site(20_000).await;
    let kinds = [
        // It is applied, and nobody hears of it.
        (Rule::new(Act::CutBefore, has_committed), Some(1)),
        // It never arrives.
        (Rule::new(Act::CutBefore, asks_to_commit), Some(2)),
        // It arrives, and the client is gone while the server is at it.
        (Rule::new(Act::CutAfter, asks_to_commit), Some(1)),
    ];
    let mut n = 0;
    for (rule, attempts) in kinds {
        let rule = site.proxy.rule(rule.every(2));
        while rule.acted() < CUTS.unsigned_abs() {
            n += 1;
            let before = rule.acted();
            let attempt = site.tell(n).await.unwrap();
            if rule.acted() > before {
                assert_eq!(Some(attempt), attempts, "row {n}");
            }
            assert_eq!(site.rows(n).await, [attempt], "row {n}");
        }
        site.proxy.pass();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_of_all_kinds_under_load_lose_nothing_and_double_nothing() {
    const WORKERS: i64 = 4;
    const EACH: i64 = 60;
    let site = Arc::new(site(20_000).await);
    let cuts = [
        Rule::new(Act::CutBefore, has_committed).every(5),
        Rule::new(Act::CutBefore, asks_to_commit).every(7),
        Rule::new(Act::CutAfter, asks_to_commit).every(11),
    ];
    let cuts = cuts.map(|rule| site.proxy.rule(rule));
    let workers = (0..WORKERS).map(|worker| {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            for n in worker * EACH..(worker + 1) * EACH {
                let attempt = site.tell(n).await.unwrap();
                assert_eq!(site.rows(n).await, [attempt], "row {n}");
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    assert!(cuts.iter().all(|rule| rule.acted() > 10));
    site.proxy.pass();
    assert_eq!(site.read().await.unwrap(), WORKERS * EACH);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_written_is_nothing_to_ask_for() {
    let site = site(20_000).await;
    let cut = site.proxy.rule(Rule::new(Act::CutBefore, has_committed));
    assert_eq!(site.read().await.unwrap(), 0);
    let snapshot = site
        .db
        .run_snapshot("snapshot", Scope::Tenant(tenant("a")), |tx| Box::pin(async { tx.now().await.map(|_| 7) }));
    assert_eq!(snapshot.await.unwrap(), 7);
    assert_eq!(cut.acted(), 2);
    let nothing = site.db.run_tx("nothing", Scope::Tenant(tenant("a")), |_| Box::pin(async { Ok::<_, Error>(()) }));
    nothing.await.unwrap();
    assert_eq!(cut.acted(), 2, "nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_at_commit_leaves_it_unknown_and_nobody_waiting() {
    let site = site(700).await;
    site.tell(1).await.unwrap();
    // The question afterwards is not answered either.
    let silent = site.proxy.rule(Rule::new(Act::Silence, |frame| asks_to_commit(frame) || frame.tag() == b'p'));
    let error = site.tell(2).await.unwrap_err();
    assert!(matches!(error, Error::CommitUnknown("tell")), "{error}");
    assert!(silent.acted() >= 2);
    site.proxy.pass();
    assert!(site.tell(3).await.is_ok(), "the pool has recovered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_takes_few_round_trips() {
    const TIMES: u64 = 50;
    let site = site(20_000).await;
    site.tell(0).await.unwrap();
    site.read().await.unwrap();
    site.select().await;
    let heard = AtomicBool::new(true);
    // The client speaks after the server did: it has waited for an answer.
    let trips = site.proxy.rule(Rule::count(move |frame| match frame.from {
        Side::Server => {
            heard.store(true, SeqCst);
            false
        }
        Side::Client => heard.swap(false, SeqCst),
    }));
    let statements = site.proxy.rule(Rule::count(syncs));
    let parsed = site.proxy.rule(Rule::count(|frame| (frame.from, frame.tag()) == (Side::Client, b'P')));
    for n in 0..TIMES {
        site.tell(n.cast_signed()).await.unwrap();
    }
    // BEGIN and the tenant; INSERT and which transaction it is; UPDATE and COMMIT.
    assert_eq!((trips.seen(), statements.seen(), parsed.seen()), (3 * TIMES, 6 * TIMES, 0));
    for _ in 0..TIMES {
        site.read().await.unwrap();
    }
    // BEGIN, the tenant and SELECT; which transaction it is, and COMMIT.
    assert_eq!((trips.seen(), statements.seen(), parsed.seen()), (5 * TIMES, 11 * TIMES, 0));
    for _ in 0..TIMES {
        site.select().await;
    }
    assert_eq!((trips.seen(), statements.seen(), parsed.seen()), (6 * TIMES, 12 * TIMES, 0));
}
