//! Secrets that come from files may be exchanged while a service runs (Vault Agent, CSI, External
//! Secrets): the files are looked at from time to time.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::settings::SecretFile;

/// Replicas see a new secret at about the same time; each waits up to this long, at random, so that
/// they do not all restart at once.
const SPREAD_MS: u64 = 10_000;

/// Resolves when one of `files` says something else, and `usable` is true of what is there now.
/// Never, if there are no files or `poll` is zero.
pub(crate) async fn changed(files: &[SecretFile], poll: Duration, usable: impl Fn() -> bool) {
    if files.is_empty() || poll.is_zero() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(poll).await;
        let Some(file) = files.iter().find(|file| file.changed()) else {
            continue;
        };
        if !usable() {
            tracing::warn!(?file, "a secret changed, but the settings are not valid with it");
            continue;
        }
        tracing::info!(?file, "a secret changed");
        let spread = SPREAD_MS.min(u64::try_from(poll.as_millis()).unwrap_or(SPREAD_MS));
        let wait_ms = RandomState::new().build_hasher().finish() % spread.max(1);
        return tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
}
