//! One run: a new tenant, the whole work under a fault, the wait for rest, the judgement.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::checker::{Expected, Judgement, judge, snapshot};
use crate::client::Tenant;
use crate::cluster::rest::rest;
use crate::cluster::shadow::Shadow;
use crate::cluster::{Cluster, connect};
use crate::facts;
use crate::fault::{Fault, Scenario, Sign};
use crate::meddler::Meddler;
use crate::people::People;
use crate::purchases::{Aim, reached};
use crate::workload::Workload;
use crate::{clock, crash, versions};

/// Far more than a recovery takes; exact figures are in the table.
const RECOVERY_LIMIT: Duration = Duration::from_secs(60);
const BETWEEN_SNAPSHOTS: Duration = Duration::from_millis(250);

/// How large the work of a run is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub customers: usize,
    pub over: Duration,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub judgement: Judgement,
    /// Messages delivered again, requests that had been stored although nobody answered, messages published twice.
    pub redeliveries: u64,
    /// From each end of a fault to the next progress.
    pub recoveries: Vec<Duration>,
    /// Looks that were taken in the midst of it.
    pub snapshots: usize,
    pub took: Duration,
}

/// Runs a scenario once.
pub async fn run(cluster: &mut Cluster, scenario: &Scenario, size: Size, seed: u64) -> Outcome {
    let begin = Instant::now();
    cluster.scale("evaluator", scenario.evaluators).await;
    cluster.scale("ingest", scenario.ingests).await;
    let workload = Workload::plan(size.customers, size.over * scenario.slower, seed);
    let mut tenant = Tenant::make(cluster).await;
    tenant.panics = matches!(scenario.fault, Fault::Crash(_, "panic"));
    let overdue = crash::overdue(cluster);
    let shadow = Shadow::bind(&cluster.http, cluster.management_url(), &format!("shadow.{}", tenant.id)).await;
    let known_letters = facts::all(&mut cluster.database().await, &tenant.id).await.unwrap().dead_letters.len();
    workload.prepare(&tenant).await;
    let people = People::make(cluster, tenant.panics).await;
    let redelivered = cluster.redeliveries().await;
    let database_url = cluster.stack.database_url().to_owned();
    let mut meddler = Meddler::of(scenario.fault, cluster, &tenant.id).await;

    let wrong = RefCell::new(Vec::new());
    let sending = async {
        let ((), known) = tokio::join!(workload.run(&tenant, &database_url), people.come_and_go(&workload));
        workload.finished.set(true);
        known
    };
    let (mut recoveries, known, snapshots, meddled) = tokio::join!(
        faults(cluster, scenario, &workload, &tenant, seed),
        sending,
        snapshots(&workload, &tenant, &database_url, &wrong),
        meddler.meddle(&workload, seed),
    );
    cluster.ready().await;
    rest(cluster, &shadow.queue).await;
    let log = shadow.take_all().await;
    shadow.end().await;
    meddler.end().await;
    let mut statistics = Vec::new();
    for aim in Aim::ALL {
        statistics.push((aim, tenant.statistics(aim).await));
    }
    let facts = facts::all(&mut cluster.database().await, &tenant.id).await.unwrap();
    if scenario.fault == Fault::ClocksMoved {
        recoveries.1.extend(clock::put_back(cluster).await.err());
    }
    if scenario.fault == Fault::Versions {
        recoveries.1.extend(versions::put_back(cluster).await.err());
    }
    let expected = Expected {
        tenant: &tenant.id,
        purchases: &workload.purchases,
        customers: workload.customers,
        workflows: &tenant.workflows,
        goals: &tenant.goals,
        statistics,
        dead_letters: known_letters + meddled.letters + scenario.fault.letters(),
    };
    let mut judgement = judge(&expected, &workload.ledger.borrow(), &facts, &log);
    judgement.wrong.extend(wrong.take());
    judgement.wrong.extend(known.judge(people.tenant(), &cluster.database().await).await.unwrap());
    judgement.wrong.extend(meddled.wrong(&facts.dead_letters[known_letters.min(facts.dead_letters.len())..]));
    if tenant.panics && crash::overdue(cluster) > overdue {
        judgement.wrong.push("a process did not end by itself after a panic".to_owned());
    }
    judgement.wrong.extend(recoveries.1);
    let again: u64 = cluster.redeliveries().await.iter().map(|(name, now)| since(now, redelivered.get(name))).sum();
    let seen = again + (judgement.recovered + judgement.repeats) as u64 + meddled.copies;
    Outcome { judgement, redeliveries: seen, recoveries: recoveries.0, snapshots, took: begin.elapsed() }
}

/// How much a counter grew; a process that was started again began at nothing.
fn since(now: &(Option<u32>, u64), before: Option<&(Option<u32>, u64)>) -> u64 {
    match before {
        Some(before) if before.0 == now.0 => now.1 - before.1,
        _ => now.1,
    }
}

/// Lets the fault happen as often as it must, each time in the midst of the work; measures how long until the work goes on.
async fn faults(
    cluster: &mut Cluster,
    scenario: &Scenario,
    workload: &Workload,
    tenant: &Tenant,
    seed: u64,
) -> (Vec<Duration>, Vec<String>) {
    let mut rng = StdRng::seed_from_u64(seed.rotate_left(17));
    let (mut recoveries, mut wrong) = (Vec::new(), Vec::new());
    for hit in 0..scenario.hits {
        let step = 0.55 / f64::from(scenario.hits);
        let from = 0.15 + step * (f64::from(hit) + rng.random_range(0.0..1.0));
        while workload.begun() < from {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..60))).await;
        let database = cluster.database().await;
        let (stored, achieved) = facts::progress(&database, &tenant.id).await.unwrap();
        let all = i64::try_from(workload.purchases.len()).unwrap();
        if stored * 10 < all || stored * 10 > all * 9 || achieved == 0 {
            wrong.push(format!("the fault came at {stored} of {all} stored, {achieved} achieved"));
        }
        if hit + 1 == scenario.hits {
            workload.awaits_faults.set(false);
        }
        let turn = usize::try_from(seed % 1_000_000 * u64::from(scenario.hits) + u64::from(hit)).unwrap();
        let end = match scenario.fault.inject(cluster, &mut rng, turn).await {
            Ok(end) => end,
            Err(failure) => {
                wrong.push(failure);
                continue;
            }
        };
        match recovery(cluster, scenario.fault, workload, tenant, end).await {
            Some(recovery) => recoveries.push(recovery),
            // All had been done before the fault was over.
            None if is_done(cluster, workload, tenant).await => {}
            None => wrong.push(format!("no progress within {} s of the fault's end", RECOVERY_LIMIT.as_secs())),
        }
    }
    workload.awaits_faults.set(false);
    (recoveries, wrong)
}

/// Whether every goal that the file gives has been achieved.
async fn is_done(cluster: &Cluster, workload: &Workload, tenant: &Tenant) -> bool {
    let database = cluster.database().await;
    for aim in [Aim::Big, Aim::Both] {
        let all: usize = reached(aim, &workload.purchases).values().map(Vec::len).sum();
        let done = facts::achieved(&database, tenant.workflow(aim)).await.unwrap();
        if done != i64::try_from(all).unwrap() {
            return false;
        }
    }
    true
}

/// From the end of a fault to the next sign of progress.
async fn recovery(
    cluster: &Cluster,
    fault: Fault,
    workload: &Workload,
    tenant: &Tenant,
    end: Instant,
) -> Option<Duration> {
    let sign = fault.sign();
    if sign == Sign::Ready {
        // It takes a moment to be gone.
        tokio::time::sleep(Duration::from_millis(20)).await;
        cluster.ready().await;
        return Some(end.elapsed());
    }
    let count = async || {
        loop {
            let database = cluster.database().await;
            if let Ok((stored, achieved)) = facts::progress(&database, &tenant.id).await {
                return if sign == Sign::Stored { stored } else { achieved };
            }
        }
    };
    let before = count().await;
    while end.elapsed() < RECOVERY_LIMIT {
        if count().await > before {
            return Some(end.elapsed());
        }
        if workload.finished.get() && is_done(cluster, workload, tenant).await {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
}

/// Looks at I9 and I10 while everything moves, each time in one snapshot of the database.
async fn snapshots(workload: &Workload, tenant: &Tenant, database_url: &str, wrong: &RefCell<Vec<String>>) -> usize {
    let mut taken = 0;
    let mut database = connect(database_url).await;
    while !workload.finished.get() {
        match facts::people(&mut database, &tenant.id).await {
            Ok(people) => {
                taken += 1;
                let found = snapshot(&tenant.workflows, &tenant.goals, &people);
                wrong.borrow_mut().extend(found.into_iter().map(|it| format!("in snapshot {taken}: {it}")));
            }
            // The server is being restarted.
            Err(_) => database = connect(database_url).await,
        }
        tokio::time::sleep(BETWEEN_SNAPSHOTS).await;
    }
    taken
}
