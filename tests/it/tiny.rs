//! Real bundles, tiny: a BERT of two layers of width 32 with random weights over the labels joy,
//! sadness and anger, and the same of other families. For every test that needs a bundle and does
//! not care what it says.
//!
//! Its golden answers are ONNX Runtime's, so that the other engine is compared with something
//! that it did not compute itself.

#![allow(dead_code, reason = "which helpers are used depends on the features built")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use limbic::backend::onnx::{OnnxBackend, OnnxOptions};
use limbic::backend::{Backend, Options};
use limbic::bundle::{
    BaseModel, Bundle, BundleParts, BundleWriter, DataFingerprint, Figure, Figures, GoldenSet, MeasuredSet, PackedWeights, Provenance,
    ScoreBin, ScoreReference, weights_location,
};
use limbic::decide::{Calibrator, Decider, Logits, Probabilities, Thresholds};
use limbic::model::{ModelConfig, SequenceClassifier};
use limbic::nn::{Init, Missing, ParamSpec, Weights};
use limbic::spec::{Activation, LabelSet, Pooling, Precision, Task};
use limbic::text::{Batch, Encoding, Normalization, TextEncoder, read_tokenizer_json};

use super::nn_support::Tiny;
use super::support::{fixture, onnxruntime};

pub const LABELS: [&str; 3] = ["joy", "sadness", "anger"];
pub const MAX_LENGTH: usize = 48;

/// Texts of very different lengths, one of them cut.
pub const TEXTS: [&str; 16] = [
    "i am so happy today",
    "ok",
    "she cried all night and nobody came",
    "how dare you take my seat",
    "",
    "we won! we won! we won!",
    "the train leaves at nine",
    "this makes me furious, this makes me sick",
    "what a lovely surprise from my sister",
    "he sat alone in the dark kitchen and did not eat",
    "no",
    "thank you thank you thank you",
    "I can't believe we won, I'm shaking with joy! \u{1f62d}",
    "they lied to me again and again and again and again and again and again and again and again and again and again and again and \
     again and again and again and again and again and again and again and again and again and again and again and again and again",
    "@someone look at https://example.org/a?b=1 &amp; weep",
    "fine. everything is fine.",
];

/// Writes a bundle to `dir/bundle` and returns that folder.
pub fn bundle(dir: &Path, precision: Precision) -> PathBuf {
    let target = dir.join("bundle");
    write(&target, &parts(Pooling::Mean, precision));
    target
}

/// Writes a bundle of these parts to `target`, replacing one that stands there.
pub fn write(target: &Path, parts: &BundleParts) -> Bundle {
    BundleWriter::stage(target, parts).unwrap().commit().unwrap()
}

/// The engines' options with the library that tests use.
pub fn options() -> Options {
    Options { library: Some(onnxruntime()), ..Options::default() }
}

/// A fresh ONNX Runtime session.
pub fn onnx(bundle: &Bundle) -> OnnxBackend {
    OnnxBackend::open(bundle, &OnnxOptions { library: onnxruntime(), intra_threads: 1 }).unwrap()
}

/// The ids of `texts` as one batch.
pub fn batch<'a>(encoder: &TextEncoder, texts: impl IntoIterator<Item = &'a str>) -> Batch {
    let encodings: Vec<Encoding> = texts.into_iter().map(|text| encoder.encode(text).unwrap()).collect();
    Batch::new(&encodings).unwrap()
}

/// Folders of the families, and the poolings of each.
const FAMILIES: [(&str, &[Pooling]); 4] = [
    ("tiny-bert", &[Pooling::ClsTanh, Pooling::Mean]),
    ("tiny-roberta", &[Pooling::ClsTanh, Pooling::Mean]),
    ("tiny-distilbert", &[Pooling::ClsRelu, Pooling::Mean]),
    ("tiny-modernbert", &[Pooling::ClsGeluNorm, Pooling::MeanGeluNorm, Pooling::Mean]),
];

/// Decoders, of the sizes of their fixtures but with the tokenizer and the vocabulary of stories260K.
pub const DECODERS: [(&str, &[Pooling]); 5] = [
    ("llama", &[Pooling::LastToken, Pooling::Mean]),
    ("qwen2", &[Pooling::LastToken]),
    ("qwen3", &[Pooling::LastToken]),
    ("gemma", &[Pooling::LastToken]),
    ("gemma2", &[Pooling::LastToken]),
];

/// How many [`cases`] there are.
pub const CASES: usize = 9 + 6;

/// Every encoder with every pooling it has, and every decoder.
pub fn cases() -> impl Iterator<Item = (&'static str, Pooling)> {
    FAMILIES.iter().chain(&DECODERS).flat_map(|(family, poolings)| poolings.iter().map(move |pooling| (*family, *pooling)))
}

/// Everything the tiny bundle is made of.
pub fn parts(pooling: Pooling, precision: Precision) -> BundleParts {
    parts_of("tiny-bert", pooling, precision)
}

/// The same of one of [`cases`]. Made once a process: the golden answers cost a session.
pub fn parts_of(family: &'static str, pooling: Pooling, precision: Precision) -> BundleParts {
    static MADE: Mutex<BTreeMap<[&str; 3], BundleParts>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap();
    made.entry([family, pooling.name(), precision.name()]).or_insert_with(|| make(family, pooling, precision)).clone()
}

fn make(family: &'static str, pooling: Pooling, precision: Precision) -> BundleParts {
    let (config_json, tokenizer_json) = if DECODERS.iter().any(|(decoder, _)| *decoder == family) {
        decoder(family)
    } else {
        let folder = fixture(family);
        (fs::read(folder.join("config.json")).unwrap(), read_tokenizer_json(&folder).unwrap())
    };
    let network = network(&config_json, pooling, LABELS.len());
    let weights = random_weights(&network.params(), 7);
    with_golden(Seed { name: "tiny", config_json, tokenizer_json, pooling, max_length: MAX_LENGTH }, &network, &weights, precision)
}

/// Configuration and tokenizer of one of [`DECODERS`].
fn decoder(family: &str) -> (Vec<u8>, Vec<u8>) {
    let mut config = Tiny::of(family).config_json;
    (config["vocab_size"], config["max_position_embeddings"]) = (512.into(), 64.into());
    (config.to_string().into_bytes(), fs::read(fixture("stories260K/tokenizer.json")).unwrap())
}

/// The network that a configuration and a pooling give.
pub fn network(config_json: &[u8], pooling: Pooling, labels: usize) -> SequenceClassifier {
    let config = ModelConfig::from_json(std::str::from_utf8(config_json).unwrap()).unwrap();
    SequenceClassifier::new(&config, pooling, labels).unwrap()
}

/// What differs between bundles that tests make.
pub struct Seed {
    pub name: &'static str,
    pub config_json: Vec<u8>,
    pub tokenizer_json: Vec<u8>,
    pub pooling: Pooling,
    pub max_length: usize,
}

/// A checkpoint's file with the head that it lacks, drawn wide.
pub fn with_fresh_head(checkpoint: &[u8], network: &SequenceClassifier) -> Vec<u8> {
    let allowed = network.head_params();
    let wide: Vec<ParamSpec> = network
        .params()
        .into_iter()
        .map(|spec| if allowed.iter().any(|head| head.name == spec.name) { ParamSpec { init: Init::Normal(0.6), ..spec } } else { spec })
        .collect();
    Weights::from_safetensors(checkpoint, &wide, Missing::Init { seed: 7, allowed: &allowed }).unwrap().to_safetensors().unwrap()
}

/// Parts over `weights`, an f32 safetensors file, with ONNX Runtime's answers as golden ones.
pub fn with_golden(seed: Seed, network: &SequenceClassifier, weights: &[u8], precision: Precision) -> BundleParts {
    let weights = PackedWeights::pack(weights, precision).unwrap();
    let graph = limbic::export::onnx(network, weights.layout(), weights_location(precision)).unwrap();
    let labels =
        LabelSet::new((0..network.labels()).map(|label| LABELS.get(label).map_or(format!("label {label}"), |name| (*name).to_owned())))
            .unwrap();
    let encoder = TextEncoder::from_json(&seed.tokenizer_json, Normalization::TweetV1, seed.max_length).unwrap();
    let decider = decider(labels);
    let ids = TEXTS.iter().map(|text| encoder.encode(text).unwrap().ids().to_vec()).collect();
    let logits = Logits::new(decider.labels().len(), vec![0.0; TEXTS.len() * decider.labels().len()]).unwrap();
    let golden = GoldenSet {
        texts: TEXTS.iter().map(|text| (*text).to_owned()).collect(),
        ids,
        probabilities: decider.probabilities(&logits),
        logits,
    };
    let mut parts = BundleParts {
        name: seed.name.to_owned(),
        version: "0.1.0".to_owned(),
        created: 1_700_000_000,
        task: Task::MultiLabel,
        architecture: ModelConfig::from_json(std::str::from_utf8(&seed.config_json).unwrap()).unwrap().architecture(),
        pooling: seed.pooling,
        max_length: seed.max_length,
        normalization: Normalization::TweetV1,
        config_json: seed.config_json,
        tokenizer_json: seed.tokenizer_json,
        weights,
        graph: Some(graph),
        decider,
        threshold_policy: "chosen by hand".to_owned(),
        tolerance: 1e-4,
        golden,
        provenance: provenance(),
        metrics: vec![measured()],
        scores: Some(scores(network.labels())),
        generation: None,
        adapter: None,
    };
    parts.golden = answered(&parts);
    parts
}

/// The golden set with the answers of ONNX Runtime in place of those that stood there.
fn answered(parts: &BundleParts) -> GoldenSet {
    let dir = tempfile::tempdir().unwrap();
    let staged = BundleWriter::stage(&dir.path().join("bundle"), parts).unwrap();
    let mut backend = onnx(staged.bundle());
    let encodings: Vec<Encoding> = parts.golden.ids.iter().map(|ids| Encoding::new(ids.clone(), false).unwrap()).collect();
    let rows = encodings.iter().map(|encoding| backend.forward(&Batch::new([encoding]).unwrap()).unwrap());
    let logits = Logits::new(parts.decider.labels().len(), rows.flat_map(|row| row.values().to_vec()).collect()).unwrap();
    let probabilities: Probabilities = parts.decider.probabilities(&logits);
    GoldenSet { logits, probabilities, ..parts.golden.clone() }
}

/// One calibrator of another kind a label, and a threshold of another height.
fn decider(labels: LabelSet) -> Decider {
    let kinds = [Calibrator::Sigmoid { a: 1.2, b: -0.1 }, Calibrator::Temperature { t: 1.5 }, Calibrator::Beta { a: 0.9, b: 1.1, c: 0.2 }];
    let calibrators = (0..labels.len()).map(|label| kinds[label % 3].clone()).collect();
    let thresholds = (0..labels.len()).map(|label| 0.4 + 0.05 * (label % 3) as f64).collect();
    Decider::new(labels, Activation::Sigmoid, calibrators, Thresholds::new(thresholds).unwrap()).unwrap()
}

fn provenance() -> Provenance {
    Provenance {
        base: BaseModel { name: "tiny-bert".to_owned(), revision: "random".to_owned(), licence: "Apache-2.0".to_owned() },
        recipe_sha256: "sha256:0".to_owned(),
        recipe: "name = \"tiny\"\n".to_owned(),
        data: DataFingerprint { description: "no rows".to_owned(), rows: 0, sha256: "sha256:0".to_owned() },
        further: Vec::new(),
        git: None,
        seeds: vec![7],
        limbic: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn measured() -> MeasuredSet {
    let figure = |value, interval| Figure { value, interval };
    let overall = BTreeMap::from([("macro_f1".to_owned(), figure(0.5, Some((0.4, 0.6)))), ("ece".to_owned(), figure(0.031, None))]);
    let joy = BTreeMap::from([("f1".to_owned(), figure(0.75, Some((0.7, 0.8))))]);
    let figures = Figures { overall, labels: BTreeMap::from([("joy".to_owned(), joy)]) };
    MeasuredSet { name: "out_of_fold".to_owned(), rows: 60, note: "invented".to_owned(), tuned: figures.clone(), at_half: figures }
}

/// Invented bins, the same for every label.
fn scores(labels: usize) -> ScoreReference {
    let bin = |from, rows, score, held| ScoreBin { from, rows, score, held };
    let bins = vec![bin(0.0, 20, 0.1, 0.1), bin(0.25, 20, 0.4, 0.45), bin(0.5, 20, 0.75, 0.7)];
    ScoreReference { set: "out_of_fold".to_owned(), labels: vec![bins; labels] }
}

/// A safetensors file with a value for every parameter, the same for the same seed.
///
/// Heads are drawn wide, so that probabilities spread.
pub fn random_weights(specs: &[ParamSpec], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 16_777_216.0 - 0.5
    };
    // The sum of twelve uniform numbers is near enough to a normal one.
    let mut normal = move || (0..12).map(|_| uniform()).sum::<f32>();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = specs
        .iter()
        .map(|spec| {
            let head = spec.name.starts_with("classifier") || spec.name.starts_with("score");
            let count: usize = spec.shape.iter().product();
            let mut value = || match spec.init {
                Init::Normal(_) if head => 0.6 * normal(),
                Init::Normal(deviation) => deviation as f32 * normal(),
                Init::Zeros => 0.05 * normal(),
                Init::Ones => 1.0 + 0.05 * normal(),
            };
            let bytes = (0..count).flat_map(|_| value().to_le_bytes()).collect();
            (spec.name.clone(), spec.shape.clone(), bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}
