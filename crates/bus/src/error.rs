//! What can go wrong between a service and the broker.

use std::time::Duration;

/// A failure of the broker or of the way to it. All of them mean "try again later": nothing here
/// says anything about a single message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value in the settings cannot be used.
    #[error("the bus settings cannot be used: {0}")]
    Settings(String),
    /// The broker, or the connection to it, answered a call with an error.
    #[error("{call}: {source}")]
    Broker {
        /// The AMQP call that failed.
        call: &'static str,
        /// What lapin said.
        source: lapin::Error,
    },
    /// A call was not answered in time.
    #[error("{call} was not answered within {} ms", limit.as_millis())]
    TimedOut {
        /// The AMQP call that was given up.
        call: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// There is no connection at the moment.
    #[error("there is no connection to the broker")]
    Down,
    /// The broker has stopped taking messages (memory or disk alarm).
    #[error("the broker is blocking publishers")]
    Blocked,
}

impl Error {
    /// The stable name of this failure, for logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) => "bus_settings",
            Self::Broker { .. } => "broker_error",
            Self::TimedOut { .. } => "broker_timeout",
            Self::Down => "broker_down",
            Self::Blocked => "broker_blocked",
        }
    }
}

/// Waits for one lapin call, never longer than `limit`: lapin can wait for ever on a connection
/// that died in the middle of a call.
pub(crate) async fn within<T>(
    limit: Duration,
    call: &'static str,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(Error::Broker { call, source }),
        Err(_elapsed) => Err(Error::TimedOut { call, limit }),
    }
}
