//! The unprivileged user that a server runs as when the stack is started by root.

use std::path::Path;

use anyhow::{Context, bail};
use nix::unistd::{User, geteuid};

/// A user that owns a server's process and files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// The user `name`, else `nobody`. `None` when the stack does not run as root: then servers
    /// run as whoever started it.
    pub(crate) fn for_server(name: &str) -> anyhow::Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        for candidate in [name, "nobody"] {
            if let Some(user) = User::from_name(candidate).context("cannot read the users")? {
                return Ok(Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
            }
        }
        bail!("neither user {name} nor nobody exists; servers must not run as root")
    }
}

/// Gives a file or directory to a server's user.
pub(crate) fn give(path: &Path, account: Option<Account>) -> anyhow::Result<()> {
    if let Some(Account { uid, gid }) = account {
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .with_context(|| format!("cannot give {} to user {uid}", path.display()))?;
    }
    Ok(())
}
