//! Answers for many texts: dropout off, any number of threads, the same result for all of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::TrainError;
use super::answers::Answers;
use super::learner::network as failed;
use super::network::{Network, Writer};
use crate::decide::Logits;
use crate::generate::{Shared, label_masses, read_answers};
use crate::nn::{Eager, Loss, Mode, NnError, TokenCrossEntropy, Weights};
use crate::spec::Matrix;
use crate::text::{AnswerCounts, Batch, Encoding};

/// Tokens a forward pass.
const BATCH_TOKENS: usize = 1024;

/// The texts' logits in the order given. A writer's are the log-odds of the lists that hold a label.
pub(super) fn logits(network: Network<'_>, weights: &Weights, encodings: &[&Encoding], threads: usize) -> Result<Logits, TrainError> {
    let (labels, shared) = match network {
        Network::Labels(network) => (network.labels(), None),
        Network::Lists(writer) => (writer.spelling.labels().len(), Some(beginning(writer, weights, encodings)?)),
        Network::Words(_) => unreachable!("words are no labels; this is a bug"),
    };
    let of_batch = |_: &[usize], batch: &Batch| -> Result<Vec<f32>, TrainError> {
        match (network, &shared) {
            (Network::Lists(writer), Some(shared)) => {
                let mut reader = writer.reader(weights, shared);
                let prompts: Vec<&[u32]> = batch.rows().collect();
                let masses = label_masses(&mut reader, &prompts, &writer.spelling, writer.width())?;
                Ok(masses.into_iter().flat_map(|mass| mass.log_odds).map(|odds| odds as f32).collect())
            }
            _ => forward(network, weights, batch).map_err(failed("prediction")),
        }
    };
    let mut values = Matrix::filled(encodings.len(), labels, 0.0);
    for (members, logits) in each_batch(encodings, threads, of_batch)? {
        values.place(&members, &Matrix::new(members.len(), labels, logits)?);
    }
    Ok(Logits::new(labels, values.into_values())?)
}

/// What is wrong with what a writer writes behind the texts when it may write anything.
pub(super) fn written(writer: &Writer, weights: &Weights, encodings: &[&Encoding], threads: usize) -> Result<AnswerCounts, TrainError> {
    let shared = beginning(writer, weights, encodings)?;
    let of_batch = |_: &[usize], batch: &Batch| -> Result<_, TrainError> {
        let mut reader = writer.reader(weights, &shared);
        Ok(read_answers(&mut reader, &batch.rows().collect::<Vec<_>>(), &writer.spelling)?)
    };
    let answers = each_batch(encodings, threads, of_batch)?;
    Ok(AnswerCounts::of(answers.iter().flat_map(|(_, answers)| answers)))
}

/// The mean loss of a token of the right answers behind the texts.
pub(super) fn completion_loss(
    writer: &Writer,
    weights: &Weights,
    (encodings, answers): (&[&Encoding], &Answers),
    threads: usize,
) -> Result<f64, TrainError> {
    let completions: Vec<(Encoding, Vec<u32>)> = (encodings.iter().enumerate())
        .map(|(row, encoding)| {
            let completion = writer.spelling.completion(encoding, &held(answers.row(row)));
            Ok((Encoding::new(completion.ids, false)?, completion.answer))
        })
        .collect::<Result<_, TrainError>>()?;
    let loss = TokenCrossEntropy::new(writer.network.vocabulary());
    let texts: Vec<&Encoding> = completions.iter().map(|(ids, _)| ids).collect();
    let of_batch = |members: &[usize], batch: &Batch| -> Result<(f64, usize), TrainError> {
        let ends = batch.offsets()[1..].iter().map(|&end| end as usize);
        let marked: Vec<usize> = members.iter().zip(ends).flat_map(|(&text, end)| end - completions[text].1.len()..end).collect();
        let count = marked.len();
        let ops = Eager::new(weights, Mode::Eval, batch.ids(), batch.offsets()).and_then(|ops| ops.with_marked(marked));
        let logits = ops.and_then(|mut ops| writer.network.forward(&mut ops)?.to_vec()).map_err(failed("evaluation"))?;
        let mut gradient = vec![0.0; loss.labels()];
        let tokens = members.iter().flat_map(|&text| &completions[text].1);
        let losses =
            logits.chunks_exact(loss.labels()).zip(tokens).map(|(logits, &token)| loss.row(logits, &[token as f32], &mut gradient));
        Ok((losses.sum(), count))
    };
    let mut batches = each_batch(&texts, threads, of_batch)?;
    // In one order, whichever thread was quicker.
    batches.sort_by(|a, b| a.0.cmp(&b.0));
    let (sum, count) = batches.into_iter().fold((0.0, 0), |(sum, count), (_, (loss, tokens))| (sum + loss, count + tokens));
    Ok(sum / count.max(1) as f64)
}

/// Which labels a row's answers say yes to.
pub(super) fn held(answers: &[f32]) -> Vec<bool> {
    answers.iter().map(|&answer| answer >= 0.5).collect()
}

/// What all prompts begin with, read once.
fn beginning(writer: &Writer, weights: &Weights, encodings: &[&Encoding]) -> Result<Shared, TrainError> {
    let first = encodings.first().map_or(&[][..], |encoding| encoding.ids());
    let common = |length: usize, encoding: &&Encoding| first.iter().zip(encoding.ids()).take(length).take_while(|(a, b)| a == b).count();
    let length = encodings.iter().fold(first.len().saturating_sub(1), common);
    Shared::read(&writer.network, weights, &first[..length]).map_err(failed("prediction"))
}

/// Does `work` for batches of the texts, and says for which.
fn each_batch<T: Send>(
    encodings: &[&Encoding],
    threads: usize,
    work: impl Fn(&[usize], &Batch) -> Result<T, TrainError> + Sync,
) -> Result<Vec<(Vec<usize>, T)>, TrainError> {
    let batches = layout(encodings);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<_>, TrainError> {
        let mut done = Vec::new();
        while let Some(members) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let batch = Batch::new(members.iter().map(|&index| encodings[index]))?;
            done.push((members.clone(), work(members, &batch)?));
        }
        Ok(done)
    };
    let done: Vec<Result<_, TrainError>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    Ok(done.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

fn forward(network: Network<'_>, weights: &Weights, batch: &Batch) -> Result<Vec<f32>, NnError> {
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
