//! Logits of many texts: dropout off, any number of threads, the same result for all of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::TrainError;
use super::learner::network as failed;
use crate::decide::Logits;
use crate::model::SequenceClassifier;
use crate::nn::{Eager, Mode, NnError, Weights};
use crate::spec::Matrix;
use crate::text::{Batch, Encoding};

/// Tokens a forward pass.
const BATCH_TOKENS: usize = 1024;

/// The texts' logits in the order given.
pub(super) fn logits(
    network: &SequenceClassifier,
    weights: &Weights,
    encodings: &[&Encoding],
    threads: usize,
) -> Result<Logits, TrainError> {
    let labels = network.labels();
    let batches = layout(encodings);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<_>, TrainError> {
        let mut done = Vec::new();
        while let Some(members) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let batch = Batch::new(members.iter().map(|&index| encodings[index]))?;
            let values = forward(network, weights, &batch).map_err(failed("prediction"))?;
            done.push((members.as_slice(), Matrix::new(members.len(), labels, values)?));
        }
        Ok(done)
    };
    let done: Vec<Result<_, TrainError>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut values = Matrix::filled(encodings.len(), labels, 0.0);
    for batches in done {
        batches?.iter().for_each(|(members, logits)| values.place(members, logits));
    }
    Ok(Logits::new(labels, values.into_values())?)
}

fn forward(network: &SequenceClassifier, weights: &Weights, batch: &Batch) -> Result<Vec<f32>, NnError> {
    let mut ops = Eager::new(weights, Mode::Eval, batch.ids(), batch.offsets())?;
    network.forward(&mut ops)?.to_vec()
}

/// Batches of neighbouring lengths, the longest first, so that threads end together.
fn layout(encodings: &[&Encoding]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..encodings.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(encodings[index].ids().len()));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for index in order {
        let tokens = encodings[index].ids().len();
        match batches.last_mut() {
            Some(batch) if tokens <= room => {
                batch.push(index);
                room -= tokens;
            }
            _ => {
                batches.push(vec![index]);
                room = BATCH_TOKENS.saturating_sub(tokens);
            }
        }
    }
    batches
}
