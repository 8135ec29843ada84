//! Admission, the queue, and the workers that own the backends.
//!
//! A request asks for a [`Permit`] for all its texts, encodes them, submits them for a [`Ticket`],
//! and waits on that. Drop is the protocol: a dropped permit gives its places back, a dropped
//! ticket takes its texts out of the queue. Each worker is a thread with its own backend, so there
//! is no lock around inference. A backend that panics costs its batch a failure and is rebuilt.
//! What waits twice is computed once, and what was computed before may be kept ([`EnginePlan::cache_bytes`]).
//! Refuses text and HTTP: token ids go in, logits come out.

mod cache;
mod crew;
mod queue;
mod request;
mod worker;

use std::hash::{BuildHasher, RandomState};
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use thiserror::Error;
use tokio::sync::oneshot;

pub use self::crew::Crew;
pub use self::queue::{Depth, QueueLimits};
pub use self::request::{Answer, EngineError, Timings};

use self::cache::ResponseCache;
use self::queue::{Item, Queue, Stage, Taken};
use self::request::Pending;
use super::batching::Priority;
use super::clock;
use super::telemetry::Telemetry;
use super::telemetry::traces::Origin;
use crate::backend::{Backend, BackendError, Cost};
use crate::text::Encoding;

/// Makes a fresh backend, for a worker whose own one panicked.
pub type BackendFactory = Arc<dyn Fn() -> Result<Box<dyn Backend>, BackendError> + Send + Sync>;

/// How an [`Engine`] is to work.
#[derive(Clone)]
pub struct EnginePlan {
    /// How much may wait.
    pub queue: QueueLimits,
    /// Most tokens a batch, counted as the backend's [`Cost`] says.
    pub batch_tokens: NonZeroUsize,
    /// Bytes of answers kept for texts that come again; none are kept without it.
    pub cache_bytes: Option<NonZeroU64>,
    /// Where its threads sign on.
    pub crew: Crew,
    /// Where a new backend comes from.
    pub factory: BackendFactory,
}

/// Why a request was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The queue has no room for all of its texts.
    #[error("the queue is full")]
    Overloaded {
        /// Seconds until what waits should be done.
        retry_after: u64,
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Closed {
        /// Seconds until what waits should be done.
        retry_after: u64,
    },
    /// No worker has a usable backend.
    #[error("no engine worker is up")]
    Down {
        /// Seconds until it is worth asking again.
        retry_after: u64,
    },
}

/// Until when, and how urgently, a request wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Texts that still wait then are not computed.
    pub deadline: Instant,
    /// Whose turn comes before whose.
    pub priority: Priority,
    /// The span that it is computed for, where that is told.
    pub origin: Option<Origin>,
}

/// The workers and their queue. Cheap to share behind an `Arc`; dropping it lets them go.
pub struct Engine {
    shared: Arc<Shared>,
    name: &'static str,
}

/// What workers, permits and tickets have in common.
struct Shared {
    queue: Mutex<Queue>,
    /// Rung for one idle worker when there are texts, and for all of them when the stage changes.
    work: Condvar,
    /// Rung when the engine ends, for workers that pause between two tries to rebuild a backend: they would swallow a
    /// ring that was meant for an idle one.
    end: Condvar,
    cache: Option<ResponseCache>,
    /// Keyed by chance, so that nobody can make texts that look the same.
    hasher: RandomState,
    telemetry: Arc<Telemetry>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while holding it; were it to, the counts inside are still whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a text already, counted.
    fn recall(&self, encoding: &Encoding) -> Option<Arc<[f32]>> {
        let cache = self.cache.as_ref()?;
        let known = cache.get(encoding.ids());
        self.telemetry.recalled(known.is_some());
        known
    }

    /// Blocks until there is something to compute; nothing when the worker shall leave.
    fn next(&self, cost: Cost) -> Option<Vec<Item>> {
        let mut queue = self.lock();
        loop {
            let Taken { batch, expired } = queue.take(cost, clock::now());
            for item in expired {
                item.request.fail(EngineError::Expired);
            }
            if !batch.is_empty() {
                // Arrivals ring for one worker, which sees here that there is enough for another.
                if !queue.is_empty() {
                    self.work.notify_one();
                }
                return Some(batch);
            }
            if queue.stage == Stage::Ending {
                return None;
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Engine {
    /// Starts one worker thread for each of `backends`.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(backends: Vec<Box<dyn Backend>>, plan: EnginePlan, telemetry: Arc<Telemetry>) -> std::io::Result<Self> {
        let queue = Queue::new(plan.queue, plan.batch_tokens, backends.len());
        let name = backends.first().map_or("none", |backend| backend.name());
        let cache = plan.cache_bytes.map(ResponseCache::new);
        let hasher = RandomState::new();
        let shared = Arc::new(Shared { queue: Mutex::new(queue), work: Condvar::new(), end: Condvar::new(), cache, hasher, telemetry });
        let engine = Self { shared, name };
        for (index, backend) in backends.into_iter().enumerate() {
            let (shared, factory, member) = (Arc::clone(&engine.shared), Arc::clone(&plan.factory), plan.crew.sign_on());
            let thread = std::thread::Builder::new().name(format!("limbic-engine-{index}"));
            thread.spawn(move || {
                // Dropped last: who waits for the crew waits for the backend's end too.
                let _member = member;
                worker::run(&shared, backend, &factory);
            })?;
        }
        Ok(engine)
    }

    /// The backends' name in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Reserves places for all of a request's `texts`, or none.
    ///
    /// # Errors
    /// [`Refusal`], with when to come back.
    pub fn admit(&self, texts: usize) -> Result<Permit, Refusal> {
        let mut queue = self.shared.lock();
        if queue.stage != Stage::Open {
            return Err(Refusal::Closed { retry_after: queue.retry_after() });
        }
        if queue.up == 0 {
            return Err(Refusal::Down { retry_after: queue.retry_after() });
        }
        if !queue.reserve(texts) {
            return Err(Refusal::Overloaded { retry_after: queue.retry_after() });
        }
        Ok(Permit { shared: Arc::clone(&self.shared), texts })
    }

    /// What waits now.
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.shared.lock().depth()
    }

    /// Whether at least one worker has a usable backend.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.lock().up > 0
    }

    /// Seconds until what waits now should be done, at least one.
    #[must_use]
    pub fn retry_after(&self) -> u64 {
        self.shared.lock().retry_after()
    }

    /// Admits nothing more; what was admitted is still computed.
    pub fn refuse(&self) {
        let mut queue = self.shared.lock();
        queue.stage = queue.stage.max(Stage::Refusing);
    }

    /// Tells the workers to finish what waits and leave.
    pub fn end(&self) {
        self.shared.lock().stage = Stage::Ending;
        self.shared.work.notify_all();
        self.shared.end.notify_all();
    }
}

impl Drop for Engine {
    /// Lets idle workers go; who must know when they are gone waits for the [`Crew`].
    fn drop(&mut self) {
        self.end();
    }
}

/// Places in the queue, held until the texts are submitted or the permit is dropped.
pub struct Permit {
    shared: Arc<Shared>,
    texts: usize,
}

impl Permit {
    /// Puts the encoded texts into the queue, all or none, but for those whose answer is known.
    /// There must be as many as the permit was asked for.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] when their tokens do not fit beside those that wait.
    pub fn submit(mut self, encodings: Vec<Encoding>, order: Order) -> Result<Ticket, Refusal> {
        debug_assert_eq!(encodings.len(), self.texts, "a permit is for the texts it was asked for");
        let now = clock::now();
        let (request, answer) = Pending::new(encodings.len(), now, order.origin);
        let request = Arc::new(request);
        let items = self.items(encodings, order, &request);
        // Under one lock, so that the places never count twice or not at all.
        let mut queue = self.shared.lock();
        queue.release(std::mem::take(&mut self.texts));
        if items.is_empty() {
            drop(queue);
            return Ok(Ticket { shared: Arc::clone(&self.shared), request, answer });
        }
        if queue.up == 0 {
            return Err(Refusal::Down { retry_after: queue.retry_after() });
        }
        if !queue.push(items, order.priority.turn(now)) {
            return Err(Refusal::Overloaded { retry_after: queue.retry_after() });
        }
        drop(queue);
        self.shared.work.notify_one();
        Ok(Ticket { shared: Arc::clone(&self.shared), request, answer })
    }

    /// The texts that have to be computed; the others are filled in.
    fn items(&self, encodings: Vec<Encoding>, order: Order, request: &Arc<Pending>) -> Vec<Item> {
        let mut items = Vec::with_capacity(encodings.len());
        for (slot, encoding) in encodings.into_iter().enumerate() {
            if let Some(row) = self.shared.recall(&encoding) {
                let now = clock::now();
                request.fill(slot, &row, now, now);
                continue;
            }
            let text = self.shared.hasher.hash_one(encoding.ids());
            items.push(Item { encoding, text, slot, deadline: order.deadline, request: Arc::clone(request) });
        }
        items
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.texts > 0 {
            self.shared.lock().release(self.texts);
        }
    }
}

/// The promise of an answer. Dropping it takes what still waits out of the queue.
pub struct Ticket {
    shared: Arc<Shared>,
    request: Arc<Pending>,
    answer: oneshot::Receiver<Result<Answer, EngineError>>,
}

impl Ticket {
    /// Waits for all of the request's texts.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn wait(mut self) -> Result<Answer, EngineError> {
        (&mut self.answer).await.unwrap_or(Err(EngineError::Down))
    }

    /// The same for a thread of its own. Blocks: not for an async worker.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn wait_blocking(mut self) -> Result<Answer, EngineError> {
        let (_, nothing) = oneshot::channel();
        std::mem::replace(&mut self.answer, nothing).blocking_recv().unwrap_or(Err(EngineError::Down))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Workers hold the request only through its texts: without them there is nothing to forget.
        if Arc::strong_count(&self.request) > 1 {
            self.shared.lock().forget(&self.request);
        }
    }
}
