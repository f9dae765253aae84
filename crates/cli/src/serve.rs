//! `goalpost serve`: one of the services, by the same code as its own binary.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

/// Which service, and its settings.
#[derive(clap::Args)]
pub struct Args {
    #[arg(value_enum)]
    service: Service,
    /// A TOML file over the built-in defaults; the environment (GOALPOST__SECTION__KEY) is over both
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the effective settings, secrets hidden, and end
    #[arg(long)]
    check_config: bool,
}

/// One of the four.
#[derive(Clone, Copy, ValueEnum)]
pub enum Service {
    Ingest,
    Goals,
    Evaluator,
    Analytics,
}

pub fn main(args: Args) -> ExitCode {
    let options = runtime::Options { config: args.config, check_config: args.check_config };
    match args.service {
        Service::Ingest => runtime::run("goalpost-ingest", ingest::DEFAULTS, &options, ingest::start),
        Service::Goals => runtime::run("goalpost-goals", goals::DEFAULTS, &options, goals::start),
        Service::Evaluator => runtime::run("goalpost-evaluator", evaluator::DEFAULTS, &options, evaluator::start),
        Service::Analytics => runtime::run("goalpost-analytics", analytics::DEFAULTS, &options, analytics::start),
    }
}
