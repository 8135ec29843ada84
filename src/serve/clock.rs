//! The room's one clock. Everything else takes an [`Instant`] or a number of seconds, so that
//! batching, deadlines and pace can be tested without waiting. Refuses to be mocked: pass the time.

use std::time::{Duration, Instant};

/// Now, for measuring.
#[allow(clippy::disallowed_methods, reason = "the edge's clock: callers pass what it says on")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// A duration in milliseconds, fraction kept.
pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
