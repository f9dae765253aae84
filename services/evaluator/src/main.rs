//! The evaluator as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    goalpost_evaluator::main()
}
