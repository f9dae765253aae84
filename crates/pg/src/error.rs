//! What can go wrong between us and PostgreSQL, and what follows from it.

use tokio_postgres::error::{DbError, SqlState};

/// A failure of the database or of the way to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be had in time.
    #[error("no connection to the database could be had: {0}")]
    Pool(String),
    /// A statement failed, or the connection did.
    #[error("a statement failed")]
    Postgres(#[from] tokio_postgres::Error),
    /// The transaction took longer than `tx_timeout_ms`; it was cancelled.
    #[error("transaction {0} took too long and was cancelled")]
    Timeout(&'static str),
    /// The connection broke while COMMIT was under way, and the server says that it did not happen.
    #[error("the commit of {0} was lost on its way, and rolled back")]
    CommitRolledBack(&'static str),
    /// The connection broke while COMMIT was under way, and nobody could say what became of it: committed or not.
    #[error("the outcome of the commit of {0} is unknown")]
    CommitUnknown(&'static str),
    /// A statement of the transaction had failed, so COMMIT could only have rolled back.
    #[error("transaction {0} went on after a failed statement")]
    Poisoned(&'static str),
    /// The code inside the transaction panicked; nothing was committed.
    #[error("transaction {0} panicked")]
    Panicked(&'static str),
    /// Something else was asked for under the key of a request that is carried out once.
    #[error("the key was used for another request")]
    KeyReused,
    /// A stored value is not what the code expects.
    #[error("a stored value cannot be read: {0}")]
    Decode(String),
}

/// Implemented by a service's error enum so that the transaction runner can see the database failure inside it.
pub trait Failure: From<Error> + Send + 'static {
    /// The database failure that caused this error, if one did.
    fn pg(&self) -> Option<&Error>;
}

impl Failure for Error {
    fn pg(&self) -> Option<&Error> {
        Some(self)
    }
}

impl Error {
    /// The SQLSTATE, where the server answered with one.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        match self {
            Self::Postgres(error) => error.code(),
            _ => None,
        }
    }

    /// The name of the violated constraint, where one was.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Postgres(error) => error.as_db_error().and_then(DbError::constraint),
            _ => None,
        }
    }

    /// Whether running the whole transaction again may succeed: serialization failure, deadlock, lock not available, a
    /// cached plan that a migration made stale, or a COMMIT that is known not to have happened.
    pub fn is_retryable(&self) -> bool {
        if matches!(self, Self::CommitRolledBack(_)) {
            return true;
        }
        self.sqlstate().is_some_and(|state| {
            [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED, &SqlState::LOCK_NOT_AVAILABLE]
                .contains(&state)
                || self.is_stale_plan()
        })
    }

    /// A cached statement whose result type changed under it (`0A000`).
    pub fn is_stale_plan(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED)
            && error.as_db_error().is_some_and(|db| db.message().contains("cached plan")))
    }

    /// Whether the data itself was refused (classes 22, 23, 54): trying again cannot help.
    pub fn is_data_error(&self) -> bool {
        self.sqlstate().is_some_and(|state| {
            let code = state.code();
            code.starts_with("22") || code.starts_with("23") || code.starts_with("54")
        })
    }

    /// Whether the server takes no writes now: it is a standby, or was told so (`25006`).
    pub fn is_read_only(&self) -> bool {
        self.sqlstate() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
    }

    /// Whether the next connection may be to another server: this one is gone, going, or takes no writes.
    pub fn is_elsewhere(&self) -> bool {
        match self {
            Self::Pool(_) => true,
            Self::Postgres(error) => {
                error.code().is_none_or(|state| state.code().starts_with("57P")) || self.is_read_only()
            }
            _ => false,
        }
    }

    /// Whether this is the database being away, slow or overloaded rather than anything about the request.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Pool(_) | Self::Timeout(_) | Self::CommitRolledBack(_) | Self::CommitUnknown(_) => true,
            Self::Postgres(error) => match error.code() {
                None => true,
                Some(state) => {
                    let code = state.code();
                    let away = ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class));
                    away || self.is_read_only() || self.is_retryable()
                }
            },
            Self::Poisoned(_) | Self::Panicked(_) | Self::KeyReused | Self::Decode(_) => false,
        }
    }
}
