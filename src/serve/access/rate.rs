//! A key's rate: governor's GCRA, and where a key stands in the words of HTTP's `RateLimit` fields.
//!
//! GCRA is a bucket that refills all the time, so there is no window at whose edge twice the rate
//! could pass. What has been spent is not given back, whatever became of the request.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::serve::clock;

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Texts that are classified.
    Texts,
    /// Requests of any kind that the key opens.
    Requests,
}

impl Unit {
    /// As it is called in a header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Texts => "texts",
            Self::Requests => "requests",
        }
    }
}

/// How fast a key may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateSpec {
    /// What is counted.
    pub unit: Unit,
    /// How many a second, in [`RateSpec::RANGE`].
    pub per_second: f64,
    /// How many at once after a pause, at most [`RateSpec::MOST`]. Without it: a second's worth, and for texts as many as one
    /// request may bring.
    pub burst: Option<NonZeroU32>,
}

impl RateSpec {
    /// What a rate may be.
    pub const RANGE: RangeInclusive<f64> = 0.001..=1e6;
    /// The largest burst: at the slowest rate its nanoseconds still fit 64 bits.
    pub const MOST: u32 = 1_000_000;

    fn quota(self, max_texts: u32) -> Quota {
        let least = if self.unit == Unit::Texts { max_texts } else { 1 };
        // Within the range, so neither the cast nor the division overflows.
        let usual = NonZeroU32::new((self.per_second.ceil() as u32).max(least.min(Self::MOST))).unwrap_or(NonZeroU32::MIN);
        let period = Duration::from_secs_f64(1.0 / self.per_second);
        let quota = Quota::with_period(period).expect("a rate within its range has a period: this is a bug");
        quota.allow_burst(self.burst.unwrap_or(usual))
    }
}

/// Where a key stands against its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What is counted.
    pub unit: Unit,
    /// How many at once after a pause.
    pub quota: u32,
    /// Seconds in which all of that comes back.
    pub window: u64,
    /// How many at once now; zero where a request was refused.
    pub remaining: u32,
    /// Seconds until all of the quota is there again; where a request was refused, until it could
    /// pass.
    pub reset: u64,
}

/// Why it may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Not yet.
    Early(Standing),
    /// Never: more than the burst.
    Never {
        /// The burst.
        most: u32,
    },
}

/// Instants from the edge's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct EdgeClock;

impl Clock for EdgeClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        clock::now()
    }
}

/// One key's bucket.
pub(super) struct Limiter<C: Clock = EdgeClock> {
    unit: Unit,
    quota: Quota,
    bucket: RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>,
}

impl<C: Clock> Limiter<C> {
    /// A full bucket; `max_texts` is what one request may bring.
    pub(super) fn new(rate: RateSpec, max_texts: u32, clock: C) -> Self {
        let quota = rate.quota(max_texts);
        Self { unit: rate.unit, quota, bucket: RateLimiter::direct_with_clock(quota, clock).with_middleware() }
    }

    pub(super) fn counts(&self, unit: Unit) -> bool {
        self.unit == unit
    }

    /// Takes `count` out of the bucket, all or none.
    pub(super) fn take(&self, count: NonZeroU32) -> Result<Standing, Over> {
        let (burst, period) = (self.quota.burst_size().get(), self.quota.replenish_interval());
        let standing = |remaining, reset| Standing {
            unit: self.unit,
            quota: burst,
            window: seconds(period * burst),
            remaining,
            reset: seconds(reset),
        };
        if count.get() > burst {
            return Err(Over::Never { most: burst });
        }
        match self.bucket.check_n(count) {
            Ok(Ok(state)) => {
                let left = state.remaining_burst_capacity();
                Ok(standing(left, period * burst.saturating_sub(left)))
            }
            Ok(Err(early)) => Err(Over::Early(standing(0, early.wait_time_from(self.bucket.clock().now())))),
            Err(_) => Err(Over::Never { most: burst }),
        }
    }
}

/// Whole seconds, rounded up, at least one.
fn seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn count(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).unwrap()
    }

    #[test]
    fn a_bucket_empties_at_once_and_refills_at_its_rate() {
        let clock = FakeRelativeClock::default();
        let rate = RateSpec { unit: Unit::Texts, per_second: 2.0, burst: NonZeroU32::new(10) };
        let limiter = Limiter::new(rate, 64, clock.clone());
        let standing = |remaining, reset| Standing { unit: Unit::Texts, quota: 10, window: 5, remaining, reset };
        assert_eq!(limiter.take(count(7)), Ok(standing(3, 4)));
        assert_eq!(limiter.take(count(4)), Err(Over::Early(standing(0, 1))));
        assert_eq!(limiter.take(count(3)), Ok(standing(0, 5)));
        assert_eq!(limiter.take(count(5)), Err(Over::Early(standing(0, 3))));
        clock.advance(Duration::from_millis(2499));
        assert_eq!(limiter.take(count(5)), Err(Over::Early(standing(0, 1))));
        clock.advance(Duration::from_millis(1));
        assert_eq!(limiter.take(count(5)), Ok(standing(0, 5)));
        clock.advance(Duration::from_secs(3600));
        assert_eq!(limiter.take(count(11)), Err(Over::Never { most: 10 }));
        assert_eq!(limiter.take(count(10)), Ok(standing(0, 5)));
    }

    #[test]
    fn a_burst_that_is_not_said_takes_a_whole_request() {
        let burst = |unit, per_second| RateSpec { unit, per_second, burst: None }.quota(64).burst_size().get();
        assert_eq!((burst(Unit::Texts, 0.5), burst(Unit::Texts, 100.5)), (64, 101));
        assert_eq!((burst(Unit::Requests, 0.5), burst(Unit::Requests, 100.0)), (1, 100));
    }
}
