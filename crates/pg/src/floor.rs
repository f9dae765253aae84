//! From which id on an outbox is claimed.
//!
//! Rows are claimed in the order of their ids and deleted soon after. While any transaction of the database has an older snapshot (a
//! backup, a long question of an analyst) they cannot be cleared away, and a claim that began at the lowest id would pass all that were
//! deleted since. So it begins where claims began some time ago. What is below that (a transaction that took its id long before its
//! commit, a message that waits for its next attempt) is found by a claim of the whole outbox now and then.

use std::time::{Duration, Instant};

/// How far back a claim begins, once or twice this; longer than a transaction may take, or a message waits at first.
const TURN: Duration = Duration::from_secs(30);
/// From one claim of the whole outbox to the next, at least.
const WHOLE: Duration = Duration::from_secs(30);
/// Claims of the whole may take this part of the time.
const SHARE: u32 = 50;

/// What one relay knows of its outbox.
#[derive(Debug)]
pub(crate) struct Floor {
    floor: i64,
    /// The floor after the next turn, and the highest first id of a claim so far.
    next: i64,
    latest: i64,
    turned_at: Instant,
    whole_at: Instant,
}

/// Where a claim begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begin {
    pub id: i64,
    is_whole: bool,
    at: Instant,
}

impl Floor {
    /// Nothing is known: the first claim is of the whole.
    pub(crate) fn new(now: Instant) -> Self {
        Self { floor: 0, next: 0, latest: 0, turned_at: now, whole_at: now }
    }

    /// Where a claim begins now.
    pub(crate) fn begin(&mut self, now: Instant) -> Begin {
        if now.duration_since(self.turned_at) >= TURN {
            (self.floor, self.next, self.turned_at) = (self.next, self.latest, now);
        }
        let is_whole = now >= self.whole_at;
        if is_whole {
            // Should it fail, others come first.
            self.whole_at = now + WHOLE;
        }
        Begin { id: if is_whole { 0 } else { self.floor }, is_whole, at: now }
    }

    /// What came of it: the first row that it got.
    pub(crate) fn claimed(&mut self, begin: Begin, first: Option<i64>, now: Instant) {
        if begin.is_whole {
            self.whole_at = now + WHOLE.max(now.duration_since(begin.at) * SHARE);
        }
        self.latest = first.map_or(self.latest, |first| self.latest.max(first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn claims_begin_where_they_began_some_time_ago() {
        let start = Instant::now();
        let mut floor = Floor::new(start);
        // A row a second, claimed at once; 29 are no turn.
        let mut begins = Vec::new();
        for second in 0..120 {
            let now = start + seconds(second);
            let begin = floor.begin(now);
            begins.push((begin.id, begin.is_whole));
            floor.claimed(begin, Some(1_000 + i64::try_from(second).unwrap()), now);
        }
        let whole: Vec<usize> = (0..120).filter(|second| begins[*second].1).collect();
        assert_eq!(whole, [0, 30, 60, 90]);
        assert!(begins[1..60].iter().all(|begin| begin.0 == 0));
        assert_eq!(begins[61..90].iter().map(|begin| begin.0).max(), Some(1_029));
        assert_eq!(begins[91..].iter().map(|begin| begin.0).min(), Some(1_059));
    }

    #[test]
    fn a_row_far_below_does_not_lower_it_and_nothing_new_does_not_raise_it() {
        let start = Instant::now();
        let mut floor = Floor::new(start);
        let begin = floor.begin(start);
        floor.claimed(begin, Some(500), start);
        for second in [30, 60, 90] {
            let begin = floor.begin(start + seconds(second));
            floor.claimed(begin, (second == 60).then_some(7), start + seconds(second));
        }
        assert_eq!(floor.begin(start + seconds(91)).id, 500);
    }

    #[test]
    fn a_slow_claim_of_the_whole_is_made_less_often_and_a_failed_one_not_at_once_again() {
        let start = Instant::now();
        let mut floor = Floor::new(start);
        let begin = floor.begin(start);
        assert!(begin.is_whole);
        floor.claimed(begin, None, start + seconds(2));
        assert!(!floor.begin(start + seconds(101)).is_whole);
        assert!(floor.begin(start + seconds(102)).is_whole);
        assert!(!floor.begin(start + seconds(103)).is_whole);
        assert!(floor.begin(start + seconds(132)).is_whole);
    }
}
