//! Sends the workload: enrollments and purchases, in batches, and keeps count of what was answered.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use domain::ids::{EventId, WorkflowId};
use domain::time_format;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::Date;

use super::purchases::Purchase;
use load::http::Service;
use load::progress::{Phase, Progress};

/// What both batch endpoints take at most.
const BATCH: usize = 500;
/// Enrollments have no order, so several batches go at once. Purchases do: one batch after the other.
const ENROLLING_AT_ONCE: usize = 4;
/// An event that is answered `retry` is sent again, this often.
const MOST_SENDINGS: u32 = 20;

/// What became of the events that were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    pub stored: u64,
    pub duplicates: u64,
    /// Neither stored nor a duplicate, with the codes.
    pub refused: BTreeMap<String, u64>,
}

/// What became of the contacts that were to be enrolled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enrollments {
    pub created: u64,
    /// Active already, or ended and not to be enrolled again.
    pub existing: u64,
    pub refused: BTreeMap<String, u64>,
}

// The bodies are types and not `json!` values: those would turn an amount into a float.
#[derive(Serialize)]
struct EventsBatch<'a> {
    events: Vec<Event<'a>>,
}

#[derive(Serialize)]
struct Event<'a> {
    event_id: EventId,
    event_name: &'static str,
    occurred_at: String,
    contact_id: &'a str,
    properties: Properties,
}

#[derive(Serialize)]
struct Properties {
    /// A number with the digits of the file.
    amount: Box<RawValue>,
    quantity: u32,
}

#[derive(Deserialize)]
struct EventsAnswer {
    accepted: u64,
    duplicates: u64,
    results: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    index: usize,
    status: String,
    code: Option<String>,
}

#[derive(Serialize)]
struct EnrollmentsBatch<'a> {
    enrollments: &'a [Enrollment<'a>],
}

#[derive(Serialize)]
struct Enrollment<'a> {
    contact_id: &'a str,
    enrolled_at: String,
}

#[derive(Deserialize)]
struct EnrollmentsAnswer {
    created: u64,
    existing: u64,
    results: Vec<Verdict>,
}

/// What a part of the work is called; the first pass is replay 0.
pub fn part(replay: u32, what: &str) -> String {
    if replay == 0 { what.to_owned() } else { format!("replay {replay}: {what}") }
}

/// Sends the purchases in the order they have, each batch after the answer to the one before.
pub async fn purchases(ingest: &Service, replay: u32, purchases: &[Purchase]) -> anyhow::Result<(Events, Phase)> {
    let progress = Progress::of(&part(replay, "sending the purchases"), purchases.len() as u64);
    let mut events = Events::default();
    for batch in purchases.chunks(BATCH) {
        events.send(ingest, batch, replay == 0).await.context("cannot send the purchases")?;
        progress.add(batch.len() as u64);
    }
    Ok((events, progress.done()))
}

impl Events {
    async fn send(&mut self, ingest: &Service, batch: &[Purchase], is_first: bool) -> anyhow::Result<()> {
        let mut open: Vec<&Purchase> = batch.iter().collect();
        for sending in 1..=MOST_SENDINGS {
            let answer = ingest.post("/api/v1/events?results=errors", events_body(&open)?).await?;
            open = self.count(answer.body, is_first && (sending > 1 || answer.attempts > 1), &open);
            if open.is_empty() {
                return Ok(());
            }
        }
        bail!("{} events were answered `retry` {MOST_SENDINGS} times: ingest cannot store them", open.len())
    }

    /// Counts an answer, and gives what has to be sent again. With `is_ours` a duplicate is an event that an
    /// earlier attempt of this very batch has stored, whose answer was lost.
    fn count<'a>(&mut self, answer: EventsAnswer, is_ours: bool, sent: &[&'a Purchase]) -> Vec<&'a Purchase> {
        self.stored += answer.accepted;
        let there_already = if is_ours { &mut self.stored } else { &mut self.duplicates };
        *there_already += answer.duplicates;
        let mut open = Vec::new();
        for verdict in answer.results {
            match verdict.status.as_str() {
                "accepted" | "duplicate" => {}
                "retry" => open.extend(sent.get(verdict.index)),
                status => *self.refused.entry(verdict.code.unwrap_or(status.to_owned())).or_default() += 1,
            }
        }
        open
    }
}

fn events_body(purchases: &[&Purchase]) -> serde_json::Result<String> {
    let events = purchases.iter().map(|purchase| event(purchase)).collect::<Result<_, _>>()?;
    serde_json::to_string(&EventsBatch { events })
}

fn event(purchase: &Purchase) -> serde_json::Result<Event<'_>> {
    Ok(Event {
        event_id: purchase.event_id(),
        event_name: "payment.completed",
        occurred_at: midnight(purchase.date),
        contact_id: &purchase.customer,
        properties: Properties { amount: RawValue::from_string(purchase.amount.clone())?, quantity: purchase.quantity },
    })
}

fn midnight(day: Date) -> String {
    time_format::to_text(day.midnight().assume_utc())
}

/// Enrolls every customer at the midnight of the first purchase.
pub async fn enrollments(
    evaluator: &Service,
    replay: u32,
    workflow: WorkflowId,
    first_days: &BTreeMap<&str, Date>,
) -> anyhow::Result<(Enrollments, Phase)> {
    let progress = Progress::of(&part(replay, "enrolling the customers"), first_days.len() as u64);
    let customers: Vec<Enrollment> = first_days
        .iter()
        .map(|(customer, day)| Enrollment { contact_id: customer, enrolled_at: midnight(*day) })
        .collect();
    let path = format!("/api/v1/workflows/{workflow}/enrollments/batch");
    let (path, progress_of_batch) = (&path, &progress);
    let answers = stream::iter(customers.chunks(BATCH))
        .map(|batch| async move {
            let body = serde_json::to_string(&EnrollmentsBatch { enrollments: batch })?;
            let answer = evaluator.post::<EnrollmentsAnswer>(path, body).await?;
            progress_of_batch.add(batch.len() as u64);
            anyhow::Ok((answer.body, replay == 0 && answer.attempts > 1))
        })
        .buffer_unordered(ENROLLING_AT_ONCE)
        .try_fold(Enrollments::default(), |mut all, (answer, is_ours)| async move {
            all.count(answer, is_ours);
            Ok(all)
        });
    let all = answers.await.context("cannot enroll the customers")?;
    Ok((all, progress.done()))
}

impl Enrollments {
    /// With `is_ours` whoever is there already was enrolled by an earlier attempt of this very batch.
    fn count(&mut self, answer: EnrollmentsAnswer, is_ours: bool) {
        self.created += answer.created;
        let there_already = if is_ours { &mut self.created } else { &mut self.existing };
        *there_already += answer.existing;
        for verdict in answer.results {
            match (verdict.status.as_str(), verdict.code) {
                ("created" | "existing", _) => {}
                (_, Some(code)) if code == "reentry_not_allowed" => *there_already += 1,
                (status, code) => {
                    *self.refused.entry(code.unwrap_or(status.to_owned())).or_default() += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn bought(row: u32, amount: &str) -> Purchase {
        let date = date!(1997 - 01 - 09);
        Purchase { row, customer: "02144".into(), date, quantity: 5, amount: amount.into() }
    }

    #[test]
    fn an_amount_goes_out_with_the_digits_of_the_file() {
        let text = events_body(&[&bought(7, "100.00")]).unwrap();
        let id = bought(7, "0").event_id();
        let expected = format!(
            "{{\"events\":[{{\"event_id\":\"{id}\",\"event_name\":\"payment.completed\",\"occurred_at\":\"1997-01-09T00:00:00Z\",\
             \"contact_id\":\"02144\",\"properties\":{{\"amount\":100.00,\"quantity\":5}}}}]}}"
        );
        assert_eq!(text, expected);
    }

    fn answer(accepted: u64, duplicates: u64, results: &[(usize, &str, Option<&str>)]) -> EventsAnswer {
        let verdict = |(index, status, code): &(usize, &str, Option<&str>)| Verdict {
            index: *index,
            status: (*status).to_owned(),
            code: code.map(str::to_owned),
        };
        EventsAnswer { accepted, duplicates, results: results.iter().map(verdict).collect() }
    }

    #[test]
    fn what_is_not_stored_yet_is_sent_again() {
        let (one, two, three) = (bought(1, "1"), bought(2, "2"), bought(3, "3"));
        let mut events = Events::default();
        let first = answer(1, 0, &[(1, "retry", None), (2, "rejected", Some("too_big"))]);
        assert_eq!(events.count(first, false, &[&one, &two, &three]), [&two]);
        // The first attempt did store it, only its answer was lost.
        assert!(events.count(answer(0, 1, &[(0, "duplicate", None)]), true, &[&two]).is_empty());
        let refused = BTreeMap::from([("too_big".to_owned(), 1)]);
        assert_eq!(events, Events { stored: 2, duplicates: 0, refused });
    }

    #[test]
    fn who_has_left_counts_as_existing() {
        let results = answer(0, 0, &[(0, "existing", None), (1, "rejected", Some("reentry_not_allowed"))]).results;
        let mut enrollments = Enrollments::default();
        enrollments.count(EnrollmentsAnswer { created: 0, existing: 1, results }, false);
        assert_eq!(enrollments, Enrollments { existing: 2, ..Enrollments::default() });
    }
}
