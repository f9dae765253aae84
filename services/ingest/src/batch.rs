//! Several requests in one transaction: equal ids are folded before anything is stored, and what
//! became of each candidate then decides about every event that named its id.

use domain::fault::Fault;
use domain::ids::{EventId, TenantId};

use crate::candidate::{Candidate, ContentHash};

/// What the database did with a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored now.
    New,
    /// Its id was stored before, with content of this hash.
    Existing(ContentHash),
    /// Its id was taken when it was tried, and was gone when it was looked at.
    Gone,
    /// The database refuses its data, for good.
    Refused,
    /// It is from a browser, and was history when it was received.
    TooOld,
    /// The database was away, or nobody knows whether the commit went through.
    Unavailable,
}

/// What the sender is told about one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Stored by this request.
    Accepted,
    /// Stored before, with the same content.
    Duplicate,
    /// Not stored, and never will be.
    Rejected(Fault),
    /// Sampled out: not stored, for good.
    Limited,
    /// Not stored; sending it again may store it.
    Retry,
    /// Perhaps stored; only sending it again tells.
    Unavailable,
}

/// Where an event stands: which request of the batch, and which of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub request: usize,
    pub event: usize,
}

/// A batch without repetitions.
#[derive(Debug)]
pub struct Folded {
    /// One candidate per `(tenant, event_id)`, ascending: every transaction takes its locks in
    /// this order, so no two can deadlock.
    pub candidates: Vec<Candidate>,
    /// For each candidate, everything in the batch that named its id, in order of arrival; the
    /// candidate itself comes first.
    groups: Vec<Vec<Member>>,
}

#[derive(Debug)]
struct Member {
    place: Place,
    content_hash: ContentHash,
}

/// Folds the events of several requests, given in order of arrival.
pub fn fold(requests: Vec<Vec<Candidate>>) -> Folded {
    let mut arrived: Vec<(Place, Candidate)> = Vec::with_capacity(requests.iter().map(Vec::len).sum());
    for (request, events) in requests.into_iter().enumerate() {
        let placed = events.into_iter().enumerate();
        arrived.extend(placed.map(|(event, candidate)| (Place { request, event }, candidate)));
    }
    // Stable: of equal ids the first to arrive stays first.
    arrived.sort_by(|(_, a), (_, b)| key(a).cmp(&key(b)));

    let mut folded =
        Folded { candidates: Vec::with_capacity(arrived.len()), groups: Vec::with_capacity(arrived.len()) };
    for (place, candidate) in arrived {
        let member = Member { place, content_hash: candidate.content_hash };
        let same_id = folded.candidates.last().is_some_and(|last| key(last) == key(&candidate));
        match folded.groups.last_mut() {
            Some(group) if same_id => group.push(member),
            _ => {
                folded.candidates.push(candidate);
                folded.groups.push(vec![member]);
            }
        }
    }
    folded
}

fn key(candidate: &Candidate) -> (&TenantId, EventId) {
    (&candidate.tenant_id, candidate.event_id)
}

impl Folded {
    /// Takes the candidates out, to be stored.
    pub fn take_candidates(&mut self) -> Vec<Candidate> {
        std::mem::take(&mut self.candidates)
    }

    /// The verdict on every event of the batch, given one outcome per candidate.
    pub fn verdicts(&self, outcomes: &[Outcome]) -> Vec<(Place, Verdict)> {
        let groups = self.groups.iter().zip(outcomes);
        groups
            .flat_map(|(group, outcome)| {
                let candidate = group.first().map(|member| member.content_hash);
                group.iter().enumerate().map(move |(position, member)| {
                    let same_content = Some(member.content_hash) == candidate;
                    (member.place, verdict(outcome, position == 0, same_content, member.content_hash))
                })
            })
            .collect()
    }
}

fn verdict(outcome: &Outcome, is_candidate: bool, same_content: bool, own: ContentHash) -> Verdict {
    match outcome {
        Outcome::New if is_candidate => Verdict::Accepted,
        Outcome::New if same_content => Verdict::Duplicate,
        Outcome::New => Verdict::Rejected(conflict()),
        Outcome::Existing(stored) if *stored == own => Verdict::Duplicate,
        Outcome::Existing(_) => Verdict::Rejected(conflict()),
        Outcome::Refused if same_content => Verdict::Rejected(unstorable()),
        Outcome::TooOld if is_candidate => Verdict::Rejected(too_old()),
        Outcome::Refused | Outcome::TooOld | Outcome::Gone => Verdict::Retry,
        Outcome::Unavailable => Verdict::Unavailable,
    }
}

fn conflict() -> Fault {
    Fault::at("event_id", "conflict", "an event with this id and other content is stored already")
}

fn too_old() -> Fault {
    Fault::at("occurred_at", "too_old", "is more than 7 days ago, and browsers send no history")
}

fn unstorable() -> Fault {
    Fault::new("unstorable", "the database cannot hold this event")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::candidate::sample;

    /// Folds requests of (tenant, id, content) and answers the verdicts by request and event.
    fn settle(requests: &[&[(&str, u8, u8)]], outcomes: &[Outcome]) -> Vec<Vec<String>> {
        let folded = fold(
            requests
                .iter()
                .map(|events| events.iter().map(|(tenant, id, content)| sample(tenant, *id, *content)).collect())
                .collect(),
        );
        assert_eq!(folded.candidates.len(), outcomes.len());
        let mut told: Vec<Vec<String>> = requests.iter().map(|events| vec![String::new(); events.len()]).collect();
        for (place, verdict) in folded.verdicts(outcomes) {
            told[place.request][place.event] = match verdict {
                Verdict::Accepted => "accepted".to_owned(),
                Verdict::Duplicate => "duplicate".to_owned(),
                Verdict::Rejected(fault) => fault.code.to_owned(),
                Verdict::Limited => "limited".to_owned(),
                Verdict::Retry => "retry".to_owned(),
                Verdict::Unavailable => "unavailable".to_owned(),
            };
        }
        told
    }

    #[test]
    fn candidates_are_unique_and_ascend_by_tenant_and_id() {
        let folded = fold(vec![
            vec![sample("b", 1, 0), sample("a", 9, 0)],
            vec![sample("a", 2, 0), sample("b", 1, 0), sample("a", 9, 7)],
        ]);
        let keys: Vec<(String, u8)> = folded
            .candidates
            .iter()
            .map(|candidate| (candidate.tenant_id.to_string(), candidate.event_id.as_uuid().as_bytes()[15]))
            .collect();
        assert_eq!(keys, [("a".to_owned(), 2), ("a".to_owned(), 9), ("b".to_owned(), 1)]);
        assert_eq!(
            folded.candidates[1].content_hash,
            sample("a", 9, 0).content_hash,
            "the first to arrive is the candidate"
        );
    }

    #[test]
    fn of_equal_ids_one_is_accepted() {
        let told = settle(
            &[&[("a", 1, 1), ("a", 1, 1), ("a", 1, 2)], &[("a", 1, 1), ("a", 1, 3), ("b", 1, 3)]],
            &[Outcome::New, Outcome::New],
        );
        assert_eq!(told, [vec!["accepted", "duplicate", "conflict"], vec!["duplicate", "conflict", "accepted"]]);
    }

    #[test]
    fn what_is_stored_already_decides_for_every_copy() {
        let stored = Outcome::Existing(sample("a", 1, 2).content_hash);
        assert_eq!(
            settle(&[&[("a", 1, 1), ("a", 1, 2), ("a", 1, 1)]], &[stored]),
            [vec!["conflict", "duplicate", "conflict"]]
        );
    }

    #[test]
    fn a_refused_candidate_takes_only_its_equals_along() {
        let requests: &[&[(&str, u8, u8)]] = &[&[("a", 1, 1), ("a", 1, 2)], &[("a", 1, 1), ("a", 2, 1)]];
        let told = settle(requests, &[Outcome::Refused, Outcome::New]);
        assert_eq!(told, [vec!["unstorable", "retry"], vec!["unstorable", "accepted"]]);
        assert_eq!(settle(&[&[("a", 1, 1), ("a", 1, 2)]], &[Outcome::Gone]), [vec!["retry", "retry"]]);
        // The other may have come from a server.
        assert_eq!(settle(&[&[("a", 1, 1)], &[("a", 1, 1)]], &[Outcome::TooOld]), [vec!["too_old"], vec!["retry"]]);
        assert_eq!(
            settle(&[&[("a", 1, 1), ("a", 1, 2)]], &[Outcome::Unavailable]),
            [vec!["unavailable", "unavailable"]]
        );
    }
}
