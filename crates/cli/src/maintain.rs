//! `goalpost maintain`: what has to be done now and then.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use crate::database::DatabaseArgs;
use crate::output::OutputArgs;

/// Makes the partitions of the coming months, moves into their months the rows that the default
/// partition caught, and forgets what repeated requests would be answered (over HTTP after a day,
/// over the bus after a week). Run it daily; two at once do not harm. Needs the login
/// goalpost_maintainer or a superuser.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    /// For how many months after this one there are to be partitions
    #[arg(long, default_value_t = 3, value_name = "MONTHS", value_parser = clap::value_parser!(i32).range(1..=120))]
    months_ahead: i32,
    #[command(flatten)]
    output: OutputArgs,
}

/// A superuser must not own the partitions.
const BECOME: &str = "SET ROLE goalpost_maintainer";

pub async fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.database.connect().await?;
    client
        .execute(BECOME, &[])
        .await
        .context("the login may not maintain: use goalpost_maintainer or a superuser, after `goalpost migrate`")?;
    let done = pg::maintain::partitions(&client, args.months_ahead)
        .await
        .context("it could not be done: is the database migrated (`goalpost migrate`)?")?;
    let said = json!({
        "busy": done.busy,
        "partitions_made": done.partitions_made,
        "default_rows": done.default_rows,
        "answers_forgotten": done.answers_forgotten,
    });
    args.output.print(&said, || {
        if done.busy {
            println!("Another run is at work; nothing was done.");
        } else if done.partitions_made.is_empty() {
            println!("All partitions are there.");
        }
        for month in &done.partitions_made {
            println!("Made the partition of {month}.");
        }
        if done.answers_forgotten > 0 {
            println!("Forgot {} answers.", done.answers_forgotten);
        }
        if done.default_rows > 0 {
            println!("The default partition still holds {} rows: run it again.", done.default_rows);
        }
    })?;
    Ok(if done.default_rows > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
