//! A goal, and the same goal ready to be held against events.

use time::OffsetDateTime;

use super::appointment::AppointmentRule;
use super::criteria::{Criteria, Rule};
use super::custom::CustomRule;
use super::directory::Directory;
use super::form::FormRule;
use super::purchase::PurchaseMatcher;
use super::stage::StageMatcher;
use super::tag::TagMatcher;
use super::{GoalType, Reason, Within};
use crate::ids::GoalId;
use crate::json::Json;
use crate::money::Currency;

/// A goal of a workflow. Deleted ones are not given to the judge at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    pub id: GoalId,
    pub goal_type: GoalType,
    pub criteria: Criteria,
    pub within: Option<Within>,
    /// Lower goes first; ties by `created_at`, then `id`.
    pub position: i16,
    pub version: i32,
    pub created_at: OffsetDateTime,
    /// From when on stored events count; `None`: every stored event.
    pub effective_from: Option<OffsetDateTime>,
    pub active: bool,
}

impl Goal {
    /// Resolves ids and names, and prepares the comparison. An event or goal without a currency has
    /// `tenant_currency`.
    #[must_use]
    pub fn compile(self, directory: &Directory, tenant_currency: &str) -> CompiledGoal {
        // A tenant without a proper currency has one that no payment can be in.
        let currency = Currency::parse(tenant_currency).unwrap_or(Currency::NONE);
        let matcher = match &self.criteria.rule {
            Rule::Tag(rule) => Matcher::Tag(rule.compile(directory)),
            Rule::Purchase(rule) => Matcher::Purchase(rule.compile(currency)),
            Rule::Appointment(rule) => Matcher::Appointment(rule.clone()),
            Rule::Form(rule) => Matcher::Form(rule.clone()),
            Rule::Stage(rule) => Matcher::Stage(rule.compile(directory)),
            Rule::Custom(rule) => Matcher::Custom(rule.clone()),
        };
        CompiledGoal { goal: self, matcher }
    }

    /// The order in which goals are asked: position, then age, then id.
    pub(super) fn rank(&self) -> (i16, OffsetDateTime, GoalId) {
        (self.position, self.created_at, self.id)
    }
}

/// A goal ready to be held against events.
#[derive(Debug, Clone)]
pub struct CompiledGoal {
    goal: Goal,
    pub(super) matcher: Matcher,
}

#[derive(Debug, Clone)]
pub(super) enum Matcher {
    Tag(TagMatcher),
    Purchase(PurchaseMatcher),
    Appointment(AppointmentRule),
    Form(FormRule),
    Stage(StageMatcher),
    Custom(CustomRule),
}

impl CompiledGoal {
    /// The goal as it was given.
    #[must_use]
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// The goal's id.
    #[must_use]
    pub fn id(&self) -> GoalId {
        self.goal.id
    }

    /// The event type the goal listens to.
    #[must_use]
    pub fn event_name(&self) -> &str {
        self.goal.criteria.event_name()
    }

    /// Whether an event of this name with these properties meets the criteria. Says nothing about time,
    /// window or status: those need an enrollment.
    ///
    /// # Errors
    /// Why it does not.
    pub fn verdict(&self, event_name: &str, properties: &Json) -> Result<(), Reason> {
        if event_name != self.event_name() {
            return Err(Reason::EventTypeDiffers);
        }
        match &self.matcher {
            Matcher::Tag(matcher) => matcher.verdict(properties),
            Matcher::Purchase(matcher) => matcher.verdict(properties),
            Matcher::Appointment(rule) => rule.verdict(properties),
            Matcher::Form(rule) => rule.verdict(properties),
            Matcher::Stage(matcher) => matcher.verdict(properties),
            Matcher::Custom(rule) => rule.verdict(properties),
        }
    }
}
