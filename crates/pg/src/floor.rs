//! From which id on an outbox is claimed.
//!
//! Rows are claimed in the order of their ids and deleted soon after. While any transaction of the database has an older snapshot (a
//! backup, a long question of an analyst) they cannot be cleared away, and a claim that began at the lowest id would pass all that were
//! deleted since. So it begins where claims began some time ago. What is below that (a transaction that took its id long before its
//! commit, a message that waits for its next attempt) is found by a claim of the whole outbox now and then; where that is full, another
//! follows at once.

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
    /// How long the last claim of the whole took.
    whole_took: Duration,
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
        Self { floor: 0, next: 0, latest: 0, turned_at: now, whole_at: now, whole_took: Duration::ZERO }
    }

    /// Where a claim begins now.
    pub(crate) fn begin(&mut self, now: Instant) -> Begin {
        if now.duration_since(self.turned_at) >= TURN {
            (self.floor, self.next, self.turned_at) = (self.next, self.latest, now);
        }
        let is_whole = now >= self.whole_at;
        if is_whole {
            self.whole_at = now + WHOLE.max(self.whole_took * SHARE);
        }
        Begin { id: if is_whole { 0 } else { self.floor }, is_whole, at: now }
    }

    /// What came of it: the first row that it got, and whether the next is to go on where it ended.
    pub(crate) fn claimed(&mut self, begin: Begin, (first, goes_on): (Option<i64>, bool), now: Instant) {
        self.took(begin, now);
        if begin.is_whole && goes_on {
            self.whole_at = now;
        }
        self.latest = first.map_or(self.latest, |first| self.latest.max(first));
    }

    /// It failed. Where that may have been another server's doing, its ids may be others.
    pub(crate) fn failed(&mut self, begin: Begin, is_elsewhere: bool, now: Instant) {
        if is_elsewhere {
            *self = Self::new(now);
        } else {
            self.took(begin, now);
        }
    }

    fn took(&mut self, begin: Begin, now: Instant) {
        if begin.is_whole {
            self.whole_took = now.duration_since(begin.at);
            self.whole_at = now + WHOLE.max(self.whole_took * SHARE);
        }
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
            floor.claimed(begin, (Some(1_000 + i64::try_from(second).unwrap()), false), now);
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
        floor.claimed(begin, (Some(500), false), start);
        for second in [30, 60, 90] {
            let begin = floor.begin(start + seconds(second));
            floor.claimed(begin, ((second == 60).then_some(7), false), start + seconds(second));
        }
        assert_eq!(floor.begin(start + seconds(91)).id, 500);
    }

    #[test]
    fn a_slow_claim_of_the_whole_is_made_less_often_also_if_it_fails() {
        let start = Instant::now();
        let mut floor = Floor::new(start);
        let begin = floor.begin(start);
        assert!(begin.is_whole);
        floor.claimed(begin, (None, false), start + seconds(2));
        assert!(!floor.begin(start + seconds(101)).is_whole);
        let begin = floor.begin(start + seconds(102));
        assert!(begin.is_whole);
        floor.failed(begin, false, start + seconds(107));
        assert!(!floor.begin(start + seconds(107 + 249)).is_whole);
        assert!(floor.begin(start + seconds(107 + 250)).is_whole);
    }

    #[test]
    fn a_full_claim_of_the_whole_is_followed_by_another() {
        let start = Instant::now();
        let mut floor = Floor::new(start);
        for goes_on in [true, true, false] {
            let begin = floor.begin(start);
            assert!(begin.is_whole);
            floor.claimed(begin, (Some(1), goes_on), start);
        }
        assert!(!floor.begin(start).is_whole);
    }

    #[test]
    fn on_another_server_nothing_is_known() {
        let start = Instant::now();
        let mut floor = Floor::new(start);
        for second in [0, 31, 62] {
            let begin = floor.begin(start + seconds(second));
            floor.claimed(begin, (Some(900), false), start + seconds(second));
        }
        let begin = floor.begin(start + seconds(63));
        assert_eq!(begin.id, 900);
        floor.failed(begin, true, start + seconds(63));
        assert_eq!(floor.begin(start + seconds(64)).id, 0);
        assert_eq!(floor.begin(start + seconds(65)).id, 0);
    }
}
