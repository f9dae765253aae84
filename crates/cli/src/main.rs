//! The `goalpost` command: one file per subcommand.

mod dev;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "goalpost",
    version,
    about = "Goals for workflows: see when contacts reach them."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine, from nothing
    Dev(dev::Args),
    /// Clean up after a `dev` that was killed (started by it, not by people)
    #[command(name = devstack::guard::COMMAND, hide = true)]
    DevGuard {
        /// Which `dev`
        mark: String,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Dev(args) => dev::main(args),
        Command::DevGuard { mark } => Ok(devstack::guard::main(&mark)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("goalpost: {error:#}");
        ExitCode::FAILURE
    })
}
