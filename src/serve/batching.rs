//! Which of the waiting texts are computed together.
//!
//! [`BatchPolicy::pick`] is a pure function of the queue and the time. It is work-conserving: it
//! never asks to wait for a fuller batch, because on a CPU a fuller batch gains little and waiting
//! costs every idle request. The oldest text is always taken, so nothing starves; its batch mates
//! are those of nearest length, so little is padded. Refuses to know threads, locks or requests.

use std::num::NonZeroUsize;
use std::time::Instant;

use crate::backend::Cost;

/// Only this many of the oldest texts are looked at, which bounds both the work under the queue's
/// lock and how far a young text may overtake.
const LOOKAHEAD: usize = 256;

/// On an engine that pads, a batch is at least this full: `real tokens >= MIN_FILL * computed`.
/// Below it, two batches are quicker than one.
const MIN_FILL: f64 = 0.7;

/// How urgent a request is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Priority {
    /// Somebody is waiting for this very answer.
    High,
    /// What is said when nothing is said.
    #[default]
    Normal,
    /// Work in bulk: it fills what others leave.
    Low,
}

/// One text in the queue, as the policy sees it. The queue is in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Its length in tokens, at least one.
    pub tokens: usize,
    /// When its answer stops being wanted.
    pub deadline: Instant,
}

/// What to do with the queue: positions in it, each at most once, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pick {
    /// Compute these now, together.
    pub batch: Vec<usize>,
    /// These are too late; they must not reach an engine.
    pub expired: Vec<usize>,
}

/// How much may be computed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPolicy {
    budget: NonZeroUsize,
    cost: Cost,
}

impl BatchPolicy {
    /// At most `budget` tokens a batch, counted as `cost` says: texts times the longest where the
    /// engine pads, the sum of lengths where it does not. One text longer than the budget goes
    /// alone.
    #[must_use]
    pub const fn new(budget: NonZeroUsize, cost: Cost) -> Self {
        Self { budget, cost }
    }

    /// Chooses from `queue` (oldest first) at the time `now`. The batch is empty only when every
    /// text has expired or none waits.
    #[must_use]
    pub fn pick(&self, queue: &[Waiting], now: Instant) -> Pick {
        let (expired, alive): (Vec<usize>, Vec<usize>) = (0..queue.len()).partition(|&at| queue[at].deadline <= now);
        let Some(&oldest) = alive.first() else { return Pick { batch: Vec::new(), expired } };
        let length = |at: usize| queue[at].tokens;
        let mut mates = alive[1..].iter().take(LOOKAHEAD - 1).copied().collect::<Vec<_>>();
        // Stable, so that among equally near lengths the older comes first.
        mates.sort_by_key(|&at| length(at).abs_diff(length(oldest)));

        let mut load = Load::of(length(oldest));
        let mut batch = vec![oldest];
        for at in mates {
            let fuller = load.with(length(at));
            if self.fits(fuller) {
                load = fuller;
                batch.push(at);
            }
        }
        batch.sort_unstable();
        Pick { batch, expired }
    }

    /// What a batch costs in tokens, as the engine computes it.
    #[must_use]
    pub fn cost(&self, lengths: impl IntoIterator<Item = usize>) -> usize {
        self.computed(lengths.into_iter().fold(Load::default(), Load::with))
    }

    fn fits(&self, load: Load) -> bool {
        let computed = self.computed(load);
        // Token counts are far below 2^52, so the ratio is exact enough.
        computed <= self.budget.get() && load.real as f64 >= MIN_FILL * computed as f64
    }

    fn computed(&self, load: Load) -> usize {
        match self.cost {
            Cost::Padded => load.texts.saturating_mul(load.longest),
            Cost::Ragged => load.real,
        }
    }
}

/// The size of a batch being laid out.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    texts: usize,
    longest: usize,
    real: usize,
}

impl Load {
    fn of(tokens: usize) -> Self {
        Self::default().with(tokens)
    }

    fn with(self, tokens: usize) -> Self {
        Self { texts: self.texts + 1, longest: self.longest.max(tokens), real: self.real + tokens }
    }
}
