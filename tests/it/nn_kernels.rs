//! The fused kernels against candle's own operations, and a text alone against one in a batch.

use limbic::model::{ModelConfig, SequenceClassifier};
use limbic::nn::{Eager, Gradients, Missing, Mode, Path, Weights};
use limbic::spec::Pooling;

use crate::nn_support::{POOLINGS, Tiny, cases, close, ragged};
use crate::support::base_model;

/// A BERT whose sizes are no multiples of anything, with dropout everywhere.
fn odd(pooling: Pooling) -> (SequenceClassifier, Weights) {
    odd_of("bert", pooling)
}

/// The same of another family.
fn odd_of(family: &str, pooling: Pooling) -> (SequenceClassifier, Weights) {
    let config = r#"{
        "model_type": "FAMILY", "vocab_size": 50, "initializer_range": 0.3, "max_position_embeddings": 40, "pad_token_id": 1,
        "hidden_size": 66, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 70, "type_vocab_size": 2,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3, "layer_norm_eps": 1e-12,
        "dim": 66, "n_layers": 2, "n_heads": 3, "hidden_dim": 70, "activation": "gelu", "dropout": 0.2, "attention_dropout": 0.3,
        "seq_classif_dropout": 0.2, "hidden_activation": "gelu", "norm_eps": 1e-5, "norm_bias": true, "attention_bias": true,
        "mlp_bias": true, "classifier_bias": true, "classifier_activation": "gelu", "global_attn_every_n_layers": 2,
        "local_attention": 9, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "embedding_dropout": 0.2, "mlp_dropout": 0.2,
        "classifier_dropout": 0.2}"#;
    let config = config.replace("FAMILY", family);
    let classifier = SequenceClassifier::new(&ModelConfig::from_json(&config).unwrap(), pooling, 3).unwrap();
    let weights = Weights::init(&classifier.params(), 5).unwrap();
    (classifier, weights)
}

fn texts() -> Vec<Vec<u32>> {
    [1, 33, 5, 16, 17, 2].iter().enumerate().map(|(text, &len)| (0..len).map(|at| (text as u32 * 31 + at * 7) % 50).collect()).collect()
}

fn run(classifier: &SequenceClassifier, weights: &Weights, mode: Mode, path: Path) -> (Vec<f32>, Option<Gradients>) {
    let (ids, offsets) = ragged(&texts());
    let mut ops = Eager::with_path(weights, mode, &ids, &offsets, path).unwrap();
    let output = classifier.forward(&mut ops).unwrap();
    let logits = output.to_vec().unwrap();
    let slope = (0..logits.len()).map(|index| (index as f32 * 0.7).sin()).collect();
    let gradients = (mode != Mode::Eval).then(|| ops.backward(&output, slope).unwrap());
    (logits, gradients)
}

#[test]
fn kernels_and_composite_agree() {
    for (family, pooling) in cases() {
        let (classifier, weights) = odd_of(family, pooling);
        for mode in [Mode::Eval, Mode::Train { seed: 3 }] {
            let (logits, gradients) = run(&classifier, &weights, mode, Path::Kernels);
            let (expected, expected_gradients) = run(&classifier, &weights, mode, Path::Composite);
            close("logits", &logits, &expected, 1e-5, 0.0);
            let (Some(gradients), Some(expected)) = (gradients, expected_gradients) else { continue };
            let whole = expected.norm();
            for name in weights.names() {
                close(name, &gradients.get(&weights, name).unwrap(), &expected.get(&weights, name).unwrap(), 2e-5, 1e-6 * whole);
            }
        }
    }
}

#[test]
fn dropout_changes_with_the_seed_and_only_in_training() {
    let (classifier, weights) = odd(Pooling::Mean);
    let logits = |mode| run(&classifier, &weights, mode, Path::Kernels).0;
    let train = |seed| logits(Mode::Train { seed });
    assert_eq!(train(1), train(1));
    assert_ne!(train(1), train(2));
    assert_ne!(train(1), logits(Mode::Eval));
    assert_eq!(logits(Mode::Eval), logits(Mode::Eval));
}

/// Asserts that every text's logits are, bit for bit, those it has alone.
fn check_alone(classifier: &SequenceClassifier, weights: &Weights, texts: &[Vec<u32>], labels: usize) {
    let forward = |texts: &[Vec<u32>]| {
        let (ids, offsets) = ragged(texts);
        classifier.forward(&mut Eager::new(weights, Mode::Eval, &ids, &offsets).unwrap()).unwrap().to_vec().unwrap()
    };
    let together = forward(texts);
    for (text, together) in texts.iter().zip(together.chunks(labels)) {
        assert_eq!(forward(std::slice::from_ref(text)), together, "a text of {} tokens", text.len());
    }
    let half = texts.len() / 2;
    assert_eq!([forward(&texts[..half]), forward(&texts[half..])].concat(), together);
}

#[test]
fn a_text_is_the_same_alone_and_in_any_batch() {
    for (family, pooling) in cases() {
        let tiny = Tiny::of(family);
        check_alone(&tiny.classifier(pooling), &tiny.weights(pooling), &tiny.settings.texts, 5);
        let (classifier, weights) = odd_of(family, pooling);
        check_alone(&classifier, &weights, &texts(), 3);
    }
}

#[test]
fn a_text_is_the_same_alone_and_in_any_batch_on_the_real_model() {
    let folder = base_model();
    let config = ModelConfig::from_json(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    let checkpoint = std::fs::read(folder.join("model.safetensors")).unwrap();
    let lengths = [1, 2, 3, 64, 27, 8, 130, 33, 5];
    let texts: Vec<Vec<u32>> =
        lengths.iter().map(|&len: &u32| (0..len).map(|at| 1000 + (at * 7919 + len * 104_729) % 20_000).collect()).collect();
    for (_, pooling) in POOLINGS {
        let classifier = SequenceClassifier::new(&config, pooling, 11).unwrap();
        let head = classifier.head_params();
        let weights = Weights::from_safetensors(&checkpoint, &classifier.params(), Missing::Init { seed: 1, allowed: &head }).unwrap();
        check_alone(&classifier, &weights, &texts, 11);
    }
}
