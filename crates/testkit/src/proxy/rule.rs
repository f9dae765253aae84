//! What a proxy does with which message, and how often it has done so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use super::frame::{Frame, Side};

/// What happens at a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It passes: the rule only counts.
    Pass,
    /// Everything on this connection waits so long, then it passes.
    Delay(Duration),
    /// Neither it nor anything after it passes; both ends are reset.
    CutBefore,
    /// It passes, and nothing after it: its sender is reset at once. The receiver takes what it has been sent, and finds the
    /// end of the stream behind it.
    CutAfter,
    /// Neither it nor anything after it passes on this connection, and nothing is closed: a peer that hangs.
    Silence,
}

/// At which matches a rule acts, counted from 1.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Nth(u64),
    Every(u64),
}

type Matches = Box<dyn Fn(&Frame<'_>) -> bool + Send + Sync>;

/// An act, the messages it is for, and at which of them. It counts over all connections of the proxy.
pub struct Rule {
    matches: Matches,
    act: Act,
    turn: Turn,
    most: u64,
    seen: AtomicU64,
    acted: AtomicU64,
}

impl Rule {
    /// `act` at every message for which `matches` holds.
    pub fn new(act: Act, matches: impl Fn(&Frame<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self {
            matches: Box::new(matches),
            act,
            turn: Turn::Every(1),
            most: u64::MAX,
            seen: AtomicU64::new(0),
            acted: AtomicU64::new(0),
        }
    }

    /// A rule that only counts.
    pub fn count(matches: impl Fn(&Frame<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self::new(Act::Pass, matches)
    }

    /// Only at the n-th match, from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.turn = Turn::Nth(n);
        self
    }

    /// Only at each n-th match.
    #[must_use]
    pub fn every(mut self, n: u64) -> Self {
        self.turn = Turn::Every(n.max(1));
        self
    }

    /// At most so many times.
    #[must_use]
    pub fn at_most(mut self, times: u64) -> Self {
        self.most = times;
        self
    }

    /// Messages that matched, acted on or not.
    pub fn seen(&self) -> u64 {
        self.seen.load(SeqCst)
    }

    /// How often it acted.
    pub fn acted(&self) -> u64 {
        self.acted.load(SeqCst)
    }

    /// What it does with this message.
    fn judge(&self, frame: &Frame<'_>) -> Option<Act> {
        if !(self.matches)(frame) {
            return None;
        }
        let number = self.seen.fetch_add(1, SeqCst) + 1;
        let turn = match self.turn {
            Turn::Nth(n) => number == n,
            Turn::Every(n) => number.is_multiple_of(n),
        };
        let acts =
            turn && self.acted.fetch_update(SeqCst, SeqCst, |acted| (acted < self.most).then_some(acted + 1)).is_ok();
        acts.then_some(self.act)
    }
}

/// Asks every rule (each counts); the first that does anything but let it pass decides.
pub(super) fn judge(rules: &[Arc<Rule>], frame: &Frame<'_>) -> Act {
    let mut decided = Act::Pass;
    for rule in rules {
        if let Some(act) = rule.judge(frame)
            && decided == Act::Pass
        {
            decided = act;
        }
    }
    decided
}

/// PostgreSQL: the client asks for COMMIT.
pub fn asks_to_commit(frame: &Frame<'_>) -> bool {
    frame.statement() == Some("COMMIT")
}

/// PostgreSQL: the server says that it has committed.
pub fn has_committed(frame: &Frame<'_>) -> bool {
    frame.completed() == Some("COMMIT")
}

/// PostgreSQL: the client ends a flight; it now waits for an answer.
pub fn syncs(frame: &Frame<'_>) -> bool {
    frame.from == Side::Client && matches!(frame.tag(), b'S' | b'Q')
}

/// AMQP: `basic.publish`.
pub fn publishes(frame: &Frame<'_>) -> bool {
    frame.from == Side::Client && frame.method() == Some((60, 40))
}

/// AMQP: the broker confirms what was published.
pub fn confirms(frame: &Frame<'_>) -> bool {
    frame.from == Side::Server && frame.method() == Some((60, 80))
}

/// AMQP: a message for a consumer, by `basic.deliver` or `basic.get-ok`.
pub fn delivers(frame: &Frame<'_>) -> bool {
    frame.from == Side::Server && matches!(frame.method(), Some((60, 60 | 71)))
}

/// AMQP: a consumer acknowledges.
pub fn acknowledges(frame: &Frame<'_>) -> bool {
    frame.from == Side::Client && frame.method() == Some((60, 80))
}

#[cfg(test)]
mod tests {
    use super::super::frame::Protocol;
    use super::*;

    const COMMIT: Frame<'_> = Frame { from: Side::Client, protocol: Protocol::Postgres, bytes: b"Q\0\0\0\x0bCOMMIT\0" };

    fn acts(rule: Rule, times: usize) -> Vec<Act> {
        let rules = [Arc::new(rule)];
        (0..times).map(|_| judge(&rules, &COMMIT)).collect()
    }

    #[test]
    fn a_rule_acts_at_its_turn() {
        use Act::{CutAfter, Pass};
        let rule = || Rule::new(CutAfter, asks_to_commit);
        assert_eq!(acts(rule(), 3), [CutAfter; 3]);
        assert_eq!(acts(rule().nth(2), 4), [Pass, CutAfter, Pass, Pass]);
        assert_eq!(acts(rule().every(2), 5), [Pass, CutAfter, Pass, CutAfter, Pass]);
        assert_eq!(acts(rule().at_most(1), 3), [CutAfter, Pass, Pass]);
    }

    #[test]
    fn every_rule_counts_and_the_first_that_acts_decides() {
        let rules = [
            Arc::new(Rule::count(asks_to_commit)),
            Arc::new(Rule::new(Act::CutBefore, asks_to_commit).nth(2)),
            Arc::new(Rule::new(Act::Silence, asks_to_commit)),
            Arc::new(Rule::new(Act::Silence, has_committed)),
        ];
        assert_eq!(judge(&rules, &COMMIT), Act::Silence);
        assert_eq!(judge(&rules, &COMMIT), Act::CutBefore);
        let counts = rules.each_ref().map(|rule| (rule.seen(), rule.acted()));
        assert_eq!(counts, [(2, 2), (2, 1), (2, 2), (0, 0)]);
    }
}
