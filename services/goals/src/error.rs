//! Everything that a request to this service can be refused for, and what the refusal says.

use domain::fault::Fault;
use domain::goal::ReferenceKind;
use domain::ids::{GoalId, TenantId};
use domain::workflow::{InvalidTransition, MAX_GOALS};
use web::Problem;

use crate::credentials::MOST_LIVE_TOKENS;
use crate::event_types::MOST_TYPES;

/// Why something was not done. `code()` is stable: it is in the answer, the log and the metric.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such object")]
    NotFound,
    #[error("the tenant {0} exists already")]
    TenantExists(TenantId),
    #[error("a tenant has at most {} write tokens that work: revoke one first", MOST_LIVE_TOKENS)]
    TooManyLiveTokens,
    #[error("a credential with the id {0} exists already and is another one")]
    CredentialTaken(String),
    #[error("{0}")]
    InvalidSecret(&'static str),
    #[error(transparent)]
    InvalidTransition(#[from] InvalidTransition),
    #[error("Maximum of {MAX_GOALS} goals per workflow exceeded")]
    MaxGoalsExceeded,
    #[error("Referenced {kind} does not exist")]
    ReferenceNotFound { kind: ReferenceKind, fault: Fault },
    #[error("the workflow has a goal with the same criteria")]
    DuplicateGoal(GoalId),
    #[error("Invalid goal configuration: {reason}")]
    InvalidGoalConfiguration { goal: GoalId, reason: String },
    #[error("{0} is built in, and as it is")]
    BuiltinEventType(String),
    #[error("a tenant has at most {MOST_TYPES} event types: delete one first")]
    TooManyEventTypes,
    #[error("another version is there")]
    VersionConflict(Option<i32>),
    #[error("{}", .0.message)]
    Invalid(Fault),
    #[error("the key was used for another request")]
    KeyReused,
    #[error("the secret was shown by the answer to this request, and is shown once")]
    SecretAlreadyShown(String),
    #[error("the database did not do it")]
    Database(#[source] pg::Error),
}

impl Error {
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::TenantExists(_) => "tenant_exists",
            Self::TooManyLiveTokens => "too_many_live_tokens",
            Self::CredentialTaken(_) => "credential_taken",
            Self::InvalidSecret(_) => "invalid_secret",
            Self::InvalidTransition(_) => "invalid_transition",
            Self::MaxGoalsExceeded => "max_goals_exceeded",
            Self::ReferenceNotFound { .. } => "reference_not_found",
            Self::DuplicateGoal(_) => "duplicate_goal",
            Self::InvalidGoalConfiguration { .. } => "invalid_goal_configuration",
            Self::BuiltinEventType(_) => "builtin_event_type",
            Self::TooManyEventTypes => "too_many_event_types",
            Self::VersionConflict(_) => "version_conflict",
            Self::Invalid(fault) => fault.code,
            Self::KeyReused => pg::once::KEY_REUSED,
            Self::SecretAlreadyShown(_) => "secret_already_shown",
            Self::Database(error) if error.is_unavailable() => "database_unavailable",
            Self::Database(_) => "internal",
        }
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

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (code, message) = (error.code(), error.to_string());
        match error {
            Error::NotFound => Self::not_found(),
            Error::VersionConflict(version) => web::version::conflict(version),
            Error::TenantExists(_)
            | Error::TooManyLiveTokens
            | Error::CredentialTaken(_)
            | Error::BuiltinEventType(_)
            | Error::TooManyEventTypes
            | Error::InvalidTransition(_)
            | Error::KeyReused => Self::conflict(code, message),
            Error::SecretAlreadyShown(id) => Self::conflict(code, message).with_extra("id", id.into()),
            Error::DuplicateGoal(goal) => Self::conflict(code, message).with_extra("goal_id", goal.to_string().into()),
            Error::MaxGoalsExceeded | Error::InvalidSecret(_) => Self::bad_request(code, message),
            Error::ReferenceNotFound { fault, .. } | Error::Invalid(fault) => {
                Self::bad_request(code, message).with_errors(vec![fault])
            }
            Error::InvalidGoalConfiguration { goal, .. } => {
                Self::bad_request(code, message).with_extra("goal_id", goal.to_string().into())
            }
            Error::Database(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, code, "a request failed");
                if error.is_unavailable() {
                    Self::unavailable(code, "the database is not available")
                } else {
                    Self::internal()
                }
            }
        }
    }
}
