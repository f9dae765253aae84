//! Enrollments: one contact's one passage through one workflow, and how it can stand or end.

use crate::words::words;

words! {
    /// Where an enrollment stands. Only `active` ones are judged; every other status is final.
    pub enum EnrollmentStatus as "enrollment status" {
        Active = "active",
        CompletedGoal = "completed_goal",
        Completed = "completed",
        Removed = "removed",
        Failed = "failed",
    }
}

words! {
    /// Why an enrollment ended.
    pub enum ExitReason as "exit reason" {
        /// A goal was met: the only conversion.
        GoalAchieved = "goal_achieved",
        /// The goal held already at enrollment; never a conversion.
        AlreadySatisfied = "already_satisfied",
        Completed = "completed",
        Removed = "removed",
        Failed = "failed",
        /// The contact was erased.
        ContactErased = "contact_erased",
    }
}

impl EnrollmentStatus {
    /// Whether the enrollment has ended.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, EnrollmentStatus::Active)
    }
}

impl ExitReason {
    /// The status an enrollment has after ending for this reason.
    #[must_use]
    pub const fn status(self) -> EnrollmentStatus {
        match self {
            ExitReason::GoalAchieved => EnrollmentStatus::CompletedGoal,
            ExitReason::Completed => EnrollmentStatus::Completed,
            ExitReason::AlreadySatisfied | ExitReason::Removed | ExitReason::ContactErased => EnrollmentStatus::Removed,
            ExitReason::Failed => EnrollmentStatus::Failed,
        }
    }
}
