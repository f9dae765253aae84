//! `goalpost openapi`: what a service says of its HTTP, without running it.

use std::io::Write;
use std::process::ExitCode;

use crate::serve::Service;

/// Which service.
#[derive(clap::Args)]
pub struct Args {
    #[arg(value_enum)]
    service: Service,
}

/// Prints the document that the service has at `/openapi.json`.
pub fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let operations = match args.service {
        Service::Ingest => ingest::operations(),
        Service::Goals => goals::operations(),
        Service::Evaluator => evaluator::operations(),
        Service::Analytics => analytics::operations(),
    };
    std::io::stdout().write_all(operations.document().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
