//! Which function a head's logits go through is what its bundle states, in every shape that is spoken: a head of several labels
//! is never put through a softmax, and a head of one label always is. The figures are those of a published model card, whose
//! joy of 0.88 other servers turn into 0.12.

use std::path::Path;

use limbic::backend::EngineKind;
use limbic::decide::Decider;
use limbic::model::SequenceClassifier;
use limbic::serve::{ServeError, Service};
use limbic::spec::{LabelSet, Pooling, Precision, Task};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use super::harness::{Running, config};
use crate::support::fixture;
use crate::tiny;

const LABELS: [&str; 11] =
    ["anger", "anticipation", "disgust", "fear", "joy", "love", "optimism", "pessimism", "sadness", "surprise", "trust"];
/// Of "So Happy" in the card's spirit: joy and optimism high, love below its threshold, the rest nowhere.
const LOGITS: [f32; 11] = [-5.0, -5.0, -5.0, -5.0, 1.96, -0.6, 3.94, -5.0, -5.0, -5.0, -5.0];
const JOY: usize = 4;
const OPTIMISM: usize = 6;

/// A checkpoint that says the same of every text.
fn saying(network: &SequenceClassifier, logits: &[f32]) -> Vec<u8> {
    let drawn = tiny::random_weights(&network.params(), 7);
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = SafeTensors::deserialize(&drawn)
        .unwrap()
        .iter()
        .map(|(name, tensor)| {
            let bytes = match name {
                "classifier.weight" => vec![0; tensor.data().len()],
                "classifier.bias" => logits.iter().flat_map(|logit| logit.to_le_bytes()).collect(),
                _ => tensor.data().to_vec(),
            };
            (name.to_owned(), tensor.shape().to_vec(), bytes)
        })
        .collect();
    let view = |(name, shape, bytes)| (name, TensorView::new(safetensors::Dtype::F32, shape, bytes).unwrap());
    safetensors::serialize(tensors.iter().map(|(name, shape, bytes)| view((name.as_str(), shape.clone(), bytes.as_slice()))), None).unwrap()
}

/// Writes a bundle of `task` to `target`.
fn write(target: &Path, task: Task) {
    let folder = fixture("tiny-bert");
    let config_json = std::fs::read(folder.join("config.json")).unwrap();
    let tokenizer_json = std::fs::read(folder.join("tokenizer.json")).unwrap();
    let network = tiny::network(&config_json, Pooling::Mean, LABELS.len());
    let weights = saying(&network, &LOGITS);
    let seed = tiny::Seed { name: task.name(), config_json, tokenizer_json, pooling: Pooling::Mean, max_length: tiny::MAX_LENGTH };
    let mut parts = tiny::with_golden(seed, &network, &weights, Precision::Fp32);
    parts.task = task;
    parts.decider = Decider::plain(LabelSet::new(LABELS).unwrap(), task.activation());
    parts.golden.probabilities = parts.decider.probabilities(&parts.golden.logits);
    parts.metrics.clear();
    tiny::write(target, &parts);
}

fn open(bundle: &Path) -> Result<Service, ServeError> {
    Service::open(&config(bundle, EngineKind::Onnx))
}

/// Joy and optimism as every shape gives them, with the shape's name.
fn told(server: &Running, model: &str) -> Vec<(&'static str, f64, f64)> {
    const TEXT: &str = "so happy";
    let ask = |path: &str, body: Value| server.post(path, &body).expect(200).json();
    let number = |value: &Value| value.as_f64().unwrap();
    let ranked = |list: &Value| {
        let of = |label: usize| {
            let entry = list.as_array().unwrap().iter().find(|entry| entry["label"] == LABELS[label]).unwrap();
            number(&entry["score"])
        };
        (of(JOY), of(OPTIMISM))
    };
    let row = |values: &Value| (number(&values[JOY]), number(&values[OPTIMISM]));
    let by_name = |scores: &Value| (number(&scores["joy"]), number(&scores["optimism"]));
    let input = json!({"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]});
    let shapes = [
        ("native", by_name(&ask("/v1/emotions", json!({"input": TEXT}))["results"][0]["scores"])),
        ("hugging face", ranked(&ask("/", json!({"inputs": TEXT}))[0])),
        ("hugging face, by model", ranked(&ask(&format!("/hf/{model}"), json!({"inputs": TEXT}))[0])),
        ("tei", ranked(&ask("/predict", json!({"inputs": TEXT})))),
        ("vllm", row(&ask("/classify", json!({"input": TEXT, "truncate_prompt_tokens": -1}))["data"][0]["probs"])),
        ("openai", by_name(&ask("/v1/moderations", json!({"input": TEXT}))["results"][0]["category_scores"])),
        ("open inference", row(&ask(&format!("/v2/models/{model}/infer"), json!({"inputs": [input]}))["outputs"][0]["data"])),
    ];
    shapes.map(|(shape, (joy, optimism))| (shape, joy, optimism)).into()
}

#[test]
fn every_shape_gives_what_the_bundle_states() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for (task, joy, optimism, labels) in
        [(Task::MultiLabel, 0.88, 0.98, json!(["optimism", "joy"])), (Task::MultiClass, 0.12, 0.87, json!(["optimism"]))]
    {
        let bundle = dir.path().join(task.name());
        write(&bundle, task);
        let server = Running::start(open(&bundle).unwrap());
        for (shape, found_joy, found_optimism) in told(&server, task.name()) {
            let near = |found: f64, expected: f64| (found - expected).abs() < 0.005;
            assert!(near(found_joy, joy) && near(found_optimism, optimism), "{task:?}, {shape}: {found_joy}, {found_optimism}");
            seen += 1;
        }
        let answer = server.classify("so happy").expect(200).json()["results"][0].clone();
        assert_eq!(answer["labels"], labels, "{task:?}");
        let sum: f64 = answer["scores"].as_object().unwrap().values().map(|score| score.as_f64().unwrap()).sum();
        assert_eq!((sum - 1.0).abs() < 1e-5, task == Task::MultiClass, "{task:?}: the scores sum to {sum}");
    }
    assert_eq!(seen, 2 * 7);
}

#[test]
fn a_bundle_that_does_not_say_which_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("bundle");
    for member in ["task", "activation"] {
        write(&bundle, Task::MultiLabel);
        let path = bundle.join("bundle.json");
        let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        manifest.as_object_mut().unwrap().remove(member).unwrap();
        std::fs::write(&path, manifest.to_string()).unwrap();
        let refused = open(&bundle).err().map(|error| std::error::Error::source(&error).unwrap().to_string());
        assert!(refused.as_ref().is_some_and(|reason| reason.contains(member)), "{member}: {refused:?}");
    }
}
