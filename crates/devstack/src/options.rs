//! What a caller may choose about a stack.

use std::path::PathBuf;
use std::time::Duration;

/// Where a stack keeps its data, and which servers it uses.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) home: PathBuf,
    pub(crate) ephemeral: bool,
    pub(crate) guard_program: Option<PathBuf>,
    pub(crate) database_url: Option<String>,
    pub(crate) amqp_url: Option<String>,
    pub(crate) management_url: Option<String>,
    pub(crate) settled: Duration,
}

impl Options {
    /// Data that is still there at the next start. `home` (usually `.goalpost`) holds what
    /// [`Stack::publish`](crate::Stack::publish) writes, and the data or a link to it.
    /// Only one stack at a time can use a home this way.
    pub fn persistent(home: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            ephemeral: false,
            guard_program: None,
            database_url: None,
            amqp_url: None,
            management_url: None,
            settled: Duration::from_secs(10),
        }
    }

    /// Data in a new temporary directory that is removed at the end. `home` is only created if
    /// something is published.
    pub fn ephemeral(home: impl Into<PathBuf>) -> Self {
        Self { ephemeral: true, ..Self::persistent(home) }
    }

    /// Uses the servers that `DATABASE_URL` and `AMQP_URL` (with `AMQP_MANAGEMENT_URL`) name in
    /// the environment instead of private ones; each is looked at for itself.
    #[expect(clippy::disallowed_methods, reason = "the three variables are this crate's contract")]
    #[must_use]
    pub fn with_servers_of_environment(mut self) -> Self {
        let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        self.database_url = named("DATABASE_URL");
        self.amqp_url = named("AMQP_URL");
        self.management_url = named("AMQP_MANAGEMENT_URL");
        self
    }

    /// A service that ran at least this long before it ended is started again after the shortest pause (10 s
    /// unless changed).
    #[must_use]
    pub fn with_settled_after(mut self, settled: Duration) -> Self {
        self.settled = settled;
        self
    }

    /// The `goalpost` program that is run as guard; without this, the running program is taken
    /// to be it.
    #[must_use]
    pub fn with_guard_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.guard_program = Some(program.into());
        self
    }
}
