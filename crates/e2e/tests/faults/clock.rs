//! Clocks that are a day off: a library that is loaded before all others moves the wall clock of one replica, and of nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::cluster::{Cluster, Replica};

const DAY_SECONDS: i64 = 24 * 3600;
const LIMIT: Duration = Duration::from_secs(60);

/// Only the wall clock: waits go by the other one.
const MOVED: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += atol(getenv("MOVED_BY_SECONDS"));
    return failed;
}
"#;

/// Starts every replica again with its clock a day ahead, the next with its a day behind, and so on; sees that they are.
pub async fn move_all(cluster: &Cluster, first_is_ahead: bool) -> Result<Instant, String> {
    let library = library(cluster);
    for (number, replica) in cluster.replicas.iter().enumerate() {
        let by = if (number % 2 == 0) == first_is_ahead { DAY_SECONDS } else { -DAY_SECONDS };
        let env = format!("export LD_PRELOAD='{}' MOVED_BY_SECONDS={by}\n", library.display());
        std::fs::write(cluster.environment(&replica.name), env).unwrap();
        cluster.signal(&replica.name, Signal::SIGKILL).await;
        shows(cluster, replica, by).await?;
    }
    cluster.ready().await;
    Ok(Instant::now())
}

/// Starts every replica whose clock was moved again, without.
pub async fn put_back(cluster: &Cluster) -> Result<(), String> {
    let start_again = async |replica: &Replica| {
        cluster.signal(&replica.name, Signal::SIGTERM).await;
        shows(cluster, replica, 0).await
    };
    cluster.take_environments(start_again).await
}

/// Waits until a replica answers, and by a clock that is off by this much.
async fn shows(cluster: &Cluster, replica: &Replica, by: i64) -> Result<(), String> {
    let begin = Instant::now();
    loop {
        let off = offset(cluster, replica).await;
        if off.is_some_and(|off| (off - by).abs() < 60) {
            return Ok(());
        }
        if begin.elapsed() > LIMIT {
            return Err(format!("I20: the clock of {} is off by {off:?} s, not by {by} s", replica.name));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn offset(cluster: &Cluster, replica: &Replica) -> Option<i64> {
    let answer = cluster.http.get(format!("{}/health/ready", replica.admin_url)).send().await.ok()?;
    let date = answer.headers().get("date")?.to_str().ok()?.replace("GMT", "+0000");
    let date = OffsetDateTime::parse(&date, &Rfc2822).ok()?;
    Some((date - OffsetDateTime::now_utc()).whole_seconds())
}

/// Built by the compiler that links this test.
fn library(cluster: &Cluster) -> PathBuf {
    let library = cluster.flag("clock").with_extension("so");
    if !library.exists() {
        let source: &Path = &library.with_extension("c");
        std::fs::write(source, MOVED).unwrap();
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status().unwrap();
        assert!(built.success());
    }
    library
}
