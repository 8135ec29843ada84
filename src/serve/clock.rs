//! The room's one clock. Everything else takes an [`Instant`] or a number of seconds, so that
//! batching, deadlines and pace can be tested without waiting. Refuses to be mocked: pass the time.

use std::time::{Duration, Instant, SystemTime};

/// Now, for measuring.
#[allow(clippy::disallowed_methods, reason = "the edge's clock: callers pass what it says on")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Now, for telling a client: whole seconds since 1970.
#[allow(clippy::disallowed_methods, reason = "the edge's clock: callers pass what it says on")]
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A duration in milliseconds, fraction kept.
pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The two clocks read at once: turns what one of them said into what the other would have said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    measured: Instant,
    told: SystemTime,
}

impl Anchor {
    #[allow(clippy::disallowed_methods, reason = "the edge's clock: callers pass what it says on")]
    pub(super) fn now() -> Self {
        Self { measured: Instant::now(), told: SystemTime::now() }
    }

    /// When `instant`, which lies before this was made, was by the wall clock.
    pub(super) fn at(self, instant: Instant) -> SystemTime {
        self.told - self.measured.saturating_duration_since(instant)
    }
}
