//! Kills processes while the work is under way. Another evaluator lives on, and counts what is delivered to it again.

use std::cell::RefCell;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::api::Api;
use crate::cluster::Cluster;

/// Who is killed when so much of the work has been done.
const KILLS: [(f64, &str); 8] = [
    (0.10, "evaluator-1"),
    (0.20, "ingest-1"),
    (0.30, "goals-1"),
    (0.40, "evaluator-1"),
    (0.50, "ingest-1"),
    (0.60, "goals-1"),
    (0.70, "evaluator-1"),
    (0.85, "evaluator-1"),
];

/// How many processes were killed, and how many of them in the midst of work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Killed {
    pub all: u32,
    pub amid: u32,
}

pub async fn kill(cluster: &Cluster, api: &Api, killed: &RefCell<Killed>) {
    for (share, name) in KILLS {
        while api.progress() < share {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let is_amid = api.is_underway() && api.progress() < 1.0;
        cluster.signal(name, Signal::SIGKILL).await;
        let mut killed = killed.borrow_mut();
        killed.all += 1;
        killed.amid += u32::from(is_amid);
    }
}

/// Messages that were delivered again to the evaluator that lives on.
pub async fn redelivered(cluster: &Cluster) -> u64 {
    cluster.redeliveries().await.get("evaluator-2").map_or(0, |(_, count)| *count)
}
