//! One clock for a run, and event ids that tell when their request was meant to leave: a UUIDv7 to the microsecond. So whoever
//! sees an id later knows the intended time, without a table of what was sent.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use domain::ids::EventId;
use uuid::Uuid;

/// Events of one run that can be told apart.
const SEQUENCE_BITS: u32 = 38;
const RUN_BITS: u32 = 24;

/// Microseconds since 1970, read once and then counted: no step of the system's clock is seen.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    began_us: u64,
    run: u32,
}

impl Clock {
    /// A clock for a new run.
    #[expect(
        clippy::disallowed_methods,
        reason = "ids of version 7 begin with the time; latencies are counted by Instant"
    )]
    pub fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), began_us: micros(since_1970), run: rand::random::<u32>() >> (32 - RUN_BITS) }
    }

    /// The same run, counted from now.
    #[must_use]
    pub fn from_now(self) -> Self {
        let now_us = self.now_us();
        Self { began: Instant::now(), began_us: now_us, ..self }
    }

    /// When it was started.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Microseconds since 1970.
    pub fn now_us(&self) -> u64 {
        self.began_us + micros(self.began.elapsed())
    }

    /// Microseconds since 1970 at so long after the start.
    pub fn at_us(&self, after: Duration) -> u64 {
        self.began_us + micros(after)
    }

    /// The id of an event of this run that is meant to leave at `intended_us`.
    pub fn event_id(&self, intended_us: u64, sequence: u64) -> Uuid {
        let (ms, us) = (intended_us / 1_000, intended_us % 1_000);
        let high = (ms << 16) | (7 << 12) | us;
        let sequence = sequence & ((1 << SEQUENCE_BITS) - 1);
        let low = (0b10 << 62) | (u64::from(self.run) << SEQUENCE_BITS) | sequence;
        Uuid::from_u64_pair(high, low)
    }

    /// When the event was meant to leave, and its number; none if it is not of this run.
    pub fn read(&self, id: EventId) -> Option<(u64, u64)> {
        let (high, low) = id.as_uuid().as_u64_pair();
        let of_run = low >> SEQUENCE_BITS == (0b10 << RUN_BITS) | u64::from(self.run);
        let intended_us = (high >> 16) * 1_000 + (high & 0xfff);
        of_run.then_some((intended_us, low & ((1 << SEQUENCE_BITS) - 1)))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_the_intended_time_and_the_number() {
        let clock = Clock::start();
        for (after, sequence) in [(0, 0), (1, 1), (999, 7), (1_234_567, 10_000_000_000)] {
            let intended_us = clock.at_us(Duration::from_micros(after));
            let id = clock.event_id(intended_us, sequence);
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            assert_eq!(clock.read(id.into()), Some((intended_us, sequence)));
        }
    }

    #[test]
    fn ids_of_others_are_not_ours() {
        let clock = Clock::start();
        let other = Clock { run: clock.run ^ 1, ..clock };
        assert_eq!(clock.read(other.event_id(other.now_us(), 1).into()), None);
        assert_eq!(clock.read(Uuid::from_u128(5).into()), None);
        assert_eq!(clock.from_now().read(clock.event_id(5_000, 1).into()), Some((5_000, 1)));
    }
}
