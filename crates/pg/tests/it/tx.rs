//! Scope, retry, detachment, and that no connection comes back from the dead.

use crate::{goals, tenant};
use domain::outbox::BoxFuture;
use pg::{Db, Error, Owned, Scope, Tx};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use tokio::sync::Notify;

async fn visible(db: &Db, scope: Scope) -> Vec<String> {
    db.run_tx("visible", scope, |tx| {
        Box::pin(async move {
            let rows = tx.query("SELECT tenant_id FROM goals.epochs ORDER BY 1", &[]).await?;
            Ok::<_, Error>(rows.iter().map(|row| row.get(0)).collect())
        })
    })
    .await
    .unwrap()
}

async fn raise(tx: &Tx, tenant: &'static str) -> Result<u64, Error> {
    tx.execute("UPDATE goals.epochs SET epoch = epoch + 1 WHERE tenant_id = $1", &[&tenant]).await
}

async fn epoch(db: &Db, of: &'static str) -> i64 {
    db.run_snapshot("epoch", Scope::Tenant(tenant(of)), move |tx| {
        Box::pin(async move {
            let row = tx.query_one("SELECT epoch FROM goals.epochs WHERE tenant_id = $1", &[&of]).await?;
            Ok::<i64, Error>(row.get(0))
        })
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_shows_its_tenant_and_nothing_of_it_stays_on_the_connection() {
    let (_database, db) = goals().await;
    for _ in 0..10 {
        assert_eq!(visible(&db, Scope::Tenant(tenant("a"))).await, ["a"]);
        assert_eq!(visible(&db, Scope::Tenant(tenant("b"))).await, ["b"]);
        assert_eq!(visible(&db, Scope::Tenant(tenant("c"))).await, Vec::<String>::new());
    }
    assert_eq!(visible(&db, Scope::System("test")).await, ["a", "b"]);
    let foreign = db.run_tx("foreign", Scope::Tenant(tenant("a")), |tx| Box::pin(raise(tx, "b"))).await.unwrap();
    assert_eq!(foreign, 0, "another tenant's row cannot be reached even when named");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_caller_does_not_lose_the_work() {
    let (_database, db) = goals().await;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, gate) = (Arc::clone(&begun), Arc::clone(&go));
    let caller = db.run_tx("detached", Scope::Tenant(tenant("a")), move |tx| {
        let (seen, gate) = (Arc::clone(&seen), Arc::clone(&gate));
        Box::pin(async move {
            raise(tx, "a").await?;
            seen.notify_one();
            gate.notified().await;
            Ok::<_, Error>(())
        }) as BoxFuture<'_, _>
    });
    tokio::select! {
        _ = caller => panic!("it waits for the gate"),
        () = begun.notified() => {}
    }
    go.notify_one();
    for _ in 0..500 {
        if epoch(&db, "a").await == 2 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the detached transaction did not commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlocks_are_run_again_and_both_commit() {
    let (_database, db) = goals().await;
    let attempts = Arc::new(AtomicU32::new(0));
    let meet = Arc::new(tokio::sync::Barrier::new(2));
    let one = |first: &'static str, second: &'static str| {
        let (db, attempts, meet) = (db.clone(), Arc::clone(&attempts), Arc::clone(&meet));
        async move {
            db.run_tx("crossed", Scope::System("test"), move |tx| {
                let (attempts, meet) = (Arc::clone(&attempts), Arc::clone(&meet));
                Box::pin(async move {
                    let attempt = attempts.fetch_add(1, SeqCst);
                    tx.query("SELECT pg_advisory_xact_lock(hashtext($1))", &[&first]).await?;
                    if attempt < 2 {
                        meet.wait().await;
                    }
                    tx.query("SELECT pg_advisory_xact_lock(hashtext($1))", &[&second]).await?;
                    Ok::<_, Error>(())
                })
            })
            .await
        }
    };
    let (x, y) = tokio::join!(one("x", "y"), one("y", "x"));
    x.unwrap();
    y.unwrap();
    assert!(attempts.load(SeqCst) > 2, "the server did find the deadlock");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_or_a_swallowed_failure_commits_nothing() {
    let (_database, db) = goals().await;
    let panicked: Result<(), Error> = db
        .run_tx("panics", Scope::Tenant(tenant("a")), |tx| {
            Box::pin(async move {
                raise(tx, "a").await?;
                panic!("on purpose")
            })
        })
        .await;
    assert!(matches!(panicked, Err(Error::Panicked("panics"))));
    let poisoned: Result<(), Error> = db
        .run_tx("swallows", Scope::Tenant(tenant("a")), |tx| {
            Box::pin(async move {
                raise(tx, "a").await?;
                let _ = tx.query("SELECT 1 / 0", &[]).await;
                Ok(())
            })
        })
        .await;
    assert!(matches!(poisoned, Err(Error::Poisoned("swallows"))));
    assert_eq!(epoch(&db, "a").await, 1);
    for _ in 0..8 {
        assert_eq!(visible(&db, Scope::Tenant(tenant("b"))).await, ["b"], "no poisoned connection is handed out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_last_is_committed_with_the_rest_or_nothing_is() {
    let (_database, db) = goals().await;
    const RAISE: &str = "UPDATE goals.epochs SET epoch = epoch + $2::bigint WHERE tenant_id = $1";
    async fn last(db: &Db, params: fn() -> Vec<Owned>) -> Result<(), Error> {
        db.run_tx("last", Scope::Tenant(tenant("a")), move |tx| {
            Box::pin(async move {
                tx.execute_last(RAISE, vec![Box::new("a"), Box::new(10_i64)]).await?;
                tx.execute_last(RAISE, vec![Box::new("a"), Box::new(100_i64)]).await?;
                tx.execute_last(RAISE, params()).await
            })
        })
        .await
    }
    last(&db, || vec![Box::new("a"), Box::new(1_000_i64)]).await.unwrap();
    assert_eq!(epoch(&db, "a").await, 1_111, "the first at once, the others with the commit");
    let refused = last(&db, || vec![Box::new("a"), Box::new(i64::MAX)]).await;
    assert_eq!(refused.unwrap_err().sqlstate().unwrap().code(), "22003", "refused by the server");
    let unsent = last(&db, || vec![Box::new("a"), Box::new("not a number")]).await;
    assert!(matches!(unsent, Err(Error::Postgres(_))), "it cannot even be sent: {unsent:?}");
    assert_eq!(epoch(&db, "a").await, 1_111);
    for _ in 0..8 {
        assert_eq!(
            visible(&db, Scope::Tenant(tenant("b"))).await,
            ["b"],
            "no connection comes back inside a transaction"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_takes_too_long_is_cancelled_on_the_server() {
    let (database, _) = goals().await;
    let mut settings = database.settings("goals");
    settings.tx_timeout_ms = 200;
    let db = Db::connect(&settings, "goals", tokio::runtime::Handle::current()).unwrap();
    let slow: Result<(), Error> = db
        .run_tx("slow", Scope::Tenant(tenant("a")), |tx| {
            Box::pin(async move {
                raise(tx, "a").await?;
                tx.query("SELECT pg_sleep(4)", &[]).await.map(drop)
            })
        })
        .await;
    assert!(matches!(slow, Err(Error::Timeout("slow"))));
    let superuser = database.superuser().await.unwrap();
    for _ in 0..100 {
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(4)%' \
             AND pid <> pg_backend_pid() AND state = 'active'";
        if superuser.query_one(sleeping, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            assert_eq!(epoch(&db, "a").await, 1);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the statement went on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_self_check_passes_and_names_what_is_missing() {
    let (database, db) = goals().await;
    assert_eq!(db.self_check().await.unwrap(), Ok(()));
    let superuser = database.superuser().await.unwrap();
    superuser.batch_execute("ALTER TABLE goals.goals NO FORCE ROW LEVEL SECURITY").await.unwrap();
    let sentence = db.self_check().await.unwrap().unwrap_err();
    assert!(sentence.contains("goals.goals"), "{sentence}");
    superuser
        .batch_execute("ALTER TABLE goals.goals FORCE ROW LEVEL SECURITY; DELETE FROM platform.migrations_reporting WHERE version = 2")
        .await
        .unwrap();
    let sentence = db.self_check().await.unwrap().unwrap_err();
    assert!(sentence.contains("goalpost migrate"), "{sentence}");
    let mut as_superuser = database.settings("goals");
    as_superuser.url = database.superuser_url();
    let db = Db::connect(&as_superuser, "goals", tokio::runtime::Handle::current()).unwrap();
    assert!(db.self_check().await.unwrap().unwrap_err().contains("superuser"));
}

/// As after a failover, for whoever stayed with the old server; or where one that has no room was told to take no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_is_away_and_its_connection_is_not_kept() {
    let (database, db) = goals().await;
    let superuser = database.superuser().await.unwrap();
    let name: String = superuser.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
    let alter = async |what: &str| superuser.execute(&format!("ALTER DATABASE \"{name}\" {what}"), &[]).await.unwrap();
    alter("SET default_transaction_read_only = on").await;
    let raised = || db.run_tx("raise", Scope::Tenant(tenant("a")), |tx| Box::pin(raise(tx, "a")));
    let error = raised().await.unwrap_err();
    assert!(error.is_read_only() && error.is_unavailable() && !error.is_data_error(), "{error:?}");
    alter("RESET default_transaction_read_only").await;
    assert_eq!(raised().await.unwrap(), 1, "a connection of before would still take none");
}
