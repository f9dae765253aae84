//! How a service reaches PostgreSQL: its two logins and the sizes of their pools.

use serde::{Deserialize, Serialize};

/// Section `database` of every service's settings.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Connection URL of the login that works in one tenant per transaction (`goalpost_<service>`). A secret.
    pub url: String,
    /// Connection URL of the narrower login for the jobs that cross tenants (`goalpost_<service>_system`). A secret.
    pub system_url: String,
    /// Most connections of the tenant login.
    #[serde(default = "pool_size")]
    pub pool_size: usize,
    /// Most connections of the system login.
    #[serde(default = "system_pool_size")]
    pub system_pool_size: usize,
    /// A transaction that takes longer is cancelled and its connection dropped. Milliseconds.
    #[serde(default = "tx_timeout_ms")]
    pub tx_timeout_ms: u64,
}

fn pool_size() -> usize {
    8
}

fn system_pool_size() -> usize {
    3
}

fn tx_timeout_ms() -> u64 {
    20_000
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("url", &"[redacted]")
            .field("system_url", &"[redacted]")
            .field("pool_size", &self.pool_size)
            .field("system_pool_size", &self.system_pool_size)
            .field("tx_timeout_ms", &self.tx_timeout_ms)
            .finish()
    }
}
