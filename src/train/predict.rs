//! Logits of many texts: dropout off, any number of threads, the same result for all of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::TrainError;
use super::learner::network as failed;
use crate::decide::Logits;
use crate::model::SequenceClassifier;
use crate::nn::{Eager, Mode, NnError, Weights};
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
    let work = || -> Result<Vec<(usize, Vec<f32>)>, TrainError> {
        let mut rows = Vec::new();
        while let Some(members) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let batch = Batch::new(members.iter().map(|&index| encodings[index]))?;
            let values = forward(network, weights, &batch).map_err(failed("prediction"))?;
            rows.extend(members.iter().zip(values.chunks_exact(labels)).map(|(&index, row)| (index, row.to_vec())));
        }
        Ok(rows)
    };
    let done: Vec<Result<_, TrainError>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut values = vec![0.0; encodings.len() * labels];
    for rows in done {
        for (index, row) in rows? {
            values[index * labels..(index + 1) * labels].copy_from_slice(&row);
        }
    }
    Ok(Logits::new(labels, values)?)
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
