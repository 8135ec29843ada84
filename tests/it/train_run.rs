//! Whole runs of the smoke recipe: from text to a bundle that answers, stopped and continued.

use limbic::backend::{self, EngineKind, Options};
use limbic::bundle::{Bundle, render};
use limbic::spec::Precision;
use limbic::train::data::DataFormat;
use limbic::train::{LabelledFile, Resampling, RunReport, TrainError, draw_run, evaluate};

use super::support::{fixture, onnxruntime};
use super::train_trial::{Trial, never};

#[test]
fn the_smoke_recipe_ends_with_a_bundle_that_answers() {
    let trial = Trial::new(&[]);
    let (report, said) = trial.run(&never);
    let report = report.unwrap_or_else(|error| panic!("{error}\n{said}"));
    let bundle = Bundle::open(&trial.bundle()).unwrap();
    assert_eq!((bundle.precision(), bundle.id()), (Precision::Int8Weights, report.bundle.as_str()));
    for kind in EngineKind::ALL {
        let options = Options { library: Some(onnxruntime()), ..Options::default() };
        let mut engine = backend::open(kind, &bundle, &options).unwrap();
        let golden = backend::check_golden(engine.as_mut(), &bundle).unwrap();
        assert!(golden.texts >= 16, "{kind}: {}", golden.texts);
    }
    let names: Vec<&str> = bundle.card().metrics.iter().map(|set| set.name.as_str()).collect();
    assert_eq!(names, ["out_of_fold", "held_out", "held_out_uncalibrated"]);
    // The sentences are easy: whoever learns at all reads them well above chance.
    let macro_f1 = |set: usize| bundle.card().metrics[set].tuned.overall["macro_f1"].value;
    assert!(macro_f1(0) > 0.6 && macro_f1(1) > 0.6, "out of fold {}, held out {}", macro_f1(0), macro_f1(1));
    let scores = bundle.card().scores.as_ref().unwrap();
    assert_eq!((scores.set.as_str(), scores.labels.len()), ("out_of_fold", bundle.labels().len()));
    for (label, bins) in bundle.labels().names().iter().zip(&scores.labels) {
        let rows: u64 = bins.iter().map(|bin| bin.rows).sum();
        assert_eq!(rows as usize, bundle.card().metrics[0].rows, "{label}");
        // The bins are the rows that the card's figures are of.
        let held: f64 = bins.iter().map(|bin| bin.held * bin.rows as f64).sum();
        assert!((held - bundle.card().metrics[0].tuned.labels[label]["support"].value).abs() < 1e-9, "{label}");
        assert!((2..=10).contains(&bins.len()) && bins.iter().all(|bin| bin.score >= bin.from), "{label}: {bins:?}");
    }
    assert_eq!(report.fits.len(), 4);
    let drift = report.drift.unwrap().max_probability;
    assert!(drift > 0.0 && drift < 0.1, "{drift}");
    assert_eq!(bundle.card().metrics[1].tuned.overall["drift_from_fp32_max_probability"].value, drift);

    // The command that measures a bundle finds the card's figures again, whatever the engine.
    for kind in EngineKind::ALL {
        let options = Options { library: Some(onnxruntime()), ..Options::default() };
        let mut engine = backend::open(kind, &bundle, &options).unwrap();
        let resampling = Resampling { resamples: 20, ..Resampling::default() };
        let file = LabelledFile { path: &fixture("smoke/dev.jsonl"), format: DataFormat::Jsonl };
        let set = evaluate(&bundle, engine.as_mut(), file, resampling, &mut |_, _| {}).unwrap().set;
        for name in ["macro_f1", "jaccard", "brier", "ece"] {
            let (found, stated) = (set.tuned.overall[name].value, bundle.card().metrics[1].tuned.overall[name].value);
            assert!((found - stated).abs() < 1e-6, "{kind}, {name}: {found} against {stated}");
        }
    }
    assert!(render(&bundle).contains("held_out"));
    for name in [
        "recipe.toml",
        "folds.json",
        "metrics.jsonl",
        "report.json",
        "report.md",
        "report.html",
        "out_of_fold.about.json",
        "held_out.about.json",
        "fold-2/outcome.json",
    ] {
        assert!(!trial.file(name).is_empty(), "{name}");
    }
    the_folder_is_enough_to_draw_from(&trial, &report);
    assert!(!trial.folder.path().join("run/fold-0/checkpoint").exists());
}

/// What stands in the run folder gives the page again, and no text stands there.
fn the_folder_is_enough_to_draw_from(trial: &Trial, report: &RunReport) {
    let run = trial.folder.path().join("run");
    assert_eq!(&RunReport::read(&run).unwrap(), report);
    let drawn = |name: &str| std::fs::read(run.join(name)).unwrap();
    let names = ["report.html", "plots/out_of_fold-reliability.png", "plots/held_out-scores.svg", "plots/labels.svg", "plots/training.png"];
    let before = names.map(drawn);
    names.iter().for_each(|name| std::fs::remove_file(run.join(name)).unwrap());
    assert_eq!(draw_run(&run).unwrap(), run.join("report.html"));
    assert!(names.map(drawn) == before, "the page drawn again is another");

    let page = String::from_utf8(drawn("report.html")).unwrap();
    let macro_f1 = format!("<strong>{:.3}</strong>", report.sets[0].tuned.overall["macro_f1"].value);
    for expected in ["Out of fold", "Held out uncalibrated", "Hardest rows", macro_f1.as_str(), report.bundle.as_str(), "tiny-bert"] {
        assert!(page.contains(expected), "{expected}");
    }
    let (mut seen, scored) = (0, ["out_of_fold.jsonl", "held_out.jsonl"].map(|name| String::from_utf8(drawn(name)).unwrap()));
    for name in ["smoke/train.jsonl", "smoke/dev.jsonl"] {
        for line in std::fs::read_to_string(fixture(name)).unwrap().lines() {
            let text = line.split_once("\"text\": \"").unwrap().1.split('"').next().unwrap();
            assert!(!page.contains(text) && scored.iter().all(|rows| !rows.contains(text)), "{text}");
            seen += 1;
        }
    }
    assert_eq!(seen, 300);
    std::fs::remove_file(run.join("report.json")).unwrap();
    let unfinished = draw_run(&run).unwrap_err().to_string();
    assert!(unfinished.contains("report.json: expected the report of a finished run"), "{unfinished}");
}

#[test]
fn a_stopped_run_continues_to_the_same_weights_bit_for_bit() {
    let set = ["train.ema=0.9", "train.restore=best", "train.epochs=2", "schedule.kind=plateau", "train.eval_every=4", "folds.k=2"];
    let (whole, stopped) = (Trial::new(&set), Trial::new(&set));
    whole.run(&never).0.unwrap();
    // Twice in the first fold, past a checkpoint and between two; then in the refit.
    for (phase, step) in [("fold-0", 13), ("fold-0", 14), ("fold-1", 3), ("refit", 15)] {
        let error = stopped.run(&|found, done| found == phase && done == step).0.map(|_| ()).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted { .. }), "{error}");
    }
    let (report, said) = stopped.run(&never);
    report.unwrap();
    assert!(said.contains("fold-0: finished before, skipped") && said.contains("refit: continues after step 10"), "{said}");
    for name in ["fold-0/outcome.json", "fold-1/outcome.json", "refit/weights.safetensors", "refit/record.json"] {
        assert!(whole.file(name) == stopped.file(name), "{name} differs");
    }
    let weights = |trial: &Trial| std::fs::read(trial.bundle().join("model.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&stopped), "the bundles' weights differ");
    let lines = |trial: &Trial| String::from_utf8(trial.file("metrics.jsonl")).unwrap().lines().count();
    assert_eq!(lines(&whole), lines(&stopped));
}

#[test]
fn a_run_folder_belongs_to_one_recipe() {
    let mut trial = Trial::new(&["folds.k=2", "train.epochs=1"]);
    trial.run(&never).0.unwrap();
    trial.set.push("train.seed=7".to_owned());
    let refused = trial.run(&never).0.unwrap_err().to_string();
    assert!(refused.contains("identity.json: expected the run of this recipe") && refused.contains("--run"), "{refused}");
    // Thresholds and calibrators may change: nothing is fitted again.
    trial.set.pop();
    trial.set.push("calibration.kind=isotonic".to_owned());
    let (report, said) = trial.run(&never);
    report.unwrap();
    assert!(said.contains("refit: finished before, skipped"), "{said}");
}

#[test]
fn mistakes_are_named() {
    let cases: &[(&[&str], &str)] = &[
        (&["schedule.warmup=1000"], "schedule: warmup takes 1000 steps: expected fewer than the"),
        (&["model.base=no/such/base"], "no/such/base: expected a folder with config.json"),
        (&["model.max_length=65"], "tokens of model.max_length: expected at most 64"),
        (&["data.train=no/such/file"], "no/such/file: expected a readable file"),
        (&["folds.k=500"], "folds.k is 500: expected 2 to "),
        (&["bundle.golden=no/golden"], "no/golden: cannot read"),
    ];
    for (set, expected) in cases {
        let quick: Vec<&str> = set.iter().copied().chain(["train.epochs=1", "folds.k=2"]).collect();
        let quick = if set[0].starts_with("folds") { set.to_vec() } else { quick };
        let found = Trial::new(&quick).run(&never).0.map(|_| ()).unwrap_err().to_string();
        assert!(found.contains(expected), "{set:?}: {found}");
    }
}
