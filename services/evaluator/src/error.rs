//! What can go wrong here, and what each thing is called: the code is the same in the answer, the log and the metric.

use domain::ids::EnrollmentId;

/// A failure of a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such workflow")]
    WorkflowNotFound,
    #[error("there is no such enrollment")]
    EnrollmentNotFound,
    #[error("there is no such action")]
    ActionNotFound,
    #[error("the contact is already enrolled in this workflow")]
    AlreadyEnrolled(EnrollmentId),
    #[error("the contact was enrolled in this workflow before, and it does not allow re-entry")]
    ReentryNotAllowed,
    #[error("the enrollment has ended")]
    EnrollmentExited,
    #[error("the workflow is not active")]
    WorkflowNotActive,
    #[error("the action is not pending")]
    ActionNotPending,
    #[error("the action is not running")]
    ActionNotRunning,
    /// Something changed between two statements of the transaction; the whole of it is to be run again.
    #[error("other requests kept changing the same enrollments")]
    Overtaken,
    #[error("the database failed")]
    Database(#[from] pg::Error),
}

impl Error {
    /// The stable name of the failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WorkflowNotFound => "workflow_not_found",
            Self::EnrollmentNotFound => "enrollment_not_found",
            Self::ActionNotFound => "action_not_found",
            Self::AlreadyEnrolled(_) => "already_enrolled",
            Self::ReentryNotAllowed => "reentry_not_allowed",
            Self::EnrollmentExited => "enrollment_exited",
            Self::WorkflowNotActive => "workflow_not_active",
            Self::ActionNotPending => "action_not_pending",
            Self::ActionNotRunning => "action_not_running",
            Self::Overtaken => "overtaken",
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
