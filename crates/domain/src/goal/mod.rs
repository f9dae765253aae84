//! Goals: what they may be, how their criteria are read, compiled and judged.

use crate::words::words;

words! {
    /// The kinds of goal.
    pub enum GoalType as "goal type" {
        TagAdded = "tag_added",
        PurchaseMade = "purchase_made",
        AppointmentBooked = "appointment_booked",
        FormSubmitted = "form_submitted",
        PipelineStageReached = "pipeline_stage_reached",
        CustomEvent = "custom_event",
    }
}

words! {
    /// Whether a goal counts.
    pub enum GoalStatus as "goal status" {
        Active = "active",
        Inactive = "inactive",
    }
}

words! {
    /// The kinds of thing that criteria may point at.
    pub enum ReferenceKind as "reference kind" {
        Tag = "tag",
        Form = "form",
        Calendar = "calendar",
        Service = "service",
        Product = "product",
        Pipeline = "pipeline",
        Stage = "stage",
    }
}
