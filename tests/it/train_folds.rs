//! Which rows judge which model, and which model ships: one fold, a hold-out, and a last fit on both
//! files. What is reported must say so, and must be true of the model it speaks of.

use limbic::backend::{self, EngineKind, Options};
use limbic::bundle::{Bundle, MeasuredSet, render};
use limbic::text::Batch;
use limbic::train::outcome::{Kind, Outcome};
use limbic::train::{RunReport, Spread};

use super::support::fixture;
use super::train_trial::{Trial, never};

fn set<'a>(report: &'a RunReport, name: &str) -> &'a MeasuredSet {
    let names: Vec<&str> = report.sets.iter().map(|set| set.name.as_str()).collect();
    report.sets.iter().find(|set| set.name == name).unwrap_or_else(|| panic!("{name} not among {names:?}"))
}

/// The bundle's logits of some texts.
fn logits(bundle: &Bundle, texts: &[&str]) -> Vec<f32> {
    let mut engine = backend::open(EngineKind::Candle, bundle, &Options::default()).unwrap();
    let encodings = bundle.text_encoder().encode_all(texts).unwrap();
    engine.forward(&Batch::new(&encodings).unwrap()).unwrap().values().to_vec()
}

/// The texts of the smoke training file.
fn texts() -> Vec<String> {
    let lines = std::fs::read_to_string(fixture("smoke/train.jsonl")).unwrap();
    let text = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_owned();
    lines.lines().map(text).collect()
}

/// Rows judged, and whether report, card and files say that it was one fold.
fn check_one_fold(trial: &Trial, name: &str, split: &str) -> (RunReport, Bundle) {
    let (report, bundle) = trial.finish();
    let judged = set(&report, name);
    assert!(report.sets.iter().all(|set| set.name != "out_of_fold"), "one fold is called a cross-validation");
    assert!(judged.note.starts_with(&format!("{split}, not a cross-validation.")), "{}", judged.note);
    let (markdown, json) = (String::from_utf8(trial.file("report.md")).unwrap(), trial.json("report.json"));
    assert!(markdown.contains(&format!("held out: {split}")) && markdown.contains(&format!("## {name} ")), "{markdown}");
    assert_eq!((json["split"].as_str().unwrap(), json["sets"][0]["name"].as_str().unwrap()), (split, name));
    assert!(render(&bundle).contains(name) && bundle.threshold_policy().contains(split), "{}", render(&bundle));
    // Decided by several thresholds, none of them fitted on the row: no label can name the one that was used.
    assert!(judged.tuned.labels.values().all(|figures| !figures.contains_key("threshold")));
    (report, bundle)
}

#[test]
fn one_fold_alone_is_marked_everywhere() {
    let trial = Trial::new(&["folds.only=1", "train.epochs=2"]);
    let (report, bundle) = check_one_fold(&trial, "one_fold_of_3", "one fold of 3 (fold 1)");
    let outcome = trial.json("fold-1/outcome.json");
    let rows = outcome["rows"].as_array().unwrap().len();
    assert_eq!(set(&report, "one_fold_of_3").rows, rows);
    assert!(rows.abs_diff(80) < 8 && !trial.folder.path().join("run/fold-0").exists());
    // The refit ships: it saw all rows.
    assert_eq!((report.fits.len(), bundle.card().provenance.data.rows), (2, 240));
}

#[test]
fn a_hold_out_ships_the_very_model_that_judged_it() {
    let kind = ["folds.kind=holdout", "folds.fraction=0.3", "folds.stratify=false", "final.fit=fold", "train.epochs=2"];
    let trial = Trial::new(&kind).without("k = 3\n");
    let (report, bundle) = check_one_fold(&trial, "one_holdout_of_30_percent", "one random hold-out of 30 %");
    let outcome = trial.json("fold-0/outcome.json");
    let rows: Vec<usize> = outcome["rows"].as_array().unwrap().iter().map(|row| row.as_u64().unwrap() as usize).collect();
    assert!(rows.len().abs_diff(72) <= 4, "{} rows", rows.len());
    assert_eq!(bundle.card().provenance.data.rows, 240 - rows.len());
    assert!(report.fits.len() == 1 && !trial.folder.path().join("run/refit").exists());
    let texts = texts();
    let held_out: Vec<&str> = rows.iter().map(|&row| texts[row].as_str()).collect();
    let judged = outcome["logits"].as_array().unwrap();
    for (found, judged) in logits(&bundle, &held_out).iter().zip(judged) {
        assert!((f64::from(*found) - judged.as_f64().unwrap()).abs() < 1e-5, "{found} against {judged}");
    }
}

#[test]
fn rows_beyond_the_most_take_no_part() {
    let most = ["folds.only=0", "folds.trained_rows=100", "folds.held_out_rows=50", "train.epochs=1"];
    let trial = Trial::new(&most);
    let (report, bundle) = trial.finish();
    assert_eq!((report.fits[0].rows, set(&report, "one_fold_of_3").rows), (100, 50));
    // The refit sees what took part, and nothing else.
    assert_eq!((report.fits[1].rows, bundle.card().provenance.data.rows), (150, 150));
    let again = Trial::new(&most);
    again.finish();
    assert_eq!(trial.file("fold-0/outcome.json"), again.file("fold-0/outcome.json"));
}

/// A dev file of the smoke sentences, and one more that stands in the training file too.
fn dev_with_a_twin(folder: &tempfile::TempDir) -> String {
    let twin = serde_json::json!({"id": "dev-twin", "text": format!("{}!!", texts()[0].to_uppercase()), "labels": ["sadness"]});
    let dev = std::fs::read_to_string(fixture("smoke/dev.jsonl")).unwrap() + &twin.to_string();
    let path = folder.path().join("dev.jsonl");
    std::fs::write(&path, dev).unwrap();
    format!("data.dev=\"{}\"", path.display())
}

#[test]
fn dev_is_measured_before_it_is_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let dev = dev_with_a_twin(&folder);
    let mut trial = Trial::new(&[&dev, "train.epochs=2", "final.include_dev=false"]);
    let (before, shipped_before) = trial.finish();
    trial.set.push("final.include_dev=true".to_owned());
    let (report, said) = trial.run(&never);
    let (report, bundle) = (report.unwrap(), Bundle::open(&trial.bundle()).unwrap());
    for skipped in ["fold-0", "fold-1", "fold-2", "refit"] {
        assert!(said.contains(&format!("{skipped}: finished before, skipped")), "{said}");
    }
    // The figures on dev are those of the model that never saw it, to the last bit.
    for name in ["out_of_fold", "held_out", "held_out_uncalibrated"] {
        assert_eq!((set(&report, name).tuned.clone(), set(&report, name).at_half.clone()), {
            let set = set(&before, name);
            (set.tuned.clone(), set.at_half.clone())
        });
    }
    assert!(set(&report, "held_out").note.contains("This is not the model that ships"));
    assert!(set(&before, "held_out").note.contains("judged by the model that ships"));
    // What ships is another model, fitted on both files, with calibrators of its own.
    let last = report.fits.last().unwrap();
    assert_eq!((last.phase.as_str(), last.rows, bundle.card().provenance.data.rows), ("final", 301, 301));
    assert_ne!(bundle.decider(), shipped_before.decider());
    let texts = texts();
    let texts: Vec<&str> = texts.iter().take(5).map(String::as_str).collect();
    assert_ne!(logits(&bundle, &texts), logits(&shipped_before, &texts));
    // The twin is counted in the figures on dev, and left out of those over both files.
    assert_eq!((set(&report, "held_out").rows, set(&report, "out_of_fold_with_dev").rows), (61, 300));
    let kept = Outcome::read(&trial.folder.path().join("run"), Kind::WithDev).unwrap().unwrap();
    assert_eq!(
        (kept.about.set.as_str(), kept.rows.ids()[299].as_str(), kept.rows.folds()[299]),
        ("out_of_fold_with_dev", "dev-059", Some(3))
    );
    assert!(report.warnings.contains(&"1 of 61 held-out texts have a near duplicate in the training file".to_owned()));
    assert!(set(&report, "out_of_fold_with_dev").note.contains("1 held-out texts with a near duplicate"));
    assert!(bundle.threshold_policy().ends_with("of 3 folds and of the held-out file"), "{}", bundle.threshold_policy());
}

#[test]
fn files_that_share_an_id_are_not_joined() {
    let trial = Trial::new(&["data.dev=tests/it/fixtures/smoke/train.jsonl", "final.include_dev=true", "folds.k=2", "train.epochs=1"]);
    let found = trial.run(&never).0.map(|_| ()).unwrap_err().to_string();
    assert!(found.contains("id \"train-000\" stands in data.train and in data.dev"), "{found}");
}

#[test]
fn repeats_say_how_much_is_luck() {
    let mut trial = Trial::new(&["folds.k=2", "train.epochs=1", "train.restore=best"]);
    let (once, bundle) = trial.finish();
    assert!(once.repeats.is_none() && set(&once, "out_of_fold").note.ends_with("on these same rows, which flatters them."));
    trial.set.push("repeat.seeds=[7, 8]".to_owned());
    let (report, again) = trial.finish();
    // What ships is what shipped before: the first seed's.
    assert_eq!(bundle.decider(), again.decider());
    assert_eq!(set(&once, "held_out"), set(&report, "held_out"));
    let repeats = report.repeats.as_ref().unwrap();
    assert_eq!((repeats.seeds.as_slice(), report.fits.len()), (&[42, 7, 8][..], 9));
    let names: Vec<&str> = repeats.sets.iter().map(|set| set.name.as_str()).collect();
    assert_eq!(names, ["out_of_fold", "held_out", "held_out_uncalibrated"]);
    let spread = &repeats.sets[1].tuned["macro_f1"];
    assert_eq!((spread.values.len(), spread.values[0]), (3, set(&once, "held_out").tuned.overall["macro_f1"].value));
    assert!(spread.deviation > 0.0, "{spread:?}");
    let figures = limbic::metrics::Summary::<f64>::NAMES;
    assert!(figures.iter().all(|name| repeats.sets[0].at_half.contains_key(*name)));

    // Alone under the second seed: the same figures.
    let alone = Trial::new(&["folds.k=2", "train.epochs=1", "train.restore=best", "train.seed=7"]);
    assert_eq!(set(&alone.finish().0, "held_out").tuned.overall["jaccard"].value, repeats.sets[1].tuned["jaccard"].values[1]);
    let markdown = String::from_utf8(trial.file("report.md")).unwrap();
    assert!(markdown.contains("## Under 3 training seeds: 42, 7, 8") && markdown.contains(" ± "), "{markdown}");
    assert_eq!(trial.json("report.json")["repeats"]["seeds"], serde_json::json!([42, 7, 8]));
}

#[test]
fn a_spread_is_that_of_a_sample() {
    let spread = Spread::of(vec![2.0, 4.0, 9.0]);
    assert!((spread.mean - 5.0).abs() < 1e-12 && (spread.deviation - 13.0_f64.sqrt()).abs() < 1e-12, "{spread:?}");
}
