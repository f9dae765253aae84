//! The settings of the service. `default.toml` has them all, with what they are for.

use serde::Deserialize;

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The two ports.
    pub http: web::HttpSettings,
    /// How callers who ask about people are known beside API keys.
    #[serde(default)]
    pub identity: web::IdentitySettings,
    /// The stages of the end.
    pub life: runtime::Life,
    /// Where traces go; the runtime crate reads it.
    pub telemetry: runtime::Telemetry,
    /// The two logins.
    pub database: pg::Settings,
    /// The broker, and which event names the queue `ingest.domain` is bound to.
    pub bus: bus::Settings,
    /// Bodies, and the queue behind the doors.
    pub intake: Intake,
    /// Browser tokens.
    pub browser: Browser,
    /// Grouping and storing.
    pub commit: Commit,
    /// Looking up who sends.
    pub lookup: Lookup,
    /// The consumer of `ingest.domain`.
    pub domain_events: DomainEvents,
    /// Forgetting people.
    pub people: People,
}

/// Forgetting people.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// How long an answer to an erasure waits for the reports of all services.
    pub erase_wait_ms: u64,
}

/// Bodies, and the queue behind the doors.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    /// Largest body of a request.
    pub max_body_bytes: usize,
    /// Largest body when it is expanded.
    pub max_expanded_bytes: usize,
    /// How long a body may take to arrive.
    pub body_deadline_ms: u64,
    /// Most bytes of requests that are being stored; more are turned away.
    pub queue_max_bytes: usize,
    /// Most events that are being stored; more are turned away.
    pub queue_max_events: usize,
    /// Most bytes of messages that wait for the bus; from there on everything is turned away until they have gone.
    pub spool_max_bytes: u64,
    /// How long a request waits for its verdicts.
    pub answer_timeout_ms: u64,
}

/// Browser tokens: public, and used by every visitor of a site.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Browser {
    /// As `http.rate_limit` for the tokens of servers.
    pub rate_limit: web::RateLimitSettings,
}

/// Grouping and storing.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Transactions at a time.
    pub committers: usize,
    /// Most events of one transaction, unless a single request has more.
    pub max_events: usize,
    /// Most bytes of one transaction, unless a single request has more.
    pub max_bytes: usize,
    /// Longest wait for a transaction to fill while another one is under way.
    pub max_wait_ms: u64,
}

/// Looking up who sends.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// How long an answer is kept. A revoked token is refused after this, and the next look-up's time.
    pub keep_ms: u64,
    /// How long a look-up may take.
    pub timeout_ms: u64,
    /// Most answers that are kept.
    pub max_entries: u64,
}

/// The consumer of `ingest.domain`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainEvents {
    /// Most messages handled at once.
    pub max_messages: usize,
    /// Most messages taken and not yet acknowledged.
    pub prefetch: u16,
}
