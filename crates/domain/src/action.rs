//! Scheduled actions: what a workflow will do later for an enrollment.

use crate::words::words;

words! {
    /// Where a scheduled action stands.
    pub enum ActionStatus as "action status" {
        /// Waits for its time or for a worker; an exit cancels it.
        Pending = "pending",
        /// A worker has passed the fence; it may finish whatever happens to the enrollment.
        Running = "running",
        Done = "done",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

impl ActionStatus {
    /// Whether nothing more can happen to the action.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, ActionStatus::Done | ActionStatus::Failed | ActionStatus::Cancelled)
    }
}
