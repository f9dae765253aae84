//! The signals that ask a stack's process to end.

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

/// SIGINT, SIGQUIT, SIGTERM and SIGHUP; once this was made they no longer end the process.
pub struct Signals {
    interrupt: unix::Signal,
    quit: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// Must be called inside a tokio runtime.
    pub fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal; gives the exit code by which a shell would tell of it.
    pub async fn next(&mut self) -> u8 {
        128 + match self.caught().await {
            Signal::SIGINT => 2,
            Signal::SIGQUIT => 3,
            Signal::SIGTERM => 15,
            _ => 1,
        }
    }

    pub(crate) async fn caught(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.quit.recv() => Signal::SIGQUIT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hangup.recv() => Signal::SIGHUP,
        }
    }
}
