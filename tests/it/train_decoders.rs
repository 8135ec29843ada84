//! The decoder experiments: their smoke recipes run from text to a bundle that is served, and are the full
//! recipes in small.

use limbic::backend::{self, EngineKind, Options};
use limbic::bundle::Bundle;
use limbic::nn::{LoraBias, PeftAdapter, Storage};
use limbic::spec::Architecture;
use limbic::text::Batch;
use limbic::train::RunReport;
use limbic::train::recipe::{FinalFit, Recipe};

use super::support::{fixture, onnxruntime, repo_root};
use super::train_cli::limbic_train;
use super::train_trial::{Trial, never};

const NAMES: [&str; 6] = [
    "exp-04-gemma-2-2b",
    "exp-05-llama-3.2-1b",
    "exp-06-stella-1.5b",
    "exp-07-qwen2.5-1.5b",
    "exp-08-llama-3.2-3b-instruct",
    "exp-09-qwen2.5-14b-instruct",
];
const TEXTS: [&str; 3] = ["we won, what joy", "they lied to me again", "something scratched at the cellar door"];

/// What a smoke run has to come to.
struct Expected {
    recipe: &'static str,
    family: Architecture,
    /// What its figures are called.
    set: &'static str,
    /// Rows judged, give or take four.
    rows: usize,
    writes: bool,
}

/// Runs the smoke recipe, and asks its bundle in every way there is.
fn check(expected: &Expected) {
    let trial = Trial::of(expected.recipe, &[]);
    let (report, bundle) = trial.finish();
    let name = expected.recipe;
    assert_eq!((report.sets[0].name.as_str(), report.sets.len(), report.fits.len()), (expected.set, 1, 1), "{name}");
    assert!(report.sets[0].rows.abs_diff(expected.rows) <= 4, "{name}: {} rows judged", report.sets[0].rows);
    assert!(report.split.starts_with("one fold") && report.shipped.starts_with("that of one fold"), "{}", report.shipped);
    assert_eq!((bundle.architecture(), bundle.id()), (expected.family, report.bundle.as_str()), "{name}");
    assert_eq!((bundle.generation().is_some(), bundle.graph().is_none()), (expected.writes, expected.writes), "{name}");
    assert!(bundle.card().provenance.recipe.contains("[adapter]"), "{name}: the bundle says that it was adapted");
    the_shares_of_faulty_answers_are_told(&report, expected);
    let candle = answers(&bundle, EngineKind::Candle);
    if !expected.writes {
        let onnx = answers(&bundle, EngineKind::Onnx);
        let furthest = onnx.iter().zip(&candle).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest < 1e-4, "{name}: engines differ by {furthest}");
    }
    let spread = candle.iter().copied().fold(f32::MIN, f32::max) - candle.iter().copied().fold(f32::MAX, f32::min);
    assert!(candle.len() == 12 && spread > 1e-3, "{name}: {candle:?}");
    it_predicts(&trial, &candle, name);
    #[cfg(feature = "serve")]
    it_is_served(&trial, &candle, name);
}

/// Calibrated probabilities of the texts.
fn answers(bundle: &Bundle, kind: EngineKind) -> Vec<f32> {
    let encodings = bundle.text_encoder().encode_all(&TEXTS).unwrap();
    let mut engine = backend::open(kind, bundle, &Options { library: Some(onnxruntime()), ..Options::default() }).unwrap();
    bundle.decider().probabilities(&engine.forward(&Batch::new(&encodings).unwrap()).unwrap()).values().to_vec()
}

fn the_shares_of_faulty_answers_are_told(report: &RunReport, expected: &Expected) {
    let overall = &report.sets[0].tuned.overall;
    for figure in ["answers_truncated", "answers_unparsed", "answers_unknown_label"] {
        let share = overall.get(figure).map(|figure| figure.value);
        assert_eq!(share.is_some(), expected.writes, "{}: {figure}", expected.recipe);
        assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)), "{figure}: {share:?}");
    }
}

/// The command that labels a file finds the same scores.
fn it_predicts(trial: &Trial, scores: &[f32], name: &str) {
    let [input, output] = ["rows.jsonl", "labels.jsonl"].map(|file| trial.folder.path().join(file));
    let rows: Vec<String> =
        TEXTS.iter().enumerate().map(|(id, text)| serde_json::json!({"id": id.to_string(), "text": text}).to_string()).collect();
    std::fs::write(&input, rows.join("\n")).unwrap();
    let (bundle, input) = (trial.bundle(), input.to_str().unwrap().to_owned());
    let args = ["predict", bundle.to_str().unwrap(), &input, "-o", output.to_str().unwrap(), "--format", "jsonl", "--jsonl", "--scores"];
    let (succeeded, _, err) = limbic_train(&args);
    assert!(succeeded, "{name}: {err}");
    let written = std::fs::read_to_string(&output).unwrap();
    assert_eq!(written.lines().count(), TEXTS.len(), "{written}");
    for (line, scores) in written.lines().zip(scores.chunks_exact(4)) {
        near(&serde_json::from_str::<serde_json::Value>(line).unwrap()["scores"], scores, name);
    }
}

#[cfg(feature = "serve")]
fn it_is_served(trial: &Trial, scores: &[f32], name: &str) {
    let server = super::serve::families::serving(&trial.bundle(), EngineKind::Candle);
    let answer = server.post("/v1/emotions", &serde_json::json!({"input": TEXTS})).expect(200).json();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), TEXTS.len(), "{name}");
    results.iter().zip(scores.chunks_exact(4)).for_each(|(result, scores)| near(&result["scores"], scores, name));
}

fn near(found: &serde_json::Value, scores: &[f32], name: &str) {
    for (label, score) in ["joy", "sadness", "anger", "fear"].iter().zip(scores) {
        let found = found[label].as_f64().unwrap_or_else(|| panic!("{name}: no score of {label} in {found}"));
        assert!((found - f64::from(*score)).abs() < 1e-4, "{name}: {label} is {found}, expected {score}");
    }
}

#[test]
fn the_fourth_experiment_runs_in_small() {
    check(&Expected {
        recipe: "models/exp-04-gemma-2-2b/recipe.smoke.toml",
        family: Architecture::Gemma2,
        set: "one_fold_of_10",
        rows: 24,
        writes: false,
    });
}

#[test]
fn the_fifth_experiment_runs_in_small() {
    check(&Expected {
        recipe: "models/exp-05-llama-3.2-1b/recipe.smoke.toml",
        family: Architecture::Llama,
        set: "one_fold_of_10",
        rows: 24,
        writes: false,
    });
}

#[test]
fn the_sixth_experiment_runs_in_small() {
    check(&Expected {
        recipe: "models/exp-06-stella-1.5b/recipe.smoke.toml",
        family: Architecture::Qwen2,
        set: "one_fold_of_15",
        rows: 16,
        writes: false,
    });
}

#[test]
fn the_seventh_experiment_runs_in_small() {
    check(&Expected {
        recipe: "models/exp-07-qwen2.5-1.5b/recipe.smoke.toml",
        family: Architecture::Qwen2,
        set: "one_fold_of_10",
        rows: 12,
        writes: true,
    });
}

#[test]
fn the_eighth_experiment_runs_in_small() {
    check(&Expected {
        recipe: "models/exp-08-llama-3.2-3b-instruct/recipe.smoke.toml",
        family: Architecture::Llama,
        set: "one_fold_of_3",
        rows: 40,
        writes: true,
    });
}

#[test]
fn the_ninth_experiment_runs_in_small() {
    check(&Expected {
        recipe: "models/exp-09-qwen2.5-14b-instruct/recipe.smoke.toml",
        family: Architecture::Qwen2,
        set: "one_fold_of_10",
        rows: 12,
        writes: true,
    });
}

#[test]
fn the_full_decoder_recipes_are_the_smoke_recipes_at_size() {
    for (at, name) in NAMES.into_iter().enumerate() {
        let load = |file: &str| Recipe::load(&repo_root().join("models").join(name).join(file), &[]).unwrap();
        let (full, smoke) = (load("recipe.toml"), load("recipe.smoke.toml"));
        assert_eq!((full.folds.split, full.final_fit, full.loss), (smoke.folds.split, FinalFit::Fold, smoke.loss), "{name}");
        assert_eq!((full.storage, smoke.storage), (Storage::Nf4 { double: true }, Storage::Nf4 { double: true }), "{name}");
        assert_eq!((full.thresholds, full.calibration, full.train.batch), (smoke.thresholds, smoke.calibration, smoke.train.batch));
        assert_eq!((full.train.checkpointing, full.bundle.precision), (smoke.train.checkpointing, smoke.bundle.precision), "{name}");
        let (adapter, small) = (full.adapter.unwrap(), smoke.adapter.unwrap());
        assert_eq!((adapter.rank, adapter.alpha, adapter.dropout, small.dropout), (128, 256.0, 0.01, 0.01), "{name}");
        assert_eq!((&adapter.targets, adapter.bias), (&small.targets, small.bias), "{name}");
        let writes = at >= 3;
        assert_eq!(adapter.bias, if writes { LoraBias::None } else { LoraBias::All }, "{name}");
        assert_eq!(
            full.generation.as_ref().map(|generation| &generation.asked),
            smoke.generation.as_ref().map(|generation| &generation.asked)
        );
        assert_eq!((full.generation.is_some(), full.data.labels.len(), full.model.pooling), (writes, 11, smoke.model.pooling), "{name}");
        assert!(full.model.base.starts_with("hf://") && full.model.base.rsplit_once('@').unwrap().1.len() == 40, "{}", full.model.base);
    }
}

#[test]
fn an_adapter_ships_beside_the_weights_that_hold_it() {
    let set = ["folds.k=2", "train.epochs=1", "adapter.rank=4", "adapter.alpha=8", "quantization.storage=int8", "bundle.adapter=true"];
    let trial = Trial::new(&set);
    let (_, bundle) = trial.finish();
    let file = |name: &str| std::fs::read(trial.bundle().join(name)).unwrap();
    let config = String::from_utf8(file("adapter_config.json")).unwrap();
    let adapter = PeftAdapter::parse(&config, &file("adapter_model.safetensors")).unwrap();
    assert_eq!((adapter.config.rank, adapter.config.alpha, adapter.base.as_deref()), (4, 8.0, Some("tiny-bert")), "{config}");
    assert_eq!(bundle.files().filter(|file| file.name.starts_with("adapter")).count(), 2);
    // A fold keeps what learnt, and not its base.
    assert!(trial.file("refit/weights.safetensors").len() < bundle.weights_fp32().len() / 2);
}

#[test]
fn checkpointing_changes_no_number() {
    let weights = |checkpointing: &str| {
        let trial = Trial::of("models/exp-05-llama-3.2-1b/recipe.smoke.toml", &[checkpointing]);
        trial.finish();
        trial.file("fold-9/weights.safetensors")
    };
    assert!(weights("train.checkpointing=false") == weights("train.checkpointing=true"));
}

#[test]
fn what_does_not_fit_a_decoder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"] {
        std::fs::copy(fixture("tiny-qwen2").join(name), folder.path().join(name)).unwrap();
    }
    let base = format!("model.base={}", folder.path().display());
    let cases: &[(&str, &[&str], &str)] = &[
        ("exp-06-stella-1.5b", &[&base], "expected model-00002-of-00002.safetensors, found no such file"),
        ("exp-06-stella-1.5b", &["adapter.targets=[\"query\"]"], "query"),
        ("exp-07-qwen2.5-1.5b", &["generation.end=<|eot_id|>"], "<|eot_id|>"),
        ("exp-08-llama-3.2-3b-instruct", &["generation.markers=[\"<|im_start|>\"]"], "<|im_start|>"),
        (
            "exp-08-llama-3.2-3b-instruct",
            &["model.max_length=512"],
            "tokens of model.max_length and the longest answer: expected at most 512",
        ),
        ("exp-08-llama-3.2-3b-instruct", &["model.base=tests/it/fixtures/tiny-bert"], "tokenizer_config.json, found no such file"),
        ("exp-09-qwen2.5-14b-instruct", &["model.max_length=40"], "40"),
        ("exp-04-gemma-2-2b", &["model.pooling=cls_tanh"], "cls_tanh"),
    ];
    for (name, set, expected) in cases {
        let recipe: &'static str = Box::leak(format!("models/{name}/recipe.smoke.toml").into_boxed_str());
        let found = Trial::of(recipe, set).run(&never).0.map(drop).unwrap_err().to_string();
        assert!(found.contains(expected), "{name}, {set:?}: {found}");
    }
}
