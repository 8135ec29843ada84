//! The waiting texts as a plain value: what is reserved, what waits in which order, and how fast it
//! drains.
//!
//! No lock and no clock here; [`Engine`](super::Engine) holds the one lock around it. The bound is
//! on texts that wait or have a place reserved; texts an engine is computing no longer count.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::request::Pending;
use crate::backend::Cost;
use crate::serve::batching::{BatchPolicy, Waiting};
use crate::text::Encoding;

/// The longest `Retry-After` that is ever told.
const LONGEST_RETRY: f64 = 60.0;
/// Weight of the newest batch in the running mean of seconds a text.
const PACE_WEIGHT: f64 = 0.2;

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Texts that wait or have a place reserved.
    pub texts: NonZeroUsize,
    /// Tokens that wait. A request that finds nobody waiting is taken whatever its size.
    pub tokens: NonZeroUsize,
}

/// What waits at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Texts waiting or with a place reserved.
    pub texts: usize,
    /// Tokens waiting.
    pub tokens: usize,
}

impl std::ops::Add for Depth {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { texts: self.texts + other.texts, tokens: self.tokens + other.tokens }
    }
}

/// One text that waits, and whom to tell.
pub(super) struct Item {
    pub(super) encoding: Encoding,
    /// A hash of the ids: two texts with different ones are different.
    pub(super) text: u64,
    pub(super) slot: usize,
    pub(super) deadline: Instant,
    pub(super) request: Arc<Pending>,
}

impl Item {
    fn tokens(&self) -> usize {
        self.encoding.ids().len()
    }

    /// Whether one computation serves both.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.text == other.text && self.encoding.ids() == other.encoding.ids()
    }
}

/// A text in its place.
struct Place {
    turn: Instant,
    item: Item,
}

/// What a worker got: texts to compute and texts that came too late.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) batch: Vec<Item>,
    pub(super) expired: Vec<Item>,
}

/// Whether new work may enter, and whether workers stay for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Requests are admitted.
    Open,
    /// Nothing new is admitted; what was admitted still arrives and is computed.
    Refusing,
    /// Workers finish what waits and leave.
    Ending,
}

/// The state behind the engine's lock.
pub(super) struct Queue {
    limits: QueueLimits,
    budget: NonZeroUsize,
    /// In order of turn.
    waiting: VecDeque<Place>,
    tokens: usize,
    reserved: usize,
    seconds_a_text: f64,
    refusals: u32,
    pub(super) stage: Stage,
    /// Workers that hold a usable backend.
    pub(super) up: usize,
    /// Kept from one batch to the next, so that taking one allocates nothing for those that stay.
    spare: (VecDeque<Place>, Vec<Waiting>),
}

impl Queue {
    pub(super) fn new(limits: QueueLimits, budget: NonZeroUsize, up: usize) -> Self {
        Self {
            limits,
            budget,
            waiting: VecDeque::new(),
            tokens: 0,
            reserved: 0,
            // Before the first batch: a guess that errs towards a short wait.
            seconds_a_text: 0.005,
            refusals: 0,
            stage: Stage::Open,
            up,
            spare: Default::default(),
        }
    }

    pub(super) fn depth(&self) -> Depth {
        Depth { texts: self.waiting.len() + self.reserved, tokens: self.tokens }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Reserves room for all of `texts`, or for none.
    pub(super) fn reserve(&mut self, texts: usize) -> bool {
        let fits = self.depth().texts.saturating_add(texts) <= self.limits.texts.get();
        if fits {
            self.reserved += texts;
        }
        fits
    }

    pub(super) fn release(&mut self, texts: usize) {
        self.reserved -= texts.min(self.reserved);
    }

    /// Turns a reservation into waiting texts, all or none: none when their tokens do not fit. They
    /// stand behind everything whose turn is not later.
    pub(super) fn push(&mut self, items: Vec<Item>, turn: Instant) -> bool {
        let tokens: usize = items.iter().map(Item::tokens).sum();
        if !self.waiting.is_empty() && self.tokens.saturating_add(tokens) > self.limits.tokens.get() {
            return false;
        }
        self.tokens += tokens;
        let at = self.waiting.partition_point(|place| place.turn <= turn);
        let later = self.waiting.split_off(at);
        self.waiting.extend(items.into_iter().map(|item| Place { turn, item }));
        self.waiting.extend(later);
        true
    }

    /// Removes what the policy picks.
    pub(super) fn take(&mut self, cost: Cost, now: Instant) -> Taken {
        let mut taken = Taken::default();
        if self.waiting.is_empty() {
            return taken;
        }
        let (kept, view) = &mut self.spare;
        view.clear();
        let seen = |Place { item, .. }: &Place| Waiting { tokens: item.tokens(), deadline: item.deadline, text: item.text };
        view.extend(self.waiting.iter().map(seen));
        let pick = BatchPolicy::new(self.budget, cost).pick(view, now);
        for (at, place) in self.waiting.drain(..).enumerate() {
            if pick.batch.binary_search(&at).is_ok() {
                taken.batch.push(place.item);
            } else if pick.expired.binary_search(&at).is_ok() {
                taken.expired.push(place.item);
            } else {
                kept.push_back(place);
            }
        }
        std::mem::swap(&mut self.waiting, kept);
        self.recount();
        taken
    }

    /// Removes the texts of a request that nobody waits for any more.
    pub(super) fn forget(&mut self, request: &Arc<Pending>) {
        self.waiting.retain(|place| !Arc::ptr_eq(&place.item.request, request));
        self.recount();
    }

    /// Removes everything, for when no worker is left to compute it.
    pub(super) fn drain(&mut self) -> Vec<Item> {
        self.tokens = 0;
        self.waiting.drain(..).map(|place| place.item).collect()
    }

    fn recount(&mut self) {
        self.tokens = self.waiting.iter().map(|place| place.item.tokens()).sum();
    }

    /// Learns from one finished batch how fast the queue drains.
    pub(super) fn learn(&mut self, texts: usize, took: Duration) {
        let seconds = took.as_secs_f64() / (texts.max(1) * self.up.max(1)) as f64;
        self.seconds_a_text += PACE_WEIGHT * (seconds - self.seconds_a_text);
    }

    /// Whole seconds until what waits now should be done, with up to a quarter of jitter so that
    /// refused clients do not come back together; between 1 and 60.
    pub(super) fn retry_after(&mut self) -> u64 {
        self.refusals = self.refusals.wrapping_add(1);
        // The golden ratio's multiples spread evenly over [0, 1) without a random number.
        let jitter = (f64::from(self.refusals) * 0.618_033_988_749_895).fract();
        let seconds = self.depth().texts as f64 * self.seconds_a_text * (1.0 + 0.25 * jitter);
        // In [1, 60], so the cast is exact.
        seconds.ceil().clamp(1.0, LONGEST_RETRY) as u64
    }
}
