//! What waits to be sent: bounded, filled by training, emptied by the thread that sends. Filling it
//! takes a lock for as long as a few numbers take to be copied, and never waits for a network.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::client::{MOST_METRICS, Metric};

/// Metrics kept for a server that does not answer; more are counted and let go.
const MOST_WAITING: usize = 200_000;

/// The last thing that is sent.
#[derive(Debug)]
pub(super) struct Closing {
    /// As MLflow names it.
    pub(super) status: &'static str,
    /// Milliseconds since 1970.
    pub(super) time: u64,
    pub(super) artifacts: Vec<PathBuf>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Metric>,
    lost: usize,
    over: bool,
    closing: Option<Closing>,
    /// The sending thread has ended.
    done: bool,
    words: VecDeque<String>,
}

/// Shared by training and the thread that sends.
#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

impl Outbox {
    /// Takes metrics, or counts them as lost when too many wait or nobody sends any more.
    pub(super) fn push(&self, metrics: impl Iterator<Item = Metric>) {
        let mut state = self.lock();
        for metric in metrics {
            if state.done || state.waiting.len() >= MOST_WAITING {
                state.lost += 1;
            } else {
                state.waiting.push_back(metric);
            }
        }
        if state.waiting.len() >= MOST_METRICS {
            self.changed.notify_all();
        }
    }

    /// Nothing more will come; `closing` is to be sent last, if anything is.
    pub(super) fn close(&self, closing: Option<Closing>) {
        let mut state = self.lock();
        (state.over, state.closing) = (true, closing);
        self.changed.notify_all();
    }

    /// Waits until the sending thread has ended, at most `bound`. Whether it has, and how many metrics
    /// did not arrive.
    pub(super) fn wait_done(&self, bound: Duration) -> (bool, usize) {
        let waited = self.changed.wait_timeout_while(self.lock(), bound, |state| !state.done);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (state.done, state.lost + state.waiting.len())
    }

    /// What the sending thread has to say to a person, each thing once.
    pub(super) fn heard(&self) -> Option<String> {
        self.lock().words.pop_front()
    }

    /// For the sending thread: waits until a request's worth of metrics is there, the run is over, or
    /// `bound` has passed.
    pub(super) fn wait_full(&self, bound: Duration) {
        self.wait(bound, |state| state.waiting.len() < MOST_METRICS && !state.over);
    }

    /// For the sending thread: waits until the run is over, or `bound` has passed.
    pub(super) fn rest(&self, bound: Duration) {
        self.wait(bound, |state| !state.over);
    }

    /// Whether nothing more will come.
    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// The next metrics to send; none when none wait.
    pub(super) fn take(&self) -> Option<Vec<Metric>> {
        let mut state = self.lock();
        let count = state.waiting.len().min(MOST_METRICS);
        (count > 0).then(|| state.waiting.drain(..count).collect())
    }

    /// Puts back what could not be sent, to be sent first.
    pub(super) fn put_back(&self, metrics: Vec<Metric>) {
        let mut state = self.lock();
        for metric in metrics.into_iter().rev() {
            state.waiting.push_front(metric);
        }
    }

    /// The last thing to send.
    pub(super) fn closing(&self) -> Option<Closing> {
        self.lock().closing.take()
    }

    /// Says something to a person.
    pub(super) fn say(&self, text: String) {
        self.lock().words.push_back(text);
    }

    /// The sending thread ends.
    pub(super) fn done(&self) {
        self.lock().done = true;
        self.changed.notify_all();
    }

    fn wait(&self, bound: Duration, while_so: impl Fn(&State) -> bool) {
        drop(self.changed.wait_timeout_while(self.lock(), bound, |state| while_so(state)));
    }

    /// A thread that panicked held the lock for plain moves alone: what it left is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
