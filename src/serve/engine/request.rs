//! One request's texts on their way through the workers, which may compute them in any order and
//! in several batches. The answer leaves once, when the last text is done or the first one fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::oneshot;

use crate::decide::Logits;
use crate::serve::telemetry::traces::Origin;

/// What a request gets when all its texts are computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// One row a text, in the order submitted.
    pub logits: Logits,
    /// Where the time went.
    pub timings: Timings,
}

/// The two parts of a request's time inside the engine; they do not overlap and leave no gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// When it was submitted.
    pub submitted: Instant,
    /// From submission until a worker took the first of its texts.
    pub queue: Duration,
    /// From then until the last of its texts was computed.
    pub infer: Duration,
}

/// Why admitted work has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// The backend reported an error on these texts.
    #[error("the engine failed: {reason}")]
    Failed {
        /// What the backend said. Holds no text of the request.
        reason: String,
    },
    /// The backend panicked; it has been replaced.
    #[error("the engine panicked on this batch")]
    Panicked,
    /// The deadline passed while the texts waited.
    #[error("the deadline passed before a worker was free")]
    Expired,
    /// No worker has a usable backend.
    #[error("no engine worker is left")]
    Down,
}

type Reply = Result<Answer, EngineError>;

/// The shared end of a request: workers write rows into it.
#[derive(Debug)]
pub(super) struct Pending {
    /// The span that it is computed for, where that is told.
    pub(super) origin: Option<Origin>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    submitted: Instant,
    first_taken: Option<Instant>,
    /// Shared with the cache and with whoever asked the same.
    rows: Vec<Option<Arc<[f32]>>>,
    missing: usize,
    /// Taken by the first answer or failure; later ones find nothing to tell.
    reply: Option<oneshot::Sender<Reply>>,
}

impl Pending {
    pub(super) fn new(texts: usize, submitted: Instant, origin: Option<Origin>) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        let state = State { submitted, first_taken: None, rows: vec![None; texts], missing: texts, reply: Some(reply) };
        (Self { origin, state: Mutex::new(state) }, receiver)
    }

    /// One text's logits, computed from `taken` to `done`.
    pub(super) fn fill(&self, slot: usize, row: &Arc<[f32]>, taken: Instant, done: Instant) {
        let mut state = self.lock();
        state.first_taken = Some(state.first_taken.map_or(taken, |first| first.min(taken)));
        let Some(place @ None) = state.rows.get_mut(slot) else { return };
        *place = Some(Arc::clone(row));
        state.missing -= 1;
        if state.missing == 0 {
            let answer = state.finish(row.len(), done);
            state.tell(answer);
        }
    }

    pub(super) fn fail(&self, error: EngineError) {
        self.lock().tell(Err(error));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn finish(&mut self, labels: usize, done: Instant) -> Reply {
        let values = self.rows.drain(..).flatten().flat_map(|row| row.to_vec()).collect();
        let logits = Logits::new(labels, values).map_err(|error| EngineError::Failed { reason: error.to_string() })?;
        let first = self.first_taken.unwrap_or(done);
        let (queue, infer) = (first.saturating_duration_since(self.submitted), done.saturating_duration_since(first));
        let timings = Timings { submitted: self.submitted, queue, infer };
        Ok(Answer { logits, timings })
    }

    fn tell(&mut self, reply: Reply) {
        if let Some(sender) = self.reply.take() {
            // A client that left is no error.
            drop(sender.send(reply));
        }
    }
}
