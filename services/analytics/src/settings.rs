//! What can be set; `default.toml` says what each means.

use serde::Deserialize;

/// The built-in settings.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// All settings of the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The two ports.
    pub http: web::HttpSettings,
    /// How callers are known beside API keys.
    #[serde(default)]
    pub identity: web::IdentitySettings,
    /// How it ends; the runtime crate reads it.
    pub life: runtime::Life,
    /// Where traces go; the runtime crate reads it.
    pub telemetry: runtime::Telemetry,
    /// Its logins.
    pub database: pg::Settings,
    /// Goal statistics.
    pub statistics: StatisticsSettings,
}

/// Section `statistics`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatisticsSettings {
    /// How old a cached answer may be. Seconds.
    pub cache_seconds: u64,
    /// Cached answers.
    pub cache_entries: u64,
}
