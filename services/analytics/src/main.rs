//! The analytics service as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    goalpost_analytics::main()
}
