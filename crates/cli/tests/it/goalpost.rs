//! Starts the built program in a directory of its own, and looks for what it leaves behind.

use std::ffi::OsStr;
use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_goalpost");

/// A `goalpost` that runs, and its current directory.
pub struct Goalpost {
    child: Child,
    dir: Option<tempfile::TempDir>,
}

/// What a stack is made of, to be looked for after its end.
#[derive(Debug)]
pub struct Traces {
    /// Texts that only its processes have in their arguments or environment.
    marks: Vec<String>,
    ports: Vec<u16>,
    dir: PathBuf,
}

impl Goalpost {
    /// Without the servers of the environment, so that it starts its own.
    pub fn start<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Self::start_with(args, &[])
    }

    pub fn start_with<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, env: &[(&str, &str)]) -> Self {
        Self::start_in(enterable_directory(), args, env)
    }

    /// In a directory where another was before it.
    pub fn start_in<A: AsRef<OsStr>>(
        dir: tempfile::TempDir,
        args: impl IntoIterator<Item = A>,
        env: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(&dir).env("TMPDIR", dir.path()).stdin(Stdio::null());
        for name in ["DATABASE_URL", "AMQP_URL", "AMQP_MANAGEMENT_URL"] {
            command.env_remove(name);
        }
        let child = command.envs(env.iter().copied()).spawn().unwrap();
        Self { child, dir: Some(dir) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.as_ref().unwrap().path().join(name)
    }

    /// Its directory, for the next one.
    pub fn into_dir(mut self) -> tempfile::TempDir {
        self.dir.take().unwrap()
    }

    /// The directory of its stack, once there is one.
    pub fn stack_directory(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.path(".")).unwrap().flatten();
        let mut names = entries.map(|entry| entry.path());
        names.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("goalpost-"))
    }

    /// What its stack is made of, whose data is in `dir`.
    pub fn traces(&self, dir: PathBuf) -> Traces {
        let mut traces = Traces::of(dir);
        // Persistent data has the mark of its first start in its name, and processes of theirs.
        let parent = format!("PPid:\t{}\n", self.child.id());
        let guards = processes().filter_map(|path| {
            let status = fs::read_to_string(path.join("status")).ok()?;
            let command = fs::read_to_string(path.join("cmdline")).ok()?;
            let mark = command.split_once("\0dev-guard\0")?.1.trim_end_matches('\0');
            status.contains(&parent).then(|| mark.to_owned())
        });
        traces.marks.extend(guards);
        assert_eq!(traces.marks.len(), 2, "{:?}", traces.marks);
        traces
    }

    /// The processes that it started whose arguments end like this.
    pub fn children(&self, arguments: &[&str]) -> Vec<Pid> {
        let ending = format!("\0{}\0", arguments.join("\0"));
        let parent = format!("PPid:\t{}\n", self.child.id());
        let found = processes().filter(|path| {
            let has = |file, text: &str| fs::read_to_string(path.join(file)).is_ok_and(|all| all.contains(text));
            has("status", &parent) && has("cmdline", &ending)
        });
        found.map(|path| Pid::from_raw(path.file_name().unwrap().to_str().unwrap().parse().unwrap())).collect()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits until a file of its directory is there, and reads it.
    pub fn file(&mut self, name: &str) -> String {
        let path = self.path(name);
        wait_until(Duration::from_secs(60), || {
            assert!(self.child.try_wait().unwrap().is_none(), "goalpost ended early");
            path.exists()
        });
        fs::read_to_string(path).unwrap()
    }

    pub fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until(Duration::from_secs(60), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Goalpost {
    fn drop(&mut self) {
        // Only after a failed test does it still run.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Traces {
    /// Of a stack that is running.
    pub fn of(dir: PathBuf) -> Self {
        let mark = dir.to_str().unwrap().rsplit('-').next().unwrap().to_owned();
        let secrets = fs::read_to_string(dir.join("secrets.json")).unwrap();
        let secrets: serde_json::Value = serde_json::from_str(&secrets).unwrap();
        let ports = secrets["ports"].as_object().unwrap().values();
        let ports: Vec<u16> = ports.map(|port| port.as_u64().unwrap().try_into().unwrap()).collect();
        assert!(ports.len() >= 6, "{ports:?}");
        let traces = Self { marks: vec![mark], ports, dir };
        assert!(traces.processes().len() >= 4, "{:?}", traces.processes());
        traces
    }

    /// Fails unless within `limit` no process, open port or directory is left.
    pub fn vanish_within(&self, limit: Duration) {
        wait_until(limit, || self.left().is_empty());
    }

    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// Whatever is left now.
    pub fn left(&self) -> Vec<String> {
        let mut left = self.processes();
        for port in &self.ports {
            if TcpStream::connect(("127.0.0.1", *port)).is_ok() {
                left.push(format!("port {port}"));
            }
        }
        if self.dir.exists() {
            left.push(self.dir.display().to_string());
        }
        left
    }

    /// Every process that was started by the stack, or names its directory; the guard too.
    fn processes(&self) -> Vec<String> {
        let has = |path: PathBuf| {
            fs::read(path).is_ok_and(|text| {
                let text = String::from_utf8_lossy(&text);
                self.marks.iter().any(|mark| text.contains(mark))
            })
        };
        processes()
            .filter(|path| has(path.join("environ")) || has(path.join("cmdline")))
            .map(|path| format!("{} {:?}", path.display(), fs::read_to_string(path.join("cmdline"))))
            .collect()
    }
}

/// A temporary directory that the servers' users can enter.
pub fn enterable_directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.join("cmdline").exists())
}

/// The value of a variable in the output of `env`.
pub fn variable(environment: &str, name: &str) -> String {
    let mut lines = environment.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in {environment}")).to_owned()
}

/// Polls until `done`, at most for `limit`.
pub fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < end, "not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether somebody listens at the host and port of an address.
pub fn listens(address: &str) -> bool {
    let host = address.rsplit('@').next().unwrap().split('/').next().unwrap();
    host.to_socket_addrs().unwrap().any(|address| TcpStream::connect(address).is_ok())
}

pub fn exists(path: impl AsRef<Path>) -> bool {
    path.as_ref().symlink_metadata().is_ok()
}
