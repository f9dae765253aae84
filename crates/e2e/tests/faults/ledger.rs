//! What the client knows: every request with its events, and the answer to it or that there was none.

use std::collections::BTreeMap;

use uuid::Uuid;

/// Everything the client sent, in the order in which the answers (or their absence) became known.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub sendings: Vec<Sending>,
    /// What was enrolled: workflow and contact, with the enrollment's id as answered.
    pub enrolled: BTreeMap<(Uuid, String), Uuid>,
    /// Every pair of workflow and contact that was asked to be enrolled and answered.
    pub enrollments_answered: u64,
    /// Actions that a start was answered 200 for.
    pub started: Vec<Uuid>,
    /// Actions that were made.
    pub actions: Vec<Uuid>,
    /// Achievements of the deactivated workflow right after the deactivation was answered.
    pub at_deactivation: Option<i64>,
    /// Answers that nobody may be given, such as a 400 to a sound request.
    pub strange: Vec<String>,
}

/// One request with events.
#[derive(Clone, Debug)]
pub struct Sending {
    pub events: Vec<Sent>,
    pub answer: Answer,
}

/// One event of a request.
#[derive(Clone, Debug)]
pub struct Sent {
    pub event_id: Uuid,
    pub kind: Kind,
}

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sound,
    /// It has no name: `rejected`, at every time.
    Bad,
    /// The id of a stored event with another amount: `rejected`.
    Conflicting,
}

/// What is known of the outcome of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// No answer, or one that promises nothing (503).
    Unknown,
    Verdicts(Vec<Verdict>),
}

/// What was answered for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub index: usize,
    pub status: String,
}

/// All that was answered for one event, in order; `None` for a request without an answer.
pub type History<'a> = Vec<(Kind, Option<&'a str>)>;

impl Ledger {
    /// Per event. A conflicting or bad sending is in the history of its id as well.
    pub fn histories(&self) -> BTreeMap<Uuid, History<'_>> {
        let mut histories: BTreeMap<Uuid, History<'_>> = BTreeMap::new();
        for sending in &self.sendings {
            for (index, event) in sending.events.iter().enumerate() {
                let told = match &sending.answer {
                    Answer::Unknown => None,
                    Answer::Verdicts(verdicts) => verdicts.get(index).map(|verdict| verdict.status.as_str()),
                };
                histories.entry(event.event_id).or_default().push((event.kind, told));
            }
        }
        histories
    }
}
