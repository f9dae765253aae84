//! `goalpost dev`: everything on one machine, from nothing.

mod installation;
mod place;
mod services;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use devstack::{Options, Signals, Stack};
use serde_json::json;

pub use place::{Running, up};

/// Where `dev.json` and the data, or a link to it, are: under the current directory.
pub const HOME: &str = ".goalpost";

/// Starts a private PostgreSQL and RabbitMQ (or uses those of DATABASE_URL and AMQP_URL), makes a
/// tenant `demo` with its tokens, starts the four services, and says in .goalpost/dev.json where
/// everything is. Stays in the foreground; SIGINT or SIGTERM ends everything it started.
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

pub fn main(args: &Args) -> anyhow::Result<ExitCode> {
    init_log();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async { if args.servers_only { servers_only(args).await } else { everything(args).await } })
}

/// What the stack says while it runs, such as that a service was started again.
fn init_log() {
    tracing_subscriber::fmt()
        .with_env_filter("warn,goalpost_devstack=info")
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

async fn everything(args: &Args) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let options = if args.ephemeral { Options::ephemeral(HOME) } else { Options::persistent(HOME) };
    let running = tokio::select! {
        started = up(options.with_servers_of_environment()) => started?,
        code = signals.next() => return Ok(code.into()),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&running.place)?);
    } else {
        print!("{}", running.place.for_people(running.stack.dir(), args.ephemeral));
    }
    let outcome = tokio::select! {
        outcome = stay(&running.stack, &mut signals) => outcome,
        never = installation::maintain_daily(running.stack.database_url()) => match never {},
    };
    eprintln!("goalpost: stopping");
    running.stack.stop().await?;
    outcome
}

async fn servers_only(args: &Args) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let options = Options::ephemeral(HOME).with_servers_of_environment();
    let stack = tokio::select! {
        started = servers(options) => started?,
        code = signals.next() => return Ok(code.into()),
    };
    let outcome = if args.command.is_empty() {
        print_servers(&stack, args.json);
        stay(&stack, &mut signals).await
    } else {
        stack.run(&args.command, &mut signals).await.map(ExitCode::from)
    };
    stack.stop().await?;
    outcome
}

async fn servers(options: Options) -> anyhow::Result<Stack> {
    let begin = Instant::now();
    eprintln!("goalpost: starting PostgreSQL and RabbitMQ");
    let stack = Stack::start(options).await?;
    eprintln!("goalpost: both answer after {:.1} s", begin.elapsed().as_secs_f32());
    Ok(stack)
}

/// Waits until it is asked to end, or a server fails.
async fn stay(stack: &Stack, signals: &mut Signals) -> anyhow::Result<ExitCode> {
    tokio::select! {
        _ = signals.next() => Ok(ExitCode::SUCCESS),
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
