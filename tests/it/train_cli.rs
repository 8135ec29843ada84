//! `limbic-train` from outside: what it prints, where, and how it ends.

use std::path::Path;
use std::process::Command;

use limbic::spec::Precision;

use super::support::{fixture, onnxruntime, repo_root};
use super::tiny;

/// Runs the program in the repository; returns whether it succeeded, and its two outputs.
pub(crate) fn limbic_train(args: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_limbic-train"))
        .args(args)
        .current_dir(repo_root())
        .env("ORT_DYLIB_PATH", onnxruntime())
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn check_refused(args: &[&str], expected: &str) {
    let (succeeded, out, err) = limbic_train(args);
    assert!(!succeeded && out.is_empty(), "{args:?}: {out}");
    assert!(err.contains(expected), "{args:?}: {err}");
    assert_eq!(err.matches(expected).count(), 1, "said more than once: {err}");
}

#[test]
fn mistakes_end_with_one_line_and_a_failure() {
    let smoke = "models/tweet-emotion-minilm/recipe.smoke.toml";
    let data = fixture("smoke/dev.jsonl");
    let data = data.to_str().unwrap();
    check_refused(&["fit", "no/recipe.toml"], "limbic-train: no/recipe.toml: expected a readable recipe: ");
    check_refused(&["fit", smoke, "--set", "train.epoch=3"], "unknown recipe key train.epoch; did you mean train.epochs?");
    check_refused(&["fit", smoke, "--ort-library", "no/library.so"], "no/library.so: no such file");
    check_refused(&["inspect", "no/bundle"], "no/bundle");
    check_refused(&["evaluate", "no/bundle", data, "--format", "jsonl"], "no/bundle");
    check_refused(
        &["evaluate", "no/bundle", data, "--format", "xlsx"],
        "expected ec_tsv, ec_csv, goemotions, xed, xed_neutral, brighter_csv or jsonl, found xlsx",
    );
}

#[test]
fn a_bundle_is_inspected_and_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(folder.path(), Precision::Fp32);
    let bundle = bundle.to_str().unwrap();
    let (succeeded, card, err) = limbic_train(&["inspect", bundle]);
    assert!(succeeded && card.contains("labels (3;") && card.contains("provenance"), "{card}{err}");

    let rows = folder.path().join("rows.jsonl");
    let lines = [r#"{"id":"a","text":"we won!","labels":["joy"]}"#, r#"{"id":"b","text":"he left","labels":["sadness"]}"#];
    std::fs::write(&rows, lines.join("\n")).unwrap();
    let evaluate = |path: &Path, engine: &str| {
        limbic_train(&["evaluate", bundle, path.to_str().unwrap(), "--format", "jsonl", "--engine", engine, "--resamples", "10"])
    };
    for engine in ["onnx", "candle"] {
        let (succeeded, table, err) = evaluate(&rows, engine);
        assert!(succeeded && table.contains("# tiny 0.1.0 on rows.jsonl\n\n2 rows") && table.contains("| joy "), "{table}{err}");
    }
    let (succeeded, _, err) = evaluate(&fixture("smoke/dev.jsonl"), "candle");
    assert!(!succeeded && err.contains("dev.jsonl:1: labels: expected names among joy, sadness, anger, found \"fear\""), "{err}");
}
