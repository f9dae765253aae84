//! For how long a tenant keeps what: days by category of event, for sessions, for daily statistics.

use std::collections::BTreeMap;

use domain::fault::Fault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most days that may be named: a hundred years.
const MOST_DAYS: u32 = 36_500;
/// Most categories that may be named.
const MOST_CATEGORIES: usize = 50;
const MAX_CATEGORY_CHARS: usize = 64;
/// The key for events of no category that is named.
const DEFAULT: &str = "default";

/// What is kept for how many days, counted from its receipt. `null` is for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Events by category; `default` is for all others, and is there.
    pub events_days: BTreeMap<String, Option<u32>>,
    /// Sessions, from the receipt of their last event.
    pub sessions_days: Option<u32>,
    /// Daily statistics.
    pub daily: Option<u32>,
}

impl Default for Retention {
    fn default() -> Self {
        let events = [("widget", 90), (DEFAULT, 396)].map(|(category, days)| (category.to_owned(), Some(days)));
        Self { events_days: events.into(), sessions_days: Some(365), daily: None }
    }
}

impl Retention {
    /// Checks what was given.
    pub fn check(&self) -> Result<(), Fault> {
        let days = |days: Option<u32>| match days {
            Some(days) if !(1..=MOST_DAYS).contains(&days) => {
                Err(Fault::new("invalid_value", format!("must be between 1 and {MOST_DAYS} days, or null")))
            }
            _ => Ok(()),
        };
        let events = |fault: Fault| fault.within("events_days");
        if !self.events_days.contains_key(DEFAULT) {
            return Err(events(Fault::at(DEFAULT, "missing_field", "is for the events of all other categories")));
        }
        if self.events_days.len() > MOST_CATEGORIES {
            let message = format!("must be at most {MOST_CATEGORIES} categories");
            return Err(events(Fault::new("invalid_value", message)));
        }
        for (category, of_events) in &self.events_days {
            let sound = !category.is_empty()
                && category.chars().count() <= MAX_CATEGORY_CHARS
                && !category.chars().any(char::is_control);
            if !sound {
                let message = format!("must be a category: 1 to {MAX_CATEGORY_CHARS} characters");
                return Err(events(Fault::at(category, "invalid_value", message)));
            }
            days(*of_events).map_err(|fault| events(fault.within(category)))?;
        }
        days(self.sessions_days).map_err(|fault| fault.within("sessions_days"))?;
        days(self.daily).map_err(|fault| fault.within("daily"))
    }
}
