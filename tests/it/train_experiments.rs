//! The encoder experiments: their smoke recipes run from text to a bundle that answers, and are the
//! full recipes in small.

use limbic::backend::{self, EngineKind, Options};
use limbic::text::Batch;
use limbic::train::recipe::{FinalFit, Recipe};

use super::support::{onnxruntime, repo_root};
use super::train_trial::Trial;

/// Runs the smoke recipe and asks its bundle through both engines.
fn check(recipe: &'static str, set: &str, rows: usize, phases: usize) {
    let trial = Trial::of(recipe, &[]);
    let (report, bundle) = trial.finish();
    assert_eq!((report.sets[0].name.as_str(), report.sets.len(), report.fits.len()), (set, 1, 1), "{recipe}");
    assert!(report.sets[0].rows.abs_diff(rows) <= 4, "{recipe}: {} rows judged", report.sets[0].rows);
    assert_eq!(report.fits[0].phases.len() + 1, phases, "{recipe}");
    assert!(report.split.starts_with("one ") && report.shipped.starts_with("that of one "), "{}", report.shipped);
    let encodings = bundle.text_encoder().encode_all(&["we won, what joy", "they lied to me again"]).unwrap();
    let [onnx, candle] = EngineKind::ALL.map(|kind| {
        let mut engine = backend::open(kind, &bundle, &Options { library: Some(onnxruntime()), ..Options::default() }).unwrap();
        bundle.decider().probabilities(&engine.forward(&Batch::new(&encodings).unwrap()).unwrap())
    });
    let furthest = onnx.values().iter().zip(candle.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(onnx.values().len() == 8 && furthest < 1e-4, "{recipe}: engines differ by {furthest}");
    // One threshold decides: that of the recipe, in every place.
    assert!(bundle.decider().thresholds().values().iter().all(|&threshold| threshold == 0.4));
}

#[test]
fn the_first_experiment_runs_in_small() {
    check("models/exp-01-roberta-base/recipe.smoke.toml", "one_holdout_of_30_percent", 60, 1);
}

#[test]
fn the_second_experiment_runs_in_small() {
    check("models/exp-02-distilbert/recipe.smoke.toml", "one_fold_of_5", 48, 4);
}

#[test]
fn the_third_experiment_runs_in_small() {
    check("models/exp-03-distilroberta/recipe.smoke.toml", "one_fold_of_10", 24, 2);
}

#[test]
fn the_full_recipes_are_the_smoke_recipes_at_size() {
    for name in ["exp-01-roberta-base", "exp-02-distilbert", "exp-03-distilroberta"] {
        let load = |file: &str| Recipe::load(&repo_root().join("models").join(name).join(file), &[]).unwrap();
        let (full, smoke) = (load("recipe.toml"), load("recipe.smoke.toml"));
        assert_eq!((full.folds.split, full.final_fit, full.loss), (smoke.folds.split, FinalFit::Fold, smoke.loss), "{name}");
        let starts = |recipe: &Recipe| recipe.phases.iter().map(|phase| phase.start).collect::<Vec<_>>();
        assert_eq!(starts(&full), starts(&smoke), "{name}");
        assert_eq!((full.thresholds, full.calibration, full.train.batch), (smoke.thresholds, smoke.calibration, smoke.train.batch));
        assert_eq!((full.data.labels.len(), full.model.max_length, full.model.pooling), (11, 512, smoke.model.pooling), "{name}");
    }
}
