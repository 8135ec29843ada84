//! A training step over a packed base, in bytes: the base is never in memory as `f32`, neither while it is read nor while it
//! is computed with.

use limbic::model::{ModelConfig, SequenceClassifier};
use limbic::nn::{Eager, LoraBias, LoraConfig, Missing, Mode, NnError, Plan, Storage, Targets, Weights};
use limbic::spec::Pooling;

use crate::counting::most_held;

fn decoder() -> SequenceClassifier {
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": 300, "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 20,
        "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 64,
        "initializer_range": 0.02, "rms_norm_eps": 1e-5,
    });
    SequenceClassifier::new(&ModelConfig::from_json(&config.to_string()).unwrap(), Pooling::LastToken, 4).unwrap()
}

#[test]
fn a_step_over_a_packed_base_holds_no_f32_copy_of_it() {
    let network = decoder();
    let linears = network.linears();
    let whole = Weights::init(&network.params(), 1).unwrap();
    let (checkpoint, as_f32) = (whole.to_safetensors().unwrap(), whole.bytes());
    drop(whole);
    let targets = Targets::Names(vec!["q_proj".to_owned(), "v_proj".to_owned()]);
    let modules_to_save = vec!["score".to_owned()];
    let lora = LoraConfig { rank: 2, alpha: 4.0, dropout: 0.1, rs_lora: false, targets, bias: LoraBias::None, modules_to_save };
    let ids: Vec<u32> = (0..24).collect();
    for (storage, share) in
        [(Storage::Bf16, 0.55), (Storage::Int8, 0.30), (Storage::Nf4 { double: false }, 0.18), (Storage::Nf4 { double: true }, 0.17)]
    {
        let plan = Plan::frozen(storage, &linears).and_trained(&network.head_params());
        let read = || Weights::from_shards([Ok::<_, NnError>(&checkpoint)], &network.params(), Missing::Refuse, &plan).unwrap();
        let (weights, reading) = most_held(read);
        let allowed = (share * as_f32 as f64) as usize;
        assert!(weights.bytes() < allowed, "{storage:?}: {} bytes of {as_f32}", weights.bytes());
        // A chunk of numbers on their way, and names.
        assert!(reading < weights.bytes() + (1 << 19), "{storage:?}: {reading} bytes to read {}", weights.bytes());

        let weights = weights.with_adapter(&linears, &lora, 2).unwrap();
        let step = || {
            let mut ops = Eager::new(&weights, Mode::Train { seed: 3 }, &ids, &[0, 10, 24]).unwrap().with_checkpointing();
            let logits = network.forward(&mut ops).unwrap();
            ops.backward(&logits, vec![0.5; logits.rows() * logits.width()]).unwrap().norm()
        };
        let (norm, most) = most_held(step);
        assert!(norm > 0.0 && norm.is_finite());
        eprintln!("{storage:?}: weights {} bytes, reading them {reading}, a step {most}; as f32 {as_f32}", weights.bytes());
        assert!(most < as_f32 / 3, "{storage:?}: a step held {most} bytes beside weights that are {as_f32} as f32");
    }
}
