//! Why an event counted for a goal, or did not: one word for every way.

use crate::words::words;

words! {
    /// The verdict on one event and one goal.
    pub enum Reason as "reason" {
        /// It met the goal, and was credited.
        Matched = "matched",
        /// It met the goal, but under `any` a goal of lower position was credited with it.
        AlsoMatched = "also_matched",
        /// The goal listens to another event type.
        EventTypeDiffers = "event_type_differs",
        TagMissing = "tag_missing",
        TagDiffers = "tag_differs",
        /// The contact had the tag already when the event says so.
        AlreadyPresent = "already_present",
        AmountMissing = "amount_missing",
        /// No number, or one that cannot be held exactly.
        AmountInvalid = "amount_invalid",
        AmountNotPositive = "amount_not_positive",
        AmountBelowMin = "amount_below_min",
        AmountAboveMax = "amount_above_max",
        CurrencyMismatch = "currency_mismatch",
        ProductDiffers = "product_differs",
        CalendarDiffers = "calendar_differs",
        ServiceDiffers = "service_differs",
        FormDiffers = "form_differs",
        StageDiffers = "stage_differs",
        PipelineDiffers = "pipeline_differs",
        /// The contact stayed in the stage it was in.
        StageNotEntered = "stage_not_entered",
        /// A condition looks at a property that the event lacks.
        PropertyMissing = "property_missing",
        PropertyDiffers = "property_differs",
        BeforeEnrollment = "before_enrollment",
        OutsideWindow = "outside_window",
        /// Stored before the goal took effect, and no catch-up was asked for.
        BeforeGoal = "before_goal",
        /// Older than the end of an earlier enrollment in the same workflow.
        BeforeEarlierExit = "before_earlier_exit",
        /// Credited to an earlier enrollment in the same workflow.
        CreditedEarlier = "credited_earlier",
        AlreadyAchieved = "already_achieved",
        AlreadyExited = "already_exited",
        GoalInactive = "goal_inactive",
        WorkflowInactive = "workflow_inactive",
    }
}
