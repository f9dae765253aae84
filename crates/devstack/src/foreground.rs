//! A command that runs in front of a stack, with the caller's terminal.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::process::{Launch, Process};
use crate::signals::Signals;
use crate::stack::Stack;

/// How long the command may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

impl Stack {
    /// Runs a command with the addresses of the servers in `DATABASE_URL`, `AMQP_URL` and
    /// `AMQP_MANAGEMENT_URL`, and gives its exit code (128 + n if signal n ended it, 127 if
    /// there is no such program). SIGTERM and SIGHUP are passed on and ten seconds later
    /// enforced; SIGINT and SIGQUIT are passed on unless they came from a terminal, which sends
    /// them to the command itself.
    pub async fn run(&self, command: &[OsString], signals: &mut Signals) -> anyhow::Result<u8> {
        let (program, args) = command.split_first().context("no command was given")?;
        let mut launch = Launch::foreground(program).args(args);
        for (name, value) in self.environment() {
            launch = launch.env(name, value);
        }
        let process = launch.start(self.spawner(), self.mark()).await?;
        let mut limit = None;
        let mut asked = false;
        loop {
            let signal = tokio::select! {
                status = process.wait() => return Ok(exit_code(status)),
                () = until(limit) => {
                    limit = None;
                    Signal::SIGKILL
                }
                failure = self.failed(), if !asked => {
                    tracing::error!("{failure}");
                    Signal::SIGTERM
                }
                signal = signals.caught() => signal,
            };
            pass_on(&process, signal);
            if !asked && matches!(signal, Signal::SIGTERM | Signal::SIGHUP) {
                asked = true;
                limit = Some(Instant::now() + PATIENCE);
            }
        }
    }
}

fn pass_on(process: &Process, signal: Signal) {
    let of_terminal = matches!(signal, Signal::SIGINT | Signal::SIGQUIT);
    if !(of_terminal && in_terminals_foreground()) {
        process.signal(signal);
    }
}

/// Whether a terminal's Ctrl-C reaches this process (and so the command, which is in the same
/// process group) directly.
fn in_terminals_foreground() -> bool {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // After the name: state, parent, process group, session, terminal, its foreground group.
    matches!((fields.get(2), fields.get(5)), (Some(group), Some(front)) if group == front)
}

async fn until(limit: Option<Instant>) {
    match limit {
        Some(limit) => tokio::time::sleep_until(limit).await,
        None => std::future::pending().await,
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(15)), 143);
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
    }
}
