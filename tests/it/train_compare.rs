//! `limbic-train compare`, from outside: who may be ranked, and what is said of the others.

use std::path::{Path, PathBuf};

use limbic::decide::Thresholds;
use limbic::metrics::{Judged, Report, Resampling, Summary, paired_differences};
use limbic::train::outcome::{Kind, Outcome};
use serde_json::Value;

use super::support::repo_root;
use super::train_cli::limbic_train;

/// Fits the smoke recipe into `folder/name`, quickly.
fn fit(folder: &Path, name: &str, set: &[&str]) -> PathBuf {
    let run = folder.join(name);
    let out = format!("bundle.out=\"{}\"", folder.join(format!("{name}-bundle")).display());
    let recipe = "models/tweet-emotion-minilm/recipe.smoke.toml";
    let mut args = vec!["fit", recipe, "--run", run.to_str().unwrap(), "--set", &out, "--set", "folds.k=2"];
    set.iter().for_each(|set| args.extend(["--set", set]));
    let (succeeded, _, err) = limbic_train(&args);
    assert!(succeeded, "{err}");
    run
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn compare(runs: &[&Path], args: &[&str]) -> (bool, String, String) {
    let runs: Vec<&str> = runs.iter().map(|run| run.to_str().unwrap()).collect();
    limbic_train(&[&["compare"], &runs[..], args].concat())
}

fn outcome(folder: &Path, kind: Kind) -> Outcome {
    Outcome::read(folder, kind).unwrap().unwrap()
}

fn macro_f1(run: &Path, kind: Kind) -> f64 {
    outcome(run, kind).judged().unwrap().report().summary.macro_f1
}

#[test]
fn runs_are_ranked_when_they_were_measured_alike() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The same rows and folds; one learns for an epoch, the other for three.
    let short = fit(folder, "short", &["train.epochs=1"]);
    let long = fit(folder, "long", &["train.epochs=3"]);
    for kind in [Kind::OutOfFold, Kind::HeldOut] {
        assert!(macro_f1(&long, kind) > macro_f1(&short, kind) + 0.05, "{}: the example does not tell them apart", kind.name());
    }
    let report = folder.join("comparison");
    let (succeeded, out, err) = compare(&[&short, &long], &["--resamples", "200", "--report", report.to_str().unwrap()]);
    assert!(succeeded, "{err}");
    assert_eq!(out, std::fs::read_to_string(report.join("comparison.md")).unwrap());
    let (first, second) = (out.find(long.to_str().unwrap()).unwrap(), out.find(short.to_str().unwrap()).unwrap());
    assert!(first < second && out.contains("Ranked by macro_f1, higher is better."), "{out}");
    check_differences(&report, &long, &short);
    let page = std::fs::read_to_string(report.join("report.html")).unwrap();
    assert!(page.contains("<h3>Paired differences</h3>") && report.join("plots/differences.png").is_file());

    let (_, held_out, _) = compare(&[&short, &long], &["--resamples", "20", "--rows", "held_out", "--by", "brier"]);
    assert!(held_out.contains("60 held_out rows") && held_out.contains("Ranked by brier, lower is better."), "{held_out}");

    // The same folds under another policy: its runs are not fitted again, and are not ranked.
    let loose = folder.join("loose");
    copy(&short, &loose);
    fit(folder, "loose", &["train.epochs=1", "thresholds.shrink=0.25"]);
    let (succeeded, out, err) = compare(&[&long, &loose], &[]);
    assert!(!succeeded && out.is_empty(), "{out}");
    let policies = format!(
        "limbic-train: these cannot be ranked: threshold policies differ: {} has per_label_f1 with shrink 0.5, {} has per_label_f1 with shrink 0.25; \
         --unranked prints",
        long.display(),
        loose.display()
    );
    assert!(err.contains(&policies), "{err}");
    let (succeeded, out, _) = compare(&[&long, &loose], &["--unranked", "--resamples", "20"]);
    assert!(succeeded && out.contains("**Not ranked:**\n\n- threshold policies differ: ") && !out.contains("## Differences"), "{out}");
    assert!(out.contains(&format!("{:.4} [", macro_f1(&loose, Kind::OutOfFold))), "{out}");
}

/// The differences written are those of the library, and none is about chance alone.
fn check_differences(report: &Path, first: &Path, second: &Path) {
    let found: Value = serde_json::from_slice(&std::fs::read(report.join("comparison.json")).unwrap()).unwrap();
    let [first, second] = [first, second].map(|run| outcome(run, Kind::OutOfFold));
    let resampling = Resampling { resamples: 200, ..Resampling::default() };
    let expected = paired_differences(&second.judged().unwrap(), &first.judged().unwrap(), resampling).unwrap();
    let differences = &found["systems"][1]["differences_from_first"];
    for difference in &expected {
        assert_eq!(differences[difference.figure]["value"].as_f64(), difference.difference, "{}", difference.figure);
        assert_eq!(differences[difference.figure]["interval"][1].as_f64(), difference.interval.map(|interval| interval.high));
    }
    assert_eq!((expected.len(), found["ranked"].as_bool()), (Summary::<f64>::NAMES.len(), Some(true)));
    assert!(differences["macro_f1"]["value"].as_f64().unwrap() < 0.0);
    assert!(found["systems"][0]["differences_from_first"].as_object().unwrap().is_empty());
}

#[test]
fn other_folds_and_other_data_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let one = fit(folder, "one", &["train.epochs=1"]);
    let other = fit(folder, "other", &["train.epochs=1", "folds.seed=7", "data.rows=200"]);
    let (succeeded, _, err) = compare(&[&one, &other], &[]);
    assert!(!succeeded && err.contains("data fingerprints differ: ") && err.contains("; folds differ: "), "{err}");
    assert!(err.contains("rows differ: ") && !err.contains("policies differ"), "{err}");
    // What they were both measured on besides can be ranked.
    let (succeeded, _, err) = compare(&[&one, &other], &["--rows", "held_out", "--resamples", "10"]);
    assert!(succeeded, "{err}");

    std::fs::remove_file(other.join("report.json")).unwrap();
    let (_, _, err) = compare(&[&one, &other], &[]);
    assert!(
        err.contains("other: expected a finished run, or an evaluation's report (evaluation.about.json), found no report.json"),
        "{err}"
    );
    let (_, _, err) = compare(&[&one, &one], &["--by", "cardinality"]);
    assert!(err.contains("--by: expected macro_f1, ") && err.contains("found cardinality"), "{err}");
    std::fs::write(other.join("evaluation.about.json"), b"nonsense").unwrap();
    let (_, _, err) = compare(&[&one, &other], &[]);
    assert!(err.contains("evaluation.about.json: expected a file of this version, found "), "{err}");
    files_of_one_set_add_up(&one);
}

/// The rows of a set, and what is said of them, are taken together or not at all.
fn files_of_one_set_add_up(run: &Path) {
    let refused = |expected: &str| {
        let found = Outcome::read(run, Kind::OutOfFold).unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    };
    assert_eq!(outcome(run, Kind::OutOfFold).rows.len(), 240);
    assert_eq!(Outcome::read(run, Kind::WithDev).unwrap(), None);
    let (rows, about) = (run.join("out_of_fold.jsonl"), run.join("out_of_fold.about.json"));
    let text = std::fs::read_to_string(&rows).unwrap();
    std::fs::write(&rows, text.split_once('\n').unwrap().1).unwrap();
    refused("out_of_fold.about.json: expected the 239 rows of out_of_fold.jsonl, found 240");
    std::fs::write(&rows, text.clone() + text.lines().next().unwrap()).unwrap();
    refused("out_of_fold.jsonl: expected judged rows of 4 labels as this version writes them, found line 241: the id ");
    let said = std::fs::read_to_string(&about).unwrap();
    std::fs::write(&about, said.replacen("\"joy\"", "\"sadness\"", 1)).unwrap();
    refused("out_of_fold.about.json: expected a file of this version, found label \"sadness\" stands twice");
    std::fs::copy(run.join("held_out.about.json"), &about).unwrap();
    refused("out_of_fold.about.json: expected schema version 1 of out_of_fold, found schema version 1 of held_out");
}

#[test]
fn evaluations_on_the_same_rows_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let data = repo_root().join("tests/it/fixtures/smoke/dev.jsonl");
    let bundles = [1, 3].map(|epochs| {
        let name = format!("run-{epochs}");
        fit(folder.path(), &name, &[&format!("train.epochs={epochs}")]);
        folder.path().join(format!("{name}-bundle"))
    });
    let reports = bundles.each_ref().map(|bundle| {
        let report = bundle.with_extension("report");
        let [bundle, data, report_name] = [bundle, &data, &report].map(|path| path.to_str().unwrap());
        let (succeeded, _, err) =
            limbic_train(&["evaluate", bundle, data, "--format", "jsonl", "--resamples", "10", "--report", report_name]);
        assert!(succeeded, "{err}");
        report
    });
    let (succeeded, out, err) = compare(&[&reports[0], &reports[1]], &["--resamples", "100"]);
    assert!(succeeded && out.contains("60 evaluation rows"), "{out}{err}");
    // The run that made a bundle measured it on the same rows, and found the same.
    let (run, evaluation) = (outcome(&folder.path().join("run-3"), Kind::HeldOut), outcome(&reports[1], Kind::Evaluation));
    let same = |outcome: &Outcome| (outcome.rows.ids().to_vec(), outcome.about.data.clone(), outcome.rows.decisions().clone());
    assert_eq!(same(&run), same(&evaluation));
    let half = Thresholds::uniform(4, 0.5).unwrap();
    let report = |outcome: &Outcome| Report::measure(outcome.rows.probabilities(), outcome.rows.targets(), &half).unwrap().summary;
    assert!((report(&run).brier - report(&evaluation).brier).abs() < 1e-6);
    assert!(Judged::new(run.rows.probabilities(), evaluation.rows.targets(), &half).is_ok());
}
