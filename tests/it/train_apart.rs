//! Folds fitted apart and joined: the same bundle as one run gives, and nothing joined that does not belong.

use std::fs;
use std::path::Path;
use std::process::Command;

use limbic::bundle::Bundle;
use limbic::train::{RunReport, TrainError, assemble, fit_fold};

use super::support::{onnxruntime, repo_root};
use super::train_trial::{Trial, never};

const SMOKE: &str = "models/tweet-emotion-minilm/recipe.smoke.toml";
const QUICK: [&str; 3] = ["folds.k=3", "train.epochs=1", "data.rows=90"];

fn fold(trial: &Trial, fold: usize) -> Result<String, TrainError> {
    let (outcome, said) = trial.within(&never, |recipe, around, out| fit_fold(recipe, fold, around, out));
    outcome.map(|()| said)
}

fn joined(trial: &Trial) -> (Result<RunReport, TrainError>, String) {
    trial.within(&never, |_, around, out| assemble(around, out))
}

fn refused(trial: &Trial) -> String {
    joined(trial).0.map(drop).unwrap_err().to_string()
}

#[test]
fn folds_fitted_apart_make_the_bundle_of_one_run() {
    let set = [&QUICK[..], &["repeat.seeds=[43]"]].concat();
    let (whole, mut apart) = (Trial::new(&set), Trial::new(&set));
    let (expected, _) = whole.finish();
    // A bundle says where its recipe put it, so both go to one place.
    apart.set.clone_from(&whole.set);
    for index in [2, 0, 1] {
        let said = fold(&apart, index).unwrap();
        assert!(said.contains(&format!("fold {index} of 3 folds is fitted")), "{said}");
    }
    let run = apart.folder.path().join("run");
    assert!(!run.join("recipe.toml").exists() && !run.join("metrics.jsonl").exists(), "a fold writes into its own folder alone");
    let (report, said) = joined(&apart);
    let report = report.unwrap_or_else(|error| panic!("{error}\n{said}"));
    assert_eq!(said.matches("finished before, skipped").count(), 6, "{said}");
    assert_eq!(report.bundle, expected.bundle, "the bundle's id");
    assert_eq!(Bundle::open(&whole.bundle()).unwrap().id(), expected.bundle);
    let lines = |trial: &Trial| {
        let text = String::from_utf8(trial.file("metrics.jsonl")).unwrap();
        let steps = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut lines: Vec<String> = steps.map(|line| format!("{} {} {}", line["phase"], line["step"], line["loss"])).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&apart), lines(&whole));
    // Once more, and the journal still holds every step once.
    joined(&apart).0.unwrap();
    assert_eq!(lines(&apart), lines(&whole));
}

/// Runs the program with one fold in the environment, as an Indexed Job's pod does, or joins.
fn limbic_train(args: &[&str], index: Option<usize>) -> (bool, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_limbic-train"));
    program.args(args).current_dir(repo_root()).env("ORT_DYLIB_PATH", onnxruntime());
    index.map(|index| program.env("JOB_COMPLETION_INDEX", index.to_string()));
    let output = program.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn processes_one_a_fold_make_the_bundle_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, indices: &[usize]| -> serde_json::Value {
        let (run, out) = (folder.path().join(name), folder.path().join(name).join("bundle"));
        let (run, out) = (run.to_str().unwrap(), format!("bundle.out={}", out.display()));
        let fit = ["fit", SMOKE, "--run", run, "--set", QUICK[0], "--set", QUICK[1], "--set", QUICK[2], "--set", &out];
        let mut ended: Vec<(bool, String)> = indices.iter().map(|&index| limbic_train(&fit, Some(index))).collect();
        ended.push(if indices.is_empty() { limbic_train(&fit, None) } else { limbic_train(&["assemble", run], None) });
        assert!(ended.iter().all(|(done, _)| *done), "{ended:?}");
        let mut manifest: serde_json::Value =
            serde_json::from_slice(&fs::read(Path::new(run).join("bundle/bundle.json")).unwrap()).unwrap();
        // The clock's, the commit's, and what is made of both; the recipe's place of the bundle.
        for member in ["created", "id"] {
            assert!(manifest.as_object_mut().unwrap().remove(member).is_some(), "{member}");
        }
        for member in ["git", "recipe", "recipe_sha256"] {
            assert!(manifest["provenance"].as_object_mut().unwrap().remove(member).is_some(), "{member}");
        }
        manifest
    };
    let (whole, apart) = (made("whole", &[]), made("apart", &[1, 2, 0]));
    assert!(whole == apart, "{whole}\n{apart}");
    assert_eq!(whole["files"].as_object().unwrap().len(), 5);
}

#[test]
fn what_does_not_belong_is_named() {
    let mut trial = Trial::new(&QUICK);
    let none = refused(&trial);
    assert!(none.contains("expected folds that limbic-train fit --fold left"), "{none}");
    let beyond = fold(&trial, 3).unwrap_err().to_string();
    assert_eq!(beyond, "--fold: expected a fold from 0 to 2, which is what the recipe fits, found 3");

    fold(&trial, 1).unwrap();
    let missing = refused(&trial);
    assert!(missing.contains("expected finished folds of 3 folds") && missing.contains("found none in fold-0, fold-2"), "{missing}");

    fold(&trial, 0).unwrap();
    for (set, part) in [("train.seed=7", "recipe sha256:"), ("data.rows=81", "training file "), ("folds.seed=7", "recipe sha256:")] {
        let _ = fs::remove_dir_all(trial.folder.path().join("run/fold-2"));
        trial.set.push(set.to_owned());
        fold(&trial, 2).unwrap();
        let other = refused(&trial);
        assert!(other.contains("fold-2/identity.json: expected the run of this recipe") && other.contains(part), "{set}: {other}");
        // Nor does a fold of this run go on in that one's folder.
        trial.set.pop();
        let stale = fold(&trial, 2).unwrap_err().to_string();
        assert!(stale.contains("fold-2/identity.json: expected the run of this recipe"), "{stale}");
    }

    // A fold whose rows are not those of the split.
    fs::remove_dir_all(trial.folder.path().join("run/fold-2")).unwrap();
    fold(&trial, 2).unwrap();
    let path = trial.folder.path().join("run/fold-2/outcome.json");
    let mut outcome = trial.json("fold-2/outcome.json");
    outcome["rows"][0] = 100_000.into();
    fs::write(&path, outcome.to_string()).unwrap();
    let rows = refused(&trial);
    assert!(rows.contains("fold-2/outcome.json: expected fold 2 with 30 held-out rows of folds.json"), "{rows}");
}
