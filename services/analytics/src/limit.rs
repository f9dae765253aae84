//! Requests per minute and API key.

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use web::Problem;

/// Keys that are remembered before the idle ones among them are forgotten.
const SWEEP_OVER: usize = 10_000;

/// A token bucket per key. Each replica of the service counts for itself.
pub struct Limit(DefaultKeyedRateLimiter<String>);

impl Limit {
    /// `requests_per_minute` each minute, and as many at once.
    pub fn new(requests_per_minute: NonZeroU32) -> Self {
        Self(RateLimiter::keyed(Quota::per_minute(requests_per_minute)))
    }

    /// Takes one request of `key_id`; over the limit, 429 with the seconds to wait.
    pub fn take(&self, key_id: &str) -> Result<(), Problem> {
        if self.0.len() > SWEEP_OVER {
            self.0.retain_recent();
        }
        self.0.check_key(&key_id.to_owned()).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            Problem::too_many("rate_limited", "too many requests with this key").retry_in(seconds)
        })
    }
}
