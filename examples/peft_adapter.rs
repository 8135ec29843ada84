//! Trains an adapter on a tiny random model of several families and writes both, with the logits that they
//! give together: `scripts/check_adapters.py` reads them with the real `peft`.
//!
//! One argument, an empty folder. Of every case it then holds a folder: `base/` with `config.json` and
//! `model.safetensors`, `adapter/` with `peft`'s two files, and `case.json` with texts and logits.

use std::path::Path;

use anyhow::{Context, Result};
use limbic::model::{ModelConfig, SequenceClassifier};
use limbic::nn::{
    AdamW, AdamWConfig, BinaryCrossEntropy, Eager, Example, LoraBias, LoraConfig, Mode, PeftAdapter, PeftTask, StepOptions, Stepper,
    Storage, Targets, Weights,
};
use limbic::spec::Pooling;
use serde_json::{Value, json};

const LABELS: usize = 3;

fn main() -> Result<()> {
    let out = std::env::args().nth(1).context("expected one argument, a folder to write to")?;
    let names = |names: &[&str]| Targets::Names(names.iter().map(|&name| name.to_owned()).collect());
    let lora = |targets, bias, head: &str| LoraConfig {
        rank: 4,
        alpha: 8.0,
        dropout: 0.1,
        rs_lora: bias == LoraBias::All,
        targets,
        bias,
        modules_to_save: vec![head.to_owned()],
    };
    let cases = [
        ("bert", Pooling::ClsTanh, lora(Targets::AllLinear, LoraBias::None, "classifier")),
        ("roberta", Pooling::ClsTanh, lora(names(&["query", "value"]), LoraBias::All, "classifier")),
        ("llama", Pooling::LastToken, lora(Targets::AllLinear, LoraBias::None, "score")),
        ("qwen2", Pooling::LastToken, lora(names(&["q_proj", "down_proj"]), LoraBias::LoraOnly, "score")),
        ("gemma2", Pooling::LastToken, lora(Targets::AllLinear, LoraBias::None, "score")),
    ];
    for (family, pooling, lora) in cases {
        write(&Path::new(&out).join(family), family, pooling, &lora).with_context(|| format!("case {family}"))?;
    }
    Ok(())
}

fn config(family: &str) -> Value {
    let mut config = json!({
        "model_type": family, "vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 48, "max_position_embeddings": 40, "initializer_range": 0.2, "pad_token_id": 0,
    });
    let more = match family {
        "bert" | "roberta" => json!({
            "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "type_vocab_size": 2,
            "layer_norm_eps": 1e-5, "position_embedding_type": "absolute",
        }),
        _ => json!({
            "num_key_value_heads": 2, "head_dim": 8, "hidden_act": if family == "gemma2" { "gelu_pytorch_tanh" } else { "silu" },
            "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "sliding_window": 4,
            "query_pre_attn_scalar": 8,
        }),
    };
    if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
        config.extend(more);
    }
    config
}

fn write(folder: &Path, family: &str, pooling: Pooling, lora: &LoraConfig) -> Result<()> {
    let config = config(family).to_string();
    let classifier = SequenceClassifier::new(&ModelConfig::from_json(&config)?, pooling, LABELS)?;
    let base = Weights::init(&classifier.params(), 5)?;
    for part in ["base", "adapter"] {
        std::fs::create_dir_all(folder.join(part))?;
    }
    std::fs::write(folder.join("base/config.json"), &config)?;
    std::fs::write(folder.join("base/model.safetensors"), base.to_safetensors()?)?;

    let weights = base.with_adapter(&classifier.linears(), lora, 6)?;
    let texts: Vec<Vec<u32>> = [5_u32, 9, 2, 12].iter().map(|&len| (0..len).map(|at| 2 + (at * 31 + len * 7) % 90).collect()).collect();
    learn(&classifier, &weights, &texts)?;
    let adapter = PeftAdapter::of(&weights, Some("base"), Some(PeftTask::SequenceClassification))?;
    std::fs::write(folder.join("adapter/adapter_config.json"), adapter.config_json())?;
    std::fs::write(folder.join("adapter/adapter_model.safetensors"), adapter.to_safetensors()?)?;

    let (unmerged, merged) = (logits(&classifier, &weights, &texts)?, logits(&classifier, &weights.merged(Storage::F32)?, &texts)?);
    let case = json!({"family": family, "texts": texts, "logits": unmerged, "merged": merged});
    std::fs::write(folder.join("case.json"), format!("{case}\n"))?;
    Ok(())
}

fn learn(classifier: &SequenceClassifier, weights: &Weights, texts: &[Vec<u32>]) -> Result<()> {
    let mut optimizer = AdamW::new(weights, AdamWConfig::default())?;
    let mut stepper = Stepper::new(weights, 1, 64)?;
    let network = |ops: &mut Eager<'_>| classifier.forward(ops);
    let batch: Vec<Example<'_>> = texts.iter().map(|ids| Example { ids, targets: &[1.0, 0.0, 1.0] }).collect();
    for seed in 0..5 {
        let options = StepOptions { learning_rate: 1e-2, clip: Some(1.0), seed };
        stepper.step(weights, &mut optimizer, &network, &BinaryCrossEntropy::new(LABELS), &batch, options)?;
    }
    Ok(())
}

fn logits(classifier: &SequenceClassifier, weights: &Weights, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
    let one =
        |ids: &Vec<u32>| Ok(classifier.forward(&mut Eager::new(weights, Mode::Eval, ids, &[0, u32::try_from(ids.len())?])?)?.to_vec()?);
    texts.iter().map(one).collect()
}
