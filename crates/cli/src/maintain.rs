//! `goalpost maintain`: what has to be done now and then.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use pg::maintain::{self, Options, Report};

use crate::database::DatabaseArgs;
use crate::output::OutputArgs;

/// Makes the partitions of the coming months, moves into their months the rows that the default
/// partition caught, forgets what repeated requests would be answered (over HTTP after a day, over
/// the bus after a week), and deletes the events that their tenants' `retention` keeps no longer:
/// a month at once where nobody keeps anything of it, else in batches. Run it daily; it may be ended
/// at any time, and two at once do not harm. Needs the login goalpost_maintainer or a superuser.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    /// For how many months after this one there are to be partitions
    #[arg(long, default_value_t = MONTHS_AHEAD, value_name = "MONTHS", value_parser = clap::value_parser!(i32).range(1..=120))]
    months_ahead: i32,
    /// Wait between two batches of deletions, so that others have their turn
    #[arg(long, default_value_t = PAUSE_MS, value_name = "MS")]
    pause_ms: u64,
    /// Change nothing, and say what would be deleted
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// For how many months there are partitions, unless it is said.
pub const MONTHS_AHEAD: i32 = 3;
/// Between two batches, unless it is said.
pub const PAUSE_MS: u64 = 50;
/// Between two lines of progress.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// A superuser must not own the partitions.
const BECOME: &str = "SET ROLE goalpost_maintainer";

pub async fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let pause = Duration::from_millis(args.pause_ms);
    let options = Options { months_ahead: args.months_ahead, pause, dry_run: args.dry_run };
    let done = run(&args.database.url()?, &options).await?;
    args.output.print(&done, || for_people(&done))?;
    let left = done.default_rows > 0 || !done.partitions_locked.is_empty();
    Ok(if left { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Maintains the database at `url`, and says how far it is on standard error.
pub async fn run(url: &str, options: &Options) -> anyhow::Result<Report> {
    let client = crate::database::connect(url).await?;
    client
        .execute(BECOME, &[])
        .await
        .context("the login may not maintain: use goalpost_maintainer or a superuser, after `goalpost migrate`")?;
    let mut said = Instant::now();
    let progress = |report: &Report| {
        if said.elapsed() > SAY_EVERY {
            said = Instant::now();
            eprintln!(
                "goalpost: {} months dropped, {} events and {} keys deleted",
                report.partitions_dropped.len(),
                report.events_deleted,
                report.keys_deleted
            );
        }
    };
    let done = maintain::run(&client, options, progress).await;
    done.context("it could not be done: is the database migrated (`goalpost migrate`)?")
}

fn for_people(done: &Report) {
    if done.busy {
        println!("Another run is at work; nothing was done.");
        return;
    }
    let did = if done.dry_run { "Would have" } else { "Has" };
    if done.partitions_made.is_empty() && !done.dry_run {
        println!("All partitions are there.");
    }
    for month in &done.partitions_made {
        println!("Made the partition of {month}.");
    }
    if done.answers_forgotten > 0 {
        println!("Forgot {} answers.", done.answers_forgotten);
    }
    for month in &done.partitions_dropped {
        println!("{did} dropped the partition of {month}.");
    }
    if done.events_deleted + done.keys_deleted > 0 {
        println!("{did} deleted {} events and {} keys.", done.events_deleted, done.keys_deleted);
    }
    for month in &done.partitions_locked {
        println!("The partition of {month} is being read and could not be dropped: run it again.");
    }
    if done.default_rows > 0 {
        println!("The default partition still holds {} rows: run it again.", done.default_rows);
    }
}
