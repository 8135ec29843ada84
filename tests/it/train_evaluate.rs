//! `limbic-train evaluate`, from outside: what it prints, what it writes, and what it says aloud.

use std::path::{Path, PathBuf};

use limbic::bundle::Bundle;
use limbic::decide::Thresholds;
use limbic::metrics::{LabelFigures, Report, Summary};
use limbic::spec::{Pooling, Precision};
use limbic::train::data::{DataFormat, Dataset};
use limbic::train::outcome::{Kind, Outcome};
use serde_json::Value;

use super::support::repo_root;
use super::tiny;
use super::train_cli::limbic_train;

/// Forty rows over the tiny bundle's labels, some of them with none.
fn rows(folder: &Path) -> PathBuf {
    let path = folder.join("rows.jsonl");
    let line = |row: usize| {
        let held: Vec<String> =
            (0..3).filter(|label| row.is_multiple_of(label + 2)).map(|label| format!("{:?}", tiny::LABELS[label])).collect();
        let text = format!("row {row}: {}", tiny::TEXTS[row % tiny::TEXTS.len()]);
        format!("{{\"id\":\"r{row}\",\"text\":{text:?},\"labels\":[{}]}}\n", held.join(","))
    };
    std::fs::write(&path, (0..40).map(line).collect::<String>()).unwrap();
    path
}

fn json(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("evaluation.json")).unwrap()).unwrap()
}

/// The figures of a set by name, all of which must be those of `report`.
fn check_figures(found: &Value, report: &Report, free: bool) {
    let mut seen = 0;
    let mut check = |name: &str, found: &Value, expected: Option<f64>| {
        assert_eq!(found["value"].as_f64(), expected, "{name}");
        let interval: Vec<f64> = found["interval"].as_array().unwrap().iter().map(|end| end.as_f64().unwrap()).collect();
        assert!(interval.len() == 2 && interval[0] <= interval[1], "{name}: {interval:?}");
        seen += 1;
    };
    let some = |names: &[&'static str], of_free: &[&str]| -> Vec<(usize, &'static str)> {
        names.iter().copied().enumerate().filter(|(_, name)| of_free.contains(name) == free && *name != "threshold").collect()
    };
    for (at, name) in some(Summary::<f64>::NAMES, Summary::<f64>::THRESHOLD_FREE) {
        check(name, &found["overall"][name], report.summary.cells()[at]);
    }
    for (label, figures) in tiny::LABELS.iter().zip(&report.labels) {
        for (at, name) in some(LabelFigures::<f64>::NAMES, LabelFigures::<f64>::THRESHOLD_FREE) {
            check(name, &found["labels"][label][name], figures.cells()[at]);
        }
    }
    assert_eq!(seen, if free { 7 + 3 * 7 } else { 11 + 3 * 8 });
}

#[test]
fn a_report_holds_every_figure_with_its_interval() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(folder.path(), Precision::Fp32);
    let (data, report) = (rows(folder.path()), folder.path().join("report"));
    let (succeeded, out, err) = limbic_train(&[
        "evaluate",
        bundle.to_str().unwrap(),
        data.to_str().unwrap(),
        "--format",
        "jsonl",
        "--resamples",
        "50",
        "--report",
        report.to_str().unwrap(),
    ]);
    assert!(succeeded && err.is_empty(), "{err}");
    assert_eq!(out, std::fs::read_to_string(report.join("evaluation.md")).unwrap());
    for part in ["# tiny 0.1.0 on rows.jsonl", "| macro_f1 ", "## Labels, at 0.5", "predicted none, counts 1 in jaccard", "| joy "] {
        assert!(out.contains(part), "no {part} in:\n{out}");
    }

    let page = std::fs::read_to_string(report.join("report.html")).unwrap();
    assert!(page.contains("<h1>tiny 0.1.0 on rows.jsonl</h1>") && report.join("plots/rows.jsonl-reliability.png").is_file());

    let outcome = Outcome::read(&report, Kind::Evaluation).unwrap().unwrap();
    let bundle = Bundle::open(&bundle).unwrap();
    let measure = |thresholds: &Thresholds| Report::measure(outcome.rows.probabilities(), outcome.rows.targets(), thresholds).unwrap();
    let (own, half) = (measure(bundle.decider().thresholds()), measure(&Thresholds::uniform(3, 0.5).unwrap()));
    let found = json(&report);
    check_figures(&found["figures"]["none"], &own, true);
    check_figures(&found["figures"]["bundle"], &own, false);
    check_figures(&found["figures"]["half"], &half, false);
    assert_eq!((&found["trained_on"], &found["data"]["rows"]), (&Value::Bool(false), &Value::from(40)));

    let read = Dataset::read(&data, DataFormat::Jsonl, bundle.labels()).unwrap();
    assert_eq!((outcome.rows.targets(), outcome.about.data.as_str()), (read.targets(), read.fingerprint()));
    assert_eq!((outcome.rows.ids()[39].as_str(), outcome.about.set.as_str()), ("r39", "rows.jsonl"));
    check_csv(&report.join("labels.csv"), &own, &half);
}

/// A row a label and thresholds, whose four counts are all rows.
fn check_csv(path: &Path, own: &Report, half: &Report) {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((lines.len(), &lines[0][..6]), (7, &["label", "thresholds", "threshold", "support", "support_low", "support_high"][..]));
    for (at, line) in lines[1..].iter().enumerate() {
        let figures = if at % 2 == 0 { &own.labels[at / 2] } else { &half.labels[at / 2] };
        assert_eq!((line[0], line[1]), (tiny::LABELS[at / 2], ["bundle", "half"][at % 2]));
        let cell = |name: &str| line[lines[0].iter().position(|found| *found == name).unwrap()].parse::<f64>().unwrap();
        assert_eq!((cell("f1"), cell("threshold")), (figures.f1, figures.threshold.unwrap()));
        let counts = ["true_positives", "false_positives", "false_negatives", "true_negatives"].map(cell);
        assert_eq!(counts.iter().sum::<f64>(), 40.0);
        assert!(cell("brier_low") <= cell("brier") && cell("brier") <= cell("brier_high"), "{line:?}");
    }
}

#[test]
fn figures_on_training_rows_are_not_passed_off_as_held_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = rows(folder.path());
    let mut parts = tiny::parts(Pooling::Mean, Precision::Fp32);
    let read = Dataset::read(&data, DataFormat::Jsonl, parts.decider.labels()).unwrap();
    parts.provenance.data.sha256 = read.fingerprint().to_owned();
    let (bundle, report) = (folder.path().join("bundle"), folder.path().join("report"));
    tiny::write(&bundle, &parts);
    let [bundle, report_name, data] = [&bundle, &report, &data].map(|path| path.to_str().unwrap());
    let (succeeded, out, err) =
        limbic_train(&["evaluate", bundle, data, "--format", "jsonl", "--resamples", "10", "--report", report_name]);
    assert!(succeeded && err.starts_with("warning: NOT HELD OUT: "), "{err}");
    assert!(out.contains("**NOT HELD OUT: this is the very data that the bundle was trained on."), "{out}");
    assert_eq!(json(&report)["trained_on"], true);
}

#[test]
fn a_long_file_says_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(folder.path(), Precision::Fp32);
    let path = folder.path().join("many.jsonl");
    let line =
        |row: usize| format!("{{\"id\":\"{row}\",\"text\":\"we won\",\"labels\":[{}]}}\n", ["\"joy\"", "\"anger\",\"sadness\""][row % 2]);
    std::fs::write(&path, (0..4500).map(line).collect::<String>()).unwrap();
    let [bundle, path] = [&bundle, &path].map(|path| path.to_str().unwrap());
    let (succeeded, _, err) = limbic_train(&["evaluate", bundle, path, "--format", "jsonl", "--resamples", "5"]);
    assert!(succeeded, "{err}");
    assert_eq!(err, "2016 of 4500 rows\n4032 of 4500 rows\n");
}

#[test]
fn the_default_model_is_measured_on_sentences_of_our_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.jsonl");
    let rows = [
        (r#"["joy"]"#, "we finally moved in and i cannot stop smiling, best day of the year"),
        (r#"["anger","disgust"]"#, "he spat on the floor of the shop and laughed, what a vile man, i am furious"),
        (r#"["fear"]"#, "i heard steps behind me in the dark and i was terrified"),
        (r#"["sadness"]"#, "we buried our dog this morning and the house is so empty, i miss her"),
        ("[]", "the bus to the station leaves at ten past nine"),
    ];
    let lines =
        rows.iter().enumerate().map(|(row, (labels, text))| format!("{{\"id\":\"{row}\",\"text\":\"{text}\",\"labels\":{labels}}}\n"));
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    let bundle = repo_root().join("models/tweet-emotion-minilm/bundle");
    let report = folder.path().join("report");
    let [bundle, path, report_name] = [&bundle, &path, &report].map(|path| path.to_str().unwrap());
    let (succeeded, out, err) =
        limbic_train(&["evaluate", bundle, path, "--format", "jsonl", "--resamples", "20", "--report", report_name]);
    assert!(succeeded, "{err}");
    assert!(out.contains("# tweet-emotion-minilm "), "{out}");
    let found = json(&report);
    let recall = |label: &str| found["figures"]["bundle"]["labels"][label]["recall"]["value"].as_f64().unwrap();
    for label in ["joy", "anger", "fear", "sadness"] {
        assert_eq!(recall(label), 1.0, "{label}");
    }
    // A label that no row holds has no curve, and its recall is 0 and not an error.
    assert_eq!((recall("trust"), &found["figures"]["none"]["labels"]["trust"]["auroc"]), (0.0, &Value::Null));
}
