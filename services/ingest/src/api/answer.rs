//! What the sender of a batch is told: counts, and one verdict per event.

use std::collections::BTreeMap;

use ::web::openapi::schema;
use domain::ids::EventId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::batch::Verdict;
use crate::door::Told;

/// The answer to a batch, whatever the verdicts.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Answer {
    /// Stored by this request.
    pub accepted: usize,
    /// Stored before.
    pub duplicates: usize,
    /// Not stored, and never will be.
    pub rejected: usize,
    /// Sampled out or over a quota: not stored, for good.
    pub limited: usize,
    /// Not stored: send them again.
    pub retry: usize,
    /// One verdict per event, in their order; with `?results=errors` only of those that are not `accepted`.
    pub results: Vec<EventResult>,
    /// For the log: how many of each code.
    #[serde(skip)]
    #[schema(ignore)]
    pub codes: BTreeMap<&'static str, usize>,
}

/// One verdict.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventResult {
    /// Which event of the request.
    pub index: usize,
    /// Its id, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub event_id: Option<EventId>,
    #[schema(schema_with = statuses)]
    pub status: &'static str,
    #[serde(flatten)]
    #[schema(inline)]
    pub reason: Reason,
}

/// Why an event was rejected; nothing for one that was not.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Reason {
    /// Stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// Where in the event: a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

fn statuses() -> Object {
    schema::one_of(["accepted", "duplicate", "rejected", "limited", "retry"])
}

impl Answer {
    /// Counts all verdicts; lists them all, or only those that are not `accepted`.
    pub fn of(told: Vec<Told>, only_errors: bool) -> Self {
        let mut answer = Self::default();
        for (index, Told { event_id, verdict }) in told.into_iter().enumerate() {
            let (status, reason) = answer.count(verdict);
            if !only_errors || status != "accepted" {
                answer.results.push(EventResult { index, event_id, status, reason });
            }
        }
        answer
    }

    fn count(&mut self, verdict: Verdict) -> (&'static str, Reason) {
        match verdict {
            Verdict::Accepted => {
                self.accepted += 1;
                ("accepted", Reason::default())
            }
            Verdict::Duplicate => {
                self.duplicates += 1;
                ("duplicate", Reason::default())
            }
            Verdict::Retry | Verdict::Unavailable => {
                self.retry += 1;
                ("retry", Reason::default())
            }
            Verdict::Limited => {
                self.limited += 1;
                ("limited", Reason::default())
            }
            Verdict::Rejected(fault) => {
                self.rejected += 1;
                *self.codes.entry(fault.code).or_default() += 1;
                let (code, pointer, message) = (Some(fault.code), Some(fault.pointer), Some(fault.message));
                ("rejected", Reason { code, pointer, message })
            }
        }
    }

    /// Whether every event of the batch was rejected.
    pub fn is_all_rejected(&self) -> bool {
        self.accepted + self.duplicates + self.limited + self.retry == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use domain::fault::Fault;

    #[test]
    fn verdicts_are_counted_and_listed_in_order() {
        let fault = Fault::at("event_name", "missing_field", "event_name is required");
        let told = [Verdict::Accepted, Verdict::Rejected(fault), Verdict::Duplicate, Verdict::Retry, Verdict::Limited]
            .map(|verdict| Told { event_id: None, verdict });
        let all = serde_json::to_value(Answer::of(told.to_vec(), false)).unwrap();
        let expected = serde_json::json!({
            "accepted": 1, "duplicates": 1, "rejected": 1, "limited": 1, "retry": 1,
            "results": [
                { "index": 0, "status": "accepted" },
                { "index": 1, "status": "rejected", "code": "missing_field", "pointer": "/event_name",
                  "message": "event_name is required" },
                { "index": 2, "status": "duplicate" },
                { "index": 3, "status": "retry" },
                { "index": 4, "status": "limited" },
            ],
        });
        assert_eq!(all, expected);
        let errors = Answer::of(told.to_vec(), true);
        assert_eq!(errors.results.iter().map(|result| result.index).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(!errors.is_all_rejected());
    }
}
