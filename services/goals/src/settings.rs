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
    /// The stages of the end; the runtime crate reads it.
    pub life: runtime::Life,
    /// Where traces go; the runtime crate reads it.
    pub telemetry: runtime::Telemetry,
    /// The two logins.
    pub database: pg::Settings,
    /// The broker.
    pub bus: bus::Settings,
    /// The gauge of listeners.
    pub listeners: ListenerSettings,
}

/// Section `listeners`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerSettings {
    /// How often they are counted for the gauge. Seconds.
    pub count_every_seconds: std::num::NonZeroU64,
}
