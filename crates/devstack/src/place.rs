//! The directories of a stack, and the little it must remember from one start to the next.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

use crate::account::{Account, give};
use crate::guard::Guard;
use crate::machine::{free_port, is_free, random_text};
use crate::options::Options;

/// Secrets and ports, kept in `secrets.json` (mode 0600) beside the data.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Memory {
    pub(crate) postgres_password: String,
    pub(crate) rabbitmq_password: String,
    pub(crate) cookie: String,
    pub(crate) node: String,
    ports: BTreeMap<String, u16>,
}

impl Memory {
    fn new(mark: &str) -> Self {
        Self {
            postgres_password: random_text(32),
            rabbitmq_password: random_text(32),
            cookie: random_text(32),
            node: format!("goalpost-{mark}@localhost"),
            ports: BTreeMap::new(),
        }
    }
}

/// Where a stack lives.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) ephemeral: bool,
    pub(crate) memory: Memory,
}

impl Place {
    /// Makes or finds the directories, and tells the guard which of them to remove at the end.
    pub(crate) fn prepare(options: &Options, mark: &str, guard: &mut Guard) -> anyhow::Result<Self> {
        let dir = if options.ephemeral {
            let dir = new_directory_path(mark)?;
            guard.remove_directory(&dir)?;
            make_directory(&dir, 0o711)?;
            dir
        } else {
            make_directory(&options.home, 0o700)?;
            guard.lock(&options.home.join("lock"))?;
            persistent_directory(&options.home, mark)?
        };
        let logs = dir.join("logs");
        if logs.exists() {
            fs::remove_dir_all(&logs).context("cannot remove the logs of the last start")?;
        }
        make_directory(&logs, 0o700)?;
        let memory = match fs::read(dir.join("secrets.json")) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| {
                format!("{} is damaged: remove {}", dir.join("secrets.json").display(), dir.display())
            })?,
            Err(_) => Memory::new(mark),
        };
        let place = Self { dir, ephemeral: options.ephemeral, memory };
        place.remember()?;
        Ok(place)
    }

    /// Where `name` writes its output; emptied at each start of the stack.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    /// The port `name` had at the last start if it is free, else a new one.
    pub(crate) fn port(&mut self, name: &str) -> anyhow::Result<u16> {
        if let Some(port) = self.memory.ports.get(name).filter(|port| is_free(**port)) {
            return Ok(*port);
        }
        let port = loop {
            let port = free_port()?;
            if !self.memory.ports.values().any(|taken| *taken == port) {
                break port;
            }
        };
        self.memory.ports.insert(name.to_owned(), port);
        self.remember()?;
        Ok(port)
    }

    fn remember(&self) -> anyhow::Result<()> {
        write_private(&self.dir.join("secrets.json"), &serde_json::to_vec_pretty(&self.memory)?)
    }
}

/// Writes a file with mode 0600 in one step: a reader sees the old text or the new one.
pub(crate) fn write_private(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let beside = path.with_extension(format!("new-{}", random_text(8)));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Makes a directory unless it is there; its parents must exist.
pub(crate) fn make_directory(path: &Path, mode: u32) -> anyhow::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().mode(mode).create(path).with_context(|| format!("cannot make {}", path.display()))?;
    // Whatever the umask took away.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// A directory that belongs to a server's user and is closed to others.
pub(crate) fn server_directory(path: &Path, account: Option<Account>) -> anyhow::Result<()> {
    make_directory(path, 0o700)?;
    give(path, account)
}

/// `<home>/data`: a directory for ordinary users; for root a link to one that the servers' users
/// can reach, because they can neither be root nor enter a closed home directory.
fn persistent_directory(home: &Path, mark: &str) -> anyhow::Result<PathBuf> {
    let data = home.join("data");
    if !geteuid().is_root() {
        make_directory(&data, 0o700)?;
        return data.canonicalize().context("cannot find the data directory");
    }
    if let Ok(target) = fs::read_link(&data) {
        let ours = target.symlink_metadata().is_ok_and(|found| found.is_dir() && found.uid() == 0);
        if ours {
            return Ok(target);
        }
        fs::remove_file(&data).context("cannot remove the old link to the data")?;
    }
    let target = new_directory_path(mark)?;
    make_directory(&target, 0o711)?;
    symlink(&target, &data).with_context(|| format!("cannot link {} to {}", data.display(), target.display()))?;
    Ok(target)
}

/// A name under the temporary folder, or under `/tmp` if other users cannot enter that.
fn new_directory_path(mark: &str) -> anyhow::Result<PathBuf> {
    let folders = [std::env::temp_dir(), PathBuf::from("/tmp")];
    let enterable = |folder: &&PathBuf| {
        !geteuid().is_root()
            || folder.ancestors().all(|part| part.metadata().is_ok_and(|found| found.mode() & 0o001 != 0))
    };
    let Some(folder) = folders.iter().find(enterable) else {
        bail!("neither {} nor /tmp can be entered by the servers' users", folders[0].display());
    };
    let path = folder.join(format!("goalpost-{mark}"));
    if path.symlink_metadata().is_ok() {
        bail!("{} exists already", path.display());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn place(dir: &Path) -> Place {
        let memory = Memory::new("test");
        Place { dir: dir.to_owned(), ephemeral: false, memory }
    }

    #[test]
    fn a_port_is_kept_while_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let mut place = place(dir.path());
        let port = place.port("postgres").unwrap();
        assert_eq!(place.port("postgres").unwrap(), port);
        assert_ne!(place.port("amqp").unwrap(), port);
        let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert_ne!(place.port("postgres").unwrap(), port);
    }

    #[test]
    fn private_files_are_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev.json");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
