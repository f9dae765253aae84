//! The guard: a small process that outlives the stack's own.
//!
//! It reads orders from a pipe. At end of file it removes what it was told to remove, and if
//! nobody said before that everything has been stopped, it first ends every process that bears
//! the stack's mark. So a SIGKILL of the stack's process leaves nothing behind.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid, setsid};
use serde::{Deserialize, Serialize};

use crate::process::MARK;

/// The first argument with which [`main`] must be reached in the guard's program; the second is
/// the stack's mark.
pub const COMMAND: &str = "dev-guard";

/// How long processes may take to end by themselves (PostgreSQL its immediate shutdown, a
/// command its handling of SIGTERM) after their parent was killed.
const BY_THEMSELVES: Duration = Duration::from_millis(1500);
const BY_FORCE: Duration = Duration::from_millis(2500);
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Take the lock file; answered by one line, empty when it was taken.
    Lock(PathBuf),
    /// Remove this directory at the end.
    RemoveDirectory(PathBuf),
    /// Remove this directory at the end if it is empty then.
    RemoveIfEmpty(PathBuf),
    /// Remove this file at the end if it is still this very one.
    RemoveFile { path: PathBuf, inode: u64 },
    /// Remove those files now.
    Withdraw,
    /// Everything has been stopped; only remove.
    Stopped,
}

/// The stack's side of the guard. Dropping it waits until the guard has finished.
pub(crate) struct Guard {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Guard {
    pub(crate) fn start(program: &Path, mark: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args([COMMAND, mark])
            // A guard must not be swept by the guard of a stack around this one.
            .env_remove(MARK)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start the guard {}", program.display()))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the guard has no pipes");
        };
        Ok(Self { child, orders: Some(orders), answers: BufReader::new(answers) })
    }

    /// Takes a lock file for as long as the guard lives; fails if another stack has it. Blocks
    /// for some seconds while the guard of a killed stack is still cleaning.
    pub(crate) fn lock(&mut self, path: &Path) -> anyhow::Result<()> {
        self.order(&Order::Lock(path.to_owned()))?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).context("the guard does not answer")?;
        match answer.strip_suffix('\n') {
            Some("") => Ok(()),
            Some(refusal) => bail!("{refusal}"),
            None => bail!("the guard ended"),
        }
    }

    pub(crate) fn remove_directory(&mut self, path: &Path) -> anyhow::Result<()> {
        self.order(&Order::RemoveDirectory(path.to_owned()))
    }

    pub(crate) fn remove_if_empty(&mut self, path: &Path) -> anyhow::Result<()> {
        self.order(&Order::RemoveIfEmpty(path.to_owned()))
    }

    pub(crate) fn remove_file(&mut self, path: &Path, inode: u64) -> anyhow::Result<()> {
        self.order(&Order::RemoveFile { path: path.to_owned(), inode })
    }

    /// The stack begins to stop: what it published is no longer true.
    pub(crate) fn withdraw(&mut self) -> anyhow::Result<()> {
        self.order(&Order::Withdraw)
    }

    /// Everything was stopped in order: the guard need not look for processes.
    pub(crate) fn stopped(&mut self) -> anyhow::Result<()> {
        self.order(&Order::Stopped)
    }

    fn order(&mut self, order: &Order) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let orders = self.orders.as_mut().context("the guard has been dismissed")?;
        orders.write_all(&line).context("the guard has ended")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.orders.take());
        let limit = Instant::now() + BY_THEMSELVES + BY_FORCE + Duration::from_secs(3);
        while Instant::now() < limit {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

/// The guard's program: reached by `goalpost dev-guard MARK`, never by people.
pub fn main(mark: &str) -> ExitCode {
    // Out of the terminal's reach: Ctrl-C and a closed window are for the stack's process.
    // It fails only for a group leader, which has left the terminal's group already.
    let _ = setsid();
    let mut end = End::default();
    let mut _lock = None;
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Order::Lock(path)) => {
                let (taken, answer) = match take_lock(&path) {
                    Ok(file) => (Some(file), String::new()),
                    Err(refusal) => (None, refusal.to_string()),
                };
                _lock = taken;
                // If the stack's process has gone, end of file follows.
                let _ = writeln!(std::io::stdout(), "{answer}");
            }
            Ok(order) => end.note(order),
            Err(_) => return ExitCode::FAILURE,
        }
    }
    end.carry_out(mark);
    ExitCode::SUCCESS
}

/// What is to be done at end of file.
#[derive(Default)]
struct End {
    directories: Vec<PathBuf>,
    if_empty: Vec<PathBuf>,
    files: Vec<(PathBuf, u64)>,
    all_stopped: bool,
}

impl End {
    fn note(&mut self, order: Order) {
        match order {
            Order::RemoveDirectory(path) => self.directories.push(path),
            Order::RemoveIfEmpty(path) => self.if_empty.push(path),
            Order::RemoveFile { path, inode } => self.files.push((path, inode)),
            Order::Withdraw => self.withdraw(),
            Order::Stopped => self.all_stopped = true,
            Order::Lock(_) => {}
        }
    }

    fn withdraw(&mut self) {
        for (path, inode) in self.files.drain(..) {
            if path.metadata().is_ok_and(|found| found.ino() == inode) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn carry_out(&mut self, mark: &str) {
        self.withdraw();
        if !self.all_stopped {
            end_all(mark);
        }
        for directory in &self.directories {
            let limit = Instant::now() + Duration::from_secs(2);
            while std::fs::remove_dir_all(directory).is_err() && directory.exists() && Instant::now() < limit {
                std::thread::sleep(POLL);
            }
        }
        for directory in &self.if_empty {
            let _ = std::fs::remove_dir(directory);
        }
    }
}

fn end_all(mark: &str) {
    let start = Instant::now();
    loop {
        let left = marked(mark);
        if left.is_empty() || start.elapsed() > BY_THEMSELVES + BY_FORCE {
            return;
        }
        if start.elapsed() > BY_THEMSELVES {
            for pid in left {
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
        std::thread::sleep(POLL);
    }
}

/// The processes that were started with this mark in their environment.
fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
        })
        .map(Pid::from_raw)
        .collect()
}

/// Takes the lock, or says who has it. Waits while its holder's stack is dead and only its guard
/// is still at work.
fn take_lock(path: &Path) -> anyhow::Result<File> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    let start = Instant::now();
    while file.try_lock().is_err() {
        let holder = std::fs::read_to_string(path).unwrap_or_default();
        // One that is being killed looks alive for some milliseconds more.
        let patience = if is_alive(holder.trim()) { 1 } else { 10 };
        if start.elapsed() > Duration::from_secs(patience) {
            let pid = holder.split_whitespace().next().unwrap_or("unknown");
            bail!("a stack already runs here (process {pid}, lock {}): stop it, or use --ephemeral", path.display());
        }
        std::thread::sleep(POLL);
    }
    file.set_len(0)?;
    writeln!(file, "{}", identity(getppid().as_raw()).unwrap_or_default())?;
    Ok(file)
}

/// A process's id and start time, which together are never used twice.
fn identity(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in brackets that may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, start_time) = (fields.first()?, fields.get(19)?);
    (*state != "Z").then(|| format!("{pid} {start_time}"))
}

fn is_alive(holder: &str) -> bool {
    let pid = holder.split_whitespace().next().and_then(|pid| pid.parse().ok());
    pid.is_some_and(|pid| identity(pid).is_some_and(|found| found == holder))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_process_is_known_by_id_and_start_time() {
        let me = i32::try_from(std::process::id()).unwrap();
        let identity = identity(me).unwrap();
        assert!(is_alive(&identity));
        assert!(!is_alive(&format!("{me} 1")));
        assert!(!is_alive(""));
    }

    #[test]
    fn a_file_is_removed_only_if_it_is_still_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (same, other) = (dir.path().join("same"), dir.path().join("other"));
        std::fs::write(&same, "").unwrap();
        std::fs::write(&other, "").unwrap();
        let mut end = End { all_stopped: true, ..End::default() };
        for path in [&same, &other] {
            let inode = path.metadata().unwrap().ino();
            end.note(Order::RemoveFile { path: path.clone(), inode });
        }
        let newer = dir.path().join("newer");
        std::fs::write(&newer, "").unwrap();
        std::fs::rename(&newer, &other).unwrap();
        end.carry_out("unused");
        assert!(!same.exists());
        assert!(other.exists());
    }

    #[test]
    fn only_processes_with_the_mark_are_ended() {
        let start = |mark: &str| Command::new("sleep").arg("60").env(MARK, mark).spawn().unwrap();
        let (mut ours, mut foreign) = (start("guard-test-a"), start("guard-test-b"));
        end_all("guard-test-a");
        assert!(!ours.wait().unwrap().success());
        assert!(foreign.try_wait().unwrap().is_none());
        foreign.kill().unwrap();
        foreign.wait().unwrap();
    }
}
