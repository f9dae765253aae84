//! What can go wrong, and how it is answered.

use web::Problem;

/// A failure of this service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such workflow in the caller's tenant.
    #[error("there is no such workflow")]
    WorkflowNotFound,
    /// The database.
    #[error(transparent)]
    Database(#[from] pg::Error),
}

impl pg::Failure for Error {
    fn pg(&self) -> Option<&pg::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::WorkflowNotFound => None,
        }
    }
}

impl Error {
    /// The stable code: in the answer and in the log.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WorkflowNotFound => "not_found",
            Self::Database(error) if error.is_unavailable() => "database_unavailable",
            Self::Database(_) => "internal_error",
        }
    }

    /// The answer to the caller. What is not the caller's doing is logged here, once.
    pub fn problem(&self) -> Problem {
        match self {
            Self::WorkflowNotFound => Problem::not_found(),
            Self::Database(error) => {
                tracing::error!(code = self.code(), error = error as &dyn std::error::Error, "the database failed");
                if error.is_unavailable() {
                    Problem::unavailable(self.code(), "the database does not answer; try again")
                } else {
                    Problem::internal()
                }
            }
        }
    }
}
