//! Which faults are run how often, and the table of what came of it.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use crate::cluster::Cluster;
use crate::fault::{Fault, SCENARIOS, Scenario};
use crate::run::{Outcome, Size, run};
use crate::versions;

/// Of `make test`: a run of each sampled fault takes 8 to 20 s.
const SAMPLE: Size = Size { customers: 600, over: Duration::from_secs(4) };
const SWEEP: Size = Size { customers: 1_000, over: Duration::from_secs(6) };
/// How many of the things that are wrong are told of each run.
const TOLD: usize = 12;

/// What is to be run.
pub struct Plan {
    scenarios: Vec<Scenario>,
    size: Size,
    seed: u64,
    runs: u32,
    /// No run begins after this.
    until: Option<Duration>,
}

/// One line of the table.
struct Line {
    name: &'static str,
    runs: u32,
    outcomes: Vec<Outcome>,
    broken: Vec<String>,
}

/// What came of it.
pub struct Table {
    seed: u64,
    lines: Vec<Line>,
    implies_redelivery: bool,
}

impl Plan {
    /// The sample; with `GOALPOST_CHAOS=sweep` everything, or the one fault of `FAULT`. `SEED` makes a run happen again, `RUNS`
    /// says how often, `MINUTES` for how long at most. The version before is only run where `GOALPOST_PREVIOUS` names its program.
    pub fn of_environment() -> Self {
        let named = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let is_sweep = named("GOALPOST_CHAOS").is_some_and(|what| what == "sweep");
        let fault = named("FAULT").filter(|_| is_sweep);
        let wanted = |it: &&Scenario| match &fault {
            Some(fault) => it.name == fault,
            None => is_sweep || it.is_sampled,
        };
        let possible =
            |it: &&Scenario| it.fault != Fault::Versions || fault.is_some() || versions::previous().is_some();
        let scenarios: Vec<Scenario> = SCENARIOS.iter().filter(wanted).filter(possible).copied().collect();
        assert!(!scenarios.is_empty(), "there is no fault {fault:?}");
        let number = |name: &str| named(name).map(|text| text.parse().unwrap());
        Self {
            scenarios,
            size: if is_sweep { SWEEP } else { SAMPLE },
            seed: number("SEED").unwrap_or_else(rand::random),
            runs: number("RUNS").and_then(|runs| u32::try_from(runs).ok()).unwrap_or(1),
            until: number("MINUTES").map(|minutes| Duration::from_secs(minutes * 60)),
        }
    }

    /// Runs everything; a run that breaks off is told of, and the next begins with new servers.
    pub async fn run(&self) -> Table {
        println!("SEED={}", self.seed);
        let begin = Instant::now();
        let mut cluster = Cluster::start(self.scenarios[0].is_proxied()).await;
        let mut table = Table { seed: self.seed, lines: Vec::new(), implies_redelivery: false };
        for scenario in &self.scenarios {
            if cluster.is_proxied() != scenario.is_proxied() {
                cluster.stop().await;
                cluster = Cluster::start(scenario.is_proxied()).await;
            }
            let mut line = Line { name: scenario.name, runs: 0, outcomes: Vec::new(), broken: Vec::new() };
            for number in 0..self.runs {
                if self.until.is_some_and(|until| begin.elapsed() > until) {
                    break;
                }
                // The first run of a fault has the seed itself, so that FAULT and SEED make any run happen again.
                let seed = self.seed.wrapping_add(u64::from(number));
                line.runs += 1;
                let outcome = AssertUnwindSafe(run(&mut cluster, scenario, self.size, seed)).catch_unwind().await;
                let broken = match outcome {
                    Ok(outcome) => {
                        let told = told(scenario, seed, &outcome);
                        println!("{told}");
                        let is_broken = !outcome.judgement.wrong.is_empty();
                        line.outcomes.push(outcome);
                        is_broken.then_some((told, false))
                    }
                    Err(panic) => Some((format!("{} SEED={seed}: {}", scenario.name, said(panic.as_ref())), true)),
                };
                if let Some((told, needs_new_servers)) = broken {
                    let logs = cluster.keep_logs(&format!("{}-{seed}", scenario.name.replace([' ', ':'], "-")));
                    line.broken.push(format!("{told}\n    logs: {}", logs.display()));
                    if needs_new_servers {
                        cluster.stop().await;
                        cluster = Cluster::start(scenario.is_proxied()).await;
                    }
                }
            }
            table.implies_redelivery |= scenario.fault.implies_redelivery() && line.runs > 0;
            table.lines.push(line);
        }
        cluster.stop().await;
        table
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn told(scenario: &Scenario, seed: u64, outcome: &Outcome) -> String {
    let Outcome { judgement: it, redeliveries, recoveries, snapshots, took } = outcome;
    let wrong: Vec<String> = it.wrong.iter().take(TOLD).map(|wrong| format!("\n    {wrong}")).collect();
    format!(
        "{} SEED={seed}: {} ok, {} recovered, {} lost, {} duplicated, {} unexpected; {redeliveries} redeliveries, recovery \
         {recoveries:.1?}, {snapshots} snapshots, {took:.1?}; {} wrong{}",
        scenario.name,
        it.ok,
        it.recovered,
        it.lost,
        it.duplicated,
        it.unexpected,
        it.wrong.len(),
        wrong.concat()
    )
}

impl Table {
    /// Everything that is wrong, with the seed of its run.
    pub fn failures(&self) -> Vec<String> {
        let mut failures: Vec<String> = self.lines.iter().flat_map(|line| line.broken.clone()).collect();
        let seen: u64 = self.lines.iter().flat_map(|line| &line.outcomes).map(|outcome| outcome.redeliveries).sum();
        if self.implies_redelivery && seen == 0 {
            failures.push("no message and no request came twice: the faults missed the work".to_owned());
        }
        failures
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<26} {:>4} {:>5} {:>7} {:>5} {:>9} {:>8} {:>12} {:>12}",
            "fault", "runs", "held", "events", "lost", "recovered", "doubled", "redeliveries", "recovery s"
        )?;
        for line in &self.lines {
            let sum = |of: fn(&Outcome) -> usize| line.outcomes.iter().map(of).sum::<usize>();
            let mut times: Vec<f64> =
                line.outcomes.iter().flat_map(|it| &it.recoveries).map(Duration::as_secs_f64).collect();
            times.sort_by(f64::total_cmp);
            let recovery = match (times.get(times.len() / 2), times.last()) {
                (Some(median), Some(most)) => format!("{median:.1} / {most:.1}"),
                _ => "-".to_owned(),
            };
            writeln!(
                f,
                "{:<26} {:>4} {:>5} {:>7} {:>5} {:>9} {:>8} {:>12} {:>12}",
                line.name,
                line.runs,
                usize::try_from(line.runs).unwrap_or_default() - line.broken.len(),
                sum(|it| it.judgement.ok + it.judgement.recovered),
                sum(|it| it.judgement.lost),
                sum(|it| it.judgement.recovered),
                sum(|it| it.judgement.duplicated + it.judgement.unexpected),
                line.outcomes.iter().map(|it| it.redeliveries).sum::<u64>(),
                recovery
            )?;
        }
        write!(f, "recovery: median and longest time from the end of a fault to the next progress; SEED={}", self.seed)
    }
}
