//! How much a caller may ask for: a token bucket for each, in bounded memory. Each replica of a service counts for itself.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use serde::{Deserialize, Serialize};

use crate::Problem;

/// The section `http.rate_limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitSettings {
    /// How much a caller may ask for in a minute; 0: there is no limit.
    pub per_minute: u32,
    /// How much of it at once; 0: all of it.
    pub burst: u32,
    /// Callers that are remembered. With more, those not seen for the longest begin anew.
    pub max_callers: u64,
}

impl Default for RateLimitSettings {
    fn default() -> Self {
        Self { per_minute: 0, burst: 0, max_callers: 100_000 }
    }
}

/// A token bucket per caller. Clones share them.
#[derive(Clone)]
pub struct RateLimit(Option<Buckets>);

#[derive(Clone)]
struct Buckets {
    quota: Quota,
    each: Cache<String, Arc<DefaultDirectRateLimiter>>,
}

impl RateLimit {
    /// Full buckets for everybody.
    pub fn new(settings: RateLimitSettings) -> Self {
        Self(NonZeroU32::new(settings.per_minute).map(|per_minute| {
            let burst = NonZeroU32::new(settings.burst).unwrap_or(per_minute);
            let quota = Quota::per_minute(per_minute).allow_burst(burst);
            let each = Cache::builder()
                .max_capacity(settings.max_callers)
                .eviction_policy(EvictionPolicy::lru())
                // A bucket that nobody has touched for that long is full, as a new one is.
                .time_to_idle(quota.burst_size_replenished_in())
                .build();
            Buckets { quota, each }
        }))
    }

    /// Takes `count` from the caller's bucket; what is more than a whole bucket takes that.
    ///
    /// # Errors
    /// 429 `rate_limited`, with the seconds to wait.
    pub async fn take(&self, caller: &str, count: NonZeroU32) -> Result<(), Problem> {
        let Some(Buckets { quota, each }) = &self.0 else {
            return Ok(());
        };
        let fresh = async { Arc::new(RateLimiter::direct(*quota)) };
        let bucket = each.get_with_by_ref(caller, fresh).await;
        match bucket.check_n(count.min(quota.burst_size())) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(refused(not_until.wait_time_from(bucket.clock().now()))),
            Err(_more_than_a_bucket) => Err(refused(quota.burst_size_replenished_in())),
        }
    }
}

fn refused(wait: Duration) -> Problem {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
    Problem::too_many("rate_limited", "too much was asked for with this credential").retry_in(seconds.max(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const ONE: NonZeroU32 = NonZeroU32::MIN;

    fn limit(per_minute: u32, burst: u32) -> RateLimit {
        RateLimit::new(RateLimitSettings { per_minute, burst, ..RateLimitSettings::default() })
    }

    #[tokio::test]
    async fn each_caller_has_a_bucket_of_its_own() {
        let limit = limit(1, 3);
        for _ in 0..3 {
            limit.take("a", ONE).await.unwrap();
        }
        let refused = limit.take("a", ONE).await.unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code), (429, "rate_limited"));
        assert!((1..=60).contains(&refused.retry_after.unwrap()), "{refused:?}");
        limit.take("b", ONE).await.unwrap();
        assert!(limit.clone().take("a", ONE).await.is_err(), "clones share the buckets");
    }

    #[tokio::test]
    async fn a_bucket_holds_a_minutes_worth_unless_it_is_said() {
        let limit = limit(5, 0);
        let five = NonZeroU32::new(5).unwrap();
        limit.take("a", five).await.unwrap();
        assert!(limit.take("a", ONE).await.is_err());
        // More than a bucket holds is let in when the bucket is full, and never again before.
        let hundred = NonZeroU32::new(100).unwrap();
        limit.take("b", hundred).await.unwrap();
        assert!(limit.take("b", ONE).await.is_err());
    }

    #[tokio::test]
    async fn without_a_limit_nothing_is_counted() {
        let limit = limit(0, 1);
        for _ in 0..1_000 {
            limit.take("a", ONE).await.unwrap();
        }
    }

    #[tokio::test]
    async fn only_so_many_callers_are_remembered() {
        let settings = RateLimitSettings { per_minute: 1, burst: 1, max_callers: 100 };
        let limit = RateLimit::new(settings);
        for caller in 0..1_000 {
            limit.take(&caller.to_string(), ONE).await.unwrap();
        }
        let each = &limit.0.as_ref().unwrap().each;
        each.run_pending_tasks().await;
        assert!(each.entry_count() <= 100, "{}", each.entry_count());
        assert!(limit.take("999", ONE).await.is_err(), "the last one is remembered");
    }
}
