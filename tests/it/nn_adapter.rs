//! Adapters against Hugging Face peft (`scripts/fixtures/adapters.py`): its files, logits, gradients by name and ten steps;
//! adapters of our own in its files and back; what is frozen, and what is refused.

use std::collections::BTreeMap;

use limbic::model::SequenceClassifier;
use limbic::nn::{
    AdamW, Eager, Linear, LoraBias, LoraConfig, Missing, Mode, NnError, Path, PeftAdapter, PeftTask, Plan, StepOptions, Stepper, Storage,
    Targets, Weights,
};
use limbic::spec::Pooling;
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::nn_support::{Tiny, close, close_number};
use crate::support::fixture;

const RELATIVE: f64 = 1e-4;

#[derive(Deserialize)]
struct Header {
    made_by: String,
    rate_factor: f64,
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    config: String,
    loss: f64,
    losses: Vec<f64>,
    norms: Vec<f64>,
}

/// What peft found, and the model it stood on.
struct Peft {
    tiny: Tiny,
    classifier: SequenceClassifier,
    header: Header,
    bytes: Vec<u8>,
}

impl Peft {
    fn read() -> Self {
        let bytes = std::fs::read(fixture("adapters.safetensors")).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let header: Header = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["fixture"]).unwrap();
        assert_eq!(header.made_by, "scripts/fixtures/adapters.py");
        let tiny = Tiny::read();
        Self { classifier: tiny.classifier(Pooling::ClsTanh), tiny, header, bytes }
    }

    fn tensor(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap_or_else(|_| panic!("the fixture has no {name}"));
        view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// The two files that peft saved.
    fn files(&self, case: &str) -> (String, Vec<u8>) {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let prefix = format!("{case}.adapter.");
        let views = file.iter().filter_map(|(name, view)| Some((name.strip_prefix(&prefix)?.to_owned(), view)));
        (self.header.cases[case].config.clone(), safetensors::serialize(views, None).unwrap())
    }

    fn adapter(&self, case: &str) -> PeftAdapter {
        let (config, tensors) = self.files(case);
        PeftAdapter::parse(&config, &tensors).unwrap()
    }

    fn linears(&self) -> Vec<Linear> {
        self.classifier.linears()
    }

    fn base(&self, storage: Storage) -> Weights {
        let plan = Plan::frozen(storage, &self.linears()).and_trained(&self.classifier.head_params());
        let bytes = self.tiny.checkpoint();
        Weights::from_shards([Ok::<_, NnError>(&bytes)], &self.classifier.params(), Missing::Refuse, &plan).unwrap()
    }

    fn logits(&self, weights: &Weights, path: Path) -> Vec<f32> {
        let (ids, offsets) = self.tiny.settings.ragged();
        let mut ops = Eager::with_path(weights, Mode::Eval, &ids, &offsets, path).unwrap();
        self.classifier.forward(&mut ops).unwrap().to_vec().unwrap()
    }

    fn stepper(&self, weights: &Weights) -> (f64, Stepper) {
        let mut stepper = Stepper::new(weights, 2, 16).unwrap();
        let network = |ops: &mut Eager<'_>| self.classifier.forward(ops);
        let settings = &self.tiny.settings;
        let loss = stepper.gradients(weights, &network, &settings.loss(), &settings.examples(), 1).unwrap();
        (loss, stepper)
    }
}

/// What peft calls a parameter of ours.
fn peft_name(layers: &[Linear], config: &LoraConfig, name: &str) -> String {
    let Targets::Names(targets) = &config.targets else { panic!("the fixture names its targets") };
    let carries = |layer: &Linear| targets.iter().any(|target| layer.name == *target || layer.name.ends_with(&format!(".{target}")));
    let layer = name.strip_suffix(".bias").and_then(|path| layers.iter().find(|layer| layer.name == path));
    match layer.filter(|layer| carries(layer) && config.bias != LoraBias::None) {
        Some(layer) => format!("base_model.model.{}.base_layer.bias", layer.name),
        None => format!("base_model.model.{name}"),
    }
}

/// One case of the fixture: an adapter that peft made, on our base.
fn check_peft(peft: &Peft, case: &str, trained: usize) {
    let found = &peft.header.cases[case];
    let adapter = peft.adapter(case);
    let storage = if case == "nf4" { Storage::Nf4 { double: false } } else { Storage::F32 };
    let weights = peft.base(storage).with_saved_adapter(&peft.linears(), &adapter).unwrap();
    for path in [Path::Kernels, Path::Composite] {
        close(&format!("{case}: logits by {path:?}"), &peft.logits(&weights, path), &peft.tensor(&format!("{case}.logits")), RELATIVE, 0.0);
    }

    let (loss, stepper) = peft.stepper(&weights);
    close_number(&format!("{case}: loss"), loss, found.loss, RELATIVE);
    let names: Vec<&str> = weights.trainable().collect();
    assert_eq!(names.len(), trained, "{case}");
    for name in names {
        let gradient = stepper.sum().get(&weights, name).unwrap_or_else(|| panic!("{case}: {name} got no gradient"));
        let theirs = peft_name(&peft.linears(), &adapter.config, name);
        let expected = peft.tensor(&format!("{case}.gradient.{theirs}"));
        close(&format!("{case}: {name}"), &gradient, &expected, RELATIVE, 1e-6 * stepper.sum().norm());
    }

    let settings = &peft.tiny.settings;
    let mut optimizer = AdamW::new(&weights, settings.adamw()).unwrap();
    let mut stepper = Stepper::new(&weights, 2, 64).unwrap();
    let network = |ops: &mut Eager<'_>| peft.classifier.forward(ops);
    for (step, rate) in settings.learning_rates.iter().enumerate() {
        let options = StepOptions { learning_rate: peft.header.rate_factor * rate, clip: Some(settings.clip), seed: step as u64 };
        let report = stepper.step(&weights, &mut optimizer, &network, &settings.loss(), &settings.examples(), options).unwrap();
        close_number(&format!("{case}: loss of step {step}"), report.loss, found.losses[step], RELATIVE);
        close_number(&format!("{case}: norm of step {step}"), report.gradient_norm, found.norms[step], 10.0 * RELATIVE);
    }
    let after = peft.tensor(&format!("{case}.logits_after"));
    close(&format!("{case}: logits after"), &peft.logits(&weights, Path::Kernels), &after, 2.0 * RELATIVE, 0.0);
    check_merged(peft, case, &weights);
}

/// Merged and unmerged weights answer alike.
fn check_merged(peft: &Peft, case: &str, weights: &Weights) {
    let expected = peft.logits(weights, Path::Kernels);
    let merged = weights.merged(Storage::F32).unwrap();
    assert!(!merged.names().any(|name| name.contains("lora_")), "{case}");
    assert_eq!(merged.names().len(), peft.classifier.params().len(), "{case}");
    close(&format!("{case}: merged"), &peft.logits(&merged, Path::Kernels), &expected, RELATIVE, 0.0);
    let halved = weights.merged(Storage::Bf16).unwrap();
    close(&format!("{case}: merged to 16 bits"), &peft.logits(&halved, Path::Kernels), &expected, 3e-2, 0.0);
    assert!(halved.bytes() < merged.bytes() * 6 / 10, "{case}: {} of {}", halved.bytes(), merged.bytes());
}

#[test]
fn adapters_made_by_peft_answer_and_learn_as_there() {
    let peft = Peft::read();
    // Two matrices a layer of 13, and the head; of 4, the head and 18 biases; of 2, and their biases.
    let cases = [("every", 28), ("biases", 28), ("carriers", 6), ("nf4", 28)];
    assert_eq!(peft.header.cases.len(), cases.len());
    for (case, trained) in cases {
        check_peft(&peft, case, trained);
    }
}

fn config(peft: &Peft) -> LoraConfig {
    LoraConfig { dropout: 0.2, targets: Targets::AllLinear, ..peft.adapter("every").config }
}

/// Weights whose adapter has learnt a little.
fn learnt(peft: &Peft, base: Weights, config: &LoraConfig) -> Weights {
    let weights = base.with_adapter(&peft.linears(), config, 3).unwrap();
    let settings = &peft.tiny.settings;
    let mut optimizer = AdamW::new(&weights, settings.adamw()).unwrap();
    let mut stepper = Stepper::new(&weights, 1, 64).unwrap();
    let network = |ops: &mut Eager<'_>| peft.classifier.forward(ops);
    for seed in 0..3 {
        let options = StepOptions { learning_rate: 1e-2, clip: Some(1.0), seed };
        stepper.step(&weights, &mut optimizer, &network, &settings.loss(), &settings.examples(), options).unwrap();
    }
    weights
}

#[test]
fn a_fresh_adapter_changes_nothing_and_its_files_bring_it_back() {
    let peft = Peft::read();
    let before = peft.logits(&peft.base(Storage::F32), Path::Kernels);
    let config = config(&peft);
    let fresh = peft.base(Storage::F32).with_adapter(&peft.linears(), &config, 3).unwrap();
    assert_eq!(peft.logits(&fresh, Path::Kernels), before);
    for bias in [LoraBias::None, LoraBias::All, LoraBias::LoraOnly] {
        let config = LoraConfig { bias, rs_lora: bias == LoraBias::All, ..config.clone() };
        let weights = learnt(&peft, peft.base(Storage::F32), &config);
        let expected = peft.logits(&weights, Path::Kernels);
        assert_ne!(expected, before);
        let adapter = PeftAdapter::of(&weights, Some("a/base"), Some(PeftTask::SequenceClassification)).unwrap();
        let read = PeftAdapter::parse(&adapter.config_json(), &adapter.to_safetensors().unwrap()).unwrap();
        assert_eq!((read.base.as_deref(), read.task), (Some("a/base"), Some(PeftTask::SequenceClassification)));
        let again = peft.base(Storage::F32).with_saved_adapter(&peft.linears(), &read).unwrap();
        assert_eq!(peft.logits(&again, Path::Kernels), expected, "{bias:?}");
        check_merged(&peft, "learnt", &again);
    }
}

const PACKED: [Storage; 4] = [Storage::Bf16, Storage::Int8, Storage::Nf4 { double: false }, Storage::Nf4 { double: true }];

#[test]
fn what_is_frozen_gets_no_gradient_and_stays_as_it_is() {
    let peft = Peft::read();
    let config = LoraConfig { targets: Targets::Names(vec!["query".to_owned()]), ..config(&peft) };
    for storage in PACKED.into_iter().chain([Storage::F32]) {
        let before = peft.base(storage).merged(Storage::F32).unwrap().snapshot().unwrap();
        let weights = learnt(&peft, peft.base(storage), &config);
        let (_, stepper) = peft.stepper(&weights);
        let trainable: Vec<&str> = weights.trainable().collect();
        assert_eq!(trainable.len(), 6, "{trainable:?}");
        for name in weights.names().filter(|name| !trainable.contains(name)) {
            assert_eq!(stepper.sum().get(&weights, name), None, "{name}");
        }
        let snapshot = weights.snapshot().unwrap();
        assert_eq!(snapshot.iter().map(|(name, ..)| name).collect::<Vec<_>>(), trainable);
        let numbers: usize = snapshot.iter().map(|(_, _, values)| values.len()).sum();
        assert!(stepper.sum().bytes() <= 4 * (numbers + 64), "{} bytes for {numbers} numbers", stepper.sum().bytes());

        let after = weights.merged(Storage::F32).unwrap().snapshot().unwrap();
        let (mut same, mut moved) = (0, Vec::new());
        for (name, _, values) in before.iter() {
            if after.get(name).unwrap().1 == values { same += 1 } else { moved.push(name) }
        }
        let queries = [0, 1].map(|layer| format!("bert.encoder.layer.{layer}.attention.self.query.weight"));
        assert_eq!(moved, [queries[0].as_str(), queries[1].as_str(), "classifier.bias", "classifier.weight"], "{storage:?}");
        assert_eq!(same + moved.len(), weights.names().len() - 4);
    }
}

#[test]
fn kernels_and_candle_agree_on_packed_weights() {
    let peft = Peft::read();
    let (ids, offsets) = peft.tiny.settings.ragged();
    for storage in PACKED {
        let weights = learnt(&peft, peft.base(storage), &config(&peft));
        let run = |path| {
            let mut ops = Eager::with_path(&weights, Mode::Train { seed: 9 }, &ids, &offsets, path).unwrap();
            let logits = peft.classifier.forward(&mut ops).unwrap();
            let gradient: Vec<f32> = (0..logits.rows() * logits.width()).map(|at| ((at * 7) % 5) as f32 - 2.0).collect();
            (logits.to_vec().unwrap(), ops.backward(&logits, gradient).unwrap().snapshot(&weights))
        };
        let ((expected, by_candle), (found, by_kernels)) = (run(Path::Composite), run(Path::Kernels));
        close(&format!("{storage:?}: logits"), &found, &expected, RELATIVE, 0.0);
        assert_eq!(by_kernels.iter().len(), 28);
        for ((name, _, found), (_, _, expected)) in by_kernels.iter().zip(by_candle.iter()) {
            close(&format!("{storage:?}: {name}"), found, expected, RELATIVE, 1e-5);
        }
    }
}

/// Gradients of a few numbers of both matrices, by the slope of the loss.
#[test]
fn gradients_of_an_adapter_are_the_slope_of_the_loss() {
    let peft = Peft::read();
    let config = LoraConfig { dropout: 0.3, ..config(&peft) };
    let weights = learnt(&peft, peft.base(Storage::Nf4 { double: true }), &config);
    let (_, stepper) = peft.stepper(&weights);
    let mut seen = 0;
    for layer in ["bert.encoder.layer.0.attention.self.query", "bert.encoder.layer.1.output.dense", "bert.pooler.dense"] {
        for matrix in ["lora_A", "lora_B"] {
            let name = format!("{layer}.{matrix}.weight");
            let gradient = stepper.sum().get(&weights, &name).unwrap();
            let place = (0..gradient.len()).max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs())).unwrap();
            let step = 1e-3;
            let at = |by: f32| {
                let restored = weights.snapshot().unwrap();
                let moved = moved(&restored, &name, place, by);
                weights.restore(&moved).unwrap();
                let (loss, _) = peft.stepper(&weights);
                weights.restore(&restored).unwrap();
                loss
            };
            let slope = (at(step) - at(-step)) / (2.0 * f64::from(step));
            close_number(&name, f64::from(gradient[place]), slope, 2e-2);
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
}

/// A snapshot with one number moved.
fn moved(snapshot: &limbic::nn::Snapshot, name: &str, place: usize, by: f32) -> limbic::nn::Snapshot {
    let bytes = snapshot.to_safetensors().unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Vec<_> = file
        .iter()
        .map(|(other, view)| {
            let mut data = view.data().to_vec();
            if other == name {
                let number = f32::from_le_bytes(data[4 * place..][..4].try_into().unwrap()) + by;
                data[4 * place..][..4].copy_from_slice(&number.to_le_bytes());
            }
            (other.to_owned(), view.shape().to_vec(), data)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, data)| {
        (name.clone(), safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
    });
    limbic::nn::Snapshot::from_safetensors(&safetensors::serialize(views, None).unwrap()).unwrap()
}

#[test]
fn packed_weights_take_the_memory_they_say() {
    let peft = Peft::read();
    let params = peft.classifier.params();
    let packed: usize = peft.linears().iter().map(|layer| layer.inputs * layer.outputs).sum();
    let head: Vec<String> = peft.classifier.head_params().into_iter().map(|spec| spec.name).collect();
    let tables: usize = params.iter().filter(|spec| spec.shape.len() == 2 && spec.name.contains("embeddings")).map(count).sum();
    let all: usize = params.iter().map(count).sum();
    let rest = all - packed - tables;
    assert_eq!(head.len(), 2);
    // Rows of 32 and 64: two or one to a block, and few blocks to a scale of scales.
    let blocks: usize = peft.linears().iter().map(|layer| (layer.inputs * layer.outputs).div_ceil(64)).sum();
    let nested: usize = peft.linears().iter().map(|layer| (layer.inputs * layer.outputs).div_ceil(64 * 256) * 4 + 4).sum();
    let rows: usize = peft.linears().iter().map(|layer| layer.outputs).sum();
    let cases = [
        (Storage::F32, 4 * all),
        (Storage::Bf16, 2 * packed + 2 * tables + 4 * rest),
        (Storage::Int8, packed + 4 * rows + 2 * tables + 4 * rest),
        (Storage::Nf4 { double: false }, packed / 2 + 4 * blocks + 2 * tables + 4 * rest),
        (Storage::Nf4 { double: true }, packed / 2 + blocks + nested + 2 * tables + 4 * rest),
    ];
    for (storage, expected) in cases {
        assert_eq!(peft.base(storage).bytes(), expected, "{storage:?}");
    }
}

fn count(spec: &limbic::nn::ParamSpec) -> usize {
    spec.shape.iter().product()
}

#[test]
fn shards_are_read_as_one_checkpoint() {
    let peft = Peft::read();
    let whole = peft.tiny.checkpoint();
    let file = SafeTensors::deserialize(&whole).unwrap();
    let shard = |odd: bool| {
        let views = file.iter().enumerate().filter(|(at, _)| (at % 2 == 1) == odd).map(|(_, (name, view))| (name.to_owned(), view));
        safetensors::serialize(views, None).unwrap()
    };
    let params = peft.classifier.params();
    let plan = Plan::frozen(Storage::Nf4 { double: true }, &peft.linears());
    let read = |shards: &[Vec<u8>]| Weights::from_shards(shards.iter().map(Ok::<_, NnError>), &params, Missing::Refuse, &plan);
    let shards = [shard(false), shard(true)];
    let expected = peft.logits(&read(std::slice::from_ref(&whole)).unwrap(), Path::Kernels);
    assert_eq!(peft.logits(&read(&shards).unwrap(), Path::Kernels), expected);
    assert!(matches!(read(&shards[..1]), Err(NnError::Missing { .. })));
    assert!(matches!(read(&[whole.clone(), shard(true)]), Err(NnError::Duplicate { .. })));
}

/// What `peft` wrote, with one key of its configuration changed.
fn with_key(peft: &Peft, key: &str, value: serde_json::Value) -> Result<PeftAdapter, NnError> {
    let (config, tensors) = peft.files("every");
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config[key] = value;
    PeftAdapter::parse(&config.to_string(), &tensors)
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    use serde_json::json;
    let peft = Peft::read();
    let configs = [
        ("use_dora", json!(true), "adapter: use_dora: expected switched off: this variant is not computed here, found true"),
        ("rank_pattern", json!({"query": 8}), "adapter: rank_pattern: expected switched off"),
        ("a_key_of_tomorrow", json!("on"), "adapter: a_key_of_tomorrow: expected switched off"),
        ("peft_type", json!("IA3"), "adapter: peft_type: expected LORA, found \"IA3\""),
        ("target_modules", json!(".*query"), "adapter: target_modules: expected a list of names or all-linear"),
        ("r", json!(8), "expected rank 8, as r says, found shape [4, 32]"),
        ("r", json!(0), "adapter: r: expected at least 1, found 0"),
        ("lora_dropout", json!(1.0), "adapter: lora_dropout: expected at least 0 and below 1, found 1"),
        ("init_lora_weights", json!("pissa_niter_4"), "adapter: init_lora_weights: expected a beginning that leaves the base as it was"),
        ("bias", json!("some"), "adapter: bias: expected none or all or lora_only, found \"some\""),
    ];
    for (key, value, expected) in configs {
        let error = with_key(&peft, key, value).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let on = |adapter: &PeftAdapter| peft.base(Storage::F32).with_saved_adapter(&peft.linears(), adapter).unwrap_err().to_string();
    let fewer = with_key(&peft, "target_modules", json!(["query"])).unwrap();
    assert!(on(&fewer).contains("attention.output.dense.lora_A.weight: expected a layer of this network that the configuration names"));
    let unsaved = with_key(&peft, "modules_to_save", serde_json::Value::Null).unwrap();
    assert!(on(&unsaved).contains("classifier.bias: expected a layer of this network"), "{}", on(&unsaved));
    let unknown = with_key(&peft, "target_modules", json!(["q_proj"])).unwrap();
    assert!(
        on(&unknown).contains("target_modules: expected the end of a dense layer's path, such as dense, key, query, value, found q_proj")
    );
    let more = with_key(&peft, "bias", json!("all")).unwrap();
    assert!(on(&more).contains("bias: expected a tensor of that name, found none"), "{}", on(&more));

    let other = Tiny::of("roberta");
    let network = other.classifier(Pooling::ClsTanh);
    let error = other.weights(Pooling::ClsTanh).with_saved_adapter(&network.linears(), &peft.adapter("every")).unwrap_err().to_string();
    assert!(error.contains("the adapter is another network's"), "{error}");
    let twice = learnt(&peft, peft.base(Storage::F32), &config(&peft)).with_adapter(&peft.linears(), &config(&peft), 1);
    assert!(twice.unwrap_err().to_string().contains("weights: expected none yet, found one of rank 4"));
    let missing = LoraConfig { modules_to_save: vec!["score".to_owned()], ..config(&peft) };
    let error = peft.base(Storage::F32).with_adapter(&peft.linears(), &missing, 1).unwrap_err().to_string();
    assert!(error.contains("modules_to_save: expected the end of a layer's path, found score"), "{error}");
    assert!(peft.base(Storage::Int8).merged(Storage::Int8).is_err());
}
