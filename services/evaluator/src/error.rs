//! What can go wrong here, and what each thing is called: the code is the same in the answer, the log and the metric.

use domain::fault::Fault;
use domain::goal::ReferenceKind;
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
    #[error("the action's id is that of an action of another enrollment")]
    ActionIdTaken,
    #[error("the action is not running")]
    ActionNotRunning,
    /// Something changed between two statements of the transaction; the whole of it is to be run again.
    #[error("other requests kept changing the same enrollments")]
    Overtaken,
    /// A newer version made it. Nor is the workflow judged.
    #[error("the workflow has a goal that this version cannot read")]
    GoalsUnreadable,
    #[error("{}", .0.message)]
    Invalid(Fault),
    #[error("Referenced {kind} does not exist")]
    ReferenceNotFound { kind: ReferenceKind, fault: Fault },
    #[error("as many simulations run already as may at once")]
    TooManySimulations,
    #[error("that is more than one simulation may look at: narrow it by from and to")]
    SimulationTooLarge,
    #[error("the key was used for another request")]
    KeyReused,
    #[error("the database failed")]
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
            Self::ActionIdTaken => "action_id_taken",
            Self::ActionNotRunning => "action_not_running",
            Self::Overtaken => "overtaken",
            Self::GoalsUnreadable => "goals_unreadable",
            Self::Invalid(fault) => fault.code,
            Self::ReferenceNotFound { .. } => "reference_not_found",
            Self::TooManySimulations => "too_many_simulations",
            Self::SimulationTooLarge => "simulation_too_large",
            Self::KeyReused => pg::once::KEY_REUSED,
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
