//! One training step and one scoring pass of a classifier over a decoder of real size, without its weights:
//! `scripts/bench/decoder` runs this beside PyTorch with peft and bitsandbytes.
//!
//! The base is random, made layer by layer in the storage it is kept in; every dense layer but the head
//! carries a low-rank adapter of rank 128. Prints one line of JSON: seconds of every part, tokens a
//! second, bytes of the weights, and the process's peak memory. Arguments, by position: shape
//! (`llama-3.2-1b`, `gemma-2-2b`, `qwen2.5-14b`, `tiny`), storage (`nf4`, `bf16`, `int8`, `f32`), device (`cpu`,
//! `cuda`), texts, tokens a text, steps, threads.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::time::Instant;

use anyhow::{Context, Result, bail};
use limbic::model::{ModelConfig, SequenceClassifier};
use limbic::nn::{
    AdamW, AdamWConfig, BinaryCrossEntropy, Device, Eager, Example, LoraBias, LoraConfig, Mode, Plan, StepOptions, Stepper, Storage,
    Targets, Weights,
};
use limbic::spec::Pooling;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LABELS: usize = 11;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |place: usize, default: &'static str| arguments.get(place).map_or(default, String::as_str);
    let number = |place: usize, default: usize| arguments.get(place).map_or(Ok(default), |argument| argument.parse::<usize>());
    let (shape, storage, device) = (word(0, "llama-3.2-1b"), storage(word(1, "nf4"))?, device(word(2, "cpu"))?);
    let (texts, tokens, steps, threads) = (number(3, 4)?, number(4, 32)?, number(5, 1)?, number(6, 2)?);

    let start = Instant::now();
    let config = ModelConfig::from_json(&shape_of(shape)?.to_string())?;
    let classifier = SequenceClassifier::new(&config, Pooling::LastToken, LABELS)?;
    let linears = classifier.linears();
    let plan = Plan::frozen(storage, &linears).and_trained(&classifier.head_params());
    let base = Weights::init_as(&classifier.params(), 1, &plan)?;
    let (parameters, base_bytes) = (base.count(), base.bytes());
    let weights = base.with_adapter(&linears, &lora(), 2)?.to_device(&device)?;
    let made = start.elapsed().as_secs_f64();

    let data: Vec<(Vec<u32>, Vec<f32>)> = (0..texts).map(|index| text(index, tokens)).collect();
    let batch: Vec<Example<'_>> = data.iter().map(|(ids, targets)| Example { ids, targets }).collect();
    let mut optimizer = AdamW::new(&weights, AdamWConfig::default())?;
    let mut stepper = Stepper::new(&weights, threads, texts * tokens)?.with_checkpointing(true);
    let network = |ops: &mut Eager<'_>| classifier.forward(ops);
    let (mut losses, mut seconds) = (Vec::new(), Vec::new());
    for seed in 0..steps as u64 {
        let start = Instant::now();
        let options = StepOptions { learning_rate: 5e-5, clip: Some(1.0), seed };
        losses.push(stepper.step(&weights, &mut optimizer, &network, &BinaryCrossEntropy::new(LABELS), &batch, options)?.loss);
        seconds.push(start.elapsed().as_secs_f64());
    }

    let start = Instant::now();
    let logits = score(&classifier, &weights, &data, threads)?;
    let scored = start.elapsed().as_secs_f64();
    if let Some(wrong) = logits.iter().find(|logit| !logit.is_finite()) {
        bail!("a logit is {wrong}");
    }
    let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let line = json!({
        "shape": shape, "storage": word(1, "nf4"), "parameters": parameters, "trained": weights.trained_count(), "base_bytes": base_bytes,
        "bytes": weights.bytes(), "made_s": made, "step_s": seconds, "score_s": scored, "tokens": texts * tokens,
        "step_tokens_per_s": (texts * tokens) as f64 / best, "peak_mb": peak_memory()?, "losses": losses,
    });
    println!("{line}");
    Ok(())
}

/// The configurations of the published checkpoints, as far as they decide the computation.
fn shape_of(name: &str) -> Result<Value> {
    let llama3 = json!({"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192});
    Ok(match name {
        "llama-3.2-1b" => json!({
            "model_type": "llama", "vocab_size": 128_256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
            "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "hidden_act": "silu", "max_position_embeddings": 131_072,
            "initializer_range": 0.02, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "rope_scaling": llama3, "tie_word_embeddings": true,
        }),
        "gemma-2-2b" => json!({
            "model_type": "gemma2", "vocab_size": 256_000, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
            "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh",
            "max_position_embeddings": 8192, "initializer_range": 0.02, "rms_norm_eps": 1e-6, "rope_theta": 10_000.0, "sliding_window": 4096,
            "query_pre_attn_scalar": 256, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
        }),
        "qwen2.5-14b" => json!({
            "model_type": "qwen2", "vocab_size": 152_064, "hidden_size": 5120, "intermediate_size": 13_824, "num_hidden_layers": 48,
            "num_attention_heads": 40, "num_key_value_heads": 8, "hidden_act": "silu", "max_position_embeddings": 32_768,
            "initializer_range": 0.02, "rms_norm_eps": 1e-6, "rope_theta": 1_000_000.0, "tie_word_embeddings": false,
        }),
        "tiny" => json!({
            "model_type": "llama", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 64,
            "initializer_range": 0.02, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "rope_scaling": llama3, "tie_word_embeddings": true,
        }),
        _ => bail!("shape {name}: expected llama-3.2-1b, gemma-2-2b, qwen2.5-14b or tiny"),
    })
}

fn storage(name: &str) -> Result<Storage> {
    Ok(match name {
        "nf4" => Storage::Nf4 { double: true },
        "bf16" => Storage::Bf16,
        "int8" => Storage::Int8,
        "f32" => Storage::F32,
        _ => bail!("storage {name}: expected nf4, bf16, int8 or f32"),
    })
}

fn device(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::Cpu),
        "cuda" => Device::new_cuda(0).context("no CUDA device: build with --features cuda on a machine that has one"),
        _ => bail!("device {name}: expected cpu or cuda"),
    }
}

fn lora() -> LoraConfig {
    LoraConfig {
        rank: 128,
        alpha: 256.0,
        dropout: 0.05,
        rs_lora: false,
        targets: Targets::AllLinear,
        bias: LoraBias::None,
        modules_to_save: vec!["score".to_owned()],
    }
}

/// Text `index`: ids and targets that `scripts/bench/decoder_torch.py` makes alike.
fn text(index: usize, tokens: usize) -> (Vec<u32>, Vec<f32>) {
    let ids = (0..tokens).map(|at| 3 + ((index * 7919 + at * 104_729) % 500) as u32).collect();
    let targets = (0..LABELS).map(|label| if (index + label).is_multiple_of(3) { 1.0 } else { 0.0 }).collect();
    (ids, targets)
}

/// Logits of all texts, some a thread.
fn score(classifier: &SequenceClassifier, weights: &Weights, data: &[(Vec<u32>, Vec<f32>)], threads: usize) -> Result<Vec<f32>> {
    let run = |part: &[(Vec<u32>, Vec<f32>)]| -> Result<Vec<f32>> {
        let mut offsets = vec![0_u32];
        let mut ids = Vec::new();
        for (text, _) in part {
            ids.extend_from_slice(text);
            offsets.push(u32::try_from(ids.len())?);
        }
        Ok(classifier.forward(&mut Eager::new(weights, Mode::Eval, &ids, &offsets)?)?.to_vec()?)
    };
    let parts: Vec<Result<Vec<f32>>> = std::thread::scope(|scope| {
        let each = data.len().div_ceil(threads);
        let workers: Vec<_> = data.chunks(each).map(|part| scope.spawn(|| run(part))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a scoring thread panicked"))).collect()
    });
    Ok(parts.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

/// The most memory that the process has held, in megabytes.
fn peak_memory() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("peak memory is read from /proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in /proc/self/status")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok((kilobytes / 1024.0).round())
}
