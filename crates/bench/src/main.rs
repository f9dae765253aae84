//! `goalpost-bench`: how fast Goalpost is on this machine, each row beside a floor that was measured in the same run.
#![doc = include_str!("../README.md")]

mod floors;
mod picture;
mod processors;
mod queue;
mod report;
mod rows;
mod run;
mod stand;
mod statements;
mod store;
#[path = "../../domain/benches/workload/mod.rs"]
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use nix::sys::signal::Signal;

use processors::Processors;
use report::{Report, Row};
use rows::NAMES;
use stand::Stand;

/// Measures what has to be fast. Exits with 0 unless an event was lost, refused, or left unjudged.
#[derive(Parser)]
#[command(name = "goalpost-bench")]
struct Args {
    /// Seconds of load in each row; the rows are defined for 20 and more
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Only these rows; may be given several times
    #[arg(long, value_name = "ROW", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    only: Vec<String>,
    /// Also fail when a goal is missed
    #[arg(long)]
    check: bool,
    /// Where bench.json and bench.svg go
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.context("no runtime").and_then(|runtime| runtime.block_on(bench(&args)));
    match outcome {
        Ok(report) if !report.is_sound() => ExitCode::FAILURE,
        Ok(report) if args.check && !report.holds() => ExitCode::from(3),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("goalpost-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How long things last.
#[derive(Clone, Copy)]
pub struct Times {
    /// Load in a row.
    pub load: Duration,
    /// A floor.
    pub floor: Duration,
}

async fn bench(args: &Args) -> anyhow::Result<Report> {
    ensure!(args.seconds >= 1.0 && args.seconds <= 3_600.0, "--seconds is 1 to 3600");
    let load = Duration::from_secs_f64(args.seconds);
    let times = Times { load, floor: load / 2 };
    let began = Instant::now();
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let stand = Stand::start().await?;
    let mut rows: Vec<Row> = Vec::new();
    let all = async {
        for name in NAMES.into_iter().filter(|name| wanted(name)) {
            eprintln!("\n== {name} ({:.0} s since the start)", began.elapsed().as_secs_f64());
            let before = Processors::now();
            let mut row = rows::run(name, &stand, times).await.with_context(|| format!("row {name}"))?;
            if let Some(shares) = Processors::now().zip(before).and_then(|(now, before)| now.since(before)) {
                row.tell("processors: at work", shares.busy, "%");
                row.tell("processors: taken by the host", shares.stolen, "%");
            }
            row.say();
            rows.push(row);
        }
        anyhow::Ok(())
    };
    let outcome = tokio::select! {
        outcome = all => outcome,
        signal = signalled() => Err(anyhow::anyhow!("ended by {signal}")),
    };
    stand.stop().await;
    outcome?;
    let report = Report::new(rows, began.elapsed(), args.seconds);
    report.write(&args.out)?;
    report.print();
    Ok(report)
}

/// Waits for SIGINT or SIGTERM.
async fn signalled() -> Signal {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => Signal::SIGINT,
        _ = terminate.recv() => Signal::SIGTERM,
    }
}
