//! The version before, beside this one: some replicas run the program that `GOALPOST_PREVIOUS` names, on the schema of this version.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::cluster::{Cluster, Replica, program};

const LIMIT: Duration = Duration::from_secs(60);

/// The program of the version before, if there is one.
pub fn previous() -> Option<PathBuf> {
    let named = std::env::var_os("GOALPOST_PREVIOUS").filter(|path| !path.is_empty());
    named.map(|path| std::fs::canonicalize(&path).unwrap_or_else(|error| panic!("GOALPOST_PREVIOUS: {error}")))
}

/// Every second replica is of the version before, or the others: one after the other ends in order and starts again as what it is
/// to be now. So a service of one replica goes back when `first` is, and is upgraded when it is not.
pub async fn mix(cluster: &Cluster, first: bool) -> Result<Instant, String> {
    let previous = previous().ok_or("GOALPOST_PREVIOUS names no program")?;
    for (number, replica) in numbered(cluster) {
        let environment = cluster.environment(&replica.name);
        if number.is_multiple_of(2) == first {
            std::fs::write(&environment, format!("set -- '{}' \"$2\" \"$3\"\n", previous.display())).unwrap();
            start_as(cluster, replica, &previous).await?;
        } else if std::fs::remove_file(&environment).is_ok() {
            start_as(cluster, replica, &program()).await?;
        }
    }
    cluster.ready().await;
    Ok(Instant::now())
}

/// All are of this version again.
pub async fn put_back(cluster: &Cluster) -> Result<(), String> {
    cluster.take_environments(async |replica: &Replica| start_as(cluster, replica, &program()).await).await
}

/// Each replica, and its place among those of its service.
fn numbered(cluster: &Cluster) -> impl Iterator<Item = (usize, &Replica)> {
    let place = |replica: &Replica| cluster.of(replica.service).position(|other| other.name == replica.name);
    cluster.replicas.iter().map(move |replica| (place(replica).unwrap_or_default(), replica))
}

/// Ends a replica in order, and waits until it runs this program.
async fn start_as(cluster: &Cluster, replica: &Replica, program: &Path) -> Result<(), String> {
    let ended = cluster.signal(&replica.name, Signal::SIGTERM).await;
    let begin = Instant::now();
    let program = std::fs::canonicalize(program).unwrap();
    let runs = || {
        let pid = cluster.stack.service(&replica.name).unwrap().pid.filter(|pid| *pid != ended)?;
        std::fs::read_link(format!("/proc/{pid}/exe")).ok()
    };
    while runs().as_ref() != Some(&program) {
        if begin.elapsed() > LIMIT {
            return Err(format!("I19: {} runs {:?}, not {}", replica.name, runs(), program.display()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
