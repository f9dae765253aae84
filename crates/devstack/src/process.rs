//! A child process: how it is started, watched, signalled and stopped.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::account::Account;
use crate::spawner::Spawner;

/// In the environment of every process of a stack, so that the guard finds them all.
pub(crate) const MARK: &str = "GOALPOST_STACK";

/// A process to be started under `setpriv`: its user, and the signal it gets when the stack's
/// own process dies.
pub(crate) struct Launch {
    command: Command,
    name: String,
}

impl Launch {
    /// `program` as `account`, in a process group of its own (a terminal's Ctrl-C must not reach
    /// it), writing to the end of `log`.
    pub(crate) fn background(
        program: &Path,
        account: Option<Account>,
        at_parents_death: Signal,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let mut launch = Self::new(program.as_os_str(), account, at_parents_death);
        launch.command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output).process_group(0);
        Ok(launch)
    }

    /// `program` with the caller's terminal, input and output, in the caller's process group.
    pub(crate) fn foreground(program: &OsStr) -> Self {
        Self::new(program, None, Signal::SIGTERM)
    }

    fn new(program: &OsStr, account: Option<Account>, at_parents_death: Signal) -> Self {
        let mut command = Command::new("setpriv");
        if let Some(Account { uid, gid }) = account {
            command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string()]);
            command.arg("--clear-groups");
        }
        command.args(["--pdeathsig", at_parents_death.as_str().trim_start_matches("SIG"), "--"]);
        command.arg(program);
        Self { command, name: program.to_string_lossy().into_owned() }
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts from an environment with nothing but `PATH` and a neutral locale and time zone.
    #[expect(clippy::disallowed_methods, reason = "passed on, not read")]
    pub(crate) fn clean_env(mut self) -> Self {
        let path = std::env::var_os("PATH")
            .unwrap_or_else(|| OsString::from("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"));
        self.command.env_clear().env("PATH", path).env("LANG", "C.UTF-8").env("TZ", "UTC");
        self
    }

    pub(crate) fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub(crate) async fn start(mut self, by: &Spawner, mark: &str) -> anyhow::Result<Process> {
        self.command.env(MARK, mark);
        let mut child = by
            .spawn(self.command)
            .await
            .with_context(|| format!("cannot start {} (is setpriv installed?)", self.name))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let Some(pid) = pid else { bail!("{} has no process id", self.name) };
        let (ended, exit) = watch::channel(None);
        attend(async move {
            // Waiting fails only if somebody else reaped the child; either way it is gone.
            let status = child.wait().await.unwrap_or_default();
            ended.send_replace(Some(status));
        });
        Ok(Process { pid, exit })
    }
}

/// A started process; it is reaped by a task of its own.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pid: Pid,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits for its end.
    pub(crate) async fn wait(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or_default(),
            // The reaping task went with its runtime.
            Err(_) => ExitStatus::default(),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended().is_none() {
            // It may have ended this moment; then there is nobody left to tell.
            let _ = kill(self.pid, signal);
        }
    }

    /// Sends each signal in turn, waiting as long as it says for the end; then kills.
    pub(crate) async fn stop(&self, signals: &[(Signal, Duration)]) -> ExitStatus {
        for (signal, patience) in signals {
            self.signal(*signal);
            if let Ok(status) = tokio::time::timeout(*patience, self.wait()).await {
                return status;
            }
        }
        self.signal(Signal::SIGKILL);
        self.wait().await
    }
}

/// Runs a task that belongs to a stack.
#[expect(clippy::disallowed_methods, reason = "these tasks only wait for children of the stack")]
pub(crate) fn attend(task: impl Future<Output = ()> + Send + 'static) {
    drop(Handle::current().spawn(task));
}

/// An error, and after it the end of the log that may tell why.
pub(crate) fn with_tail(error: anyhow::Error, log: &Path) -> anyhow::Error {
    anyhow::anyhow!("{error:#}; {}", tail(log))
}

/// The last lines of a log, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    const LINES: usize = 15;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    format!("the end of {}:\n  {}", log.display(), last.join("\n  "))
}

/// The first directory of `PATH`, or of the given ones, that holds an executable `name`.
#[expect(clippy::disallowed_methods, reason = "PATH is how programs are found")]
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0))
}
