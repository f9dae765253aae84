//! The section `http` of every service's settings.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::RateLimitSettings;

/// Where and how a service listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Address of the public port.
    pub host: String,
    /// The public port; 0 takes a free one.
    pub port: u16,
    /// Address of the admin port.
    pub admin_host: String,
    /// The admin port; 0 takes a free one.
    pub admin_port: u16,
    /// A file to write `{"url", "admin_url"}` to once both ports are open.
    pub announce_file: Option<PathBuf>,
    /// Threads of the public port.
    pub workers: usize,
    /// Open connections per worker; more wait.
    pub max_connections: usize,
    /// How long an idle connection is kept.
    pub keep_alive_seconds: u64,
    /// How long the head of a connection's first request may take.
    pub header_timeout_ms: u64,
    /// How long requests may go on after the stop; less than `life.drain_seconds`.
    pub shutdown_seconds: u64,
    /// How much a caller may ask for. Who a caller is, and what is counted, is the service's to say.
    pub rate_limit: RateLimitSettings,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8080,
            admin_host: "127.0.0.1".to_owned(),
            admin_port: 9090,
            announce_file: None,
            workers: 2,
            max_connections: 2_000,
            keep_alive_seconds: 15,
            header_timeout_ms: 5_000,
            shutdown_seconds: 10,
            rate_limit: RateLimitSettings::default(),
        }
    }
}
