//! The named places of `goalpost-crash`, and how one of them is armed for a single life of a process.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::cluster::Cluster;

/// For an armed place to be passed so often.
const LIMIT: Duration = Duration::from_secs(60);

const INGEST: [&str; 9] = [
    "ingest.before_store",
    "ingest.before_answer",
    "commit.before/store_events",
    "commit.after/store_events",
    "relay.after_claim",
    "publisher.after_publish",
    "relay.after_confirm",
    "commit.before/relay",
    "commit.after/relay",
];
const EVALUATOR: [&str; 21] = [
    "consumer.before_handling/evaluator.events",
    "consumer.after_handling/evaluator.events",
    "consumer.after_ack/evaluator.events",
    "consumer.before_handling/evaluator.commands",
    "consumer.after_handling/evaluator.commands",
    "consumer.after_ack/evaluator.commands",
    "evaluator.after_locks",
    "evaluator.before_writing",
    "evaluator.after_writing",
    "commit.before/judge",
    "commit.after/judge",
    "commit.before/enroll",
    "commit.after/enroll",
    "relay.after_claim",
    "publisher.after_publish",
    "relay.after_confirm",
    "commit.before/relay",
    "evaluator.before_announcing",
    "evaluator.after_announcing",
    "commit.before/announce",
    "commit.after/announce",
];
/// The last of them, which a replica passes now and then only: what is due is taken by whoever looks first.
const SELDOM: usize = 4;
const GOALS: [&str; 2] = ["commit.before/deactivate_workflow", "commit.after/deactivate_workflow"];
/// The hits at which a place is tried.
const MOST_HITS: usize = 5;

/// What is armed at this turn: all places at their first hit, then those that are passed often at their second, and so on.
pub fn at_turn(service: &str, turn: usize) -> (&'static str, usize) {
    let (points, often, most): (&[&str], usize, usize) = match service {
        "ingest" => (&INGEST, INGEST.len(), MOST_HITS),
        "evaluator" => (&EVALUATOR, EVALUATOR.len() - SELDOM, MOST_HITS),
        _ => (&GOALS, GOALS.len(), 1),
    };
    let turn = turn % (points.len() + often * (most - 1));
    match turn.checked_sub(points.len()) {
        None => (points[turn], 1),
        Some(later) => (points[later % often], later / often + 2),
    }
}

/// Arms a place in a replica, which is started again for it, and waits until it has been passed so often as to act.
pub async fn provoke(cluster: &Cluster, name: &str, point: &str, hit: usize, act: &str) -> Result<Instant, String> {
    let before = acted(cluster, name);
    std::fs::write(cluster.flag(name), format!("{point}:{hit}={act}")).unwrap();
    cluster.signal(name, Signal::SIGTERM).await;
    let begin = Instant::now();
    while acted(cluster, name) == before {
        if begin.elapsed() > LIMIT {
            // It must not go off in a later run.
            cluster.signal(name, Signal::SIGKILL).await;
            return Err(format!("{name} never came to {point} for the {hit}. time"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(Instant::now())
}

/// How often a crash point has acted in a replica.
fn acted(cluster: &Cluster, name: &str) -> usize {
    said(cluster, name, "crash point ")
}

/// How often a replica has ended with a part of it still running, after all the time that the part had. A panic of one part is
/// no reason: the others have their servers and need nothing of it.
pub fn overdue(cluster: &Cluster) -> usize {
    cluster.replicas.iter().map(|replica| said(cluster, &replica.name, "not finished in time")).sum()
}

fn said(cluster: &Cluster, name: &str, text: &str) -> usize {
    let log = std::fs::read(cluster.stack.log(name)).unwrap_or_default();
    String::from_utf8_lossy(&log).matches(text).count()
}

/// Whoever handles this text does what `act` says, in every life of the replicas of a service; or no more.
pub async fn poison(cluster: &Cluster, service: &str, text_and_act: Option<&str>) {
    for replica in cluster.of(service) {
        let path: PathBuf = cluster.flag(&replica.name).with_extension("poison");
        match text_and_act {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        cluster.signal(&replica.name, Signal::SIGTERM).await;
    }
}

#[test]
fn every_place_is_tried_at_every_hit() {
    let tried: std::collections::BTreeSet<_> = (0..89).map(|turn| at_turn("evaluator", turn)).collect();
    assert_eq!(tried.len(), 89);
    assert_eq!(at_turn("evaluator", 20), ("commit.after/announce", 1));
    assert_eq!(at_turn("evaluator", 88), ("commit.before/relay", MOST_HITS));
    assert_eq!(at_turn("goals", 3), (GOALS[1], 1));
}
