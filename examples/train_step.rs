//! Times training steps on the real `MiniLM`: `scripts/bench/train` runs this beside PyTorch.
//!
//! Prints one line of JSON a round. Arguments, by position: rounds of the workload, batches a
//! round, texts a batch, threads, tokens a pass, pooling (`mean` or `cls`).

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use limbic::model::{ModelConfig, SequenceClassifier};
use limbic::nn::{AdamW, AdamWConfig, BinaryCrossEntropy, Eager, Example, Missing, StepOptions, Stepper, Weights};
use limbic::spec::Pooling;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LABELS: usize = 11;

/// A number in `[0, below)` for a counter; `scripts/bench/train_torch.py` draws the same.
fn draw(counter: u64, below: u64) -> u64 {
    let mixed = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) % below
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |place: usize, default: usize| arguments.get(place).map_or(Ok(default), |argument| argument.parse());
    let (rounds, batches, size) = (number(0, 3)?, number(1, 4)?, number(2, 32)?);
    let (threads, pass_tokens) = (number(3, 2)?, number(4, 512)?);
    let pooling = if arguments.get(5).is_some_and(|pooling| pooling == "cls") { Pooling::ClsTanh } else { Pooling::Mean };

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/base/all-MiniLM-L6-v2");
    let config = std::fs::read_to_string(folder.join("config.json")).context("no base model: run scripts/fetch_base")?;
    let classifier = SequenceClassifier::new(&ModelConfig::from_json(&config)?, pooling, LABELS)?;
    let head = classifier.head_params();
    let missing = Missing::Init { seed: 1, allowed: &head };
    let weights = Weights::from_safetensors(&std::fs::read(folder.join("model.safetensors"))?, &classifier.params(), missing)?;
    let mut optimizer = AdamW::new(&weights, AdamWConfig::default())?;
    let mut stepper = Stepper::new(&weights, threads, pass_tokens)?;
    let loss = BinaryCrossEntropy::new(LABELS);
    let network = |ops: &mut Eager<'_>| classifier.forward(ops);

    let texts: Vec<(Vec<u32>, Vec<f32>)> = (0..batches * size).map(text).collect();
    let tokens: usize = texts.iter().map(|(ids, _)| ids.len()).sum();
    let mut step = 0;
    for round in 0..=rounds {
        let start = Instant::now();
        let mut last = 0.0;
        for batch in texts.chunks(size) {
            let batch: Vec<Example<'_>> = batch.iter().map(|(ids, targets)| Example { ids, targets }).collect();
            let options = StepOptions { learning_rate: 1e-5, clip: Some(1.0), seed: step };
            last = stepper.step(&weights, &mut optimizer, &network, &loss, &batch, options)?.loss;
            step += 1;
        }
        let seconds = start.elapsed().as_secs_f64();
        // The first round warms caches, allocator and buffers.
        if round > 0 {
            println!("{}", serde_json::json!({"ms": 1e3 * seconds / batches as f64, "tokens": tokens, "seconds": seconds, "loss": last}));
        }
    }
    Ok(())
}

/// Text `index`: ids between `[CLS]` and `[SEP]`, and targets. Lengths as of tweets: mean 28,
/// 95th percentile 41.
fn text(index: usize) -> (Vec<u32>, Vec<f32>) {
    let at = |place: u64| 1_000_000 * (index as u64 + 1) + place;
    let mut len = 8 + draw(at(0), 14) + draw(at(1), 14) + draw(at(2), 14);
    if draw(at(3), 16) == 0 {
        len += draw(at(4), 22);
    }
    let inner = (0..len - 2).map(|place| 1000 + draw(at(100 + place), 20_000) as u32);
    let ids = std::iter::once(101).chain(inner).chain(std::iter::once(102)).collect();
    let targets = (0..LABELS as u64).map(|label| if draw(at(10 + label), 4) == 0 { 1.0 } else { 0.0 }).collect();
    (ids, targets)
}
