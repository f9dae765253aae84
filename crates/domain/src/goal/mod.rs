//! Goals: what they may be, how their criteria are read, compiled and judged.

mod appointment;
mod compiled;
mod criteria;
mod custom;
mod directory;
pub mod explain;
mod fields;
mod form;
mod glob;
pub mod judge;
mod name;
mod purchase;
mod reason;
pub mod rules;
mod stage;
mod tag;
mod within;

pub use compiled::{CompiledGoal, Goal};
pub use criteria::Criteria;
pub use directory::Directory;
pub use explain::{Credit, End, Settled, explain, judge_on};
pub use glob::{Glob, InvalidGlob};
pub use judge::{Achievement, EnrollmentFacts, Exit, Judgement, StoredEvent, Verdict, judge};
pub use name::fold_name;
pub use reason::Reason;
pub use rules::TenantRules;
pub use within::Within;

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
    /// What happens at enrollment when a tag or stage goal holds already.
    pub enum OnEnroll as "on_enroll" {
        /// Nothing: the goal waits for the next such event.
        Ignore = "ignore",
        /// The contact is not enrolled.
        SkipEnrollment = "skip_enrollment",
        /// The contact is enrolled and leaves at once, which is no conversion.
        Exit = "exit",
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

/// One thing that criteria point at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    pub kind: ReferenceKind,
    pub id: String,
}

#[cfg(test)]
mod tests;
