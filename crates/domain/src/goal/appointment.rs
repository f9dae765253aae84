//! `appointment_booked`: in a calendar, for a service. A later cancellation does not undo it.

use super::fields::{Fields, conflicting, empty};
use super::{Reason, Reference, ReferenceKind};
use crate::fault::Fault;
use crate::json::Json;

/// Which appointment is wanted; without calendar and service: any. Compiled as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AppointmentRule {
    pub(super) calendar_id: Option<String>,
    pub(super) service_id: Option<String>,
}

impl AppointmentRule {
    pub(super) fn parse(criteria: &Json) -> Result<Self, Fault> {
        let fields = Fields::of(criteria, &["any_appointment", "calendar_id", "service_id"])?;
        let any = fields.flag("any_appointment")?;
        let rule = AppointmentRule { calendar_id: fields.id("calendar_id")?, service_id: fields.id("service_id")? };
        let specific = match (&rule.calendar_id, &rule.service_id) {
            (Some(_), _) => Some("calendar_id"),
            (None, Some(_)) => Some("service_id"),
            (None, None) => None,
        };
        match specific {
            Some(key) if any => Err(conflicting(key, "conflicts with any_appointment: true")),
            None if !any => Err(empty()),
            _ => Ok(rule),
        }
    }

    pub(super) fn canonical(&self) -> Vec<(&'static str, Json)> {
        let given = [("calendar_id", &self.calendar_id), ("service_id", &self.service_id)];
        let mut members: Vec<_> =
            given.into_iter().filter_map(|(key, id)| Some((key, Json::from(id.as_deref()?)))).collect();
        if members.is_empty() {
            members.push(("any_appointment", Json::Bool(true)));
        }
        members
    }

    pub(super) fn references(&self) -> Vec<Reference> {
        let given = [(ReferenceKind::Calendar, &self.calendar_id), (ReferenceKind::Service, &self.service_id)];
        given.into_iter().filter_map(|(kind, id)| Some(Reference { kind, id: id.clone()? })).collect()
    }

    pub(super) fn verdict(&self, properties: &Json) -> Result<(), Reason> {
        let differs = |wanted: &Option<String>, key: &str| {
            wanted.is_some() && properties.get(key).and_then(Json::as_str) != wanted.as_deref()
        };
        if differs(&self.calendar_id, "calendar_id") {
            return Err(Reason::CalendarDiffers);
        }
        if differs(&self.service_id, "service_id") {
            return Err(Reason::ServiceDiffers);
        }
        Ok(())
    }
}
