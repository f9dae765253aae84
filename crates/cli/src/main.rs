//! The `goalpost` command: one file per subcommand.
#![doc = include_str!("../README.md")]

mod audit;
mod credentials;
mod database;
mod dead_letters;
mod demo;
mod dev;
mod env;
mod key;
mod load;
mod maintain;
mod migrate;
mod openapi;
mod output;
mod serve;
mod store;
mod tenant;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "goalpost", version, about = "Goals for workflows: see when contacts reach them.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine, from nothing
    Dev(dev::Args),
    /// Run the main job on 69,659 real purchases, and compare what comes out
    Demo(demo::Args),
    /// Send events at a rate, and tell what became of them and how fast
    Load(load::Args),
    /// Print where everything of a running `goalpost dev` is, as shell variables
    Env,
    /// Run one service
    Serve(serve::Args),
    /// Print the OpenAPI document of a service
    Openapi(openapi::Args),
    /// Bring the database to the state this version needs
    Migrate(migrate::Args),
    /// Do what has to be done now and then
    Maintain(maintain::Args),
    /// Make and list tenants, and the logins of their analysts
    Tenant(tenant::Args),
    /// Make, list and revoke write tokens
    Token(token::Args),
    /// Make, list and revoke API keys
    Key(key::Args),
    /// Look at messages that were given up; give them again, or throw them away
    DeadLetters(dead_letters::Args),
    /// Find out whether anybody has changed the audit log
    Audit(audit::Args),
    /// Clean up after a `dev` that was killed (started by it, not by people)
    #[command(name = devstack::guard::COMMAND, hide = true)]
    DevGuard {
        /// Which `dev`
        mark: String,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Dev(args) => dev::main(&args),
        Command::Demo(args) => demo::main(&args),
        Command::Load(args) => load::main(&args),
        Command::Env => env::main(),
        Command::Serve(args) => Ok(serve::main(args)),
        Command::Openapi(args) => openapi::main(&args),
        Command::Migrate(args) => wait_for(migrate::main(&args)),
        Command::Maintain(args) => wait_for(maintain::main(&args)),
        Command::Tenant(args) => wait_for(tenant::main(&args)),
        Command::Token(args) => wait_for(token::main(&args)),
        Command::Key(args) => wait_for(key::main(&args)),
        Command::DeadLetters(args) => wait_for(dead_letters::main(&args)),
        Command::Audit(args) => wait_for(audit::main(&args)),
        Command::DevGuard { mark } => Ok(devstack::guard::main(&mark)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("goalpost: {error:#}");
        ExitCode::FAILURE
    })
}

/// Runs a command that only asks the database.
fn wait_for(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(command)
}
