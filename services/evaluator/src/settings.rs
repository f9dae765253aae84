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
    /// Matching and judging.
    pub evaluation: EvaluationSettings,
    /// What a goal would have done.
    pub simulation: SimulationSettings,
    /// Telling what has come due.
    pub announcing: AnnouncingSettings,
}

/// Section `announcing`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnnouncingSettings {
    /// Between two looks for due actions, in milliseconds. 0: this process announces none.
    pub poll_ms: u64,
    /// Most actions of one transaction.
    pub batch: u16,
    /// Transactions under way at the same time.
    pub at_once: usize,
}

/// Section `simulation`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulationSettings {
    /// Simulations that run at the same time in this process. 0: none is run.
    pub at_once: usize,
    /// How long one may take.
    pub limit_seconds: u64,
}

/// Section `evaluation`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationSettings {
    /// Consumers of stored events in this process. 0: none, the process serves the API and rechecks.
    pub consumers: usize,
    /// Most events of one micro-batch.
    pub max_events: usize,
    /// Most chunks that one consumer takes at once.
    pub max_messages: usize,
    /// Chunks that are delivered to one consumer and not yet acknowledged.
    pub prefetch: u16,
    /// Most pairs of workflow and contact in one transaction.
    pub transaction_pairs: usize,
    /// Most transactions that one micro-batch has under way.
    pub transactions_at_once: usize,
    /// Most rechecks that are taken at once.
    pub max_rechecks: usize,
    /// Tenants whose configuration is kept in memory.
    pub max_tenants: usize,
}
