//! `goalpost dev`: everything on one machine, from nothing.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

use devstack::{Options, Signals, Stack};
use serde_json::json;

/// Where `dev.json` and the data, or a link to it, are: under the current directory.
const HOME: &str = ".goalpost";

/// Starts a private PostgreSQL and RabbitMQ (or uses those of DATABASE_URL and AMQP_URL), stays
/// in the foreground, and ends everything it started at SIGINT or SIGTERM.
#[derive(clap::Args)]
pub struct Args {
    /// Keep the data in a temporary directory and remove it at the end
    #[arg(long)]
    ephemeral: bool,
    /// Start only PostgreSQL and RabbitMQ, with temporary data
    #[arg(long)]
    servers_only: bool,
    /// Print what is where as JSON
    #[arg(long)]
    json: bool,
    /// With --servers-only: run this with DATABASE_URL, AMQP_URL and AMQP_MANAGEMENT_URL set,
    /// and end with its exit code
    #[arg(last = true, requires = "servers_only", value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub fn main(args: Args) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(servers_only(&args))
}

async fn servers_only(args: &Args) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let options = Options::ephemeral(HOME).with_servers_of_environment();
    let stack = tokio::select! {
        started = start(options) => started?,
        code = signals.next() => return Ok(code.into()),
    };
    let outcome = if args.command.is_empty() {
        print_servers(&stack, args.json);
        stay(&stack, &mut signals).await.map(|()| ExitCode::SUCCESS)
    } else {
        stack
            .run(&args.command, &mut signals)
            .await
            .map(ExitCode::from)
    };
    stack.stop().await?;
    outcome
}

async fn start(options: Options) -> anyhow::Result<Stack> {
    let begin = Instant::now();
    eprintln!("goalpost: starting PostgreSQL and RabbitMQ");
    let stack = Stack::start(options).await?;
    eprintln!(
        "goalpost: both answer after {:.1} s",
        begin.elapsed().as_secs_f32()
    );
    Ok(stack)
}

/// Waits until it is asked to end, or a server fails.
async fn stay(stack: &Stack, signals: &mut Signals) -> anyhow::Result<()> {
    tokio::select! {
        _ = signals.next() => Ok(()),
        failure = stack.failed() => Err(anyhow::Error::msg(failure)),
    }
}

fn print_servers(stack: &Stack, as_json: bool) {
    if as_json {
        let addresses = json!({
            "database_url": stack.database_url(),
            "amqp_url": stack.amqp_url(),
            "amqp_management_url": stack.management_url(),
        });
        println!("{addresses}");
    } else {
        for (name, value) in stack.environment() {
            println!("export {name}={value}");
        }
    }
}
