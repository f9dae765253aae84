//! Why a request as a whole was not served.

use domain::fault::Fault;

/// One variant per cause; `code` is what the sender, the log and the metric see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a write token is needed: Authorization, X-Write-Key or ?write_key=")]
    MissingCredentials,
    #[error("the write token is unknown, expired or revoked")]
    InvalidCredentials,
    #[error("write tokens cannot be checked at the moment; send it again")]
    CredentialsUnavailable,
    #[error("the body must be application/json or text/plain")]
    UnsupportedContentType,
    #[error("{0}")]
    UnusableBody(Fault),
    #[error("none of the events could be taken")]
    AllRejected,
    #[error("too much is waiting to be stored or handed on; send it again")]
    Busy,
    #[error("storage is away; send it again")]
    StorageAway,
}

impl Error {
    /// Stable, the same in the answer, the log and the metric.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingCredentials => "missing_credentials",
            Self::InvalidCredentials => "invalid_credentials",
            Self::CredentialsUnavailable => "credentials_unavailable",
            Self::UnsupportedContentType => "unsupported_content_type",
            Self::UnusableBody(fault) => fault.code,
            Self::AllRejected => "all_rejected",
            Self::Busy => "overloaded",
            Self::StorageAway => "storage_unavailable",
        }
    }
}
