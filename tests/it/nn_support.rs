//! Fixtures of `scripts/fixtures/bert.py`, `families.py` and `decoders.py`, and how numbers are compared with them.

use std::collections::BTreeMap;

use limbic::model::{ModelConfig, SequenceClassifier};
use limbic::nn::{
    AdamW, AdamWConfig, BinaryCrossEntropy, Eager, Example, Loss, Missing, NnError, ParamSpec, Rows, StepOptions, Stepper, Weights,
};
use limbic::spec::Pooling;
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::support::fixture;

/// What both fixtures say about texts and training.
#[derive(Deserialize)]
pub struct Settings {
    pub made_by: String,
    pub texts: Vec<Vec<u32>>,
    pub targets: Vec<Vec<f32>>,
    pub label_weights: Option<Vec<f32>>,
    pub positive_weights: Vec<f32>,
    pub learning_rates: Vec<f64>,
    pub clip: f64,
    pub weight_decay: f64,
}

impl Settings {
    pub fn examples(&self) -> Vec<Example<'_>> {
        self.texts.iter().zip(&self.targets).map(|(ids, targets)| Example { ids, targets }).collect()
    }

    /// All ids, end to end, and where each text begins.
    pub fn ragged(&self) -> (Vec<u32>, Vec<u32>) {
        ragged(&self.texts)
    }

    pub fn labels(&self) -> usize {
        self.targets[0].len()
    }

    pub fn loss(&self) -> BinaryCrossEntropy {
        let loss = BinaryCrossEntropy::new(self.labels()).with_positive_weights(self.positive_weights.clone()).unwrap();
        match &self.label_weights {
            Some(weights) => loss.with_label_weights(weights.clone()).unwrap(),
            None => loss,
        }
    }

    pub fn adamw(&self) -> AdamWConfig {
        AdamWConfig { weight_decay: self.weight_decay, ..AdamWConfig::default() }
    }
}

pub fn ragged(texts: &[Vec<u32>]) -> (Vec<u32>, Vec<u32>) {
    let mut offsets = vec![0];
    for text in texts {
        offsets.push(offsets[offsets.len() - 1] + text.len() as u32);
    }
    (texts.concat(), offsets)
}

/// As far as fp32 summed in another order may stray.
pub const RELATIVE: f64 = 1e-4;

/// A network, what it is asked, and what its answers cost.
pub struct Lesson<'a, N, L> {
    network: N,
    loss: L,
    examples: Vec<Example<'a>>,
}

impl<'a, N: Fn(&mut Eager<'_>) -> Result<Rows, NnError> + Sync, L: Loss> Lesson<'a, N, L> {
    pub fn new(network: N, loss: L, examples: Vec<Example<'a>>) -> Self {
        Self { network, loss, examples }
    }

    /// Loss and gradients over all texts, in two shards of several passes.
    pub fn gradients(&self, weights: &Weights) -> (f64, Stepper) {
        let mut stepper = Stepper::new(weights, 2, 16).unwrap();
        let loss = stepper.gradients(weights, &self.network, &self.loss, &self.examples, 1).unwrap();
        (loss, stepper)
    }

    /// The steps of the fixture; the weights end as the reference's.
    pub fn check_steps(&self, what: &str, weights: &Weights, settings: &Settings, found: &Found) {
        let mut optimizer = AdamW::new(weights, settings.adamw()).unwrap();
        let mut stepper = Stepper::new(weights, 2, 64).unwrap();
        let half = self.examples.len() / 2;
        assert_eq!(settings.learning_rates.len(), 10);
        for (step, &learning_rate) in settings.learning_rates.iter().enumerate() {
            let batch = if step % 2 == 0 { &self.examples[..half] } else { &self.examples[half..] };
            let options = StepOptions { learning_rate, clip: Some(settings.clip), seed: step as u64 };
            let report = stepper.step(weights, &mut optimizer, &self.network, &self.loss, batch, options).unwrap();
            close_number(&format!("{what}: loss of step {step}"), report.loss, found.losses[step], RELATIVE);
            close_number(&format!("{what}: norm of step {step}"), report.gradient_norm, found.norms[step], 10.0 * RELATIVE);
        }
    }
}

/// What transformers found for one pooling.
#[derive(Deserialize)]
pub struct Found {
    pub loss: f64,
    pub losses: Vec<f64>,
    pub norms: Vec<f64>,
}

#[derive(Deserialize)]
struct TinyHeader {
    #[serde(flatten)]
    settings: Settings,
    config: serde_json::Value,
    found: BTreeMap<String, Found>,
    /// Decoders: what is asked about each token, for a language model.
    #[serde(default)]
    words: Vec<Vec<Option<u32>>>,
    /// Decoders: the adapter's configuration as peft writes it.
    #[serde(default)]
    peft: serde_json::Value,
    /// Qwen 2: a configuration in which tokens see what stands behind them.
    #[serde(default)]
    both_ways: serde_json::Value,
}

/// A tiny random model, all its numbers known.
pub struct Tiny {
    pub settings: Settings,
    pub config: ModelConfig,
    /// The configuration as it was read.
    pub config_json: serde_json::Value,
    pub words: Vec<Vec<Option<u32>>>,
    pub peft: serde_json::Value,
    pub both_ways: serde_json::Value,
    found: BTreeMap<String, Found>,
    tensors: BTreeMap<String, Vec<f32>>,
    bytes: Vec<u8>,
}

/// BERT's poolings.
pub const POOLINGS: [(&str, Pooling); 2] = [("cls_tanh", Pooling::ClsTanh), ("mean", Pooling::Mean)];

/// Every family with a fixture, and its poolings.
pub const FAMILIES: [(&str, &[Pooling]); 4] = [
    ("bert", &[Pooling::ClsTanh, Pooling::Mean]),
    ("roberta", &[Pooling::ClsTanh, Pooling::Mean]),
    ("distilbert", &[Pooling::ClsRelu, Pooling::Mean]),
    ("modernbert", &[Pooling::ClsGeluNorm, Pooling::MeanGeluNorm, Pooling::Mean]),
];

/// Every family of decoders with a fixture, and its poolings.
pub const DECODERS: [(&str, &[Pooling]); 5] = [
    ("llama", &[Pooling::LastToken, Pooling::Mean]),
    ("qwen2", &[Pooling::LastToken, Pooling::Mean]),
    ("qwen3", &[Pooling::LastToken, Pooling::Mean]),
    ("gemma", &[Pooling::LastToken, Pooling::Mean]),
    ("gemma2", &[Pooling::LastToken, Pooling::Mean]),
];

/// Every family with every pooling it has: nine.
pub fn cases() -> impl Iterator<Item = (&'static str, Pooling)> {
    FAMILIES.iter().flat_map(|(family, poolings)| poolings.iter().map(move |pooling| (*family, *pooling)))
}

impl Tiny {
    /// The model of BERT's family.
    pub fn read() -> Self {
        Self::of("bert")
    }

    /// The model of one of [`FAMILIES`] or [`DECODERS`].
    pub fn of(family: &str) -> Self {
        let bytes = std::fs::read(fixture(&format!("{family}_tiny.safetensors"))).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let header: TinyHeader = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["fixture"]).unwrap();
        let script = match family {
            "bert" => "scripts/fixtures/bert.py",
            _ if DECODERS.iter().any(|(decoder, _)| *decoder == family) => "scripts/fixtures/decoders.py",
            _ => "scripts/fixtures/families.py",
        };
        assert_eq!(header.settings.made_by, script);
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let single = |data: &[u8]| data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let tensors = file.iter().map(|(name, view)| (name.to_owned(), single(view.data()))).collect();
        Self {
            settings: header.settings,
            config: ModelConfig::from_json(&header.config.to_string()).unwrap(),
            config_json: header.config,
            words: header.words,
            peft: header.peft,
            both_ways: header.both_ways,
            found: header.found,
            tensors,
            bytes,
        }
    }

    pub fn classifier(&self, pooling: Pooling) -> SequenceClassifier {
        SequenceClassifier::new(&self.config, pooling, self.settings.labels()).unwrap()
    }

    pub fn weights(&self, pooling: Pooling) -> Weights {
        Weights::from_safetensors(&self.checkpoint(), &self.classifier(pooling).params(), Missing::Refuse).unwrap()
    }

    /// The weights as a checkpoint of their own, named as the network names them.
    pub fn checkpoint(&self) -> Vec<u8> {
        self.file("weights.")
    }

    /// The tensors whose names begin so, without that, as a file of their own.
    pub fn file(&self, prefix: &str) -> Vec<u8> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let views = file.iter().filter_map(|(name, view)| Some((name.strip_prefix(prefix)?.to_owned(), view)));
        safetensors::serialize(views, None).unwrap()
    }

    pub fn found(&self, pooling: Pooling) -> &Found {
        self.found_of(pooling.name())
    }

    /// What was found for a pooling, or for another part of the fixture.
    pub fn found_of(&self, part: &str) -> &Found {
        &self.found[part]
    }

    pub fn tensor(&self, name: &str) -> &[f32] {
        self.tensors.get(name).unwrap_or_else(|| panic!("the fixture has no {name}"))
    }
}

/// The head that the script builds: a multiplicative hash of the position.
pub fn formula_head(labels: usize, width: usize, scale: f64) -> Vec<f32> {
    let number = |index: u64| ((index * 2_654_435_761 % (1 << 32)) as f64 / 4_294_967_296.0 - 0.5) * scale;
    (0..(labels * width) as u64).map(|index| number(index) as f32).collect()
}

/// Puts numbers in place of one parameter's.
pub fn with_values(weights: &Weights, specs: &[ParamSpec], replace: &[(&str, Vec<f32>)]) -> Weights {
    let snapshot = weights.snapshot().unwrap();
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = snapshot
        .iter()
        .map(|(name, shape, values)| {
            let values = replace.iter().find(|(other, _)| *other == name).map_or(values, |(_, values)| values);
            (name.to_owned(), shape.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, data)| {
        (name.clone(), safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
    });
    Weights::from_safetensors(&safetensors::serialize(views, None).unwrap(), specs, Missing::Refuse).unwrap()
}

pub fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt()
}

/// Asserts that `found` lies within `relative` of `expected`, both as vectors, or within `floor`.
#[track_caller]
pub fn close(what: &str, found: &[f32], expected: &[f32], relative: f64, floor: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: sizes");
    let difference: Vec<f32> = found.iter().zip(expected).map(|(found, expected)| found - expected).collect();
    let (off, allowed) = (norm(&difference), relative * norm(expected) + floor);
    assert!(off <= allowed, "{what}: off by {off:e}, allowed {allowed:e}");
}

/// Asserts that a number lies within `relative` of `expected`.
#[track_caller]
pub fn close_number(what: &str, found: f64, expected: f64, relative: f64) {
    assert!((found - expected).abs() <= relative * expected.abs(), "{what}: {found}, expected {expected}");
}
