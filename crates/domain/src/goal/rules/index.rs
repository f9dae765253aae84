//! The goals that listen to one event name, each filed under what it discriminates by. A look-up may
//! give a goal that the event does not meet, or give it twice, but never misses one.

use std::collections::HashMap;

use crate::goal::compiled::{CompiledGoal, Matcher};
use crate::goal::custom::CustomRule;
use crate::goal::name::fold_name;
use crate::goal::purchase::{PurchaseMatcher, amount_of};
use crate::goal::tag::{TagKeys, TagMatcher};
use crate::json::Json;
use crate::money::Amount;

/// Where a goal stands: the workflow's place among the tenant's, the goal's among the workflow's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    workflow: u32,
    goal: u32,
}

impl Slot {
    pub(super) fn new(workflow: usize, goal: usize) -> Slot {
        let narrow = |position: usize| u32::try_from(position).unwrap_or(u32::MAX);
        Slot { workflow: narrow(workflow), goal: narrow(goal) }
    }

    pub(super) fn workflow(self) -> usize {
        self.workflow as usize
    }

    pub(super) fn goal(self) -> usize {
        self.goal as usize
    }
}

/// Goals by one text value.
#[derive(Debug, Clone, Default)]
struct ByText(HashMap<Box<str>, Vec<Slot>>);

impl ByText {
    fn add(&mut self, text: &str, slot: Slot) {
        match self.0.get_mut(text) {
            Some(slots) => slots.push(slot),
            None => {
                self.0.insert(text.into(), vec![slot]);
            }
        }
    }

    fn find(&self, text: &str, found: &mut dyn FnMut(Slot)) {
        if let Some(slots) = self.0.get(text) {
            slots.iter().copied().for_each(found);
        }
    }

    fn find_in(&self, properties: &Json, key: &str, found: &mut dyn FnMut(Slot)) {
        if !self.0.is_empty()
            && let Some(text) = properties.get(key).and_then(Json::as_str)
        {
            self.find(text, found);
        }
    }
}

/// Goals by the literal beginning of a text.
#[derive(Debug, Clone, Default)]
struct ByPrefix {
    slots: ByText,
    /// The lengths that occur, in bytes: as many look-ups as there are of these.
    lengths: Vec<usize>,
}

impl ByPrefix {
    fn add(&mut self, prefix: &str, slot: Slot) {
        self.slots.add(prefix, slot);
        if let Err(at) = self.lengths.binary_search(&prefix.len()) {
            self.lengths.insert(at, prefix.len());
        }
    }

    fn find(&self, text: &str, found: &mut dyn FnMut(Slot)) {
        for length in self.lengths.iter().take_while(|length| **length <= text.len()) {
            if let Some(prefix) = text.get(..*length) {
                self.slots.find(prefix, found);
            }
        }
    }
}

/// Every way to be filed. A name has goals of one type, or custom ones, or both.
#[derive(Debug, Clone, Default)]
pub(super) struct NameIndex {
    tag_names: ByText,
    tag_ids: ByText,
    tag_prefixes: ByPrefix,
    products: ByText,
    /// Goals for any product, by the least amount that can meet them, ascending.
    amounts: Vec<(Amount, Slot)>,
    calendars: ByText,
    services: ByText,
    forms: ByText,
    stages: ByText,
    /// Custom goals by property and the canonical text of a value it must equal.
    custom: HashMap<Box<str>, ByText>,
    /// Goals that nothing discriminates.
    rest: Vec<Slot>,
}

impl NameIndex {
    pub(super) fn add(&mut self, slot: Slot, goal: &CompiledGoal) {
        match &goal.matcher {
            Matcher::Tag(matcher) => self.add_tag(slot, matcher),
            Matcher::Purchase(matcher) => self.add_purchase(slot, matcher),
            Matcher::Appointment(rule) => match (&rule.calendar_id, &rule.service_id) {
                (Some(calendar), _) => self.calendars.add(calendar, slot),
                (None, Some(service)) => self.services.add(service, slot),
                (None, None) => self.rest.push(slot),
            },
            Matcher::Form(rule) if rule.forms.is_empty() => self.rest.push(slot),
            Matcher::Form(rule) => rule.forms.iter().for_each(|form| self.forms.add(form, slot)),
            Matcher::Stage(matcher) => matcher.stages().iter().for_each(|stage| self.stages.add(stage, slot)),
            Matcher::Custom(rule) => self.add_custom(slot, rule),
        }
    }

    fn add_tag(&mut self, slot: Slot, matcher: &TagMatcher) {
        let ids = match matcher.keys() {
            TagKeys::Equal { name, ids } => {
                if let Some(name) = name {
                    self.tag_names.add(&name, slot);
                }
                ids
            }
            TagKeys::Prefix { prefix, ids } => {
                self.tag_prefixes.add(prefix, slot);
                ids
            }
        };
        ids.iter().for_each(|id| self.tag_ids.add(id, slot));
    }

    fn add_purchase(&mut self, slot: Slot, matcher: &PurchaseMatcher) {
        if matcher.products().is_empty() {
            self.amounts.push((matcher.min(), slot));
        }
        matcher.products().iter().for_each(|product| self.products.add(product, slot));
    }

    fn add_custom(&mut self, slot: Slot, rule: &CustomRule) {
        let Some((property, values)) = rule.discriminator() else {
            self.rest.push(slot);
            return;
        };
        let by_value = self.custom.entry(property.into()).or_default();
        values.iter().for_each(|value| by_value.add(&value.canonical_text(), slot));
    }

    /// Call once after the last goal.
    pub(super) fn finish(&mut self) {
        self.amounts.sort_by_key(|(min, _)| *min);
    }

    /// Every goal that the event may meet.
    pub(super) fn candidates(&self, properties: &Json, found: &mut dyn FnMut(Slot)) {
        self.rest.iter().copied().for_each(&mut *found);
        self.tag_ids.find_in(properties, "tag_id", found);
        if !self.tag_names.0.is_empty() || !self.tag_prefixes.lengths.is_empty() {
            self.tags_by_name(properties, found);
        }
        self.products.find_in(properties, "product_id", found);
        if !self.amounts.is_empty()
            && let Ok(amount) = amount_of(properties)
        {
            let reached = self.amounts.partition_point(|(min, _)| *min <= amount);
            self.amounts[..reached].iter().for_each(|(_, slot)| found(*slot));
        }
        self.calendars.find_in(properties, "calendar_id", found);
        self.services.find_in(properties, "service_id", found);
        self.forms.find_in(properties, "form_id", found);
        self.stages.find_in(properties, "stage_id", found);
        if !self.custom.is_empty() {
            self.custom_by_value(properties, found);
        }
    }

    /// Walks the event's properties, not the goals': those are few, these may be many.
    fn custom_by_value(&self, properties: &Json, found: &mut dyn FnMut(Slot)) {
        let scalars = properties.as_object().unwrap_or_default().iter().filter(|(_, value)| value.is_scalar());
        for (property, value) in scalars {
            if let Some(by_value) = self.custom.get(property.as_str()) {
                by_value.find(&value.canonical_text(), found);
            }
        }
    }

    fn tags_by_name(&self, properties: &Json, found: &mut dyn FnMut(Slot)) {
        if let Some(name) = properties.get("tag_name").and_then(Json::as_str) {
            let folded = fold_name(name);
            self.tag_names.find(&folded, found);
            self.tag_prefixes.find(&folded, found);
        }
    }
}
