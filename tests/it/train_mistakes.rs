//! Mistakes that must not pass in silence: the table in docs/experiments.md names tests that exist,
//! and bad data is refused or warned of by name.

use std::path::Path;

use super::support::repo_root;
use super::train_trial::{Trial, never, scaled_base};

/// Names of all test functions, integration tests and those beside the code.
fn tests(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let after = text.split("#[test]").skip(1);
            found.extend(after.filter_map(|rest| Some(rest.split_once("fn ")?.1.split_once('(')?.0.to_owned())));
        }
    }
}

#[test]
fn every_guard_that_is_named_has_its_test() {
    let mut found = Vec::new();
    tests(&repo_root().join("tests/it"), &mut found);
    tests(&repo_root().join("src"), &mut found);
    let text = std::fs::read_to_string(repo_root().join("docs/experiments.md")).unwrap();
    let table = text.split_once("## Mistakes made impossible").unwrap().1;
    let table = table.split_once("\n## ").map_or(table, |(table, _)| table);
    let (mut rows, mut named) = (0, 0);
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [mistake, guard, test] = cells[..] else { panic!("three cells: {row}") };
        rows += 1;
        assert!(mistake.starts_with(&format!("{rows}. ")), "out of order: {mistake}");
        if test == "not built yet" {
            assert!(guard.contains("not built yet"), "{row}");
            continue;
        }
        for name in test.split(", ") {
            let name = name.trim_matches('`');
            assert!(found.iter().any(|test| test == name), "{mistake}: no test is called {name}");
            named += 1;
        }
    }
    assert!(rows == 22 && named >= 28, "{rows} rows, {named} tests");
}

/// A training file in the layout of E-c, with labels of the smoke data.
fn file(folder: &Path, bytes: &[u8]) -> [String; 2] {
    let path = folder.join("rows.txt");
    std::fs::write(&path, bytes).unwrap();
    [format!("data.train=\"{}\"", path.display()), "data.format=ec_tsv".to_owned()]
}

#[test]
fn bad_data_is_named() {
    let header = "ID\tTweet\tjoy\tsadness\tanger\tfear\n";
    let row = |row: &str| format!("{header}1\tfine\t1\t0\t0\t0\n{row}\n").into_bytes();
    let files: [(&str, Vec<u8>, &str); 6] = [
        ("wrong column", "ID\tText\tjoy\tsadness\tanger\tfear\n".into(), "rows.txt:1: expected the header \"ID,Tweet,joy"),
        ("label not 0/1", row("2\tx\t0\t2\t0\t0"), "rows.txt:3: sadness: expected 0 or 1, found \"2\""),
        ("duplicate id", row("1\tx\t0\t0\t0\t0"), "rows.txt:3: id \"1\" stands in line 2 already"),
        ("empty file", Vec::new(), "rows.txt: expected at least one row, found none"),
        ("only a header", header.into(), "rows.txt: expected at least one row, found none"),
        ("not UTF-8", [header.as_bytes(), b"1\tcaf\xe9\t0\t0\t0\t0\n"].concat(), "rows.txt:2: expected UTF-8 text, found the byte 0xe9"),
    ];
    for (what, bytes, expected) in files {
        let folder = tempfile::tempdir().unwrap();
        let set = file(folder.path(), &bytes);
        let found = Trial::new(&[&set[0], &set[1]]).run(&never).0.map(|_| ()).unwrap_err().to_string();
        assert!(found.contains(expected), "{what}: {found}");
    }
    // Finite weights far too large to be computed with, and weights that are all zero.
    let (large, zero) = (scaled_base(1e25), scaled_base(0.0));
    let base = |folder: &tempfile::TempDir| format!("model.base=\"{}\"", folder.path().display());
    let found = Trial::new(&[&base(&large)]).run(&never).0.map(|_| ()).unwrap_err().to_string();
    assert!(found.starts_with("fold-0, step 0: the loss is") && found.contains("the batch holds train-"), "NaN loss: {found}");
    let labels = "data.labels=[\"joy\", \"sadness\", \"anger\", \"fear\", \"surprise\"]";
    let (report, said) = Trial::new(&[&base(&zero), labels, "folds.k=2", "train.epochs=1"]).run(&never);
    let report = report.unwrap_or_else(|error| panic!("{error}\n{said}"));
    assert!(said.contains("warning: fold-0: no training row holds surprise"), "{said}");
    for (what, expected) in [
        ("constant outputs", "every held-out row gets the same scores: the network has collapsed"),
        ("a fold without positives to train on", "fold-0: no training row holds surprise"),
        ("a fold without positives to judge", "fold-1: no held-out row holds surprise"),
        ("a label that cannot be fitted", "label \"surprise\": no row holds it"),
    ] {
        assert!(report.warnings.iter().any(|warning| warning.contains(expected)), "{what}: {:?}", report.warnings);
    }
}
