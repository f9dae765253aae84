//! A goal's typed condition: read with every refusal, written back as given, canonical for duplicates.

use super::appointment::AppointmentRule;
use super::custom::CustomRule;
use super::fields::{empty, wrong_type};
use super::form::FormRule;
use super::purchase::PurchaseRule;
use super::stage::StageRule;
use super::tag::TagRule;
use super::{GoalType, Reference, ReferenceKind};
use crate::fault::Fault;
use crate::json::{Json, Limits};
use crate::money::Currency;
use std::collections::HashMap;

/// Criteria that have been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criteria {
    /// As given, without `null`s.
    written: Json,
    pub(super) rule: Rule,
}

/// What the criteria say, by goal type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    Tag(TagRule),
    Purchase(PurchaseRule),
    Appointment(AppointmentRule),
    Form(FormRule),
    Stage(StageRule),
    Custom(CustomRule),
}

impl Criteria {
    /// Reads criteria. Pointers of faults are relative to the criteria.
    ///
    /// # Errors
    /// `criteria_empty` (`Goal criteria cannot be empty`), `unknown_field`, `invalid_type`,
    /// `conflicting_criteria`, `missing_field`, `invalid_value`, `invalid_pattern`,
    /// `invalid_event_name`, `too_long`, `too_many`.
    pub fn parse(goal_type: GoalType, criteria: &Json) -> Result<Criteria, Fault> {
        let written = match criteria {
            Json::Object(members) if members.iter().all(|(_, value)| value.is_null()) => {
                return Err(empty());
            }
            Json::Object(_) => without_nulls(criteria),
            Json::Null => return Err(empty()),
            other => return Err(wrong_type("an object", other)),
        };
        let rule = match goal_type {
            GoalType::TagAdded => Rule::Tag(TagRule::parse(criteria)?),
            GoalType::PurchaseMade => Rule::Purchase(PurchaseRule::parse(criteria)?),
            GoalType::AppointmentBooked => Rule::Appointment(AppointmentRule::parse(criteria)?),
            GoalType::FormSubmitted => Rule::Form(FormRule::parse(criteria)?),
            GoalType::PipelineStageReached => Rule::Stage(StageRule::parse(criteria)?),
            GoalType::CustomEvent => Rule::Custom(CustomRule::parse(criteria)?),
        };
        Ok(Criteria { written, rule })
    }

    /// Reads criteria from JSON text, as a field `criteria` has it.
    ///
    /// # Errors
    /// As [`Criteria::parse`], and those of text that is no JSON, or too much of it.
    pub fn read(goal_type: GoalType, text: &str) -> Result<Criteria, Fault> {
        let read = Json::parse(text, &Limits::CRITERIA).and_then(|json| Criteria::parse(goal_type, &json));
        read.map_err(|fault| fault.within("criteria"))
    }

    /// The criteria as given, without `null`s; amounts as they were written.
    #[must_use]
    pub fn to_json(&self) -> Json {
        self.written.clone()
    }

    /// One text for everything that means the same: `100` and `100.00`, `form_id` and a `form_ids` of
    /// one, any key order. What duplicates are found by.
    #[must_use]
    pub fn canonical(&self) -> String {
        let members = match &self.rule {
            Rule::Tag(rule) => rule.canonical(),
            Rule::Purchase(rule) => rule.canonical(),
            Rule::Appointment(rule) => rule.canonical(),
            Rule::Form(rule) => rule.canonical(),
            Rule::Stage(rule) => rule.canonical(),
            Rule::Custom(rule) => rule.canonical(),
        };
        format!("{}{}", self.goal_type(), Json::object(members).canonical_text())
    }

    /// What the criteria point at, and must exist.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        match &self.rule {
            Rule::Tag(rule) => rule.references(),
            Rule::Purchase(rule) => rule.references(),
            Rule::Appointment(rule) => rule.references(),
            Rule::Form(rule) => rule.references(),
            Rule::Stage(rule) => rule.references(),
            Rule::Custom(_) => Vec::new(),
        }
    }

    /// The first of the references that is not among the known ones, each with the pipeline that it belongs to; a stage of
    /// another pipeline than the given one is not there.
    #[must_use]
    pub fn missing_reference(&self, known: &HashMap<Reference, Option<String>>) -> Option<Reference> {
        let references = self.references();
        let of_kind = |kind| references.iter().find(move |reference| reference.kind == kind);
        let pipeline = of_kind(ReferenceKind::Pipeline).map(|reference| reference.id.as_str());
        let is_missing = |reference: &&Reference| match known.get(*reference) {
            None => true,
            Some(of) => {
                reference.kind == ReferenceKind::Stage && pipeline.is_some_and(|given| of.as_deref() != Some(given))
            }
        };
        references.iter().find(is_missing).cloned()
    }

    /// The event type that the goal listens to.
    #[must_use]
    pub fn event_name(&self) -> &str {
        match &self.rule {
            Rule::Tag(_) => "contact.tag.added",
            Rule::Purchase(_) => "payment.completed",
            Rule::Appointment(_) => "appointment.booked",
            Rule::Form(_) => "form.submitted",
            Rule::Stage(_) => "pipeline.stage.changed",
            Rule::Custom(rule) => &rule.event_name,
        }
    }

    /// The type of goal these are the criteria of.
    #[must_use]
    pub fn goal_type(&self) -> GoalType {
        match &self.rule {
            Rule::Tag(_) => GoalType::TagAdded,
            Rule::Purchase(_) => GoalType::PurchaseMade,
            Rule::Appointment(_) => GoalType::AppointmentBooked,
            Rule::Form(_) => GoalType::FormSubmitted,
            Rule::Stage(_) => GoalType::PipelineStageReached,
            Rule::Custom(_) => GoalType::CustomEvent,
        }
    }

    /// Checks amounts that are in the tenant's currency against its minor unit; those in a currency of
    /// their own were checked when they were read.
    ///
    /// # Errors
    /// `invalid_value` at the amount with too many fraction digits.
    pub fn check_currency(&self, tenant_currency: &str) -> Result<(), Fault> {
        match (&self.rule, Currency::parse(tenant_currency)) {
            (Rule::Purchase(rule), Ok(currency)) if rule.currency().is_none() => rule.check_currency(currency),
            _ => Ok(()),
        }
    }

    /// The properties of an event that say why it met the goal: those its type's schema names, or those
    /// that the conditions of a custom goal look at.
    #[must_use]
    pub fn trigger_keys(&self) -> Vec<&str> {
        match &self.rule {
            Rule::Custom(rule) => rule.properties(),
            _ => crate::catalogue::builtin(self.event_name())
                .map(|event_type| event_type.keys().collect())
                .unwrap_or_default(),
        }
    }
}

fn without_nulls(value: &Json) -> Json {
    match value {
        Json::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            Json::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(without_nulls).collect()),
        scalar => scalar.clone(),
    }
}
