//! Why a request as a whole was not served, or a message not taken.

use domain::fault::Fault;

/// One variant per cause; `code` is what the sender, the log and the metric see.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a write token is needed: Authorization, X-Write-Key or ?write_key=")]
    MissingCredentials,
    #[error("the write token is unknown, expired or revoked")]
    InvalidCredentials,
    #[error("pages of this origin may not use this write token")]
    OriginNotAllowed,
    #[error("write tokens cannot be checked at the moment; send it again")]
    CredentialsUnavailable,
    #[error("the body must be application/json or text/plain")]
    UnsupportedContentType,
    #[error("the body is encoded otherwise than as gzip, deflate, br or zstd, or more than once")]
    UnsupportedEncoding,
    #[error("the body is not what its encoding says, or is cut off")]
    MalformedEncoding,
    #[error("the body is larger than {0} bytes when it is expanded")]
    ExpandsTooFar(usize),
    #[error("{0}")]
    UnusableBody(Fault),
    #[error("none of the events could be taken")]
    AllRejected,
    #[error("too much is waiting to be stored or handed on; send it again")]
    Busy,
    #[error("storage is away; send it again")]
    StorageAway,
    #[error("there is no such object")]
    NotFound,
    #[error("the user is linked to another contact")]
    AlreadyIdentified,
    #[error("the link of the user kept changing")]
    Overtaken,
    #[error("{0}")]
    Invalid(Fault),
    #[error("the key was used for another request")]
    KeyReused,
    #[error("the database did not do it")]
    Database(#[source] pg::Error),
}

impl From<pg::Error> for Error {
    fn from(error: pg::Error) -> Self {
        match error {
            pg::Error::KeyReused => Self::KeyReused,
            error => Self::Database(error),
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Invalid(fault)
    }
}

impl pg::Failure for Error {
    fn pg(&self) -> Option<&pg::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl Error {
    /// Stable, the same in the answer, the log and the metric.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingCredentials => "missing_credentials",
            Self::InvalidCredentials => "invalid_credentials",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::CredentialsUnavailable => "credentials_unavailable",
            Self::UnsupportedContentType => "unsupported_content_type",
            Self::UnsupportedEncoding => "unsupported_content_encoding",
            Self::MalformedEncoding => "malformed_encoding",
            Self::ExpandsTooFar(_) => "body_too_large",
            Self::UnusableBody(fault) => fault.code,
            Self::AllRejected => "all_rejected",
            Self::Busy => "overloaded",
            Self::StorageAway => "storage_unavailable",
            Self::NotFound => "not_found",
            Self::AlreadyIdentified => "already_identified",
            Self::Overtaken => "overtaken",
            Self::Invalid(fault) => fault.code,
            Self::KeyReused => pg::once::KEY_REUSED,
            Self::Database(error) if error.is_unavailable() => "storage_unavailable",
            Self::Database(_) => "internal",
        }
    }
}
