//! One worker: a thread, its backend, and what it does when that backend fails.
//!
//! Texts of equal ids in one batch are computed once. An error on several texts is retried one text
//! at a time, so that one bad text does not fail strangers. A panic fails its batch and replaces the backend, whose state can no longer be
//! trusted; while no replacement can be had the worker counts as down and keeps trying.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::queue::{Item, Stage};
use super::{BackendFactory, EngineError, Shared};
use crate::backend::{Backend, BackendError};
use crate::decide::Logits;
use crate::serve::clock;
use crate::serve::telemetry::BatchSize;
use crate::serve::telemetry::traces::Origin;
use crate::text::Batch;

/// The pause after a first failure to rebuild; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Computes batches until the engine ends.
pub(super) fn run(shared: &Shared, mut backend: Box<dyn Backend>, factory: &BackendFactory) {
    while let Some(items) = shared.next(backend.cost()) {
        let taken = clock::now();
        let shares = Shares::of(&items);
        let computed = catch_unwind(AssertUnwindSafe(|| compute(&mut *backend, &items, &shares.first)));
        let done = clock::now();
        let texts = items.len();
        shared.lock().learn(texts, done.saturating_duration_since(taken));
        let size = BatchSize::of(shares.first.iter().map(|&at| items[at].encoding.ids().len()));
        shared.telemetry.batch(size);
        shared.telemetry.coalesced(texts - shares.first.len());
        match computed {
            Ok(rows) => {
                tell(shared, &items, &shares, &rows, (taken, done));
                trace(shared, &items, size, (taken, done), false);
            }
            Err(_) => {
                items.iter().for_each(|item| item.request.fail(EngineError::Panicked));
                trace(shared, &items, size, (taken, done), true);
                drop(items);
                tracing::error!(texts, "an engine panicked; its worker builds a new one");
                // A backend that panicked may panic again as it is dropped.
                drop(catch_unwind(AssertUnwindSafe(|| drop(backend))));
                match rebuild(shared, factory) {
                    Some(fresh) => backend = fresh,
                    None => return,
                }
            }
        }
    }
}

/// Which texts of a batch are one: those of equal ids are computed once and share the row.
struct Shares {
    /// The first text of each row.
    first: Vec<usize>,
    /// The row of each text.
    row: Vec<usize>,
}

impl Shares {
    fn of(items: &[Item]) -> Self {
        let mut shares = Self { first: Vec::with_capacity(items.len()), row: Vec::with_capacity(items.len()) };
        for (at, item) in items.iter().enumerate() {
            let known = shares.first.iter().position(|&first| items[first].says_the_same(item));
            shares.row.push(known.unwrap_or(shares.first.len()));
            if known.is_none() {
                shares.first.push(at);
            }
        }
        shares
    }
}

type Row = Result<Arc<[f32]>, EngineError>;

fn tell(shared: &Shared, items: &[Item], shares: &Shares, rows: &[Row], (taken, done): (Instant, Instant)) {
    if let Some(cache) = &shared.cache {
        let computed = shares.first.iter().zip(rows).filter_map(|(&at, row)| row.as_ref().ok().map(|row| (at, row)));
        computed.for_each(|(at, row)| cache.put(items[at].encoding.ids(), row));
    }
    for (item, &row) in items.iter().zip(&shares.row) {
        match &rows[row] {
            Ok(row) => item.request.fill(item.slot, row, taken, done),
            Err(error) => item.request.fail(error.clone()),
        }
    }
}

/// Tells the batch as a span, where it was computed for requests that are told.
fn trace(shared: &Shared, items: &[Item], size: BatchSize, times: (Instant, Instant), failed: bool) {
    let Some(traces) = shared.telemetry.traces() else { return };
    let mut origins: Vec<Origin> = Vec::new();
    for origin in items.iter().filter_map(|item| item.request.origin) {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    traces.batch(origins, size, times, failed);
}

/// One result for each of the texts at `rows`, in order.
fn compute(backend: &mut dyn Backend, items: &[Item], rows: &[usize]) -> Vec<Row> {
    match forward(backend, items, rows) {
        Ok(logits) => (0..rows.len()).map(|row| Ok(logits.row(row).into())).collect(),
        Err(error) if rows.len() == 1 => vec![Err(error)],
        Err(error) => {
            tracing::warn!(texts = rows.len(), %error, "a batch failed; trying its texts one by one");
            let alone = |row| forward(backend, items, std::slice::from_ref(row)).map(|logits| logits.row(0).into());
            rows.iter().map(alone).collect()
        }
    }
}

fn forward(backend: &mut dyn Backend, items: &[Item], rows: &[usize]) -> Result<Logits, EngineError> {
    let failed = |reason: String| EngineError::Failed { reason };
    let batch = Batch::new(rows.iter().map(|&at| &items[at].encoding)).map_err(|error| failed(error.to_string()))?;
    let logits = backend.forward(&batch).map_err(|error: BackendError| failed(error.to_string()))?;
    if logits.rows() != rows.len() {
        return Err(failed(format!("expected {} rows of logits, found {}", rows.len(), logits.rows())));
    }
    Ok(logits)
}

/// A new backend, however long it takes; nothing when the engine ends meanwhile.
fn rebuild(shared: &Shared, factory: &BackendFactory) -> Option<Box<dyn Backend>> {
    let mut pause = FIRST_PAUSE;
    loop {
        match catch_unwind(AssertUnwindSafe(|| factory())) {
            Ok(Ok(backend)) => {
                up(shared, pause > FIRST_PAUSE);
                return Some(backend);
            }
            Ok(Err(error)) => tracing::error!(%error, "an engine could not be rebuilt"),
            Err(_) => tracing::error!("an engine panicked as it was rebuilt"),
        }
        if pause == FIRST_PAUSE {
            down(shared);
        }
        if ended_within(shared, pause) {
            return None;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn up(shared: &Shared, was_down: bool) {
    if was_down {
        shared.lock().up += 1;
        tracing::info!("an engine worker is up again");
    }
}

/// Counts this worker out. The last one to go leaves nobody for what waits.
fn down(shared: &Shared) {
    let mut queue = shared.lock();
    queue.up -= 1;
    if queue.up == 0 {
        for item in queue.drain() {
            item.request.fail(EngineError::Down);
        }
    }
}

/// Waits for `pause`, or for the engine to end.
fn ended_within(shared: &Shared, pause: Duration) -> bool {
    let until = clock::now() + pause;
    let mut queue = shared.lock();
    loop {
        let left = until.saturating_duration_since(clock::now());
        if queue.stage == Stage::Ending || left.is_zero() {
            return queue.stage == Stage::Ending;
        }
        queue = shared.end.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}
